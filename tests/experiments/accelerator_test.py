"""The check of a GPU: its driver, and on JAX's CPU all that it runs."""

import contextlib
import importlib.util
import io
import json
import os
import pathlib
import runpy
import subprocess
import sys
import time
from unittest import mock

import numpy as np
from absl.testing import absltest, parameterized

from cnnf_tf.experiments.accelerator import authors, data, golden, parts, plan, report
from cnnf_tf.experiments.accelerator.golden import passed
from cnnf_tf.experiments.accelerator.record import Record
from tests.limits import HANGING

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPTIONS = {"data": None, "reference": None, "tiny": "fashion_cnn"}
KEPT = {"precision": "float32", "largest_error": 1e-6, "tolerance": 1e-4}


def run_on_jax(test, *arguments):
    """A process that finds JAX and, as on the machine it is for, no TensorFlow."""
    if importlib.util.find_spec("jax") is None:
        test.skipTest("jax is not installed")
    blocked = test.create_tempdir()
    blocked.create_file("tensorflow/__init__.py", content="raise ImportError('blocked')")
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    environment |= {"PYTHONPATH": os.pathsep.join([str(ROOT), blocked.full_path])}
    environment |= {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=HANGING, check=False
    )


def run_tool(name, *arguments):
    """Its exit code, and what it printed to standard output and error, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", [name, *arguments]),
        mock.patch.dict(os.environ),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            runpy.run_path(str(ROOT / "tools" / name), run_name="__main__")
        except SystemExit as end:
            return end.code, out.getvalue(), err.getvalue()
    raise AssertionError(f"{name} did not exit")


class OnJaxTest(parameterized.TestCase):
    def test_everything_with_a_small_network(self):
        result = run_on_jax(self, "-m", "tests.experiments.accelerator_backend", self.create_tempdir().full_path)
        self.assertEqual(result.returncode, 0, result.stderr[-4000:])

    def test_the_driver(self):
        output = self.create_tempdir().full_path
        arguments = ["tools/gpu_check.py", f"--output={output}", "--tiny=fashion_cnn", "--parts=golden"]
        result = run_on_jax(self, *arguments)
        self.assertEqual(result.returncode, 0, result.stderr[-4000:])
        page = pathlib.Path(output, "README.md").read_text(encoding="utf-8")
        self.assertIn("Float32 keeps the tolerance.", page)
        self.assertIn("device cpu, platform cpu, jax ", page)


class PartsTest(parameterized.TestCase):
    def test_a_part_that_crashes_or_hangs_is_ended_and_the_next_goes_on(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        programs = {
            "golden": "import os; os.abort()",
            "speed": f"""open({str(folder / "speed.json")!r}, "w").write('{{"device": "d"}}')\nwhile True: pass""",
            "cifar": f"""open({str(folder / "cifar.json")!r}, "w").write('{{"rows": {{}}}}')""",
        }
        asked = {}

        def command(name, until):
            asked[name] = until - time.time()
            return sys.executable, "-c", programs[name]

        start = time.time()
        found = parts.run(parts.Options(folder, **OPTIONS), minutes=0.1, command=command, parts=list(programs))
        self.assertLess(time.time() - start, 6)
        self.assertIn("the process ended with -", found["golden"]["ended"])
        self.assertEqual(found["speed"], {"device": "d", "ended": "the time was up"})
        self.assertEqual(found["cifar"], {"rows": {}})
        self.assertEqual(found["authors"], {"error": "was not run"})
        self.assertLess(asked["golden"], 1)  # 0.12 of 0.9 of six seconds, a tenth spared
        self.assertGreater(asked["cifar"], 1.5)
        self.assertIn("the time was up", report.page(found))

    def test_what_is_missing_is_said(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        record = Record(folder / "authors.json", time.time(), lambda line: None)
        authors.run(plan.tiny("wide_resnet"), record, None)
        self.assertIn("no checkout of https://github.com/yjhuangcd/CNNF", record.facts["reason"])
        authors.run(plan.tiny("wide_resnet"), record, folder)
        self.assertIn("has no cnnf/layers.py", record.facts["reason"])

    def record(self, name, **held):
        path = pathlib.Path(self.create_tempdir().full_path) / f"{name}.json"
        path.write_text(json.dumps(held), encoding="utf-8")
        return Record(path, time.time(), lambda line: None)

    def test_golden_keeps_no_row_of_an_earlier_run(self):
        path = self.record("golden", held=1, rows={"a": KEPT}, device="cpu").path
        options = parts.Options(path.parent, **OPTIONS)
        with mock.patch.object(golden.subprocess, "Popen", side_effect=OSError("no more processes")):
            parts.run_part("golden", options, time.time())
        found = json.loads(path.read_text(encoding="utf-8"))
        self.assertEqual(found, {"error": "OSError: no more processes", "rows": {}})
        self.assertFalse(passed(found))

    def test_rows_of_another_machine_are_dropped(self):
        machine = {"device": "cpu", "jax": "1"}
        record = self.record("speed", **machine, memory=1, rows={"a": {}})
        record.measured_on(**machine)
        self.assertEqual((record.rows, record.facts["memory"]), ({"a": {}}, 1))
        record.measured_on(**machine | {"device": "H100"})
        self.assertEqual(json.loads(record.path.read_text()), {"device": "H100", "jax": "1", "rows": {}})
        for held in ({"device": "cpu", "jax": "2"}, {}):
            record = self.record("speed", **held, rows={"a": {}})
            record.measured_on(**machine)
            self.assertEqual(record.rows, {})

    def test_why_an_earlier_run_ended_is_taken_back(self):
        path = self.record("authors", reason="r", error="e", ended="x").path
        with mock.patch.object(authors, "run") as run:
            parts.run_part("authors", parts.Options(path.parent, **OPTIONS), time.time())
        run.assert_called_once()
        self.assertIsNone(run.call_args.args[-1])
        self.assertEqual(json.loads(path.read_text()), {"rows": {}})

    @parameterized.parameters(
        ({"held": 1, "rows": {"a": KEPT}}, True),
        ({"held": 1, "rows": {"a": KEPT}, "error": "ended with 1"}, False),
        ({"held": 1, "rows": {"a": KEPT}, "ended": "the time was up"}, False),
        ({"held": 2, "rows": {"a": KEPT}}, False),
        ({"held": 1, "rows": {"a": KEPT | {"largest_error": 1e-3}}}, False),
        ({"held": 1, "rows": {"a": KEPT, "b": KEPT | {"precision": "tf32", "largest_error": 1.0}}}, True),
        ({"held": 1, "rows": {"a": KEPT, "b": KEPT | {"tolerance": None, "largest_error": 1.0}}}, True),
        ({"error": "was not run"}, False),
    )
    def test_what_passes(self, found, expected):
        self.assertEqual(passed(found), expected)

    def test_numbers_of_the_page(self):
        row = {"network": "n", "kind": "training", "iterations": 2, "batch_size": 4, "precision": "tf32"}
        row |= {"rematerialize": True, "milliseconds": 2.0, "floor_milliseconds": 1.0, "ratio": 2.0}
        row |= {"images_per_second": 2000.0, "memory_MiB": {"all": 12.5}}
        found = dict.fromkeys(parts.SHARES, {}) | {"speed": {"device": "d", "rows": {"name": row}}}
        found["speed"]["platform"] = "gpu"
        found["authors"] = {"platform": "gpu", "rows": {"name": {"milliseconds": 3.0}}}
        row = "| n | training, rematerialised | 2 | 4 | tf32 | 2000 | 2 | 1 | 2 | 3 | 12.5 |"
        self.assertIn(row, report.page(found))
        found["authors"]["platform"] = "cpu"
        self.assertIn(row.replace("| 3 |", "|  |"), report.page(found))


class ToolsTest(parameterized.TestCase):
    @parameterized.parameters(
        ("gpu_check.py", "--parts=golden,x", "--parts must be some of golden,speed,authors,cifar, got 'golden,x'"),
        ("gpu_check.py", "--minutes=0", "--minutes must be above 0, got 0"),
        ("gpu_check.py", "--minutes=nan", "--minutes must be above 0, got nan"),
        (
            "gpu_check.py",
            f"--output={__file__}/x",
            "--output must be a folder that can be made, got {file}/x: Not a dir",
        ),
        ("measure_formats.py", "--x", "the following arguments are required: model"),
    )
    def test_refuses(self, tool, argument, message):
        needed = [f"--output={self.create_tempdir().full_path}"] if tool == "gpu_check.py" else []
        code, _, err = run_tool(tool, *needed, argument)
        self.assertEqual(code, 2)
        self.assertIn(f"{tool}: error: {message.format(file=__file__)}", err)
        self.assertNotIn("Namespace", err)

    def test_formats_without_runs_are_refused(self):
        code, _, err = run_tool("measure_formats.py", "pretrained:fashion_mnist_standard", "0")
        self.assertEqual(code, 2)
        self.assertIn("runs must be at least 1, got 0", err)

    @parameterized.parameters("gpu_check.py", "measure_formats.py")
    def test_help(self, tool):
        code, out, _ = run_tool(tool, "--help")
        self.assertEqual(code, 0)
        self.assertIn(f"usage: {tool}", out)

    @parameterized.parameters(((), 2), (("collect",), 2), (("collect", "--x"), 2), (("--x",), 2), (("--help",), 0))
    def test_usage_of_the_script(self, arguments, code):
        command = ["sh", str(ROOT / "tools/gpu_check.sh"), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, timeout=HANGING, check=False)
        self.assertEqual(result.returncode, code)
        usage, other = (result.stderr, result.stdout)[:: 1 if code else -1]
        self.assertStartsWith(usage, "What a GPU says of this project")
        self.assertIn("tools/gpu_check.sh collect WHEELS", usage)
        self.assertNotIn("set -eu", usage)
        self.assertEqual(other, "")


class DataTest(parameterized.TestCase):
    def test_written_and_read(self):
        path = pathlib.Path(self.create_tempdir().full_path) / "images.npz"
        data.main([f"idx:{ROOT / 'tests/testdata/fashion_mnist_mini'}", str(path)])
        images = data.load(path)
        self.assertEqual(images.train_images.shape[1:], (28, 28, 1))
        self.assertLen(images.train_labels, len(images.train_images))
        self.assertGreater(images.train_images.max(), 200)

    @parameterized.parameters(
        ({"train_images": np.zeros((2, 8, 8, 3), np.uint8)}, "it lacks test_images, test_labels, train_labels"),
        (
            {
                "train_images": np.zeros((2, 8, 8, 3)),
                "train_labels": np.zeros(2),
                "test_images": np.zeros((1, 8, 8, 3), np.uint8),
                "test_labels": np.zeros(1),
            },
            r"train images as uint8 .* got float64 \[2, 8, 8, 3\] with labels \[2\]",
        ),
    )
    def test_another_file_is_refused(self, arrays, message):
        path = pathlib.Path(self.create_tempdir().full_path) / "images.npz"
        np.savez(path, **arrays)
        with self.assertRaisesRegex(ValueError, message):
            data.load(path)

    def test_what_is_drawn_is_moved_and_flipped(self):
        images = np.arange(1, 65, dtype=np.uint8).reshape(1, 8, 8, 1)
        drawn, labels = data.draw(np.random.default_rng(0), images, np.array([3]), 200)
        self.assertEqual(drawn.shape, (200, 8, 8, 1))
        self.assertSetEqual({*labels}, {3})
        padded = np.pad(images[0, :, :, 0], 1)
        moved = [padded[row : row + 8, column : column + 8] for row in range(3) for column in range(3)]
        wanted = {part.tobytes() for part in [*moved, *(part[:, ::-1] for part in moved)]}
        self.assertSetEqual({image[:, :, 0].tobytes() for image in drawn}, wanted)


if __name__ == "__main__":
    absltest.main()
