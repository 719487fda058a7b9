"""Imports point one way: what pyproject.toml tells import-linter and ruff of it holds, and notices what breaks it."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from tests.imports import ROOT


def lint_imports(folder: pathlib.Path) -> tuple[int, str]:
    """Exit code and report of `make lint`'s import-linter in a checkout."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", program, "--no-cache"]
    result = subprocess.run(command, cwd=folder, env={"PYTHONPATH": "."}, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


class ImportDirectionsTest(unittest.TestCase):
    def test_contracts_are_kept(self) -> None:
        code, report = lint_imports(ROOT)
        self.assertEqual(code, 0, report)
        self.assertIn(" 0 broken.", report)

    def test_wrong_directions(self) -> None:
        faults = {
            "layers/a.py": ("from cnnf_tf import models\n", "cnnf_tf.layers.a -> cnnf_tf.models "),
            "data/b.py": ("import cnnf_tf.layers.conv\n", "cnnf_tf.data.b -> cnnf_tf.layers.conv "),
            "models/c.py": ("from cnnf_tf.data import sources\n", "cnnf_tf.models.c -> cnnf_tf.data.sources "),
            "models/d.py": ("import bin.train\n", "cnnf_tf.models.d -> bin "),
            "models/e.py": ("import cnnf_tf\n", "cnnf_tf.models.e -> cnnf_tf "),
            "training/f.py": ("from cnnf_tf import evaluation\n", "cnnf_tf.training.f -> cnnf_tf.evaluation "),
            "evaluation/g.py": ("from cnnf_tf.experiments import demo\n", "cnnf_tf.evaluation.g -> "),
            "experiments/demo/h.py": ("from cnnf_tf.experiments import claims\n", "cnnf_tf.experiments.demo.h -> "),
            "zoo/i.py": ("import configs.fashion_mnist_standard\n", "cnnf_tf.zoo.i -> configs "),
            "rumour/__init__.py": ("", "cnnf_tf.rumour"),
        }
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            shutil.copy(ROOT / "pyproject.toml", root)
            shutil.copytree(ROOT / "cnnf_tf", root / "cnnf_tf", ignore=shutil.ignore_patterns("*.npz", "__pycache__"))
            for path, (text, _) in faults.items():
                (root / "cnnf_tf" / path).parent.mkdir(exist_ok=True)
                (root / "cnnf_tf" / path).write_text(text, encoding="utf-8")
            code, report = lint_imports(root)
        self.assertEqual(code, 1, report)
        for path, (_, message) in faults.items():
            with self.subTest(path):
                self.assertIn(message, re.sub(r"\s+", " ", report))

    def test_flags_are_read_in_bin_only(self) -> None:
        """By ruff, since import-linter does not look inside of other packages."""
        for path, code in (("bin/train.py", 0), ("cnnf_tf/models/c.py", 1), ("configs/c.py", 1)):
            for program in ("from absl import flags\n\nflags\n", "import absl.app\n\nabsl.app\n"):
                command = f"{sys.executable} -m ruff check --no-cache --select=TID --stdin-filename={path} -".split()
                result = subprocess.run(command, input=program, cwd=ROOT, capture_output=True, text=True, check=False)
                self.assertEqual(result.returncode, code, result.stdout)


if __name__ == "__main__":
    unittest.main()
