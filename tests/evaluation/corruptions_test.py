"""Accuracy under corruptions, and the mean corruption error, by hand."""

import dataclasses
import json
import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import data
from cnnf_tf.evaluation import corruption_report as report
from cnnf_tf.evaluation import corruptions as lib
from cnnf_tf.evaluation.accuracy import PassAccuracy, evaluate_passes
from tests.models import fixtures_models

NAMES = ("contrast", "gaussian_noise")


def made_up(correct, *, seed=0, severities=(1, 5), clean=9, count=10):
    """A result over `count` images from the correct images of each corruption, severity and pass."""

    def entry(row):
        return PassAccuracy(count, {"last": list(row), "average": [0] * len(row)}, [0.0] * len(row), [0.0])

    passes = len(next(iter(correct.values()))[0])
    corrupted = {name: [entry(row) for row in rows] for name, rows in correct.items()}
    return lib.CorruptionAccuracy(passes - 1, severities, seed, entry([clean] * passes), corrupted)


class CorruptionRobustnessTest(parameterized.TestCase, tf.test.TestCase):
    def test_is_evaluate_passes_on_corrupted_images(self):
        model, dataset, progress = fixtures_models.model(), fixtures_models.dataset(20, 8), []
        result = lib.evaluate_corruptions(model, dataset, NAMES, (4,), iterations=1, seed=3, progress=progress.append)
        self.assertEqual(sum(progress), 3 * 20)
        self.assertEqual(result.clean.to_dict(), evaluate_passes(model, dataset, iterations=1).to_dict())
        for name in NAMES:
            for severity, found in zip((4,), result.corrupted[name], strict=True):
                images = data.corrupt(fixtures_models.images(20), name, severity, seed=3)
                for index in (0, 1):
                    guesses = np.argmax(model.infer(images, iterations=index).logits[-1], -1)
                    wanted = int(np.sum(guesses == fixtures_models.labels(20)))
                    self.assertEqual(found.correct["last"][index], wanted)
        again = lib.evaluate_corruptions(model, dataset, NAMES[:1], (4,), iterations=1, seed=3)
        self.assertEqual(again.corrupted["contrast"], result.corrupted["contrast"])

    def test_goes_on_from_what_is_known(self):
        model, dataset, cells = fixtures_models.model(), fixtures_models.dataset(5, 2), []
        arguments = (model, dataset, NAMES, (1, 5))
        whole = lib.evaluate_corruptions(
            *arguments, iterations=1, finished=lambda name, severity, found: cells.append((name, severity, found))
        )
        self.assertEqual(cells, list(whole.cells()))
        self.assertEqual(
            [cell[:2] for cell in cells], [lib.CLEAN, *((name, severity) for name in NAMES for severity in (1, 5))]
        )
        known, rest = {cell[:2]: cell[2] for cell in cells if cell[1] != 5}, []
        again = lib.evaluate_corruptions(
            *arguments, iterations=1, known=known, finished=lambda *cell: rest.append(cell[:2])
        )
        self.assertEqual(again, whole)
        self.assertEqual(rest, [(name, 5) for name in NAMES])
        self.assertLen(known, 3)

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
        self.assertEqual(lines[-1].split("  ")[0], "mean (mCE, our strengths)")
        self.assertEqual(lines[-1].split()[-2:], ["80.0", "%"])
        self.assertEqual(against_itself.to_dict()["strengths"], "ours")

    def test_relative_errors_by_hand(self):
        ours = made_up({"contrast": [(8, 8), (4, 6)], "occlusion": [(9, 9), (9, 8)]})
        cnn = made_up({"contrast": [(6,), (2,)], "occlusion": [(8,), (7,)]}, clean=8)
        found = lib.mean_corruption_error(ours, cnn, relative=True)  # of 9 clean ones; the baseline of 8
        self.assertAllClose(found.corruptions["contrast"], 100 * (1 + 3) / (2 + 6))
        self.assertAllClose(found.corruptions["occlusion"], 100 * (0 + 1) / (0 + 1))
        self.assertAllClose(found.mean, 75.0)

    def test_no_error_to_compare_with(self):
        ours = made_up({"contrast": [(6, 8), (4, 7)], "occlusion": [(5, 5), (5, 4)]})
        perfect = made_up({"contrast": [(10,), (10,)], "occlusion": [(5,), (5,)]})
        found = lib.mean_corruption_error(ours, perfect)
        self.assertIsNone(found.corruptions["contrast"])
        self.assertAllClose(found.corruptions["occlusion"], 110.0)
        self.assertIsNone(found.mean)
        self.assertEqual([line.split()[-1] for line in found.table().splitlines()[1:]], ["-", "%", "-"])
        harmless = made_up({"contrast": [(9,), (9,)], "occlusion": [(5,), (5,)]})
        self.assertIsNone(lib.mean_corruption_error(ours, harmless, relative=True).corruptions["contrast"])
        last = report.corruption_table(ours, harmless).splitlines()[-1]
        self.assertEqual([cell.strip() for cell in last.split("|")[2:6]], ["-", "-", "-", ""])

    def test_markdown_table(self):
        ours = made_up({"contrast": [(6, 8), (4, 7)], "occlusion": [(5, 5), (5, 4)]})
        cnn = made_up({"contrast": [(2,), (2,)], "occlusion": [(0,), (0,)]})
        lines = report.corruption_table(ours, cnn).splitlines()
        self.assertLen({len(line) for line in lines}, 1)
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        self.assertEqual(cells[0], ["our strengths", "baseline", "pass 0 (CNN)", "pass 1", "CE of the last pass"])
        self.assertEqual([set(cell) for cell in cells[1]], [{"-"}, *[{"-", ":"}] * 4])
        self.assertEqual(
            cells[2:],
            [
                ["clean", "90.00", "90.00", "90.00", ""],
                ["contrast", "20.00", "50.00", "75.00", "31.2"],  # (2 + 3) of 16 wrong ones
                ["occlusion", "0.00", "50.00", "45.00", "55.0"],
                ["mean accuracy of 2 (our strengths)", "10.00", "50.00", "60.00", ""],
                ["mCE (our strengths)", "100.0", "56.2", "43.1", ""],
                ["relative mCE (our strengths)", "100.0", "50.8", "35.7", ""],  # (8/14 + 8/18) / 2, (3/14 + 9/18) / 2
            ],
        )
        with self.assertRaisesRegex(ValueError, "readout must be one of"):
            report.corruption_table(ours, cnn, readout="first")
        with self.assertRaisesRegex(ValueError, "the same seed"):
            report.corruption_table(ours, made_up({"contrast": [(2,), (2,)], "occlusion": [(0,), (0,)]}, seed=1))

    def test_table_and_dict(self):
        result = made_up({"contrast": [(6, 8), (4, 7)]})
        blocks = result.table().split("\n\n")
        self.assertLen(blocks, 2)
        lines = blocks[0].splitlines()
        self.assertEqual(lines[0], "accuracy, readout 'last'")
        self.assertEqual(lines[2].split(), ["none", "-", "90.00", "%", "90.00", "%"])
        self.assertEqual(lines[4].split(), ["contrast", "5", "40.00", "%", "70.00", "%"])
        rows = list(result.rows())
        self.assertLen(rows, 3 * 2 * 2)
        self.assertEqual(list(rows[0].values()), ["none", 0, "last", 0, 10, 9, 0.9])
        self.assertEqual(list(rows[9].values()), ["contrast", 5, "last", 1, 10, 7, 0.7])
        self.assertAllClose(result.mean_accuracy("contrast", index=0), 0.5)
        found = json.loads(json.dumps(result.to_dict()))
        self.assertEqual(found["corrupted"]["contrast"]["5"]["correct"]["last"], [4, 7])
        self.assertEqual((found["num_images"], found["severities"]), (10, [1, 5]))

    @parameterized.parameters((1, False), (5, True))
    def test_figure(self, count, with_baseline):
        names = list(data.CORRUPTIONS)[:count]
        result = made_up({name: [(6, 8), (4, 7)] for name in names})
        baseline = made_up({name: [(6,), (3,)] for name in names}) if with_baseline else None
        folder = pathlib.Path(self.create_tempdir().full_path)
        for stem in "xy":
            paths = report.corruption_figure(folder / stem, result, title="title", baseline=baseline)
            self.assertEqual(paths, [folder / f"{stem}.png", folder / f"{stem}.svg"])
        self.assertEqual(paths[0].read_bytes()[:4], b"\x89PNG")
        for suffix in ("png", "svg"):
            self.assertEqual((folder / f"x.{suffix}").read_bytes(), (folder / f"y.{suffix}").read_bytes())
        text = paths[1].read_text()
        self.assertEqual("<!-- baseline (mean 45.0 %) -->" in text, with_baseline)
        self.assertEqual("our strengths; mCE of the last pass 45.5" in text, with_baseline)  # 5 of 11 wrong ones
        with self.assertRaisesRegex(ValueError, r"readout must be one of .'average', 'last'., got 'first'"):
            report.corruption_figure(folder / "z", result, title="title", readout="first")
        self.assertLen(list(folder.iterdir()), 4)

    def test_rejects(self):
        model, dataset = fixtures_models.model(), fixtures_models.dataset()
        for wrong in ((), ("contrast", "contrast"), ("contrast", "fog"), "fog", (["contrast"],)):
            with self.assertRaisesRegex(ValueError, "corruptions wants names of .*each once and at least one, got"):
                lib.evaluate_corruptions(model, dataset, wrong, iterations=0)
        for wrong in ((), (3, 1), (2, 2), (1, 9), (0, 1), (True, 2), ("1",), (1.5,), (2.0,)):
            with self.assertRaisesRegex(ValueError, "severities wants ascending integers from 1 to 5, at least one"):
                lib.evaluate_corruptions(model, dataset, NAMES, wrong, iterations=0)
        with self.assertRaisesRegex(ValueError, "seed must be an integer"):
            lib.evaluate_corruptions(model, dataset, NAMES, iterations=0, seed=-1)
        with self.assertRaisesRegex(ValueError, "iterations must be an integer >= 0"):
            lib.evaluate_corruptions(model, dataset, NAMES, iterations=-1)
        with self.assertRaisesRegex(ValueError, "empty"):
            lib.evaluate_corruptions(model, dataset.take(0), NAMES, (1,), iterations=0)

    def test_without_clean_images_and_without_a_baseline(self):
        ours = made_up({"contrast": [(6, 8), (4, 7)], "occlusion": [(5, 5), (5, 4)]})
        ours = dataclasses.replace(ours, clean=None, seed=None, strengths="cifar10_corrupted")
        self.assertAllClose(ours.mean_accuracy(), (0.8 + 0.7 + 0.5 + 0.4) / 4)
        self.assertAllClose(ours.mean_accuracy(index=0), 0.5)
        self.assertEqual((ours.num_images, len(list(ours.cells())), ours.to_dict()["clean"]), (10, 4, None))
        cells = [
            [cell.strip() for cell in line.strip("|").split("|")] for line in report.corruption_table(ours).split("\n")
        ]
        self.assertEqual(
            cells[:1] + cells[2:],
            [
                ["cifar10_corrupted", "pass 0 (CNN)", "pass 1"],
                ["contrast", "50.00", "75.00"],
                ["occlusion", "50.00", "45.00"],
                ["mean accuracy of 2 (cifar10_corrupted)", "50.00", "60.00"],
            ],
        )
        lines = report.corruption_table(ours, ours).splitlines()
        self.assertIn("| mCE (cifar10_corrupted) ", lines[-1])
        self.assertAllClose(lib.mean_corruption_error(ours, ours, baseline_index=0).mean, 80.0)
        with self.assertRaisesRegex(ValueError, "relative errors want results with the accuracy on clean images"):
            lib.mean_corruption_error(ours, ours, relative=True)

    @parameterized.parameters(("ours", "our strengths"), ("cifar10_c", "cifar10_c, made here"), ("npy:X", "npy:X"))
    def test_a_mean_says_whose_strengths(self, strengths, label):
        self.assertEqual(lib.strengths_label(strengths), label)

    def test_a_set_of_published_strengths(self):
        model, dataset = fixtures_models.model(), fixtures_models.dataset(6, 4)
        names, _ = lib.check_grid(None, None, "cifar10_c")
        self.assertLen(names, 14)  # without the photographs of frost
        self.assertEqual(lib.check_grid(None, None, "mnist_c")[1], (1,))
        result = lib.evaluate_corruptions(
            model, dataset, ("contrast", "speckle_noise"), (2,), iterations=0, strengths="cifar10_c"
        )
        images = data.corrupt(fixtures_models.images(6), "contrast", 2, seed=0, strengths="cifar10_c")
        right = np.sum(np.argmax(model.infer(images, iterations=0).logits[-1], -1) == fixtures_models.labels(6))
        self.assertEqual((result.corrupted["contrast"][0].correct["last"], result.strengths), ([right], "cifar10_c"))
        with self.assertRaisesRegex(ValueError, "severities wants ascending integers from 1 to 1, .* got .2,."):
            lib.check_grid(None, (2,), "mnist_c")
        with self.assertRaisesRegex(ValueError, "strengths must be one of .*'cifar10_c'.* got 'cifar10'"):
            lib.check_grid(None, None, "cifar10")
        with self.assertRaisesRegex(ValueError, "frost needs the photographs"):
            lib.evaluate_corruptions(model, dataset, ("frost",), (1,), iterations=0, strengths="cifar10_c")
        with self.assertRaisesRegex(ValueError, "the same severities of each corruption"):
            sets = {("fog", 1): lambda: dataset, ("fog", 2): lambda: dataset, ("snow", 1): lambda: dataset}
            lib.evaluate_corrupted_sets(model, sets, iterations=0, strengths="x")

    def test_error_rejects(self):
        ours = made_up({"contrast": [(6, 8), (4, 7)]})
        for other, message in (
            (dataclasses.replace(ours, strengths="cifar10_c"), "the same strengths in both, got ours, .* cifar10_c"),
            (made_up({"occlusion": [(6, 8), (4, 7)]}), "the same corruptions in both, got .'contrast'., in the base"),
            (made_up({"contrast": [(6, 8), (4, 7)]}, severities=(1, 2)), "the same severities"),
            (made_up({"contrast": [(6, 8), (4, 7)]}, seed=1), "the same seed"),
            (
                made_up({"contrast": [(6, 8), (4, 7)]}, count=20),
                r"the same number of images in both, got .10., .* .20.",
            ),
        ):
            with self.assertRaisesRegex(ValueError, message):
                lib.mean_corruption_error(ours, other)
        with self.assertRaisesRegex(ValueError, "baseline_index must be a pass from 0 to 1, or -1 .* got 2"):
            lib.mean_corruption_error(ours, ours, baseline_index=2)
        with self.assertRaisesRegex(ValueError, "readout must be one of"):
            lib.mean_corruption_error(ours, ours, readout="first")


if __name__ == "__main__":
    tf.test.main()
