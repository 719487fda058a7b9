"""Corruptions against NumPy and their statistics: what is drawn, where, how strongly, and by which seed."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import data
from cnnf_tf.data import corruptions as lib
from tests import reference_data

NAMES = sorted(lib.CORRUPTIONS)
RANDOM = ("shot_noise", "gaussian_noise", "dotted_line", "impulse_noise", "occlusion")
SHAPES = {"colour": (4, 32, 32, 3), "odd": (1, 17, 23, 1), "wide": (3, 30, 64, 2)}


def random_images(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).random(shape), tf.float32)


def fashion(count=32):
    name = f"idx:{reference_data.TESTDATA / 'fashion_mnist_mini'}"
    return next(iter(data.load(name, "test", batch_size=count)))[0]


def grey(value, *shape):
    return tf.fill(shape, tf.constant(value, tf.float32))


class CorruptionsTest(parameterized.TestCase, tf.test.TestCase):
    def assert_grows(self, images, name, seeds=1):
        errors = [
            np.mean([np.mean(np.square(lib.corrupt(images, name, s, seed=k) - images)) for k in range(seeds)])
            for s in lib.SEVERITIES
        ]
        self.assertGreater(errors[0], 0)
        self.assertAllGreater(np.diff(errors), 0)

    @parameterized.parameters(*NAMES)
    def test_severity_is_strength_on_fashion_mnist(self, name):
        self.assert_grows(fashion(), name)

    @parameterized.product(name=NAMES, shape=("colour", "odd", "wide"))
    def test_severity_is_strength_at_any_size(self, name, shape):
        self.assert_grows(random_images(*SHAPES[shape]), name, seeds=3)

    @parameterized.product(name=NAMES, shape=((1, 1, 1, 1), (2, 3, 5, 4), (0, 8, 8, 1)))
    def test_smallest_images(self, name, shape):
        images = random_images(*shape)
        result = lib.corrupt(images, name, 5, seed=0)
        self.assertEqual(result.shape, shape)
        self.assertAllInRange(result, 0, 1)

    @parameterized.product(name=NAMES, dtype=("float16", "float32", "float64"))
    def test_range_and_dtype(self, name, dtype):
        images = tf.cast(random_images(3, 12, 13, 3), dtype)
        result = lib.corrupt(images, name, 5, seed=0)
        self.assertEqual((result.shape, result.dtype), (images.shape, images.dtype))
        self.assertAllInRange(result, 0, 1)

    @parameterized.parameters(*NAMES)
    def test_a_function_of_the_seed(self, name):
        images = random_images(2, 28, 28, 1)
        first = lib.corrupt(images, name, 3, seed=7)
        self.assertAllEqual(first, lib.corrupt(images, name, 3, seed=7))
        other = lib.corrupt(images, name, 3, seed=8)
        self.assertEqual(np.any(first != other), name in RANDOM)
        self.assertNotAllEqual(first[0], first[1])
        same = lib.corrupt(tf.stack([images[0]] * 2), name, 3, seed=7)  # each image draws for itself
        self.assertEqual(np.any(same[0] != same[1]), name in RANDOM)

    @parameterized.parameters(*NAMES)
    def test_graph_and_batches_do_not_matter(self, name):
        images = random_images(5, 11, 14, 3)
        whole = lib.corrupt(images, name, 3, seed=2)
        parts = [lib.corrupt(images[i:j], name, 3, seed=2, first_index=i) for i, j in ((0, 1), (1, 4), (4, 5))]
        self.assertAllEqual(tf.concat(parts, 0), whole)
        signature = [tf.TensorSpec((None, 11, 14, 3)), tf.TensorSpec((), tf.int64)]
        function = tf.function(
            lambda x, first: lib.corrupt(x, name, 3, seed=2, first_index=first), input_signature=signature
        )
        self.assertAllClose(function(images, 0), whole, atol=1e-6, rtol=0)
        self.assertAllClose(function(images[3:], 3), whole[3:], atol=1e-6, rtol=0)

    def test_shot_noise_has_the_moments_of_poisson(self):
        images = grey(0.25, 4, 64, 64, 1)
        for severity, photons in zip(lib.SEVERITIES, (60, 25, 12, 5, 3), strict=True):
            result = lib.corrupt(images, "shot_noise", severity, seed=1).numpy()
            counts = result * photons
            self.assertAllClose(counts, np.round(counts), atol=1e-4)
            if severity < 4:  # otherwise a few are clipped at 1
                self.assertAllClose(result.mean(), 0.25, atol=4 * np.sqrt(0.25 / photons / result.size))
                self.assertAllClose(result.var(), 0.25 / photons, rtol=0.05)
        self.assertAllEqual(lib.corrupt(grey(0.0, 2, 8, 8, 1), "shot_noise", 5, seed=1), tf.zeros((2, 8, 8, 1)))
        # Poisson(3 / 4): the share of zeros is exp(-3 / 4), and of at least 3 photons what is left after 2.
        self.assertAllClose(np.mean(result == 0), np.exp(-0.75), atol=0.015)
        self.assertAllClose(np.mean(result == 1), 1 - np.exp(-0.75) * (1 + 0.75 + 0.75**2 / 2), atol=0.01)

    def test_gaussian_noise_has_its_deviation(self):
        images = grey(0.5, 4, 64, 64, 1)
        for severity, deviation in ((1, 0.08), (2, 0.12)):  # up to 4 deviations are not clipped
            noise = lib.corrupt(images, "gaussian_noise", severity, seed=1).numpy() - 0.5
            self.assertAllClose(noise.std(), deviation, rtol=0.03)
            self.assertAllClose(noise.mean(), 0, atol=4 * deviation / np.sqrt(noise.size))
        strong = lib.corrupt(images, "gaussian_noise", 5, seed=1).numpy() - 0.5
        inside = np.abs(noise) < 0.4  # the same draws at every severity
        self.assertAllClose(strong[inside], np.clip(noise[inside] * 0.38 / 0.12, -0.5, 0.5), atol=1e-6)
        neighbours = np.corrcoef(strong[:, :-1].ravel(), strong[:, 1:].ravel())[0, 1]
        images_apart = np.corrcoef(strong[0].ravel(), strong[1].ravel())[0, 1]
        self.assertAllClose([neighbours, images_apart], [0, 0], atol=0.06)

    def test_impulse_noise_is_half_salt_half_pepper(self):
        images = grey(0.5, 4, 64, 64, 3)
        for severity, amount in zip(lib.SEVERITIES, (0.03, 0.06, 0.09, 0.17, 0.27), strict=True):
            result = lib.corrupt(images, "impulse_noise", severity, seed=1).numpy()
            self.assertAllClose(np.mean(result == 0), amount / 2, atol=0.005)
            self.assertAllClose(np.mean(result == 1), amount / 2, atol=0.005)
            self.assertAllClose(np.mean(result == 0.5), 1 - amount, atol=0.01)

    def test_brightness_and_contrast_match_numpy(self):
        images = random_images(3, 9, 8, 3)
        values = images.numpy()
        means = values.mean((1, 2), keepdims=True)
        for severity, added, factor in zip(
            lib.SEVERITIES, (0.1, 0.2, 0.3, 0.4, 0.5), (0.4, 0.3, 0.2, 0.1, 0.05), strict=True
        ):
            bright = lib.corrupt(images, "brightness", severity, seed=0)
            self.assertAllClose(bright, np.clip(values + added, 0, 1))
            self.assertAllClose(lib.corrupt(images, "contrast", severity, seed=0), means + factor * (values - means))

    def test_blur_matches_numpy(self):
        images = random_images(2, 20, 35, 2)
        for severity, deviation in zip(lib.SEVERITIES, (0.6, 0.9, 1.2, 1.8, 2.6), strict=True):
            radius = int(np.ceil(4 * deviation))
            kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
            kernel /= kernel.sum()
            padded = np.pad(images, ((0, 0), (radius, radius), (radius, radius), (0, 0)), mode="symmetric")
            wanted = sum(
                a * b * padded[:, i : i + 20, j : j + 35] for i, a in enumerate(kernel) for j, b in enumerate(kernel)
            )
            self.assertAllClose(lib.corrupt(images, "gaussian_blur", severity, seed=0), wanted, atol=1e-5)
            for size in (1, 2, 35):
                self.assertAllClose(lib.blur_matrix(size, deviation).sum(1), np.ones(size))
        uniform = grey(0.3, 1, 20, 35, 2)
        self.assertAllClose(lib.corrupt(uniform, "gaussian_blur", 5, seed=0), uniform)

    def test_lengths_grow_with_the_image(self):
        # A blurred point of an image 4 times as large spreads 4 times as far.
        def spread(side):
            point = np.zeros((1, side, side, 1), np.float32)
            point[0, side // 2, side // 2] = 1
            row = lib.corrupt(tf.constant(point), "gaussian_blur", 3, seed=0).numpy().sum((0, 1, 3))
            return np.sqrt(np.sum(row * np.square(np.arange(side) - side // 2)))

        self.assertAllClose(spread(28), 1.2, rtol=0.02)
        self.assertAllClose(spread(112), 4.8, rtol=0.02)
        # A line of twice the width over twice the length covers the same share of the image.
        share = [
            lib.corrupt(grey(0.0, 40, side, side, 1), "dotted_line", 3, seed=0).numpy().mean() for side in (28, 56)
        ]
        self.assertAllClose(share[0], share[1], rtol=0.06)

    def test_occlusion_is_a_grey_square_at_a_random_place(self):
        images = grey(1.0, 40, 20, 30, 3)
        for severity, side in zip(lib.SEVERITIES, (4, 6, 8, 10, 12), strict=True):
            covered = lib.corrupt(images, "occlusion", severity, seed=0).numpy() == 0.5
            self.assertAllEqual(covered.sum((1, 2, 3)), [3 * side * side] * 40)
            self.assertAllEqual(covered.any((2, 3)).sum(1), [side] * 40)  # as many rows as columns
            self.assertAllEqual(covered.any((1, 3)).sum(1), [side] * 40)
        tops = covered.any((2, 3)).argmax(1)
        self.assertEqual((tops.min(), tops.max()), (0, 20 - side))

    def test_dotted_line_is_straight_white_and_dotted(self):
        for severity, lines in zip(lib.SEVERITIES, (1, 1, 1, 2, 3), strict=True):
            pictures = lib.corrupt(grey(0.0, 30, 56, 56, 2), "dotted_line", severity, seed=3).numpy()
            self.assertAllEqual(pictures[..., 0], pictures[..., 1])
            self.assertGreater(pictures.max((1, 2, 3)).min(), 0.8)
            self.assertBetween(np.mean(pictures > 0.1), 0.005, 0.06 * lines)
            if lines > 1:
                continue
            for picture in pictures[..., 0]:
                # Weighted by brightness, a line has one long axis and is narrow across it.
                places = np.argwhere(picture > 0).astype(np.float64)
                weights = picture[picture > 0]
                places -= np.average(places, axis=0, weights=weights)
                values, axes = np.linalg.eigh(np.cov(places.T, aweights=weights))
                self.assertLess(np.sqrt(values[0]), 2)
                self.assertGreater(np.sqrt(values[1]), 9)
                along = places[np.abs(places @ axes[:, 0]) < 1] @ axes[:, 1]
                gaps = np.diff(np.sort(along))
                self.assertAllInRange(gaps, 0, 8)  # dots and gaps are 4 pixels long at this size
                self.assertGreaterEqual(np.sum(gaps > 2), 4)

    @parameterized.parameters(*NAMES)
    def test_in_a_pipeline(self, name):
        images = random_images(7, 12, 12, 1)
        labels = np.arange(7, dtype=np.int32)
        whole = lib.corrupt(images, name, 4, seed=5)
        for batch_size in (1, 3, 7):
            source = tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch_size)
            dataset = lib.corrupted(source, name, 4, seed=5)
            self.assertEqual(dataset.element_spec, source.element_spec)
            self.assertEqual(dataset.cardinality(), source.cardinality())
            for _ in range(2):
                batches = list(dataset.as_numpy_iterator())
                self.assertAllClose(np.concatenate([batch for batch, _ in batches]), whole, atol=1e-6, rtol=0)
                self.assertAllEqual(np.concatenate([batch for _, batch in batches]), labels)

    def test_keep_clean_and_repetitions(self):
        images = random_images(4, 12, 12, 1)
        source = tf.data.Dataset.from_tensor_slices((images, np.arange(4))).batch(2).repeat(2)
        batches = list(lib.corrupted(source, "gaussian_noise", 3, seed=5, keep_clean=True))
        noise = [noisy - clean for noisy, clean in batches]
        self.assertAllEqual(tf.concat([clean for _, clean in batches], 0), tf.concat([images, images], 0))
        self.assertNotAllClose(noise[0], noise[2])

    def test_rejects(self):
        images = random_images(2, 8, 8, 1)

        def rejects(message, *arguments, error=ValueError, seed=0):
            with self.assertRaisesRegex(error, message):
                lib.corrupt(*arguments, seed=seed)

        rejects("one of .'brightness', 'contrast'.*'shot_noise'., got 'fog'", images, "fog", 1)
        for severity in (0, 6, 9, True, 2.0, "3", None):
            rejects("severity must be an integer from 1 .* to 5 .*, got ", images, "contrast", severity)
        for seed in (-1, 2**63, 1.5, True, None):
            rejects(r"seed must be an integer in \[0, 2\*\*63\), got ", images, "contrast", 1, seed=seed)
        rejects(r"wanted images \[batch, .*got shape \(8, 8, 1\); a single image", images[0], "contrast", 1)
        rejects("wanted float images.* got uint8; divide uint8 by 255", tf.cast(images, tf.uint8), "contrast", 1)
        for wrong in (images * 255, images - 0.5, images * np.nan):
            rejects(r"wants pixels in \[0, 1\]", wrong, "contrast", 1, error=tf.errors.InvalidArgumentError)
        signature = [tf.TensorSpec((None, None, 8, 1))]
        function = tf.function(lambda x: lib.corrupt(x, "contrast", 1, seed=0), input_signature=signature)
        with self.assertRaisesRegex(ValueError, r"of static sizes .*got shape \(None, None, 8, 1\)"):
            function(images)

    def test_rejects_data_sets(self):
        images = random_images(2, 8, 8, 1)
        source = tf.data.Dataset.from_tensors((images, [0, 1]))
        with self.assertRaisesRegex(ValueError, "corruption must be one of .* got 'fog'"):
            lib.corrupted(source, "fog", 1, seed=0)
        with self.assertRaisesRegex(ValueError, "severity must be .*got 9"):
            lib.corrupted(source, "contrast", 9, seed=0)
        with self.assertRaisesRegex(ValueError, r"wants a data set of \(images, labels\), got elements"):
            lib.corrupted(source.map(lambda x, _: x), "contrast", 1, seed=0)
        with self.assertRaisesRegex(ValueError, r"got shape \(8, 8, 1\)"):
            lib.corrupted(source.unbatch(), "contrast", 1, seed=0)

    def test_registry_is_complete(self):
        for name, corruption in lib.CORRUPTIONS.items():
            self.assertLen(corruption.strengths, len(lib.SEVERITIES), name)
            self.assertEqual(corruption.description[-1], ".")


if __name__ == "__main__":
    tf.test.main()
