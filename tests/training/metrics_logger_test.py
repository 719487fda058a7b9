"""What a run shows: lines, scalars, pictures, a progress bar."""

import contextlib
import io
import json
import pathlib
import time
from unittest import mock

import numpy as np
import tensorflow as tf

from cnnf_tf import training
from cnnf_tf.training.metrics_logger import MetricsLogger
from tests.models import fixtures_models
from tests.training import fixtures_training

REPORT = {"loss": 1.5, "accuracy": 0.25}


class MetricsLoggerTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        path = pathlib.Path(self.create_tempdir().full_path) / "run"
        self.folder = training.open_workdir(path, fixtures_training.config())
        self.said = []

    def watch(self, *, done=0, progress=False):
        return MetricsLogger(
            self.folder, done=done, total_steps=40, batch_size=8, progress=progress, say=self.said.append
        )

    def test_a_line_for_each_evaluation(self):
        with mock.patch.object(time, "perf_counter", side_effect=lambda: clock[0]):
            clock = [100.0]
            watch = self.watch()
            for done in range(1, 11):
                clock[0] += 0.5
                watch.step(done, REPORT, 0.1)
            watch.stop_clock(10)
            clock[0] += 50.0  # the evaluation, which is not training
            watch.evaluation(10, 0.25, REPORT, {"accuracy": 0.5, "robust_accuracy": 0.125})
            watch.restart_clock(10)
            clock[0] += 2.0
            watch.stop_clock(20)
            watch.evaluation(20, 1.0, {"loss": 1 / 3}, {})
            watch.close()
        lines = [json.loads(line) for line in self.folder.metrics.read_text().splitlines()]
        self.assertEqual(
            lines[0],
            {
                "epoch": 0.25,
                "step": 10,
                "seconds": 5.0,
                "images_per_second": 16.0,
                "loss": 1.5,
                "accuracy": 0.25,
                "val_accuracy": 0.5,
                "val_robust_accuracy": 0.125,
            },
        )
        self.assertEqual(
            lines[1], {"epoch": 1, "step": 20, "seconds": 2.0, "images_per_second": 40.0, "loss": 0.333333}
        )
        self.assertEqual(lines, self.folder.history())
        self.assertEqual(
            self.said[0],
            "step 10 of 40 (epoch 0.25): loss 1.5, accuracy 0.25, val_accuracy 0.5, val_robust_accuracy 0.125, "
            "images_per_second 16",
        )
        self.assertLen(self.said, 2)

    def test_lines_after_the_checkpoint_are_written_again(self):
        watch = self.watch()
        for done in (10, 20, 30):
            watch.stop_clock(done)
            watch.evaluation(done, done, {"loss": float(done)}, {})
        watch.close()
        watch = self.watch(done=20)
        self.assertEqual([entry["step"] for entry in watch.history], [10, 20])
        watch.stop_clock(30)
        watch.evaluation(30, 30, {"loss": -1.0}, {})
        watch.close()
        self.assertEqual([entry["loss"] for entry in self.folder.history()], [10.0, 20.0, -1.0])

    def test_scalars_and_pictures(self):
        watch = self.watch(done=18)
        for done in range(19, 41):
            watch.step(done, REPORT, done / 100)
        watch.stop_clock(40)
        watch.evaluation(40, 1, REPORT, {"accuracy": 0.5, "robust_accuracy": 0.125})
        model = fixtures_models.model(iterations=2)
        images = fixtures_models.images(3)
        adversarial = tf.clip_by_value(images + 0.1, 0, 1)
        watch.pictures(40, model, images, adversarial)
        watch.close()
        found = fixtures_training.tags(self.folder.tensorboard)
        self.assertEqual([step for step, _ in found["train/learning_rate"]], [20, 40])
        self.assertAllClose([tf.make_ndarray(value) for _, value in found["train/learning_rate"]], [0.2, 0.4])
        self.assertEqual([step for step, _ in found["train/loss"]], [20, 40])
        self.assertEqual([step for step, _ in found["validation/robust_accuracy"]], [40])
        for name, wanted in (
            ("image", images),
            ("adversarial", adversarial),
            ("reconstruction/iteration_1", model.reconstruct(adversarial)[0]),
            ("reconstruction/iteration_2", model.reconstruct(adversarial)[1]),
        ):
            ((step, value),) = found[f"validation/{name}"]
            self.assertEqual(step, 40)
            pictures = tf.make_ndarray(value)[2:]  # after width and height
            self.assertLen(pictures, 3)
            decoded = np.stack([tf.image.decode_png(picture).numpy() for picture in pictures]) / 255
            self.assertAllClose(decoded, wanted, atol=1.01 / 255, msg=name)

    def test_pictures_without_an_attack_or_feedback(self):
        watch = self.watch()
        watch.pictures(1, fixtures_models.model(iterations=0), fixtures_models.images(2), None)
        watch.close()
        found = fixtures_training.tags(self.folder.tensorboard)
        self.assertEqual(set(found), {"validation/image", "validation/reconstruction/iteration_1"})

    def test_progress_bar(self):
        for progress in (False, True):
            shown = io.StringIO()
            with contextlib.redirect_stderr(shown):
                watch = self.watch(progress=progress)
                for done in (1, 2):
                    watch.step(done, REPORT, 0.1)
                watch.stop_clock(2)
                watch.evaluation(2, 1, REPORT, {})
                watch.close()
            if progress:
                for part in ("2/40", "loss=1.500", "accuracy=0.250", "images/s="):
                    self.assertIn(part, shown.getvalue())
                self.assertLen(self.said, 1)  # with a bar, no line
            else:
                self.assertEqual(shown.getvalue(), "")
                self.assertLen(self.said, 1)


if __name__ == "__main__":
    tf.test.main()
