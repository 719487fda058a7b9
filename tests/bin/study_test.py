"""bin/study.py: the smoke run, going on after a kill, refusals; and the committed results."""

import json
import pathlib
import subprocess
import sys

import tensorflow as tf

from tests.reference_data import TESTDATA

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class StudyTest(tf.test.TestCase):
    def run_study(self, output: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess:
        command = [
            sys.executable,
            "bin/study.py",
            "--config=configs/fashion_mnist_study.py:smoke",
            f"--config.data.name=idx:{TESTDATA / 'fashion_mnist_mini'}",
            f"--output={output}",
            *arguments,
        ]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)

    def test_smoke_resume_and_refusal(self):
        output = pathlib.Path(self.create_tempdir().full_path) / "study"
        result = self.run_study(output)
        self.assertEqual(result.returncode, 0, result.stderr[-2000:])
        report = json.loads((output / "results.json").read_text())
        for part in ("radii", "trained", "tested", "needed"):
            self.assertIn(f"{part}: ", result.stdout)
            self.assertNotEmpty(report["rows"][part])
            for suffix in ("csv", "png", "svg"):
                self.assertTrue((output / f"{part}.{suffix}").exists())

        # Killed before its last cells: those are measured again, alike, and nothing is trained again.
        lost = [cell for cell in report["cells"] if cell["job"].startswith(("needed", "radii/cnn/"))]
        kept = [cell for cell in report["cells"] if cell not in lost]
        (output / "results.json").write_text(json.dumps(report | {"cells": kept}))
        stamp = (output / "models" / "cnn-seed0" / "best.keras").stat().st_mtime_ns
        result = self.run_study(output)
        self.assertEqual(result.returncode, 0, result.stderr[-2000:])
        again = json.loads((output / "results.json").read_text())
        self.assertEqual(again["rows"]["radii"], report["rows"]["radii"])
        self.assertEqual(len(again["cells"]), len(report["cells"]))
        self.assertEqual((output / "models" / "cnn-seed0" / "best.keras").stat().st_mtime_ns, stamp)

        for argument, code, message in (
            ("--config.study.attack.steps=3", 1, "study.attack.steps: 2 there, 3 asked"),
            ("--config.study.tested.models=('svm',)", 2, "wanted some of .*got .'svm'"),
        ):
            result = self.run_study(output, argument)
            self.assertEqual(result.returncode, code, result.stderr[-2000:])
            self.assertRegex(" ".join(result.stderr.split()), message)


if __name__ == "__main__":
    tf.test.main()
