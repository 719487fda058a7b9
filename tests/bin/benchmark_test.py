"""`benchmark` as a user runs it."""

import json
import pathlib
import subprocess
import sys

import tensorflow as tf
from absl.testing import parameterized

ROOT = pathlib.Path(__file__).parent.parent.parent


def run(*arguments):
    command = [sys.executable, "bin/benchmark.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


class BenchmarkTest(tf.test.TestCase, parameterized.TestCase):
    def test_writes_a_table_and_a_figure(self):
        output = pathlib.Path(self.create_tempdir().full_path) / "deep" / "report"
        result = run(
            "--smoke",
            "--networks=fashion_cnn",
            "--cases=inference,export",
            "--iterations=0,1",
            "--modes=function",
            "--repeats=1",
            f"--output={output}",
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("WARNING", result.stderr)
        values = json.loads((output / "benchmark.json").read_text())
        self.assertIn("--smoke", values["command"])
        kinds = {row["kind"] for row in values["rows"]}
        self.assertEqual(kinds, {"inference", "export saved_model", "export serving"})
        self.assertEqual({row["dtype"] for row in values["rows"]}, {"float32", "bfloat16"})
        self.assertEqual([row["error"] for row in values["rows"] if row["error"]], [])
        self.assertIn((output / "benchmark.txt").read_text().strip(), result.stdout)
        self.assertIn("indication only", result.stdout)
        self.assertEqual((output / "benchmark.png").read_bytes()[:4], b"\x89PNG")
        self.assertTrue((output / "benchmark.svg").exists())

    @parameterized.parameters(
        (("--cases=sleep",), "cases wants some of .*'memory'"),
        (("--networks=resnet",), "networks wants some of .*'wide_resnet'"),
        (("--modes=graph",), "modes wants some of"),
        (("--dtypes=float16",), "dtypes wants some of"),
        (("--iterations=one",), "--iterations wants integers"),
        (("--repeats=0",), "repeats"),
        (("--reference=nowhere",), "--reference wants a folder"),
    )
    def test_bad_flags(self, arguments, message):
        result = run(*arguments)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertNotIn("Traceback", result.stderr)
        self.assertRegex(" ".join(result.stderr.split()), message)

    def test_folder_without_the_authors_code(self):
        folder = self.create_tempdir().full_path
        result = run(f"--reference={folder}", "--smoke")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertRegex(" ".join(result.stderr.split()), "has no cnnf/layers.py")


if __name__ == "__main__":
    tf.test.main()
