import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import data


def random_image(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


class FolderSourceTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir()) / "my images: v2"
        self.name = f"image_folder:{self.root}"

    def write(self, path, image):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        encode = tf.io.encode_png if path.suffix == ".png" else tf.io.encode_jpeg
        path.write_bytes(image if isinstance(image, bytes) else encode(image).numpy())

    def write_classes(self, shape=(9, 7, 3)):
        """Two classes: cats dark, dogs bright."""
        for index in range(3):
            self.write(f"train/cat/{index}.png", random_image(shape, index) // 4)
            self.write(f"train/dog/{index}.png", random_image(shape, index) // 4 + 192)
        self.write("test/dog/0.png", random_image(shape) // 4 + 192)

    def load_all(self, split="train", name=None, **options):
        images, labels = next(iter(data.load(name or self.name, split, batch_size=100, **options)))
        return images.numpy(), labels.numpy()

    @parameterized.parameters(True, False)
    def test_colour_images_of_one_odd_size(self, cache):
        self.write_classes()
        info = data.info(self.name)
        self.assertEqual(info.image_shape, (9, 7, 3))
        self.assertEqual((info.num_classes, info.class_names), (2, ("cat", "dog")))
        self.assertEqual(info.num_examples, {"train": 6, "test": 1})
        images, labels = self.load_all(cache=cache)
        self.assertEqual((images.dtype, labels.dtype), (np.float32, np.int32))
        self.assertAllEqual(np.bincount(labels), [3, 3])
        self.assertAllEqual(images.mean(axis=(1, 2, 3)) > 0.5, labels == 1)
        wanted = {random_image((9, 7, 3), index).tobytes() for index in range(3)}
        dark = np.round(images[labels == 0] * 255).astype(np.uint8)
        self.assertEqual(
            {image.tobytes() for image in dark}, {(np.frombuffer(w, np.uint8) // 4).tobytes() for w in wanted}
        )
        self.assertEqual(self.load_all("test")[1], [1])  # the class of no test image keeps its number

    def test_slices_are_parts_of_one_fixed_order(self):
        self.write_classes()
        images, labels = self.load_all()
        for split, part in (("train[:2]", slice(0, 2)), ("train[2:]", slice(2, None)), ("train[50%:]", slice(3, None))):
            self.assertAllEqual(self.load_all(split)[0], images[part])
            self.assertAllEqual(self.load_all(split)[1], labels[part])

    def test_grey_images_have_one_channel(self):
        self.write("train/a/0.png", random_image((4, 4, 1)))
        self.write("train/a/1.png", random_image((4, 4, 1), 1))
        images, _ = self.load_all()
        self.assertEqual(images.shape, (2, 4, 4, 1))
        images, _ = self.load_all(name=f"{self.name}:4x4x3")
        self.assertAllEqual(images[..., 0], images[..., 2])

    def test_channels_of_the_name_win(self):
        self.write_classes()
        images, _ = self.load_all(name=f"{self.name}:9x7x1")
        self.assertEqual(images.shape, (6, 9, 7, 1))

    def test_grey_among_colour_is_read_as_colour(self):
        self.write_classes()
        first = data.info(self.name).image_shape
        self.assertEqual(first[2], 3)
        self.write("test/dog/1.png", random_image((9, 7, 1)))
        self.assertEqual(self.load_all("test", name=f"{self.name}:9x7x3")[0].shape, (2, 9, 7, 3))

    def test_colour_among_grey_is_an_error(self):
        self.write("train/a/0.png", random_image((4, 4, 1)))
        self.write("train/a/1.png", random_image((4, 4, 1)))
        self.write("zoo/a/colour.png", random_image((4, 4, 3)))
        with self.assertRaisesRegex(
            ValueError, "colour.png cannot be read as an image: wanted a grey image like the first one"
        ):
            self.load_all("zoo")

    def test_transparency_is_dropped(self):
        self.write("train/a/0.png", random_image((4, 4, 4)))
        self.assertAllClose(self.load_all()[0][0] * 255, random_image((4, 4, 4))[..., :3])

    @parameterized.parameters(True, False)
    def test_jpeg_is_decoded_accurately(self, cache):
        image = random_image((16, 16, 3))
        self.write("train/a/0.jpg", image)
        encoded = tf.io.encode_jpeg(image)
        accurate = tf.io.decode_jpeg(encoded, dct_method="INTEGER_ACCURATE")
        self.assertNotAllEqual(accurate, tf.io.decode_jpeg(encoded, dct_method="INTEGER_FAST"))
        self.assertAllClose(self.load_all(cache=cache)[0][0] * 255, accurate)

    @parameterized.parameters(True, False)
    def test_different_sizes_need_a_size(self, cache):
        self.write("train/a/0.png", np.full((8, 8, 3), 100, np.uint8))
        self.write("train/a/1.jpg", np.full((20, 6, 3), 100, np.uint8))
        error = ValueError if cache else tf.errors.InvalidArgumentError
        with self.assertRaisesRegex(error, r"wanted \d+x\d+ pixels .* got"):
            self.load_all(cache=cache)
        for arguments in (dict(name=f"{self.name}:5x4"), dict(image_size=(5, 4))):
            images, _ = self.load_all(cache=cache, **arguments)
            self.assertEqual(images.shape, (2, 5, 4, 3))
            self.assertAllClose(images * 255, np.full((2, 5, 4, 3), 100.0), atol=1.01)

    def test_broken_image_is_named(self):
        self.write_classes()
        self.write("train/dog/broken.png", tf.io.encode_png(random_image((9, 7, 3))).numpy()[:60])
        with self.assertRaisesRegex(ValueError, "dog/broken.png cannot be read as an image"):
            self.load_all(name=f"{self.name}:9x7x3")

    def test_text_called_jpg_is_named(self):
        self.write_classes()
        self.write("train/dog/text.jpg", b"not an image")
        with self.assertRaisesRegex(ValueError, "dog/text.jpg cannot be read as an image"):
            self.load_all(name=f"{self.name}:9x7x3")
        self.write("aaa/dog/0.png", b"")
        with self.assertRaisesRegex(ValueError, "aaa/dog/0.png: cannot be decoded as PNG or JPEG"):
            data.info(self.name)

    def test_wrong_layouts(self):
        with self.assertRaisesRegex(FileNotFoundError, "there is no folder .*; wanted PATH/split/class"):
            data.load(self.name, "train")
        self.root.mkdir(parents=True)
        with self.assertRaisesRegex(ValueError, "the folder is empty; wanted PATH/split/class"):
            data.load(self.name, "train")
        self.write("cat/0.png", random_image((4, 4, 3)))  # no split
        with self.assertRaisesRegex(ValueError, "no images found; wanted PATH/split/class"):
            data.load(self.name, "train")

    def test_wrong_names(self):
        self.write_classes()
        for suffix in (":0x5", ":5x5x2", ":4x4x4"):
            with self.assertRaisesRegex(ValueError, f"wanted a size HxW or HxWxC .* got '{suffix}'"):
                data.load(self.name + suffix, "train")
        with self.assertRaisesRegex(ValueError, "wanted image_folder:PATH"):
            data.load("image_folder:", "train")
        with self.assertRaisesRegex(ValueError, r"image_size: \(4, 4\) contradicts the size \(5, 5\)"):
            data.load(f"{self.name}:5x5", "train", image_size=(4, 4))
        with self.assertRaisesRegex(
            ValueError, r"no split is called 'val' .*: test \(1 examples\), train \(6 examples\)"
        ):
            data.load(self.name, "val")


if __name__ == "__main__":
    tf.test.main()
