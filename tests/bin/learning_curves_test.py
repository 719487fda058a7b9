"""bin/generative_vs_discriminative.py: the smoke run, going on after a kill, refusals."""

import json

import tensorflow as tf

from tests.bin import binaries
from tests.bin.binaries import run, run_forked

BINARY = "generative_vs_discriminative"


class LearningCurvesTest(binaries.BinaryTestCase):
    def test_smoke_resume_and_refusal(self):
        output = self.folder() / "study"
        arguments = (
            "--config=configs/generative_vs_discriminative.py:smoke",
            f"--config.data.name={binaries.DATA}",
            f"--output={output}",
        )
        result = run(BINARY, *arguments)
        self.assert_runs(result)
        self.assertIn("CNN-F", result.stdout)
        report = json.loads((output / "results.json").read_text())
        self.assertLen(report["cells"], 10)
        for suffix in ("csv", "png", "svg"):
            self.assertTrue((output / f"learning_curves.{suffix}").exists())
        steps = {cell["method"]: cell["details"]["steps"] for cell in report["cells"] if "cnn" in cell["method"]}
        self.assertEqual(steps["cnn"], steps["cnnf"])

        # A study that was killed before its last cell and in a naive Bayes cell: those two are made again, alike.
        lost = [report["cells"][1], report["cells"][-1]]
        kept = [cell for cell in report["cells"] if cell not in lost]
        (output / "results.json").write_text(json.dumps(report | {"cells": kept}))
        (output / "learning_curves.csv").unlink()
        self.assert_runs(run_forked(BINARY, *arguments))
        again = json.loads((output / "results.json").read_text())
        self.assertEqual(again["rows"], report["rows"])
        self.assertEqual([cell for cell in again["cells"] if cell in kept], kept)
        for before, after in zip(report["cells"], again["cells"], strict=True):  # in their places in the grid
            self.assertEqual(before | {"seconds": 0}, after | {"seconds": 0})
        self.assertTrue((output / "learning_curves.csv").exists())

        self.assert_refuses(
            BINARY,
            ((*arguments, "--config.study.l2=2.0"), 1, "study.l2: 1.0 there, 2.0 asked"),
            ((*arguments, "--config.study.methods=('svm',)"), 2, "wanted some of .*got .'svm'"),
        )


if __name__ == "__main__":
    tf.test.main()
