"""Corruptions of the published sets: the constants of their authors' code, and what each kind does to an image."""

import colorsys
import io
import os
import pathlib
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image
from scipy import ndimage

from cnnf_tf import data
from cnnf_tf.data import corruptions as lib
from cnnf_tf.data.corruptions import shapes, weather

# make_cifar_c.py and imagenet_c/corruptions.py of github.com/hendrycks/robustness: the lists `c` of each function.
CIFAR10_C = {
    "gaussian_noise": [0.04, 0.06, 0.08, 0.09, 0.10],
    "shot_noise": [500, 250, 100, 75, 50],
    "impulse_noise": [0.01, 0.02, 0.03, 0.05, 0.07],
    "speckle_noise": [0.06, 0.1, 0.12, 0.16, 0.2],
    "gaussian_blur": [0.4, 0.6, 0.7, 0.8, 1],
    "glass_blur": [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)],
    "defocus_blur": [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)],
    "motion_blur": [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)],
    "zoom_blur": [(1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)],
    "fog": [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)],
    "frost": [(1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)],
    "snow": [
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ],
    "spatter": [
        (0.62, 0.1, 0.7, 0.7, 0.5, 0),
        (0.65, 0.1, 0.8, 0.7, 0.5, 0),
        (0.65, 0.3, 1, 0.69, 0.5, 0),
        (0.65, 0.1, 0.7, 0.69, 0.6, 1),
        (0.65, 0.1, 0.5, 0.68, 0.6, 1),
    ],
    "contrast": [0.75, 0.5, 0.4, 0.3, 0.15],
    "brightness": [0.05, 0.1, 0.15, 0.2, 0.3],
    "saturate": [(0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)],
    "jpeg_compression": [80, 65, 58, 50, 40],
    "pixelate": [0.95, 0.9, 0.85, 0.75, 0.65],
    "elastic_transform": [
        (0, 0, 2.56),
        (1.6, 6.4, 2.24),
        (2.56, 1.92, 1.92),
        (3.2, 1.28, 1.6),
        (3.2, 0.96, 0.96),
    ],
}
IMAGENET_C = {
    "gaussian_noise": [0.08, 0.12, 0.18, 0.26, 0.38],
    "shot_noise": [60, 25, 12, 5, 3],
    "impulse_noise": [0.03, 0.06, 0.09, 0.17, 0.27],
    "speckle_noise": [0.15, 0.2, 0.35, 0.45, 0.6],
    "gaussian_blur": [1, 2, 3, 4, 6],
    "glass_blur": [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)],
    "defocus_blur": [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)],
    "motion_blur": [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)],
    "zoom_blur": [(1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)],
    "fog": [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)],
    "frost": [(1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)],
    "snow": [
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ],
    "spatter": [
        (0.65, 0.3, 4, 0.69, 0.6, 0),
        (0.65, 0.3, 3, 0.68, 0.6, 0),
        (0.65, 0.3, 2, 0.68, 0.5, 0),
        (0.65, 0.3, 1, 0.65, 1.5, 1),
        (0.67, 0.4, 1, 0.65, 1.5, 1),
    ],
    "contrast": [0.4, 0.3, 0.2, 0.1, 0.05],
    "brightness": [0.1, 0.2, 0.3, 0.4, 0.5],
    "saturate": [(0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)],
    "jpeg_compression": [25, 18, 15, 10, 7],
    "pixelate": [0.6, 0.5, 0.4, 0.3, 0.25],
    "elastic_transform": [
        (488, 170.8, 24.4),
        (488, 19.52, 48.8),
        (12.2, 2.44, 4.88),
        (17.08, 2.44, 4.88),
        (29.28, 2.44, 4.88),
    ],
}
# corruptions.py of github.com/google-research/mnist-c at the severity that each function has by default.
MNIST_C = {
    "shot_noise": [3],
    "impulse_noise": [0.17],
    "glass_blur": [((0.7, 0), 1, 2)],
    "motion_blur": [(10, 3)],
    "shear": [0.4],
    "scale": [1 / 0.7],
    "rotate": [0.4],
    "brightness": [0.5],
    "translate": [3],
    "stripe": [7 / 28],
    "fog": [(3, 1.4)],
    "spatter": [(0.65, 0.3, 1, 0.65, 1.5, 1)],
    "dotted_line": [2.3],
    "zigzag": [(2, 2.3)],
    "canny_edges": [(1, 0.1, 0.2)],
}
PUBLISHED = {"cifar10_c": CIFAR10_C, "imagenet_c": IMAGENET_C, "mnist_c": MNIST_C}
# What our strengths tell more than those lists: the share of pixels that glass moves, the side of the map that fog is
# cut from, and how often the pictures of frost are reduced, which that code has elsewhere.
MORE = {
    "cifar10_c": {"glass_blur": 1, "fog": 32, "frost": 5},
    "imagenet_c": {"glass_blur": 1, "fog": 256, "frost": 1},
    "mnist_c": {"glass_blur": 0.5, "fog": 256},
}
SIZES = {"cifar10_c": (32, 32, 3), "imagenet_c": (224, 224, 3), "mnist_c": (28, 28, 1)}
CASES = [(name, kind) for name in PUBLISHED for kind in PUBLISHED[name] if kind != "frost"]
ALIKE = (
    "gaussian_blur",
    "defocus_blur",
    "zoom_blur",
    "brightness",
    "contrast",
    "saturate",
    "pixelate",
    "scale",
    "stripe",
)
ALIKE += ("jpeg_compression", "canny_edges")  # the same for every seed
# By their authors' strengths these do not change images more and more.
NOT_MONOTONE = ("glass_blur", "motion_blur", "elastic_transform", "snow", "spatter", "saturate")


def smooth_images(count, height, width, channels, seed=0):
    """Images of 8 bits that look less like noise, each from 0 to 1."""
    noise = np.random.default_rng(seed).random((count, height, width, channels))
    images = ndimage.gaussian_filter(noise, (0, height / 12, width / 12, 0))
    images -= images.min((1, 2, 3), keepdims=True)
    return (np.rint(255 * images / images.max((1, 2, 3), keepdims=True)) / 255).astype(np.float32)


def corrupt(images, kind, severity, strengths, seed=0, **options):
    return lib.corrupt(tf.constant(images), kind, severity, seed=seed, strengths=strengths, **options).numpy()


def flat(strength):
    return np.hstack(strength if isinstance(strength, tuple) else [strength])


class StrengthsTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(*PUBLISHED)
    def test_are_those_of_the_published_code(self, name):
        kinds = data.CORRUPTION_SETS[name]
        self.assertEqual({*kinds}, {*PUBLISHED[name]})
        for kind, wanted in PUBLISHED[name].items():
            found = kinds[kind].strengths
            if kind in MORE[name]:
                self.assertEqual([values[-1] for values in found], [MORE[name][kind]] * len(wanted), kind)
                found = tuple(values[:-1] for values in found)
            self.assertLen(found, len(wanted))
            for ours, theirs in zip(found, wanted, strict=True):
                self.assertAllClose(flat(ours), flat(theirs), rtol=1e-12)

    def test_sets(self):
        self.assertLen(lib.benchmark_corruptions("cifar10_c"), 15)
        self.assertEqual(lib.benchmark_corruptions("cifar10_c"), lib.benchmark_corruptions("imagenet_c"))
        extras = [name for name, kind in data.CORRUPTION_SETS["cifar10_c"].items() if kind.extra]
        self.assertEqual(sorted(extras), ["gaussian_blur", "saturate", "spatter", "speckle_noise"])
        self.assertLen(lib.benchmark_corruptions("mnist_c"), 15)
        self.assertEqual([lib.severities_of(name) for name in ("imagenet_c", "mnist_c")], [(1, 2, 3, 4, 5), (1,)])
        self.assertIs(data.CORRUPTION_SETS["ours"], data.CORRUPTIONS)
        for kinds in data.CORRUPTION_SETS.values():
            for kind in kinds.values():
                self.assertEqual(kind.description[-1], ".")


class KindsTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(*CASES)
    def test_every_kind(self, name, kind):
        height, width, channels = SIZES[name] if name != "imagenet_c" else (48, 40, 3)
        images = smooth_images(3, height, width, channels)
        severities = lib.severities_of(name)
        results = [corrupt(images, kind, severity, name) for severity in severities]
        for result in results:
            self.assertEqual((result.shape, result.dtype), (images.shape, images.dtype))
            self.assertAllInRange(result, 0, 1)
            self.assertAllClose(255 * result, np.rint(255 * result), atol=1e-3)  # 8 bits
            self.assertNotAllClose(result, images)
        errors = [np.mean(np.square(result - images)) for result in results]
        if kind not in NOT_MONOTONE:
            self.assertEqual(errors, sorted(errors))
        elif kind not in ("elastic_transform", "saturate"):
            self.assertGreaterEqual(errors[-1], errors[0])
        # The same for the same seed, in batches of another size; other draws for another seed.
        parts = [corrupt(images[i:j], kind, severities[-1], name, first_index=i) for i, j in ((0, 1), (1, 3))]
        self.assertAllEqual(np.concatenate(parts), results[-1])
        other = corrupt(images, kind, severities[-1], name, seed=1)
        self.assertEqual(np.any(other != results[-1]), kind not in ALIKE)

    @parameterized.parameters(*CASES)
    def test_other_sizes_and_channels(self, name, kind):
        shape = (28, 28, 1) if SIZES[name][-1] == 3 else (32, 32, 3)
        for count, (height, width, channels) in ((2, shape), (1, (5, 3, 3)), (1, (1, 1, 1)), (0, (8, 8, 3))):
            images = np.random.default_rng(0).random((count, height, width, channels)).astype(np.float16)
            result = corrupt(images, kind, lib.severities_of(name)[-1], name)
            self.assertEqual((result.shape, result.dtype), (images.shape, images.dtype))
            self.assertAllInRange(result, 0, 1)

    @parameterized.parameters("glass_blur", "fog", "snow", "spatter", "elastic_transform", "motion_blur")
    def test_images_of_imagenet(self, kind):
        images = smooth_images(1, 224, 224, 3)
        result = corrupt(images, kind, 5, "imagenet_c")
        self.assertAllInRange(result, 0, 1)
        self.assertGreater(np.abs(result - images).mean(), 0.005)

    @parameterized.parameters(("fog", "cifar10_c", 3), ("gaussian_noise", "cifar10_c", 5), ("zigzag", "mnist_c", 1))
    def test_in_a_pipeline(self, kind, name, severity):
        images = smooth_images(5, 12, 12, 1)
        whole = corrupt(images, kind, severity, name, seed=3)
        for batch_size in (2, 5):
            source = tf.data.Dataset.from_tensor_slices((images, np.arange(5))).batch(batch_size)
            dataset = lib.corrupted(source, kind, severity, seed=3, strengths=name)
            self.assertEqual(dataset.element_spec, source.element_spec)
            found = np.concatenate([batch for batch, _ in dataset.as_numpy_iterator()])
            self.assertAllEqual(found, whole)

    def test_rejects(self):
        images = smooth_images(2, 8, 8, 1)
        for arguments, message in (
            (("fog", 1, "ours"), "corruption must be one of .'brightness', .*'shot_noise'., got 'fog'"),
            (("occlusion", 1, "cifar10_c"), "corruption must be one of .*'elastic_transform'.* got 'occlusion'"),
            (
                ("fog", 1, "cifar_c"),
                "strengths must be one of .'cifar10_c', 'imagenet_c', 'mnist_c', 'ours'., got 'cif",
            ),
            (("fog", 6, "cifar10_c"), r"severity must be an integer from 1 \(slight\) to 5 \(strong\), got 6"),
            (("fog", 3, "mnist_c"), "severity must be 1, the only one of mnist_c, got 3"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                corrupt(images, *arguments)
        with self.assertRaisesRegex(ValueError, r"wanted images of 1 or 3 channels, got shape \(2, 8, 8, 2\)"):
            corrupt(np.repeat(images, 2, -1), "fog", 1, "cifar10_c")

    def test_pairs_to_train_on(self):
        images = smooth_images(4, 8, 8, 1)
        source = tf.data.Dataset.from_tensors((images, np.arange(4))).repeat(3)
        pairs = data.noisy_pairs(source, ["brightness"], seed=0, strengths="mnist_c", clean_share=0)
        for batch, _ in pairs:
            self.assertAllClose(batch["images"], np.minimum(images + 0.5, 1), atol=1 / 255)
            self.assertAllEqual(batch["clean"], images)
        with self.assertRaisesRegex(ValueError, r"severities among \(1,\), at least one each, got .* \(2,\)"):
            data.noisy_pairs(source, ["fog"], (2,), seed=0, strengths="mnist_c")


class ValuesTest(parameterized.TestCase, tf.test.TestCase):
    """Against what the kinds mean, by other means."""

    def test_noises(self):
        images = np.full((4, 64, 64, 3), 102 / 255, np.float32)
        for severity, sigma in ((1, 0.04), (5, 0.10)):
            noise = corrupt(images, "gaussian_noise", severity, "cifar10_c") - images
            self.assertAllClose(noise.std(), sigma, rtol=0.02)
        for severity, photons in ((1, 500), (5, 50)):
            noise = corrupt(images, "shot_noise", severity, "cifar10_c") - images
            self.assertAllClose(noise.var(), 0.4 / photons, rtol=0.04)
        noise = corrupt(images, "speckle_noise", 5, "cifar10_c") - images
        self.assertAllClose(noise.std(), 0.4 * 0.2, rtol=0.02)
        result = corrupt(images, "impulse_noise", 5, "cifar10_c")
        self.assertAllClose([np.mean(result == 0), np.mean(result == 1)], [0.035, 0.035], atol=0.003)

    def test_brightness_and_saturation_are_those_of_hsv(self):
        images = smooth_images(1, 6, 6, 3)
        images[0, 0, 0], images[0, 0, 1] = 0, 0.2
        for severity, amount, (factor, added) in ((1, 0.05, (0.3, 0)), (5, 0.3, (2.5, 0.2))):
            bright, saturated = np.empty_like(images), np.empty_like(images)
            for place in np.ndindex(1, 6, 6):
                hue, saturation, value = colorsys.rgb_to_hsv(*images[place].astype(float))
                bright[place] = colorsys.hsv_to_rgb(hue, saturation, min(1, value + amount))
                saturated[place] = colorsys.hsv_to_rgb(hue, min(1, factor * saturation + added), value)
            self.assertAllClose(corrupt(images, "brightness", severity, "cifar10_c"), bright, atol=1.01 / 255)
            self.assertAllClose(corrupt(images, "saturate", severity, "cifar10_c"), saturated, atol=1.01 / 255)

    @parameterized.parameters(1, 3)
    def test_jpeg_and_pixels_are_those_of_pillow(self, channels):
        images = smooth_images(1, 32, 32, channels)
        pixels = np.rint(255 * images[0]).astype(np.uint8).squeeze()
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=40)
        self.assertAllClose(
            255 * corrupt(images, "jpeg_compression", 5, "cifar10_c")[0].squeeze(),
            np.asarray(Image.open(file)),
            atol=1e-3,
        )
        small = Image.fromarray(pixels).resize((20, 20), Image.Resampling.BOX).resize((32, 32), Image.Resampling.BOX)
        self.assertAllClose(
            255 * corrupt(images, "pixelate", 5, "cifar10_c")[0].squeeze(), np.asarray(small), atol=1e-3
        )

    def test_blurs_of_a_point(self):
        point = np.zeros((1, 33, 33, 3), np.float32)
        point[0, 16, 16] = 1
        # A disc of radius 0.3 is one pixel; its edge is softened by a Gaussian of 0.4 over 3x3 pixels.
        taps = np.exp(-0.5 * np.square(np.arange(-1, 2) / 0.4))
        kernel = np.outer(taps, taps) / taps.sum() ** 2
        found = corrupt(point, "defocus_blur", 1, "cifar10_c")[0, 15:18, 15:18, 0]
        self.assertAllClose(found, kernel, atol=1 / 255)
        disc = corrupt(point, "defocus_blur", 5, "cifar10_c")[0, ..., 0]  # of radius 1.5: 3x3 pixels
        self.assertAllClose(disc[15:18, 15:18], np.full((3, 3), 1 / 9), atol=1 / 255)
        self.assertEqual(np.count_nonzero(disc), 9)
        # Smeared to the other side of where it looks, at most 45 degrees from the horizontal, fading like a Gaussian.
        smeared = corrupt(point, "motion_blur", 1, "cifar10_c")[0, ..., 0]
        self.assertAllClose(smeared.sum(), 1, atol=0.02)
        rows, columns = np.nonzero(smeared)
        self.assertAllInRange(columns - 16, -4, 0)
        self.assertAllLessEqual(np.abs(rows - 16) + columns - 16, 0)
        weights = np.exp(-0.5 * np.square(np.arange(7)))
        self.assertAllClose(smeared[16, 16], weights[0] / weights.sum(), atol=1.01 / 255)

    def test_zoom_is_a_mean_of_enlargements(self):
        image = np.ones((1, 32, 32, 1), np.float32)
        self.assertAllClose(corrupt(image, "zoom_blur", 5, "cifar10_c"), image, atol=1.01 / 255)
        image[0, :, 16:] = 0
        ramp = corrupt(image, "zoom_blur", 5, "cifar10_c")[0, 10, :, 0]
        self.assertAllLessEqual(np.diff(ramp), 1 / 255)
        self.assertAllClose([ramp[0], ramp[31]], [1, 0], atol=1.01 / 255)

    def test_glass_moves_pixels_by_one(self):
        image = np.zeros((1, 33, 33, 1), np.float32)
        image[0, 16, 16] = 1
        result = corrupt(image, "glass_blur", 1, "cifar10_c")  # the Gaussian does nothing
        self.assertEqual(np.count_nonzero(result), 1)  # swapped, in grey
        self.assertAllClose(result.max(), 1)
        colours = smooth_images(1, 32, 32, 3)
        result = corrupt(colours, "glass_blur", 1, "cifar10_c")
        known = {tuple(np.rint(255 * colour)) for colour in colours.reshape(-1, 3)}
        self.assertContainsSubset({tuple(np.rint(255 * colour)) for colour in result.reshape(-1, 3)}, known)
        self.assertAllEqual(result[:, :2, :], colours[:, :2, :])  # the first rows stay

    def test_fog_is_a_cloud(self):
        cloud = weather.plasma(32, 3, np.random.default_rng(0))
        self.assertEqual((cloud.min(), cloud.max(), cloud.shape), (0, 1, (32, 32)))
        seam, beside = np.abs(cloud[-1] - cloud[0]).mean(), np.abs(np.diff(cloud, axis=0)).mean()
        self.assertLess(seam, 2 * beside)  # a torus
        images = np.full((2, 32, 32, 1), 0.4, np.float32)
        result = corrupt(images, "fog", 5, "cifar10_c")
        # (0.4 + 1.5 cloud) 0.4 / (0.4 + 1.5), a cloud from 0 to 1
        self.assertAllClose(result.min((1, 2, 3)), [0.4 * 0.4 / 1.9] * 2, atol=1.01 / 255)
        self.assertAllClose(result.max((1, 2, 3)), [0.4] * 2, atol=1.01 / 255)

    def test_elastic_transform_moves_but_does_not_change(self):
        image = np.full((1, 32, 32, 3), 0.6, np.float32)
        for severity in lib.SEVERITIES:
            self.assertAllClose(corrupt(image, "elastic_transform", severity, "cifar10_c"), image, atol=1.01 / 255)

    def test_snow_and_drops_on_black(self):
        black = np.zeros((3, 32, 32, 3), np.float32)
        result = corrupt(black, "snow", 5, "cifar10_c")
        self.assertAllClose(result, result[:, ::-1, ::-1], atol=1.01 / 255)  # the layer and itself upside down
        self.assertAllGreaterEqual(result, 0.2 * 0.5 - 1 / 255)  # 1 - weight of grey
        water = corrupt(black, "spatter", 3, "cifar10_c")
        self.assertAllClose(water.max((0, 1, 2)), np.array([175, 238, 238]) / 255 * 0.5, atol=1.01 / 255)
        mud = corrupt(black + 1, "spatter", 5, "cifar10_c")
        self.assertAllClose(mud.min((0, 1, 2)), np.array([63, 42, 20]) / 255, atol=0.2)
        self.assertGreater(np.mean(mud == 1), 0.5)

    def test_frost_wants_its_pictures(self):
        folder = pathlib.Path(self.create_tempdir().full_path)
        images = np.full((6, 32, 32, 3), 0.2, np.float32)
        with mock.patch.dict(os.environ):
            os.environ.pop(weather.FROST_VARIABLE, None)
            for value, message in (
                (None, "FROST_PICTURES, which is not set"),
                (str(folder), "where frost1.png .*cannot be found"),
            ):
                os.environ |= {weather.FROST_VARIABLE: value} if value else {}
                with self.assertRaisesRegex(ValueError, f"take them from .*hendrycks/robustness.*{message}"):
                    corrupt(images, "frost", 1, "cifar10_c")
                self.assertEqual([*lib.lacking("cifar10_c")], ["frost"])
                self.assertEmpty(lib.lacking("mnist_c"))
            for number, name in enumerate(weather.FROST_PICTURES):
                Image.new("RGB", (200, 180), (50 * number, 0, 100)).save(folder / name)
            self.assertEmpty(lib.lacking("cifar10_c"))
            result = corrupt(images, "frost", 1, "cifar10_c")
            for image in result:  # one of the pictures, all over
                self.assertAllClose(image, np.broadcast_to(image[0, 0], image.shape), atol=3 / 255)
            self.assertAllInSet(np.rint((result[:, 0, 0, 0] - 0.2) * 255 / 0.2 / 50), np.arange(5))
            self.assertAllClose(result[:, 0, 0, 2], [0.2 + 0.2 * 100 / 255] * 6, atol=2 / 255)
            self.assertEqual(corrupt(images[..., :1], "frost", 5, "imagenet_c").shape, (6, 32, 32, 1))

    def test_digits(self):
        digit = np.zeros((8, 28, 28, 1), np.float32)
        digit[:, 10:18, 12:20] = 1
        moved = {
            tuple(np.argwhere(image[..., 0] > 0.99)[0] - [10, 12])
            for image in corrupt(digit, "translate", 1, "mnist_c")
        }
        self.assertContainsSubset(moved, {(a, b) for a in (-3, 3) for b in (-3, 3)})
        self.assertGreater(len(moved), 1)
        self.assertAllClose(corrupt(digit, "scale", 1, "mnist_c").sum() / digit.sum(), 0.49, atol=0.03)
        self.assertAllClose(corrupt(digit, "rotate", 1, "mnist_c").sum() / digit.sum(), 1, atol=0.03)
        self.assertAllClose(corrupt(digit, "shear", 1, "mnist_c").sum() / digit.sum(), 1 / np.cos(0.4), atol=0.03)
        striped = corrupt(digit, "stripe", 1, "mnist_c")
        self.assertAllEqual(striped[:, :, [*range(7), *range(21, 28)]], 1 - digit[:, :, [*range(7), *range(21, 28)]])
        self.assertAllEqual(striped[:, :, 7:21], digit[:, :, 7:21])
        outline = corrupt(digit, "canny_edges", 1, "mnist_c")[0, ..., 0]
        self.assertAllInSet(outline, [0, 1])
        self.assertBetween(outline.sum(), 24, 60)  # around, and neither inside nor outside
        self.assertEqual(outline[12:16, 14:18].sum() + outline[:8].sum() + outline[:, 23:].sum(), 0)

    def test_lines(self):
        black = np.zeros((6, 28, 28, 1), np.float32)
        dotted = corrupt(black, "dotted_line", 1, "mnist_c")[..., 0]
        on = dotted.max(1) > 0
        self.assertAllEqual(on, np.broadcast_to((np.arange(28) // 2 % 2 == 1) & (np.arange(28) < 27), on.shape))
        zigzag = corrupt(black, "zigzag", 1, "mnist_c")[..., 0]
        self.assertAllEqual(zigzag[..., :1], np.zeros((6, 28, 1)))
        self.assertGreater(np.mean(zigzag.max(1)[:, 4:22] > 0.2), 0.7)

    def test_outlines(self):
        image = np.zeros((9, 9))
        image[:, 5:] = 100
        found = shapes.edges(image, low=50, high=150, norm=1, border=True)
        self.assertAllEqual(found, np.broadcast_to(np.isin(np.arange(9), (4, 5)), (9, 9)))
        self.assertFalse(shapes.edges(image / 100, low=50, high=150, norm=1, border=True).any())


if __name__ == "__main__":
    tf.test.main()
