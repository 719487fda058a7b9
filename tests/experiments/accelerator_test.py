"""The check of a GPU: its driver, and on JAX's CPU all that it runs."""

import importlib.util
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
from absl.testing import absltest, parameterized

from cnnf_tf.experiments.accelerator import authors, data, parts, plan, report
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

    @parameterized.parameters(
        ({"held": 1, "rows": {"a": KEPT}}, True),
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
        found["authors"] = {"rows": {"name": {"milliseconds": 3.0}}}
        row = "| n | training, rematerialised | 2 | 4 | tf32 | 2000 | 2 | 1 | 2 | 3 | 12.5 |"
        self.assertIn(row, report.page(found))


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
