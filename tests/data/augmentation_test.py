import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.data import augmentation as lib

SEED = np.array([3, 4], np.int64)


def numpy_apply(images, draws, pad):
    """One image at a time, by slicing."""
    out = []
    height, width = images.shape[1:3]
    for image, (row, column, flip) in zip(images, draws, strict=True):
        padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
        crop = padded[row : row + height, column : column + width]
        out.append(crop[:, ::-1] if flip else crop)
    return np.stack(out)


class AugmentationTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.product(pad=(0, 1, 4), flip=(True, False), channels=(1, 3))
    def test_matches_numpy(self, pad, flip, channels):
        augmentation = lib.Augmentation(pad, flip)
        images = np.random.default_rng(0).integers(0, 256, (50, 7, 10, channels), dtype=np.uint8)
        draws = lib.draw(augmentation, 50, SEED).numpy()
        result = lib.apply(augmentation, tf.constant(images), tf.constant(draws))
        self.assertEqual(result.dtype, tf.uint8)
        self.assertAllEqual(result, numpy_apply(images, draws, pad))

    def test_by_hand(self):
        image = tf.constant([[1, 2], [3, 4]], tf.uint8)[tf.newaxis, ..., tf.newaxis]
        augmentation = lib.Augmentation(1, True)
        for draw, wanted in (
            ([1, 1, 0], [[1, 2], [3, 4]]),
            ([1, 1, 1], [[2, 1], [4, 3]]),
            ([0, 0, 0], [[0, 0], [0, 1]]),
            ([2, 1, 0], [[3, 4], [0, 0]]),
            ([0, 2, 1], [[0, 0], [0, 2]]),
        ):
            self.assertAllEqual(lib.apply(augmentation, image, tf.constant([draw]))[0, ..., 0], wanted)

    def test_eager_equals_graph_with_unknown_batch_size(self):
        augmentation = lib.Augmentation(2, True)
        images = tf.random.stateless_uniform((8, 6, 6, 3), (1, 2))
        draws = lib.draw(augmentation, 8, SEED)
        function = tf.function(
            lambda x, d: lib.apply(augmentation, x, d),
            input_signature=[tf.TensorSpec((None, 6, 6, 3)), tf.TensorSpec((None, 3), tf.int32)],
        )
        self.assertAllEqual(function(images, draws), lib.apply(augmentation, images, draws))

    def test_draws_are_a_function_of_the_seed(self):
        augmentation = lib.Augmentation(4, True)
        draws = lib.draw(augmentation, 1000, SEED)
        self.assertAllEqual(draws, lib.draw(augmentation, 1000, SEED))
        self.assertNotAllEqual(draws, lib.draw(augmentation, 1000, SEED + 1))

    def test_draws_are_uniform(self):
        draws = lib.draw(lib.Augmentation(1, True), 9000, SEED).numpy()
        for column in (0, 1):
            self.assertAllClose(np.bincount(draws[:, column], minlength=3) / 9000, [1 / 3] * 3, atol=0.02)
        self.assertAllClose(draws[:, 2].mean(), 0.5, atol=0.02)
        self.assertAllClose(np.corrcoef(draws.T), np.eye(3), atol=0.05)

    def test_identity(self):
        images = tf.ones((2, 3, 3, 1))
        self.assertTrue(lib.Augmentation().is_identity)
        self.assertIs(lib.apply(lib.Augmentation(), images, tf.zeros((2, 3), tf.int32)), images)

    def test_rejects(self):
        for padding in (-1, 1.5, True, "4"):
            with self.assertRaisesRegex(ValueError, "crop_padding: wanted a whole number of pixels, at least 0, got"):
                lib.Augmentation(crop_padding=padding)
        with self.assertRaisesRegex(ValueError, "horizontal_flip: wanted True or False, got 1"):
            lib.Augmentation(horizontal_flip=1)


if __name__ == "__main__":
    tf.test.main()
