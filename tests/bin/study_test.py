"""bin/study.py: the smoke run, going on after a kill, refusals; and the committed results."""

import json

import tensorflow as tf

from tests.bin import binaries
from tests.bin.binaries import run, run_forked
from tests.training import fixtures_training


class StudyTest(binaries.BinaryTestCase):
    def test_smoke_resume_and_refusal(self):
        output = self.folder() / "study"
        arguments = (
            "--config=configs/fashion_mnist_study.py:smoke",
            f"--config.data.name={fixtures_training.data()}",
            "--config.model.network.encoder_blocks=2",
            f"--output={output}",
        )
        result = run("study", *arguments)
        self.assert_runs(result)
        report = json.loads((output / "results.json").read_text())
        for part in ("epsilons", "trained", "tested", "needed"):
            self.assertIn(f"{part}: ", result.stdout)
            self.assertNotEmpty(report["rows"][part])
            for suffix in ("csv", "png", "svg"):
                self.assertTrue((output / f"{part}.{suffix}").exists())

        # Killed before its last cells: those are measured again, alike, and nothing is trained again.
        lost = [cell for cell in report["cells"] if cell["job"].startswith(("needed", "epsilons/cnn/"))]
        kept = [cell for cell in report["cells"] if cell not in lost]
        (output / "results.json").write_text(json.dumps(report | {"cells": kept}))
        stamp = (output / "models" / "cnn-seed0" / "best.keras").stat().st_mtime_ns
        self.assert_runs(run_forked("study", *arguments))
        again = json.loads((output / "results.json").read_text())
        self.assertEqual(again["rows"]["epsilons"], report["rows"]["epsilons"])
        self.assertEqual(len(again["cells"]), len(report["cells"]))
        self.assertEqual((output / "models" / "cnn-seed0" / "best.keras").stat().st_mtime_ns, stamp)

        self.assert_refuses(
            "study",
            ((*arguments, "--config.study.attack.steps=3"), 1, "study.attack.steps: 2 there, 3 asked"),
            ((*arguments, "--config.study.tested.models=('svm',)"), 2, "wanted some of .*got .'svm'"),
        )


if __name__ == "__main__":
    tf.test.main()
