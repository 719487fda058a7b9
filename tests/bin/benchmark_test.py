"""`benchmark` as a user runs it."""

import json

import tensorflow as tf
from absl.testing import parameterized

from tests.bin import binaries
from tests.bin.binaries import run, run_forked


class BenchmarkTest(binaries.BinaryTestCase, parameterized.TestCase):
    def test_writes_a_table_and_a_figure(self):
        output = self.folder() / "deep" / "report"
        result = run(
            "benchmark",
            "--smoke",
            "--networks=fashion_cnn",
            "--cases=inference,export",
            "--iterations=0,1",
            "--modes=function",
            "--repeats=1",
            f"--output={output}",
        )
        self.assert_runs(result)
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

    def test_first_results(self):
        output = self.folder()
        flags = ("--networks=fashion_cnn", "--cases=first_result", "--iterations=1", "--repeats=1")
        result = run_forked("benchmark", "--smoke", *flags, f"--output={output}")
        self.assert_runs(result)
        self.assertIn("first prediction 1/1: fashion_cnn by keras, K 1", result.stdout)
        ours, plain = json.loads((output / "benchmark.json").read_text())["first_results"]
        self.assertEqual((ours["by"], ours["error"], plain["by"], plain["error"]), ("cnnf_tf", "", "keras", ""))
        self.assertGreater(min(ours["import"], plain["import"]), 0.5)  # in a process of its own: TensorFlow
        self.assertGreater(ours["nodes"], plain["nodes"])
        self.assertIn(f"{ours['total']:.2f} s", (output / "benchmark.txt").read_text())

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
        self.assert_fails(run_forked("benchmark", *arguments), 2, message)

    def test_folder_without_the_authors_code(self):
        result = run_forked("benchmark", f"--reference={self.folder()}", "--smoke")
        self.assert_fails(result, 1, "has no cnnf/layers.py")


if __name__ == "__main__":
    tf.test.main()
