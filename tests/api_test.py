"""The public names: what is listed exists, nothing else leaks, importing costs little and is enough for Keras."""

import importlib
import inspect
import pathlib
import re
import subprocess
import sys
import tempfile
import types

import tensorflow as tf
from absl.testing import parameterized

import cnnf_tf
from tests.models import fixtures_models

ROOMS = tuple(
    f"cnnf_tf.{name}"
    for name in (
        "attacks",
        "data",
        "evaluation",
        "evaluation.representations",
        "generative",
        "layers",
        "models",
        "serving",
        "training",
        "zoo",
    )
)


ROOT = pathlib.Path(__file__).resolve().parent.parent


def python(program: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.strip()


class RoomsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*ROOMS)
    def test_public_names_are_listed(self, name):
        package = importlib.import_module(name)
        for public in package.__all__:
            self.assertTrue(hasattr(package, public), public)
        visible = {
            key
            for key, value in vars(package).items()
            if not key.startswith("_") and not isinstance(value, types.ModuleType)
        }
        self.assertEqual(visible, {key for key in package.__all__ if key in visible})

    @parameterized.parameters("cnnf_tf", *ROOMS)
    def test_public_names_have_docstrings(self, name):
        package = importlib.import_module(name)
        for public in package.__all__:
            value = getattr(package, public)
            if isinstance(value, (type, types.FunctionType, types.ModuleType)):
                self.assertNotEmpty(value.__doc__ or "", public)

    @parameterized.parameters(*ROOMS)
    def test_arguments_are_documented(self, name):
        """Where a docstring lists arguments, all are there; those that a class inherits, in a base of ours."""
        package = importlib.import_module(name)
        for public in package.__all__:
            value = getattr(package, public)
            if not re.search("(?m)^ *(Args|Attributes):$", getattr(value, "__doc__", None) or ""):
                continue
            classes = value.__mro__ if inspect.isclass(value) else [value]
            text = "\n".join(each.__doc__ or "" for each in classes if each.__module__.startswith("cnnf_tf"))
            for argument in inspect.signature(value).parameters.values():
                if argument.kind not in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
                    self.assertRegex(text, rf"(?m)^ +{argument.name}: |`{argument.name}`", f"{public}: {argument}")

    def test_every_room_has_a_page_in_the_reference(self):
        for room in ROOMS:
            page = ROOT / "docs" / "api" / f"{room.split('.')[1]}.md"
            self.assertIn(f"\n::: {room}\n", page.read_text(encoding="utf-8"))


class LazyImportTest(tf.test.TestCase, parameterized.TestCase):
    def test_every_public_name_resolves(self):
        for name in cnnf_tf.__all__:
            self.assertIsNotNone(getattr(cnnf_tf, name), name)
        self.assertIs(cnnf_tf.CNNF, cnnf_tf.models.CNNF)
        self.assertEqual(sorted(dir(cnnf_tf)), sorted(cnnf_tf.__all__))

    def test_unknown_name(self):
        with self.assertRaisesRegex(AttributeError, "module 'cnnf_tf' has no attribute 'CNN'"):
            cnnf_tf.CNN  # noqa: B018

    def test_version(self):
        self.assertRegex(cnnf_tf.__version__, r"^\d+\.\d+\.\d+")

    def test_importing_loads_no_framework(self):
        frameworks = ("keras", "matplotlib", "numpy", "tensorflow")
        loaded = python(f"import cnnf_tf, sys; print([name for name in {frameworks} if name in sys.modules])")
        self.assertEqual(loaded, "[]")

    @parameterized.parameters(
        "import cnnf_tf, keras",
        "import keras, cnnf_tf",
        "import tensorflow, cnnf_tf, keras",
        "import cnnf_tf, tensorflow, keras",
        "import cnnf_tf.layers, keras",
        "import cnnf_tf.models.unroll, keras",
        "import cnnf_tf.utils.dtypes, keras",
    )
    def test_keras_finds_the_classes(self, imports):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "x.keras")
            fixtures_models.model().save(path)
            printed = python(f"{imports}; print(type(keras.saving.load_model({str(path)!r})).__name__)")
        self.assertEqual(printed, "CNNF")


if __name__ == "__main__":
    tf.test.main()
