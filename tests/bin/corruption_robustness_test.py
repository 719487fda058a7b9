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
        for arguments, code, message in (
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
