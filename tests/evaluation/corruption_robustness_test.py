"""Accuracy under corruptions, and the mean corruption error, by hand."""

import json
import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import data
from cnnf_tf.evaluation import corruption_robustness as lib
from cnnf_tf.evaluation.accuracy import PassAccuracy, evaluate_passes
from tests.models import tiny

NAMES = ("contrast", "gaussian_noise")


def made_up(correct, *, seed=0, severities=(1, 5), clean=9):
    """A result over 10 images from the correct images of each corruption, severity and pass."""

    def entry(row):
        return PassAccuracy(10, {"last": list(row), "average": [0] * len(row)}, [0.0] * len(row), [0.0])

    passes = len(next(iter(correct.values()))[0])
    corrupted = {name: [entry(row) for row in rows] for name, rows in correct.items()}
    return lib.CorruptionAccuracy(passes - 1, severities, seed, entry([clean] * passes), corrupted)


class CorruptionRobustnessTest(parameterized.TestCase, tf.test.TestCase):
    def test_is_evaluate_passes_on_corrupted_images(self):
        model, dataset, progress = tiny.model(), tiny.dataset(20, 8), []
        result = lib.evaluate_corruptions(model, dataset, NAMES, (4,), iterations=1, seed=3, progress=progress.append)
        self.assertEqual(sum(progress), 3 * 20)
        self.assertEqual(result.clean.to_dict(), evaluate_passes(model, dataset, iterations=1).to_dict())
        for name in NAMES:
            for severity, found in zip((4,), result.corrupted[name], strict=True):
                images = data.corrupt(tiny.images(20), name, severity, seed=3)
                for index in (0, 1):
                    guesses = np.argmax(model.infer(images, iterations=index).logits[-1], -1)
                    wanted = int(np.sum(guesses == tiny.labels(20)))
                    self.assertEqual(found.correct["last"][index], wanted)
        again = lib.evaluate_corruptions(model, dataset, NAMES[:1], (4,), iterations=1, seed=3)
        self.assertEqual(again.corrupted["contrast"], result.corrupted["contrast"])

    def test_errors_by_hand(self):
        ours = made_up({"contrast": [(6, 8), (4, 7)], "occlusion": [(5, 5), (5, 4)]})
        self.assertAllClose(ours.errors("contrast"), [0.2, 0.3])
        self.assertAllClose(ours.errors("contrast", index=0), [0.4, 0.6])
        against_itself = lib.mean_corruption_error(ours, ours, baseline_index=0)
        self.assertAllClose(against_itself.corruptions["contrast"], 100 * 0.5 / 1.0)
        self.assertAllClose(against_itself.corruptions["occlusion"], 100 * 1.1 / 1.0)
        self.assertAllClose(against_itself.mean, 80.0)
        self.assertAllClose(lib.mean_corruption_error(ours, ours).mean, 100.0)
        self.assertAllClose(lib.mean_corruption_error(ours, ours, readout="average").mean, 100.0)
        cnn = made_up({"contrast": [(0,), (0,)], "occlusion": [(10,), (0,)]})  # another number of passes is fine
        self.assertAllClose(lib.mean_corruption_error(ours, cnn).corruptions["contrast"], 25.0)
        lines = against_itself.table().splitlines()
        self.assertEqual(lines[-1].split(), ["mean", "(mCE)", "80.0", "%"])
        self.assertEqual(set(against_itself.to_dict()), {"mean", "corruptions"})

    def test_table_and_dict(self):
        result = made_up({"contrast": [(6, 8), (4, 7)]})
        blocks = result.table().split("\n\n")
        self.assertLen(blocks, 2)
        lines = blocks[0].splitlines()
        self.assertEqual(lines[0], "accuracy, readout 'last'")
        self.assertEqual(lines[2].split(), ["none", "-", "90.00", "%", "90.00", "%"])
        self.assertEqual(lines[4].split(), ["contrast", "5", "40.00", "%", "70.00", "%"])
        found = json.loads(json.dumps(result.to_dict()))
        self.assertEqual(found["corrupted"]["contrast"]["5"]["correct"]["last"], [4, 7])
        self.assertEqual((found["num_images"], found["severities"]), (10, [1, 5]))

    @parameterized.parameters(1, 5)
    def test_figure(self, count):
        names = list(data.CORRUPTIONS)[:count]
        result = made_up({name: [(6, 8), (4, 7)] for name in names})
        paths = [pathlib.Path(self.create_tempdir().full_path, f"{name}.png") for name in "xy"]
        for path in paths:
            lib.corruption_figure(path, result, title="title")
        self.assertEqual(paths[0].read_bytes()[:4], b"\x89PNG")
        self.assertEqual(paths[0].read_bytes(), paths[1].read_bytes())
        with self.assertRaisesRegex(ValueError, r"readout must be one of .'average', 'last'., got 'first'"):
            lib.corruption_figure(paths[0], result, title="title", readout="first")

    def test_rejects(self):
        model, dataset = tiny.model(), tiny.dataset()
        for wrong in ((), ("contrast", "contrast")):
            with self.assertRaisesRegex(ValueError, "corruptions wants names of .*each once and at least one, got"):
                lib.evaluate_corruptions(model, dataset, wrong, iterations=0)
        with self.assertRaisesRegex(ValueError, "corruption must be one of .* got 'fog'"):
            lib.evaluate_corruptions(model, dataset, ("contrast", "fog"), iterations=0)
        for wrong in ((), (3, 1), (2, 2)):
            with self.assertRaisesRegex(ValueError, "severities wants ascending integers from 1 to 5, at least one"):
                lib.evaluate_corruptions(model, dataset, NAMES, wrong, iterations=0)
        with self.assertRaisesRegex(ValueError, "severity must be an integer from 1 .* got 9"):
            lib.evaluate_corruptions(model, dataset, NAMES, (1, 9), iterations=0)
        with self.assertRaisesRegex(ValueError, "iterations must be an integer >= 0"):
            lib.evaluate_corruptions(model, dataset, NAMES, iterations=-1)
        with self.assertRaisesRegex(ValueError, "empty"):
            lib.evaluate_corruptions(model, dataset.take(0), NAMES, (1,), iterations=0)

    def test_error_rejects(self):
        ours = made_up({"contrast": [(6, 8), (4, 7)]})
        for other, message in (
            (made_up({"occlusion": [(6, 8), (4, 7)]}), "the same corruptions in both, got .'contrast'., in the base"),
            (made_up({"contrast": [(6, 8), (4, 7)]}, severities=(1, 2)), "the same severities"),
            (made_up({"contrast": [(6, 8), (4, 7)]}, seed=1), "the same seed"),
            (made_up({"contrast": [(10, 10), (10, 10)]}), "makes no error under contrast"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                lib.mean_corruption_error(ours, other)
        with self.assertRaisesRegex(ValueError, "baseline_index must be a pass from 0 to 1, or -1 .* got 2"):
            lib.mean_corruption_error(ours, ours, baseline_index=2)
        with self.assertRaisesRegex(ValueError, "readout must be one of"):
            lib.mean_corruption_error(ours, ours, readout="first")


if __name__ == "__main__":
    tf.test.main()
