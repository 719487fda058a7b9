"""Restoration: PSNR and SSIM against NumPy, what is restored, the baselines, the figure."""

import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import CNNF, data, layers
from cnnf_tf.evaluation.restoration import quality as lib
from cnnf_tf.evaluation.restoration.restorers import denoising_autoencoder, median_filter
from tests.models import fixtures_models

SHAPE = (12, 13, 1)


def small_model(seed=0, **kwargs):
    keras.utils.set_random_seed(seed)
    network = layers.FeedbackSequential(
        [
            layers.FeedbackConv2D(3, name="conv1"),
            layers.AdaReLU(name="ada_relu1"),
            layers.FeedbackFlatten(name="flatten"),
            layers.FeedbackDense(3, use_bias=True, name="fc"),
        ],
        name="network",
    )
    return CNNF(network, **({"image_shape": SHAPE, "eta": 0.3} | kwargs))


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).random(shape).astype("float32")


def small_dataset(count, batch_size):
    return tf.data.Dataset.from_tensor_slices((random_images(count, *SHAPE), fixtures_models.labels(count))).batch(
        batch_size
    )


def numpy_psnr(pictures, clean):
    return -10 * np.log10(np.mean(np.square(np.float64(pictures) - clean), axis=(1, 2, 3)))


class RestorationTest(parameterized.TestCase, tf.test.TestCase):
    def test_psnr_matches_numpy(self):
        clean, other = random_images(4, 16, 11, 3), random_images(4, 16, 11, 3, seed=1)
        self.assertAllClose(lib.image_qualities(other, clean)[:, 0], numpy_psnr(other, clean), rtol=1e-5)
        by_hand = lib.image_qualities(np.full((1, 11, 11, 1), 0.6), np.full((1, 11, 11, 1), 0.5))
        self.assertAllClose(by_hand[:, 0], [20.0], rtol=1e-5)  # a mean squared error of 0.01

    def test_ssim_matches_numpy(self):
        # One window: an image of 11x11, seen through a Gaussian of deviation 1.5 (Wang et al. 2004, equation 13).
        x, y = np.float64(random_images(11, 11)), np.float64(random_images(11, 11, seed=1))
        window = np.exp(-0.5 * np.square((np.arange(11) - 5) / 1.5))
        window = np.outer(window, window) / window.sum() ** 2
        mean_x, mean_y = np.sum(window * x), np.sum(window * y)
        covariance = np.sum(window * x * y) - mean_x * mean_y
        variances = np.sum(window * (x**2 + y**2)) - mean_x**2 - mean_y**2
        wanted = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
        wanted *= (2 * covariance + 9e-4) / (variances + 9e-4)
        found = lib.image_qualities(x[np.newaxis, ..., np.newaxis], y[np.newaxis, ..., np.newaxis])
        self.assertAllClose(found[0, 1], wanted, rtol=1e-4)

    def test_equal_images_are_finite(self):
        clean = random_images(2, 11, 12, 1)
        self.assertAllClose(lib.image_qualities(clean, clean), [[lib.MOST_DECIBELS, 1.0]] * 2)

    def test_restored_is_what_the_loop_made(self):
        model, images = fixtures_models.model(), fixtures_models.images(3)
        trajectory = model.infer(images, iterations=4)
        for name, pictures in (
            ("reconstruction", [trajectory.reconstructions[0], trajectory.reconstructions[3]]),
            ("features", [trajectory.features[1], trajectory.features[4]]),
        ):
            found = lib.restore(model, images, iterations=(1, 4), restored=name)
            self.assertAllClose(found, np.clip(0.5 + 0.5 * np.stack(pictures), 0, 1), atol=1e-6)

    def test_still_model_keeps_the_corrupted_image_in_h(self):
        result = lib.evaluate_restoration(
            small_model(eta=0.0), small_dataset(5, 3), corruption="gaussian_noise", severity=2, iterations=(1, 3)
        )
        for quality in result.restored["features"]:
            self.assertAllClose([quality.psnr, quality.ssim], [result.corrupted.psnr, result.corrupted.ssim], rtol=1e-4)

    @parameterized.parameters(1, 3, 7)
    def test_matches_numpy_whatever_the_batches(self, batch_size):
        model, progress = small_model(), []
        result = lib.evaluate_restoration(
            model,
            small_dataset(7, batch_size),
            corruption="shot_noise",
            severity=4,
            seed=2,
            iterations=(1, 2),
            baselines={"median": median_filter, "grey": lambda images: tf.fill(tf.shape(images), 0.5)},
            progress=progress.append,
        )
        self.assertEqual((result.num_images, sum(progress)), (7, 7))
        clean = random_images(7, *SHAPE)
        noisy = data.corrupt(clean, "shot_noise", 4, seed=2)
        self.assertAllClose(result.corrupted.psnr, numpy_psnr(noisy, clean).mean(), rtol=1e-4)
        self.assertAllClose(result.baselines["median"].psnr, numpy_psnr(median_filter(noisy), clean).mean(), rtol=1e-4)
        self.assertAllClose(
            result.baselines["grey"].psnr, numpy_psnr(np.full_like(clean, 0.5), clean).mean(), rtol=1e-4
        )
        for name, qualities in result.restored.items():
            for pictures, quality in zip(
                lib.restore(model, noisy, iterations=(1, 2), restored=name), qualities, strict=True
            ):
                self.assertAllClose(quality.psnr, numpy_psnr(pictures, clean).mean(), rtol=1e-4)
                self.assertAllClose(quality.ssim, np.mean(tf.image.ssim(pictures, clean, 1.0)), atol=1e-4)

    def test_table_and_dict(self):
        result = lib.RestorationQuality(
            8,
            "shot_noise",
            3,
            0,
            (1, 5),
            lib.Quality(12.345, 0.5),
            {"reconstruction": [lib.Quality(1, 0.1), lib.Quality(2, 0.2)]},
            {"median": lib.Quality(20, 0.75)},
        )
        lines = result.table().splitlines()
        self.assertLen({len(line) for line in lines}, 1)
        self.assertEqual([line.split()[-2:] for line in lines[1:3]], [["12.35", "0.5000"], ["20.00", "0.7500"]])
        self.assertEqual(lines[4].split(), ["reconstruction,", "iteration", "5", "2.00", "0.2000"])
        found = json.loads(json.dumps(result.to_dict()))
        self.assertEqual(found["restored"]["reconstruction"][1], {"psnr": 2, "ssim": 0.2})
        self.assertEqual(found["iterations"], [1, 5])

    def test_figure(self):
        clean = random_images(3, 12, 12, 3)
        noisy = np.clip(clean + 0.1, 0, 1)
        folder = pathlib.Path(self.create_tempdir().full_path)
        for name, truth in (("a", clean), ("b", clean), ("c", None)):
            lib.restoration_figure(
                folder / f"{name}.png",
                noisy,
                np.stack([noisy, clean]),
                truth,
                iterations=(1, 2),
                title="title",
                column_titles=("x", "y", "z"),
                baselines={"median": noisy},
            )
        self.assertEqual((folder / "a.png").read_bytes()[:4], b"\x89PNG")
        self.assertEqual((folder / "a.png").read_bytes(), (folder / "b.png").read_bytes())
        self.assertNotEqual((folder / "a.png").read_bytes(), (folder / "c.png").read_bytes())
        for images, restored in ((noisy[:0], [noisy, noisy]), (noisy, [noisy])):
            with self.assertRaisesRegex(
                ValueError, r"wants at least one image and a restored batch for each of \(1, 2"
            ):
                lib.restoration_figure(folder / "d.png", images, restored, None, iterations=(1, 2), title="t")
        both = np.stack([noisy, noisy])
        for wrong in (
            {"clean": clean[:1]},
            {"restored": both[:, :2]},
            {"baselines": {"median": noisy[:1]}},
            {"column_titles": ("x",)},
        ):
            options = {"noisy": noisy, "restored": both, "clean": clean, "iterations": (1, 2), "title": "t"} | wrong
            with self.assertRaisesRegex(ValueError, "wants equally many images in each row, got .'corrupted': 3"):
                lib.restoration_figure(folder / "d.png", **options)
        self.assertFalse((folder / "d.png").exists())

    def test_qualities_reject(self):
        image = random_images(3, *SHAPE)
        for one, other in ((image[0], image[0]), (image[:1], image), (image, image[:, :11]), (image, image[:2])):
            with self.assertRaisesRegex(ValueError, r"want two batches \[batch, height.* of one shape, got \("):
                lib.image_qualities(one, other)
        with self.assertRaisesRegex(ValueError, "want floats in .0, 1., got float32 and uint8; divide uint8 by 255"):
            lib.image_qualities(image, image.astype("uint8"))

    def test_rejects(self):
        def evaluate(model, dataset, **kwargs):
            lib.evaluate_restoration(model, dataset, **({"corruption": "contrast", "severity": 1} | kwargs))

        with self.assertRaisesRegex(
            ValueError, r"whose h is the image \(encoder_blocks = 0\), but this one has an encoder"
        ):
            evaluate(fixtures_models.model(with_encoder=True), fixtures_models.dataset())
        with self.assertRaisesRegex(ValueError, "encoder"):
            lib.restore(fixtures_models.model(with_encoder=True), fixtures_models.images(1), iterations=(1,))
        with self.assertRaisesRegex(ValueError, "at least 11x11 pixels, the window of SSIM; got 8x8"):
            evaluate(fixtures_models.model(), fixtures_models.dataset())
        with self.assertRaisesRegex(ValueError, "at least 11x11"):
            lib.image_qualities(fixtures_models.images(1), fixtures_models.images(1))
        model, dataset = small_model(), small_dataset(2, 2)
        for wrong in ((), (2, 1), (1, 1)):
            with self.assertRaisesRegex(ValueError, "iterations wants ascending integers, each at least 1, got"):
                evaluate(model, dataset, iterations=wrong)
        for wrong in (5, None, "12"):
            with self.assertRaisesRegex(ValueError, "iterations wants a sequence of integers such as"):
                evaluate(model, dataset, iterations=wrong)
        for wrong in ((0, 1), (True,), (1.5,), (1, "a")):
            with self.assertRaisesRegex(ValueError, "each of iterations must be a positive integer"):
                evaluate(model, dataset, iterations=wrong)
        with self.assertRaisesRegex(ValueError, "corruption must be one of"):
            evaluate(model, dataset, corruption="fog")
        with self.assertRaisesRegex(ValueError, "severity must be an integer from 1 .* got 9"):
            evaluate(model, dataset, severity=9)
        with self.assertRaisesRegex(ValueError, r"wants images \(12, 13, 1\), those of the model, got \(8, 8, 1\)"):
            evaluate(model, fixtures_models.dataset())
        with self.assertRaisesRegex(ValueError, "wanted float images .* got uint8"):
            evaluate(model, dataset.map(lambda images, labels: (tf.cast(images, tf.uint8), labels)))
        with self.assertRaisesRegex(ValueError, "restoration wants a CNNF, got a Sequential"):
            evaluate(keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten()]), dataset)
        with self.assertRaisesRegex(ValueError, "two batches .* of one shape"):
            evaluate(model, dataset, baselines={"cut": lambda images: images[:, :, :11]})
        with self.assertRaisesRegex(ValueError, "the data set to restore is empty"):
            evaluate(model, dataset.take(0))
        with self.assertRaisesRegex(ValueError, r"restored must be one of .'features', 'reconstruction'., got 'x'"):
            lib.restore(model, random_images(1, *SHAPE), iterations=(1,), restored="x")


class BaselinesTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.product(size=(1, 3, 5), shape=((2, 9, 8, 3), (1, 2, 5, 1)))
    def test_median_matches_numpy(self, size, shape):
        images = random_images(*shape)
        reach = size // 2
        padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
        self.assertAllEqual(median_filter(tf.constant(images), size), np.median(windows, axis=(-2, -1)))

    def test_median_rejects(self):
        images = tf.constant(random_images(1, 2, 5, 1))
        for size in (2, 4, 7):
            with self.assertRaisesRegex(ValueError, f"an odd size, at most 5 for images of 2x5, got {size}"):
                median_filter(images, size)
        with self.assertRaisesRegex(ValueError, "size must be a positive integer, got 0"):
            median_filter(images, 0)
        with self.assertRaisesRegex(ValueError, r"median_filter wants images \[batch, .* got shape \(2, 5, 1\)"):
            median_filter(images[0])

    def test_autoencoder_is_as_large_as_the_convolutions_of_the_network(self):
        model = CNNF.from_name("fashion_cnn", image_shape=(28, 28, 1), network={})
        convolutions = [layer for layer in model.network.children() if layer.name.startswith("conv")]
        theirs = sum(layer.count_params() for layer in convolutions)
        self.assertLen(convolutions, 4)
        self.assertAllClose(denoising_autoencoder((28, 28, 1)).count_params() / theirs, 1.0, atol=0.03)

    def test_autoencoder_learns(self):
        keras.utils.set_random_seed(0)
        x = np.linspace(0, 1, 12, dtype="float32")
        clean = np.stack([np.outer(x**a, x**b) for a in (0.2, 1, 3) for b in (0.2, 1, 3)])[..., np.newaxis]
        dataset = tf.data.Dataset.from_tensor_slices((clean, np.zeros(9))).batch(9).repeat(60)
        model = denoising_autoencoder((12, 12, 1), filters=(8, 8))
        pairs = data.corrupted(dataset, "gaussian_noise", 3, seed=1, keep_clean=True)
        losses = model.fit(pairs, epochs=2, verbose=0).history["loss"]
        self.assertLess(losses[1], 0.7 * losses[0])
        noisy = data.corrupt(clean, "gaussian_noise", 3, seed=2)
        restored = model(noisy)
        self.assertEqual(restored.shape, noisy.shape)
        self.assertAllInRange(restored, 0, 1)
        self.assertGreater(numpy_psnr(restored, clean).mean(), numpy_psnr(noisy, clean).mean())

    def test_autoencoder_rejects(self):
        with self.assertRaisesRegex(ValueError, "at least one hidden layer, got none"):
            denoising_autoencoder((8, 8, 1), filters=())
        with self.assertRaisesRegex(ValueError, "filters must be a positive integer, got 0"):
            denoising_autoencoder((8, 8, 1), filters=(4, 0))
        with self.assertRaisesRegex(ValueError, r"image_shape must be \(height, width, channels\), got \(8, 8\)"):
            denoising_autoencoder((8, 8))
        with self.assertRaisesRegex(ValueError, "each of image_shape must be a positive integer, got None"):
            denoising_autoencoder((None, 8, 1))


if __name__ == "__main__":
    tf.test.main()
