"""What must work on other machines: no fcntl, another locale, a Keras backend that is not there."""

import os
import pathlib
import subprocess
import sys

import tensorflow as tf
from absl.testing import parameterized

from tests.limits import HANGING

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Imports all there is, but for what needs a package of an extra, in the order of a fresh process.
IMPORT_ALL = """
import importlib, pathlib, sys
for name in ("fcntl", "resource", "termios", "grp", "pwd"):
    sys.modules[name] = None  # as on Windows: importing it raises ImportError
sys.path.insert(0, "bin")
paths = sorted(pathlib.Path("cnnf_tf").rglob("*.py"))
names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths]
for name in [*names, *sorted(path.stem for path in pathlib.Path("bin").glob("*.py"))]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in ("jax", "nicegui", "torch"):
            raise
    except Exception as error:
        if type(error).__name__ != "DuplicateFlagError":  # binaries are not made to be imported together
            raise
print(len(names))
"""


def run(program, **environment):
    """A fresh Python that runs a program in the checkout."""
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])} | environment,
        capture_output=True,
        encoding="utf-8",
        timeout=HANGING,
        check=False,
    )


class PortabilityTest(tf.test.TestCase, parameterized.TestCase):
    def test_everything_imports_without_fcntl(self):
        result = run(IMPORT_ALL)
        self.assertEqual(result.returncode, 0, result.stderr[-3000:])
        self.assertGreater(int(result.stdout.split()[-1]), 100)

    def test_locks_without_fcntl(self):
        folder = self.create_tempdir().full_path
        result = run(
            "import sys; sys.modules['fcntl'] = None\n"
            "from cnnf_tf.utils.files import locked\n"
            f"path = {folder!r} + '/lock'\n"
            "for _ in range(2):\n"
            "    with locked(path):\n"
            "        try:\n"
            "            locked(path).__enter__()\n"
            "        except BlockingIOError:\n"
            "            print('refused')\n"
        )
        self.assertEqual(result.stdout.split(), ["refused", "refused"], result.stderr[-3000:])

    @parameterized.parameters(
        ("nonsense", "KERAS_BACKEND is 'nonsense', and cnnf_tf runs on the Keras backends jax, tensorflow, torch;"),
        ("jax", "KERAS_BACKEND is 'jax', but the package jax is not installed: pip install jax"),
    )
    def test_keras_backend_that_cannot_be(self, backend, message):
        hide = "import importlib.util as util, sys\n"
        hide += "find = util.find_spec; util.find_spec = lambda name: None if name == 'jax' else find(name)\n"
        for program in ("import cnnf_tf", "from cnnf_tf import layers", "import cnnf_tf.data"):
            result = run(hide + program, KERAS_BACKEND=backend)
            self.assertStartsWith(result.stderr.splitlines()[-1], f"ImportError: {message}")
        binary = "import runpy; sys.argv = ['bin/evaluate.py', '--model=x']; sys.path.insert(0, 'bin')\n"
        result = run(f"{hide}{binary}runpy.run_path('bin/evaluate.py', run_name='__main__')", KERAS_BACKEND=backend)
        self.assertEqual(result.returncode, 1)
        self.assertStartsWith(" ".join(result.stderr.split()), f"Error: {message}")

    def test_empty_keras_backend_is_the_default(self):
        result = run("import cnnf_tf, os; print(os.environ['KERAS_BACKEND'])", KERAS_BACKEND="")
        self.assertEqual(result.stdout.split(), ["tensorflow"])

    def test_locale_without_letters(self):
        """Names that the locale has no letters for are printed in UTF-8, and found."""
        binary = (
            "import sys, runpy; sys.argv = ['bin/report.py', '--results=b\\u00fccher']; sys.path.insert(0, 'bin')\n"
            "runpy.run_path('bin/report.py', run_name='__main__')"
        )
        result = run(binary, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn("b\u00fccher", result.stderr)


if __name__ == "__main__":
    tf.test.main()
