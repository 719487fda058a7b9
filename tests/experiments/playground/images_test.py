"""Uploads and drawings: upright, cut to the model's proportions, and errors for people."""

import base64
import io

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from cnnf_tf.experiments.playground import images

SHAPE = (28, 28, 1)


def stored(array, kind="PNG", **options):
    """The bytes of an image file."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(file, kind, **options)
    return file.getvalue()


def address(content):
    """As a browser gives the content of a canvas."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


class ImagesTest(tf.test.TestCase, parameterized.TestCase):
    def test_photo_lying_on_its_side(self):
        array = np.zeros((400, 600, 3), np.uint8)
        array[:, :300] = 255  # the left half, which orientation 6 turns upwards
        exif = Image.Exif()
        exif[0x112] = 6
        found = images.uploaded(stored(array, "JPEG", exif=exif), "photo.jpg", SHAPE)
        self.assertEqual((found.image.shape, found.image.dtype, found.label), (SHAPE, np.float32, None))
        self.assertAllClose(found.image[:13], np.ones((13, 28, 1)), atol=0.02)
        self.assertAllClose(found.image[15:], np.zeros((13, 28, 1)), atol=0.02)

    def test_the_middle_is_cut_out(self):
        array = np.zeros((100, 300), np.uint8)
        array[:, 100:200] = 255
        found = images.uploaded(stored(array), "a.png", SHAPE)
        self.assertAllEqual(found.image[:, 1:-1], np.ones((28, 26, 1)))  # at the edges it blends with what was beside
        colour = images.uploaded(stored(array), "a.png", (8, 24, 3))
        self.assertEqual(colour.image.shape, (8, 24, 3))
        self.assertAllClose(colour.image.mean(), 1 / 3, atol=0.01)

    def test_drawing(self):
        canvas = np.zeros((280, 280, 4), np.uint8)
        canvas[..., 3] = 255
        canvas[100:180] = 255
        found = images.drawn(address(stored(canvas)), SHAPE)
        self.assertAllClose(found.image[[5, 14, 25], 10, 0], [0, 1, 0])

    def test_placeholder(self):
        found = images.placeholder((32, 48, 3))
        self.assertEqual((found.image.shape, found.image.dtype), ((32, 48, 3), np.float32))
        self.assertBetween(found.image.mean(), 0.2, 0.6)

    @parameterized.parameters(
        (b"some words\n", "notes.txt: is not a readable image .it is no PNG, JPEG"),
        (b"", "notes.txt: is not a readable image .it is empty"),
        (stored(np.zeros((9, 9)))[:40], "notes.txt: is not a readable image"),
    )
    def test_files_that_are_no_images(self, content, message):
        with self.assertRaisesRegex(ValueError, message):
            images.uploaded(content, "notes.txt", SHAPE)

    def test_a_small_file_of_a_huge_picture_is_refused(self):
        for side in (8_000, 13_400):  # the second is more than Pillow opens
            content = io.BytesIO()
            Image.new("1", (side, side)).save(content, "PNG")
            with self.assertRaisesRegex(ValueError, "^a.png has more than 50 million pixels.$"):
                images.uploaded(content.getvalue(), "a.png", SHAPE)

    def test_other_errors(self):
        with self.assertRaisesRegex(ValueError, "a.png is larger than 50 MB"):
            images.uploaded(bytes(images.LARGEST_FILE + 1), "a.png", SHAPE)
        for text in ("hello", 7, "data:image/png;base64,???", address(b"no image")):
            with self.assertRaisesRegex(ValueError, "your drawing: is not a readable image"):
                images.drawn(text, SHAPE)


if __name__ == "__main__":
    tf.test.main()
