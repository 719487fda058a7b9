"""Subsets, records and figures of the learning curves."""

import csv
import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from cnnf_tf import training
from cnnf_tf.experiments.learning_curves.curves import LearningCurves, nested_subsets, place
from configs import generative_vs_discriminative

ROOT = pathlib.Path(__file__).parent.parent.parent.parent
NAMES = {"one": "method one", "two": "method two"}


def cell(method="one", num_images=10, seed=0, num_correct=60):
    found = {"method": method, "num_images": num_images, "seed": seed, "num_correct": num_correct}
    return found | {"num_test_images": 100, "num_classes_seen": 9, "seconds": 0.5, "details": {"steps": 3}}


def add(curves, *cells):
    curves.cells += cells
    curves.write()


class NestedSubsetsTest(tf.test.TestCase):
    def test_nested_and_without_repeats(self):
        subsets = nested_subsets(50, (1, 5, 20, 50), seed=3)
        self.assertEqual([len(subsets[size]) for size in (1, 5, 20, 50)], [1, 5, 20, 50])
        self.assertAllEqual(np.sort(subsets[50]), np.arange(50))
        for size in (1, 5, 20):
            self.assertAllEqual(subsets[size], subsets[50][:size])

    def test_seeds(self):
        self.assertAllEqual(nested_subsets(50, (9,), seed=3)[9], nested_subsets(50, (9, 30), seed=3)[9])
        self.assertNotAllEqual(nested_subsets(50, (9,), seed=3)[9], nested_subsets(50, (9,), seed=4)[9])

    def test_errors(self):
        for sizes in ((), (5, 5), (5, 2), (0, 1)):
            with self.assertRaisesRegex(ValueError, "must be increasing and at least 1"):
                nested_subsets(50, sizes, seed=0)
        with self.assertRaisesRegex(ValueError, "60 training images were asked for, but there are 50"):
            nested_subsets(50, (10, 60), seed=0)


class LearningCurvesTest(tf.test.TestCase):
    def folder(self):
        return pathlib.Path(self.create_tempdir().full_path) / "study"

    def test_mean_and_standard_deviation(self):
        curves = LearningCurves(self.folder(), {}, {})
        for seed, correct in enumerate((60, 70, 80)):
            add(curves, cell(seed=seed, num_correct=correct))
        add(curves, cell(num_images=20, num_correct=90))
        first, second = curves.rows()
        self.assertEqual((first["num_images"], first["num_seeds"], first["num_test_images"]), (10, 3, 100))
        self.assertAllClose([first[f"error_{name}"] for name in ("mean", "std", "min", "max")], [0.3, 0.1, 0.2, 0.4])
        self.assertEqual((second["num_seeds"], second["error_mean"], second["error_std"]), (1, 0.1, None))
        self.assertRegex(curves.table(NAMES), r"10 +30.0 \+- 10.0\n20 +10.0$")

    def test_files(self):
        folder = self.folder()
        curves = LearningCurves(folder, {"study": {"seeds": (0, 1)}}, {"command": "python x"})
        add(curves, cell(num_images=20))
        add(curves, cell("two"))
        add(curves, cell())
        report = json.loads((folder / "results.json").read_text())
        self.assertEqual((report["command"], report["config"]), ("python x", {"study": {"seeds": [0, 1]}}))
        with curves.write_csv().open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        order = [(row["method"], int(row["num_images"])) for row in rows]
        self.assertEqual(order, [("one", 10), ("one", 20), ("two", 10)])
        self.assertEqual(float(rows[0]["error_mean"]), report["rows"][0]["error_mean"])
        lines = curves.table(NAMES).splitlines()
        self.assertRegex(lines[0], "m +method one +method two")
        self.assertRegex(lines[1], r"10 +40.0 +40.0$")
        self.assertRegex(lines[2], r"20 +40.0 +-$")
        png, svg = curves.draw(NAMES, title="title")
        self.assertEqual(png.read_bytes()[:4], b"\x89PNG")
        before = svg.read_bytes()
        self.assertIn(b"<svg", before)
        self.assertNotIn(b"dc:date", before)
        curves.draw(NAMES, title="title")
        self.assertEqual(svg.read_bytes(), before)
        self.assertLen(list(folder.iterdir()), 4)  # no temporary files stay

    def test_goes_on_with_the_same_config_only(self):
        folder = self.folder()
        config = {"study": {"seeds": (0, 1), "l2": 1.0}}
        add(LearningCurves(folder, config, {}), cell())
        again = LearningCurves(folder, config, {})
        self.assertEqual({place(found): found for found in again.cells}, {("one", 10, 0): cell()})
        with self.assertRaisesRegex(ValueError, r"another config \(study.l2: 1.0 there, 2.0 asked\).*another --output"):
            LearningCurves(folder, {"study": {"seeds": (0, 1), "l2": 2.0}}, {})
        (folder / "results.json").write_text('{"cells": []}')
        with self.assertRaisesRegex(ValueError, "results.json is not the record of a study"):
            LearningCurves(folder, config, {})
        with self.assertRaisesRegex(ValueError, "must be a folder, but it is a file"):
            LearningCurves(folder / "results.json", config, {})


class NetworksTest(tf.test.TestCase):
    def test_cnn_and_cnnf_start_from_the_same_weights(self):
        weights = []
        for iterations in (0, 1):
            options = ConfigDict(generative_vs_discriminative.get_config("smoke").to_dict())
            options.model.iterations = iterations
            keras.utils.set_random_seed(7)
            weights.append(training.build_model(options, (28, 28, 1), 10).get_weights())
        self.assertAllEqual([w.shape for w in weights[0]], [w.shape for w in weights[1]])
        for one, other in zip(*weights, strict=True):
            self.assertAllEqual(one, other)


class CommittedResultsTest(tf.test.TestCase):
    """The study in docs/results is that of the committed configuration, and its files agree with each other."""

    def test_results(self):
        folder = ROOT / "docs" / "results" / "generative_vs_discriminative"
        if not (folder / "results.json").exists():
            self.skipTest("docs/results is not among the files of this test run")
        config = generative_vs_discriminative.get_config().to_dict()
        curves = LearningCurves(folder, config, {})  # refuses another configuration
        study = config["study"]
        grid = {(m, n, seed) for m in study["methods"] for n in study["num_images"] for seed in study["seeds"]}
        self.assertEqual(set(map(place, curves.cells)), grid)
        saved = json.loads((folder / "results.json").read_text())
        self.assertEqual(saved["rows"], curves.rows())
        with (folder / "learning_curves.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(rows, [{key: str(value) for key, value in row.items()} for row in curves.rows()])


if __name__ == "__main__":
    tf.test.main()
