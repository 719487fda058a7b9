"""The public names: what is listed exists, nothing else leaks, importing is reasonable."""

import importlib
import types

import tensorflow as tf
from absl.testing import parameterized

import cnnf_tf

PACKAGES = (
    "cnnf_tf",
    *(
        f"cnnf_tf.{name}"
        for name in (
            "attacks",
            "data",
            "evaluation",
            "generative",
            "layers",
            "models",
            "reporting",
            "serving",
            "training",
        )
    ),
)


class ApiTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*PACKAGES)
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

    @parameterized.parameters(*PACKAGES)
    def test_public_names_have_docstrings(self, name):
        package = importlib.import_module(name)
        for public in package.__all__:
            value = getattr(package, public)
            if isinstance(value, (type, types.FunctionType, types.ModuleType)):
                self.assertNotEmpty(value.__doc__ or "", public)

    def test_version(self):
        self.assertRegex(cnnf_tf.__version__, r"^\d+\.\d+\.\d+")


if __name__ == "__main__":
    tf.test.main()
