"""Every file in configs/: locked, self-explaining, with a smoke variant that takes training steps."""

import importlib
import pathlib

import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import training
from tests.reference_data import TESTDATA

CONFIGS = sorted(path.stem for path in (pathlib.Path(__file__).parent.parent / "configs").glob("[a-z]*.py"))


class ConfigsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*[(name,) for name in CONFIGS])
    def test_variants(self, name):
        module = importlib.import_module(f"configs.{name}")
        self.assertIn("smoke", module.VARIANTS)
        for variant in module.VARIANTS:
            config = module.get_config(variant)
            self.assertTrue(config.is_locked)
            with self.assertRaises(AttributeError):
                config.modle = 1
        with self.assertRaisesRegex(ValueError, "unknown variant 'nope'.*smoke"):
            module.get_config("nope")

    @parameterized.parameters(*[(name,) for name in CONFIGS])
    def test_smoke_trains(self, name):
        config = importlib.import_module(f"configs.{name}").get_config("smoke")
        config.data.name = f"idx:{TESTDATA / 'fashion_mnist_mini'}"
        folder = training.run(config, self.create_tempdir().full_path)
        self.assertTrue(folder.best.exists())


if __name__ == "__main__":
    tf.test.main()
