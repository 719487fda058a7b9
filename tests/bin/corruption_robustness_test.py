"""bin/corruption_robustness.py: the files, going on after a kill with equal bytes, refusals before any work."""

import hashlib
import itertools
import json
import time

import keras
import numpy as np
import tensorflow as tf

from cnnf_tf import data
from tests.bin import binaries
from tests.bin.binaries import DATA, Forked, run, run_forked
from tests.data.arrays import write_arrays
from tests.limits import HANGING
from tests.models import fixtures_models

FILES = ("corruption_robustness.csv", "corruption_robustness.png", "corruption_robustness.svg", "results.json")
READOUTS = ("last", "average")


class CorruptionRobustnessTest(binaries.BinaryTestCase):
    def setUp(self):
        super().setUp()
        self.work = self.folder()
        for name, seed, scale in (("cnnf", 0, 1.0), ("cnn", 1, -1.0)):
            model = binaries.small_model()
            rng = np.random.default_rng(seed)
            model.network.set_weights([scale * rng.normal(size=w.shape) for w in model.network.get_weights()])
            model.iterations = seed ^ 1  # K = 1 and the plain CNN
            model.save(self.work / f"{name}.keras")
        self.models = (f"--model={self.work}/cnnf.keras", f"--baseline={self.work}/cnn.keras")
        self.arguments = (*self.models, f"--dataset={DATA}", "--num_images=24", "--batch_size=16", "--iterations=2")

    def assert_equal_files(self, first, second):
        for folder in (first, second):
            # A kill in the middle of a write leaves a hidden file behind.
            self.assertEqual(tuple(sorted(path.name for path in folder.iterdir() if path.name[0] != ".")), FILES)
        for name in FILES:
            self.assertEqual((first / name).read_bytes(), (second / name).read_bytes(), name)

    def test_report(self):
        output = self.work / "deep" / "out"
        arguments = (*self.arguments, "--corruptions=contrast,shot_noise", "--severities=2,5", "--seed=3")
        result = run("corruption_robustness", *arguments, f"--output={output}")
        self.assert_runs(result)
        report = json.loads((output / "results.json").read_text())
        for role, file, trained in (("model", "cnnf.keras", 1), ("baseline", "cnn.keras", 0)):
            found = report["models"][role]
            self.assertEqual((found["file"], found["trained_iterations"]), (str(self.work / file), trained))
            self.assertEqual(found["sha256"], hashlib.sha256((self.work / file).read_bytes()).hexdigest())
            self.assertEqual(report["config"]["sha256"][role], found["sha256"])
        self.assertEqual((report["num_images"], report["config"]["seed"]), (24, 3))
        self.assertEqual(report["config"]["iterations"], {"model": 2, "baseline": 0})
        places = [("none", 0), *itertools.product(("contrast", "shot_noise"), (2, 5))]
        cells = {(cell["model"], cell["corruption"], cell["severity"]): cell for cell in report["cells"]}
        self.assertEqual(list(cells), [(role, *place) for role in ("model", "baseline") for place in places])

        # Against the models themselves.
        images, labels = (part[:24] for part in data.load_arrays(DATA, "test"))
        wrong = {}
        for role, file, iterations in (("model", "cnnf", 2), ("baseline", "cnn", 0)):
            model = keras.models.load_model(self.work / f"{file}.keras")
            for name, severity in places:
                pictures = images if name == "none" else data.corrupt(images, name, severity, seed=3)
                logits = model.infer(pictures, iterations=iterations).logits.numpy()
                for readout in READOUTS:
                    scores = [logits[i] if readout == "last" else logits[: i + 1].mean(0) for i in range(len(logits))]
                    correct = [int(np.sum(score.argmax(-1) == labels)) for score in scores]
                    cell = cells[role, name, severity]
                    self.assertEqual((cell["num_images"], cell["correct"][readout]), (24, correct))
                    self.assertAllClose(cell["accuracy"][readout], np.array(correct) / 24, atol=1e-6)
                    wrong[role, name, severity, readout] = 24 - np.array(correct)
        for readout in READOUTS:
            for index, row in enumerate(report["errors_in_percent"][readout]):
                self.assertEqual(row["pass"], index)
                for relative, key in ((0, "mce"), (1, "relative_mce")):
                    errors = []
                    for name in ("contrast", "shot_noise"):
                        ours, theirs = (
                            sum(
                                wrong[role, name, s, readout][at] - relative * wrong[role, "none", 0, readout][at]
                                for s in (2, 5)
                            )
                            for role, at in (("model", index), ("baseline", 0))
                        )
                        errors.append(100 * ours / theirs if theirs > 0 else None)
                    self.assertEqual(list(row[f"{key}_of_corruptions"].values()), errors)
                    self.assertEqual(row[key], None if None in errors else sum(errors) / 2)

        lines = (output / "corruption_robustness.csv").read_text().splitlines()
        self.assertEqual(lines[0], "model,corruption,severity,readout,pass,num_images,correct,accuracy")
        self.assertLen(lines, 1 + 5 * 2 * 3 + 5 * 2 * 1)
        correct = cells["baseline", "shot_noise", 5]["correct"]["average"][0]
        self.assertEqual(lines[-1], f"baseline,shot_noise,5,average,0,24,{correct},{round(correct / 24, 6)}")
        means = report["mean_accuracy"]["model"]
        self.assertEqual((means["strengths"], means["num_corruptions"]), ("our strengths", 2))
        right = [24 - wrong["model", name, severity, "last"] for name, severity in places[1:]]
        self.assertAllClose(means["last"], np.mean(right, 0) / 24, atol=1e-6)
        self.assertEqual({row["strengths"] for row in report["errors_in_percent"]["last"]}, {"our strengths"})
        words = ("| contrast ", "| mCE (our strengths) ", "| relative mCE (our strengths) ", "|:", "readout average")
        for word in (*words, "| mean accuracy of 2 (our strengths) "):
            self.assertIn(word.replace("|:", "-: |"), result.stdout)
        self.assertIn("severities 2, 5", result.stdout)

    def test_published_files_score_as_by_hand(self):
        arrays = write_arrays(self.work / "made-C", ("fog", "contrast"), count=7, shape=(28, 28, 1))
        output = self.work / "premade"
        premade = f"--premade=npy:{self.work}/made-C"
        arguments = (*self.models, premade, "--severities=2,5", "--batch_size=4", "--iterations=1", "--num_images=6")
        result = run_forked("corruption_robustness", *arguments, f"--output={output}")
        self.assert_runs(result)
        report = json.loads((output / "results.json").read_text())
        self.assertEqual(report["config"]["premade"], f"npy:{self.work}/made-C")
        self.assertEqual((report["config"]["strengths"], report["config"]["dataset"]), ("npy:made-C", None))
        right, cells = {}, iter(report["cells"])
        for role, file, iterations in (("model", "cnnf", 1), ("baseline", "cnn", 0)):
            model = keras.models.load_model(self.work / f"{file}.keras")
            for kind in ("fog", "contrast"):
                for severity in (2, 5):
                    part = slice(7 * (severity - 1), 7 * (severity - 1) + 6)  # the first 6 of 7 of that severity
                    logits = model.infer(arrays[kind][part] / np.float32(255), iterations=iterations).logits.numpy()
                    correct = [int(np.sum(score.argmax(-1) == arrays["labels"][part])) for score in logits]
                    cell = next(cells)
                    self.assertEqual((cell["model"], cell["corruption"], cell["severity"]), (role, kind, severity))
                    self.assertEqual(cell["correct"]["last"], correct)
                    right[role, kind, severity] = np.array(correct)
        self.assertIsNone(next(cells, None))  # no clean images
        for role in ("model", "baseline"):
            found = [values for (of, _, _), values in right.items() if of == role]
            self.assertAllClose(report["mean_accuracy"][role]["last"], np.mean(found, 0) / 6, atol=1e-6)
        ratios = [
            sum(6 - right["model", kind, s] for s in (2, 5)) / sum(6 - right["baseline", kind, s] for s in (2, 5))
            for kind in ("fog", "contrast")
        ]
        for row, wanted in zip(report["errors_in_percent"]["last"], 100 * np.mean(ratios, 0), strict=True):
            self.assertAllClose(row["mce"], wanted)
            self.assertEqual((row["strengths"], "relative_mce" in row), ("npy:made-C", False))
        self.assertIn("| mCE (npy:made-C) ", result.stdout)
        self.assertNotIn("clean", result.stdout)

    def test_strengths_of_a_published_set_without_a_baseline(self):
        arguments = (self.models[0], f"--dataset={DATA}", "--num_images=3", "--iterations=0", "--strengths=cifar10_c")
        result = run_forked("corruption_robustness", *arguments, "--severities=5", f"--output={self.work}/cifar10_c")
        self.assert_runs(result)
        report = json.loads((self.work / "cifar10_c" / "results.json").read_text())
        self.assertNotIn("errors_in_percent", report)
        images, labels = (part[:3] for part in data.load_arrays(DATA, "test"))
        model = keras.models.load_model(self.work / "cnnf.keras")
        cells = {cell["corruption"]: cell["correct"]["last"] for cell in report["cells"]}
        for name in ("contrast", "brightness"):
            pictures = data.corrupt(images, name, 5, seed=0, strengths="cifar10_c")
            guesses = model.infer(pictures, iterations=0).logits.numpy()[0].argmax(-1)
            self.assertEqual(cells[name], [int(np.sum(guesses == labels))])
        self.assertIn(
            "Without frost, so that means are over 14 of the benchmark's corruptions: frost needs", result.stdout
        )
        self.assertIn("| mean accuracy of 14 (cifar10_c, made here) ", result.stdout)
        self.assertNotIn("mCE", result.stdout)

    def test_killed_run_goes_on_and_ends_in_equal_bytes(self):
        whole, killed = self.work / "whole", self.work / "killed"
        arguments = (*self.arguments, "--severities=1,5")
        self.assert_runs(run_forked("corruption_robustness", *arguments, f"--output={whole}"))
        cells = json.loads((whole / "results.json").read_text())["cells"]
        self.assertLen(cells, 2 * (1 + len(data.CORRUPTIONS) * 2))

        arguments += (f"--output={killed}",)
        process = Forked("bin/corruption_robustness.py", *arguments)
        self.addCleanup(process.end)
        path, deadline = killed / "results.json", time.monotonic() + HANGING
        while process.poll() is None and time.monotonic() < deadline:
            if path.exists() and len(json.loads(path.read_text())["cells"]) >= 3:
                break
            time.sleep(0.01)
        process.end()
        left = json.loads(path.read_text())
        self.assertBetween(len(left["cells"]), 3, len(cells) - 1)
        self.assertEqual(left["cells"], cells[: len(left["cells"])])
        path.write_text(json.dumps(left | {"cells": left["cells"][1:]}))  # a hole in the grid as well
        self.assert_runs(run_forked("corruption_robustness", *arguments, "--batch_size=7"))
        self.assert_equal_files(whole, killed)

        self.assert_refuses(
            "corruption_robustness",
            ((*arguments, "--severities=1"), 1, "another config .severities: .1, 5. there, .1. asked"),
        )
        path.write_text(json.dumps(left | {"cells": [{"model": "model", "correct": {"last": [1], "average": [1]}}]}))
        self.assert_refuses(
            "corruption_robustness",
            (arguments, 1, "results.json is not the record of a study .a cell of another number of passes"),
        )

    def assert_fails(self, result, code, *messages):
        super().assert_fails(result, code, *messages)
        self.assertNotIn("scoring", result.stderr)

    def test_refusals_come_before_any_work(self):
        output = self.work / "out"
        fixtures_models.model().save(self.work / "small.keras")
        small = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
        small.save(self.work / "plain.keras")
        (self.work / "text.keras").write_text("not a model")
        shape = r"\(28, 28, 1\)"
        write_arrays(self.work / "made-C", count=30, shape=(28, 28, 1))
        write_arrays(self.work / "small-C", count=30, shape=(8, 8, 1))
        premade = f"--premade=npy:{self.work}/made-C"
        for arguments, code, message in (
            ((premade, "--strengths=ours"), 2, "--premade and --strengths do not go together"),
            (("--premade=cifar10",), 2, "--premade=cifar10: no such set of published corruptions; wanted cifar10_cor"),
            (
                (premade, "--corruptions=snow"),
                2,
                "--premade=npy:.*made-C: wanted corruptions among .'contrast', 'fog'.",
            ),
            ((premade, "--num_images=0"), 2, "--premade and --dataset want equally many images, got .*30.*num_images"),
            ((premade, "--split=train"), 1, "no split is called 'train'"),
            ((f"--premade=npy:{self.work}/no",), 1, "there is no folder .*/no'; wanted one with KIND.npy files"),
            (
                (f"--premade=npy:{self.work}/small-C",),
                2,
                "--model wants images 28x28x1 .* those of --premade=npy:.* 8x8x1",
            ),
            (("--strengths=cifar10_c", "--corruptions=frost"), 2, "--corruptions: frost needs the photographs of ice"),
            (
                ("--strengths=mnist_c", "--severities=2"),
                2,
                r"--severities wants ascending integers from 1 to 1, .*\(2,\)",
            ),
            (("--severities=1,9",), 2, r"--severities wants ascending integers from 1 to 5, .*got \(1, 9\)"),
            (("--corruptions=contrast,fog",), 2, r"--corruptions wants names of .'brightness'.*got .'contrast', 'fog'"),
            ((f"--model={self.work}/plain.keras",), 1, "plain.keras' holds a Sequential; wanted a CNNF"),
            (
                (f"--baseline={self.work}/small.keras",),
                2,
                rf"--baseline wants the images of the shape that --model has, {shape}; '.*small.keras' has \(8, 8, 1\)",
            ),
            (
                (f"--model={self.work}/small.keras", f"--baseline={self.work}/small.keras"),
                2,
                "--model wants images 8x8x1 .* but those of --dataset=.* are 28x28x1",
            ),
        ):
            arguments = (*self.arguments, *arguments, f"--output={output}")
            self.assert_refuses("corruption_robustness", (arguments, code, message))
        self.assertFalse(output.exists())
        message = "--output wants a folder that can be written, got '.*text.keras/out': Not a directory"
        arguments = (*self.arguments, f"--output={self.work}/text.keras/out")
        self.assert_refuses("corruption_robustness", (arguments, 2, message))


if __name__ == "__main__":
    tf.test.main()
