"""What a run shows: lines, scalars, pictures, progress."""

import contextlib
import io
import json
import pathlib
import re
import time
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import training
from cnnf_tf.training.run_log import RunLog
from cnnf_tf.training.trackers.base import MetricsLogger, TrackedRun
from cnnf_tf.training.trackers.tensorboard import TensorBoard
from cnnf_tf.utils import progress
from tests.models import fixtures_models
from tests.training import fixtures_training

REPORT = {"loss": 1.5, "accuracy": 0.25}


class RunLogTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        path = pathlib.Path(self.create_tempdir().full_path) / "run"
        self.folder = training.open_workdir(path, fixtures_training.config())
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        self.enter_context(contextlib.redirect_stdout(self.stdout))
        self.enter_context(contextlib.redirect_stderr(self.stderr))

    def watch(self, *, done=0, shown=True):
        trackers = [TensorBoard(TrackedRun(self.folder, {}, {}, ""))]
        return RunLog(self.folder, done=done, total_steps=40, batch_size=8, shown=shown, trackers=trackers)

    def test_a_line_for_each_evaluation(self):
        with mock.patch.object(time, "perf_counter", side_effect=lambda: clock[0]):
            clock = [100.0]
            with self.watch() as watch:
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
            self.stdout.getvalue().splitlines(),
            [
                "step 10 of 40 (epoch 0.25): loss 1.5, accuracy 0.25, val_accuracy 0.5, val_robust_accuracy 0.125, "
                "images_per_second 16",
                "step 20 of 40 (epoch 1): loss 0.3333, images_per_second 40",
            ],
        )

    def test_lines_after_the_checkpoint_are_written_again(self):
        with self.watch() as watch:
            for done in (10, 20, 30):
                watch.stop_clock(done)
                watch.evaluation(done, done, {"loss": float(done)}, {})
        with self.watch(done=20) as watch:
            self.assertEqual([entry["step"] for entry in watch.history], [10, 20])
            watch.stop_clock(30)
            watch.evaluation(30, 30, {"loss": -1.0}, {})
        self.assertEqual([entry["loss"] for entry in self.folder.history()], [10.0, 20.0, -1.0])

    def test_scalars_and_pictures(self):
        with self.watch(done=18) as watch:
            for done in range(19, 41):
                watch.step(done, REPORT, done / 100)
            watch.stop_clock(40)
            watch.evaluation(40, 1, REPORT, {"accuracy": 0.5, "robust_accuracy": 0.125})
            model = fixtures_models.model(iterations=2)
            images = fixtures_models.images(3)
            adversarial = tf.clip_by_value(images + 0.1, 0, 1)
            watch.pictures(40, model, images, adversarial)
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

    def test_no_tracker_changes_what_the_next_one_is_told(self):
        first, second = mock.Mock(spec=MetricsLogger), mock.Mock(spec=MetricsLogger)
        first.scalars.side_effect = lambda step, values, group: values.clear()
        first.pictures.side_effect = lambda step, images: images.pop("image")
        trackers = [first, second]
        validation = {"accuracy": 0.5}
        with RunLog(self.folder, done=0, total_steps=40, batch_size=8, shown=False, trackers=trackers) as watch:
            watch.step(20, REPORT, 0.1)
            second.scalars.assert_called_once_with(20, REPORT | {"learning_rate": 0.1}, "train")
            watch.stop_clock(20)
            watch.evaluation(20, 1, REPORT, validation)
            second.scalars.assert_called_with(20, {"accuracy": 0.5}, "validation")
            self.assertEqual(validation, {"accuracy": 0.5})
            watch.pictures(20, fixtures_models.model(iterations=0), fixtures_models.images(2), None)
        _, images = second.pictures.call_args.args
        self.assertEqual(set(images), {"image", "reconstruction/iteration_1"})
        with self.assertRaisesRegex(ValueError, "read-only"):
            images["image"][:] = 0

    def test_pictures_without_an_attack_or_feedback(self):
        with self.watch() as watch:
            watch.pictures(1, fixtures_models.model(iterations=0), fixtures_models.images(2), None)
        found = fixtures_training.tags(self.folder.tensorboard)
        self.assertEqual(set(found), {"validation/image", "validation/reconstruction/iteration_1"})

    @parameterized.parameters(True, False)
    def test_progress(self, shown):
        with self.watch(done=30, shown=shown) as watch, mock.patch.object(progress, "EVERY", 0.0):
            watch.step(31, REPORT, 0.1)
            watch.stop_clock(31)
            watch.evaluation(31, 1, REPORT, {})
            watch.step(32, REPORT, 0.1)
        lines = [re.sub(r"\b\d+ (s\b|images/s)", r"# \1", line) for line in self.stderr.getvalue().splitlines()]
        step, line = "loss 1.500, accuracy 0.250, # images/s", "training: {}/40 steps, # s ({})"
        wanted = ["training: preparing ...", line.format(31, step), line.format(31, "evaluating")]
        wanted.append("training: 31/40 steps, # s")
        wanted += [f"training: 32/40 steps, # s, about # s left ({step})", line.format(32, step)]
        self.assertEqual(lines, wanted if shown else [])
        self.assertLen(self.stdout.getvalue().splitlines(), 1 if shown else 0)

    @parameterized.parameters((None, "FINISHED"), (ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"))
    def test_the_end_and_its_status(self, error, status):
        tracker = mock.Mock(spec=MetricsLogger)
        with (
            contextlib.suppress(*[error] if error else []),
            RunLog(self.folder, done=0, total_steps=40, batch_size=8, shown=False, trackers=[tracker]) as watch,
        ):
            watch.stop_clock(1)
            watch.evaluation(1, 1, REPORT, {})
            if error:
                raise error
        tracker.close.assert_called_once_with(status)
        tracker.scalars.assert_not_called()  # of a validation without a number
        kept = [mock.call([self.folder.config, self.folder.metrics])]  # of a run that trained nothing
        self.assertEqual(tracker.artifacts.mock_calls, [] if error else kept)


if __name__ == "__main__":
    tf.test.main()
