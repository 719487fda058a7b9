"""Every file in configs/: locked, self-explaining, with a smoke variant that takes training steps."""

import importlib
import pathlib

import numpy as np
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

    def colour_images(self):
        """A folder of 32x32 colour images, 64 to train on and 32 to test on, ten classes."""
        root = pathlib.Path(self.create_tempdir().full_path)
        pixels = np.random.default_rng(0)
        for split, count in (("train", 64), ("test", 32)):
            for index in range(count):
                path = root / split / f"class{index % 10}" / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(tf.io.encode_png(pixels.integers(0, 256, (32, 32, 3), np.uint8)).numpy())
        return root

    @parameterized.parameters(*[(name,) for name in CONFIGS])
    def test_smoke_trains(self, name):
        config = importlib.import_module(f"configs.{name}").get_config("smoke")
        if config.model.name == "wide_resnet":
            config.data.name = f"image_folder:{self.colour_images()}"
        else:
            config.data.name = f"idx:{TESTDATA / 'fashion_mnist_mini'}"
        folder = training.run(config, self.create_tempdir().full_path)
        self.assertTrue(folder.best.exists())


if __name__ == "__main__":
    tf.test.main()
