"""Scores against the generative model called one image at a time, AUROC against brute force, the other data sets."""

import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf import evaluation
from cnnf_tf.evaluation import out_of_distribution as ood
from cnnf_tf.generative import self_consistency
from tests.models import fixtures_models


class AurocTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((1, 1), (7, 5), (40, 60))
    def test_matches_brute_force_with_ties(self, own_count, other_count):
        rng = np.random.default_rng(own_count)
        own, other = rng.integers(0, 6, own_count) + 1.0, rng.integers(0, 6, other_count) * 1.0
        pairs = [(a > b) + 0.5 * (a == b) for a in own for b in other]
        self.assertAlmostEqual(evaluation.auroc(own, other), float(np.mean(pairs)), places=12)
        self.assertAlmostEqual(evaluation.auroc(other, own), 1 - float(np.mean(pairs)), places=12)

    def test_ends_and_chance(self):
        self.assertEqual(evaluation.auroc([2, 3], [0, 1]), 1.0)
        self.assertEqual(evaluation.auroc([0, 1], [2, 3]), 0.0)
        self.assertEqual(evaluation.auroc([1, 1, 1], [1, 1]), 0.5)

    def test_area_under_the_curve(self):
        rng = np.random.default_rng(0)
        own, other = rng.integers(0, 9, 50) + 2.0, rng.integers(0, 9, 70) * 1.0
        x, y = ood.roc_curve(own, other)
        self.assertEqual((x[0], y[0], x[-1], y[-1]), (0, 0, 1, 1))
        area = float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
        self.assertAlmostEqual(area, evaluation.auroc(own, other), places=12)

    def test_separation(self):
        found = evaluation.separation(np.arange(100), np.arange(-50, 50))
        # 95 of the own ones are at least 5 (the quantile's lower neighbour is 4): 46 of the others are, too.
        self.assertEqual(found.false_positive_rate_95, 0.46)
        self.assertEqual((found.own_median, found.other_median), (49.5, -0.5))
        self.assertIn("AUROC", ood.separation_table({"score": found}))

    @parameterized.parameters(([],), ([[1.0]],), ([np.nan],), ([np.inf, 1],))
    def test_bad_scores(self, scores):
        with self.assertRaisesRegex(ValueError, "other: wanted finite scores of rank 1"):
            evaluation.auroc([1.0], scores)


class ScoresTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(iterations=[0, 2], with_encoder=[False, True], batch_size=[1, 4])
    def test_matches_the_model_image_by_image(self, iterations, with_encoder, batch_size):
        model = fixtures_models.model(iterations=iterations, with_encoder=with_encoder)
        generative, _ = evaluation.generative_model(model, scale=0.7)
        found = evaluation.image_scores(model, generative, fixtures_models.dataset(5, batch_size))
        trajectory = model.infer(fixtures_models.images(5))
        labels = trajectory.logits[-1].numpy().argmax(-1)
        wanted = generative.log_prob(trajectory.features[0], labels, trajectory.latents[-1])
        self.assertAllClose(found["log p(h, y, z)"], wanted, rtol=1e-5)
        softmax = tf.nn.softmax(trajectory.logits[-1]).numpy().max(-1)
        self.assertAllClose(found["max softmax"], softmax, rtol=1e-5)
        self.assertEqual("-residual" in found, iterations > 0)
        if iterations:
            residual = self_consistency(trajectory, model.network).feature_residual[-1]
            self.assertAllClose(found["-residual"], -residual, rtol=1e-4)
        label = generative.prior.log_prob(labels)
        parts = found["log p(z | y)"] + found["log p(h | y, z)"] + label
        self.assertAllClose(found["log p(h, y, z)"], parts, rtol=1e-5)

    @parameterized.parameters(False, True)
    def test_scale_is_the_maximum_of_the_likelihood(self, with_encoder):
        model = fixtures_models.model(with_encoder=with_encoder)
        scale = evaluation.fit_scale(model, fixtures_models.dataset(10, 4))

        def likelihood(sigma):
            generative, _ = evaluation.generative_model(model, scale=sigma)
            return evaluation.image_scores(model, generative, fixtures_models.dataset(10, 4))["log p(h | y, z)"].sum()

        at_best = likelihood(scale)
        self.assertGreater(at_best, likelihood(0.97 * scale))
        self.assertGreater(at_best, likelihood(1.03 * scale))

    def test_no_images(self):
        model = fixtures_models.model()
        with self.assertRaisesRegex(ValueError, "no images to fit sigma to"):
            evaluation.fit_scale(model, fixtures_models.dataset().take(0))
        with self.assertRaisesRegex(ValueError, "no images to score"):
            evaluation.image_scores(model, evaluation.generative_model(model)[0], fixtures_models.dataset().take(0))

    def test_figure(self):
        rng = np.random.default_rng(0)
        own, other = ({name: rng.random(9) for name in ("log p(h, y, z)", "max softmax")} for _ in range(2))
        paths = [pathlib.Path(self.create_tempdir().full_path, f"{name}.png") for name in "xy"]
        for path in paths:
            ood.separation_figure(path, own, other, title="title", names=("a", "b"))
        self.assertEqual(paths[0].read_bytes(), paths[1].read_bytes())


class OtherImagesTest(tf.test.TestCase):
    def test_uniform_noise(self):
        images = ood.uniform_noise(3, (4, 5, 2), seed=1)
        self.assertEqual((images.shape, images.dtype), ((3, 4, 5, 2), np.float32))
        self.assertBetween(images.min(), 0, 1)
        self.assertAllEqual(images, ood.uniform_noise(3, (4, 5, 2), seed=1))
        self.assertNotAllClose(images, ood.uniform_noise(3, (4, 5, 2), seed=2))

    def test_digits(self):
        images = ood.handwritten_digits(6, (28, 28, 3))
        self.assertEqual(images.shape, (6, 28, 28, 3))
        self.assertBetween(images.min(), 0, 1)
        self.assertGreater(images.max(), 0.9)
        self.assertLen(ood.handwritten_digits(5000, (8, 8, 1)), 1797)

    def test_channels(self):
        images = np.random.default_rng(0).random((2, 3, 3, 3))
        grey = ood.match_channels(images, 1)
        self.assertAllClose(grey[..., 0], images.mean(-1))
        self.assertAllClose(ood.match_channels(grey, 3), np.repeat(grey, 3, -1))
        self.assertIs(ood.match_channels(images, 3), images)


if __name__ == "__main__":
    tf.test.main()
