"""Naive Bayes and logistic regression: against scikit-learn, by hand, and against each other."""

import importlib.util
import unittest

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from cnnf_tf.experiments.learning_curves import GaussianNaiveBayes, LogisticRegression

NEEDS_SKLEARN = unittest.skipUnless(importlib.util.find_spec("sklearn"), "scikit-learn is not installed (extra `dev`)")


def toy(num_images=90, num_classes=4, seed=0):
    """Images `[m, 5, 4, 1]` in [0, 1] whose first pixel is always 0, and labels that depend on them."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(size=(num_images, 5, 4, 1))
    images[:, 0, 0] = 0
    labels = (images[:, 1:].sum(axis=(1, 2, 3)) + 0.8 * rng.standard_normal(num_images)).astype(int) % num_classes
    return images, labels


class GaussianNaiveBayesTest(tf.test.TestCase, parameterized.TestCase):
    @NEEDS_SKLEARN
    @parameterized.parameters(1e-9, 1e-3, 0.1)
    def test_matches_scikit_learn(self, var_smoothing):
        from sklearn.naive_bayes import GaussianNB

        images, labels = toy()
        model = GaussianNaiveBayes.fit(images, labels, num_classes=4, var_smoothing=var_smoothing)
        theirs = GaussianNB(var_smoothing=var_smoothing).fit(images.reshape(90, -1), labels)
        new, _ = toy(40, seed=1)
        flat = new.reshape(40, -1)
        self.assertAllClose(model.prior.probs_parameter(), theirs.class_prior_, rtol=1e-12)
        self.assertAllClose(model.pixels.mean(), theirs.theta_, rtol=1e-12)
        self.assertAllClose(model.pixels.variance(), theirs.var_, rtol=1e-6, atol=0)
        self.assertAllClose(model.log_joint(new), theirs.predict_joint_log_proba(flat), rtol=1e-6, atol=0)
        self.assertAllEqual(model.predict(new), theirs.predict(flat))

    def test_by_hand(self):
        """One pixel, labels 0 0 1 1 1: means 1 and 5, variances 1 and 6, pooled (2 * 1 + 3 * 6) / 5 = 4."""
        images, labels = np.array([[0.0], [2.0], [2.0], [5.0], [8.0]]), np.array([0, 0, 1, 1, 1])
        model = GaussianNaiveBayes.fit(images, labels, num_classes=2, var_smoothing=0)
        self.assertAllClose(model.pixels.mean(), [[1], [5]])
        self.assertAllClose(model.pixels.variance(), [[1], [6]])
        wanted = [np.log(0.4) - np.log(2 * np.pi) / 2 - 2, np.log(0.6) - np.log(2 * np.pi * 6) / 2 - 4 / 12]
        self.assertAllClose(model.log_joint([[3.0]]), [wanted], rtol=1e-12)
        shared = GaussianNaiveBayes.fit(images, labels, num_classes=2, var_smoothing=0, shared_variance=True)
        self.assertAllClose(shared.pixels.variance(), [[4], [4]])

    def test_floor_is_a_share_of_the_largest_variance(self):
        images, labels = toy()
        model = GaussianNaiveBayes.fit(images, labels, num_classes=4, var_smoothing=0.25)
        floor = 0.25 * images.reshape(90, -1).var(axis=0).max()
        self.assertAllClose(model.pixels.variance()[:, 0], np.full(4, floor), rtol=1e-12)  # the pixel that is always 0

    def test_classes_without_images_are_never_predicted(self):
        images, labels = toy()
        kept = labels != 2
        for shared in (False, True):
            model = GaussianNaiveBayes.fit(
                images[kept], labels[kept], num_classes=6, var_smoothing=0.01, shared_variance=shared
            )
            joint = model.log_joint(images).numpy()
            self.assertTrue(np.isneginf(joint[:, [2, 4, 5]]).all())
            self.assertTrue(np.isfinite(joint[:, [0, 1, 3]]).all())
            self.assertContainsSubset(set(model.predict(images)), {0, 1, 3})

    def test_absent_classes_leave_the_others_alone(self):
        """Fitting with numbers of classes 4 and 9 gives the same joint probabilities of the four."""
        images, labels = toy()
        four, nine = (GaussianNaiveBayes.fit(images, labels, num_classes=count, var_smoothing=0.01) for count in (4, 9))
        self.assertAllClose(four.log_joint(images), nine.log_joint(images)[:, :4], rtol=1e-14)

    def test_mixture_is_the_marginal_of_the_joint(self):
        images, labels = toy()
        model = GaussianNaiveBayes.fit(images, labels, num_classes=4, var_smoothing=0.01)
        marginal = tf.reduce_logsumexp(model.log_joint(images), axis=-1)
        self.assertAllClose(model.mixture.log_prob(images.reshape(90, -1)), marginal, rtol=1e-12)
        self.assertEqual(model.mixture.sample(3, seed=0).shape, (3, 20))

    def test_shared_variances_give_a_logistic_regression(self):
        """log p(y | x) - log p(0 | x) is linear in x: W = mu / sigma^2, b = log p(y) - mu^2 / (2 sigma^2)."""
        images, labels = toy()
        model = GaussianNaiveBayes.fit(images, labels, num_classes=4, var_smoothing=0.01, shared_variance=True)
        means, variances = model.pixels.mean().numpy(), model.pixels.variance().numpy()
        bias = np.log(model.prior.probs_parameter()) - (means**2 / (2 * variances)).sum(axis=1)
        same = LogisticRegression(weights=(means / variances).T, bias=bias, iterations=0)
        posterior = tf.nn.log_softmax(model.log_joint(images))
        self.assertAllClose(same.log_posterior(images), posterior, rtol=0, atol=1e-9)
        self.assertAllEqual(same.predict(images), model.predict(images))

    def test_errors(self):
        images, labels = toy()
        with self.assertRaisesRegex(ValueError, "4 variances are 0 .*var_smoothing is 0"):
            GaussianNaiveBayes.fit(images, labels, num_classes=4, var_smoothing=0)
        with self.assertRaisesRegex(ValueError, "var_smoothing must be >= 0, got -1"):
            GaussianNaiveBayes.fit(images, labels, num_classes=4, var_smoothing=-1)


class LogisticRegressionTest(tf.test.TestCase):
    @NEEDS_SKLEARN
    def test_matches_scikit_learn(self):
        from sklearn import linear_model

        images, labels = toy()
        model = LogisticRegression.fit(images, labels, num_classes=4, l2=0.5, tolerance=1e-7)
        theirs = linear_model.LogisticRegression(C=2, tol=1e-9, max_iter=10_000).fit(images.reshape(90, -1), labels)
        new, _ = toy(40, seed=1)
        flat = new.reshape(40, -1)
        self.assertAllClose(np.exp(model.log_posterior(new)), theirs.predict_proba(flat), rtol=0, atol=1e-5)
        self.assertAllClose(model.weights, theirs.coef_.T, rtol=0, atol=1e-4)
        self.assertAllEqual(model.predict(new), theirs.predict(flat))

    def test_is_a_minimum(self):
        """At the optimum X^T (p - onehot(y)) + l2 W = 0 and the mean posterior is the class frequency."""
        images, labels = toy()
        model = LogisticRegression.fit(images, labels, num_classes=4, l2=3.0, tolerance=1e-7)
        excess = np.exp(model.log_posterior(images)) - np.eye(4)[labels]
        self.assertAllClose(images.reshape(90, -1).T @ excess + 3.0 * model.weights, np.zeros((20, 4)), atol=1e-5)
        self.assertAllClose(excess.sum(axis=0), np.zeros(4), atol=1e-5)

    def test_deterministic(self):
        images, labels = toy()
        first, second = (LogisticRegression.fit(images, labels, num_classes=4) for _ in range(2))
        self.assertAllEqual(first.weights, second.weights)

    def test_classes_without_images_are_never_predicted(self):
        images, labels = toy()
        kept = labels != 2
        model = LogisticRegression.fit(images[kept], labels[kept], num_classes=4)
        posterior = np.exp(model.log_posterior(images))
        self.assertAllEqual(posterior[:, 2], np.zeros(90))
        self.assertAllClose(posterior.sum(axis=1), np.ones(90))
        packed = LogisticRegression.fit(images[kept], np.unique(labels[kept], return_inverse=True)[1], num_classes=4)
        self.assertAllClose(posterior[:, [0, 1, 3]], np.exp(packed.log_posterior(images))[:, :3], atol=1e-4)

    def test_single_class(self):
        model = LogisticRegression.fit(np.ones((2, 20)), np.array([1, 1]), num_classes=4)
        self.assertAllEqual(model.predict(np.zeros((4, 20))), np.ones(4))

    def test_errors(self):
        images, labels = toy()
        for wrong, message in (
            ({"l2": 0.0}, "l2 must be > 0, got 0.0"),
            ({"max_iterations": 1}, "90 images did not converge: the gradient is .*after 1 iterations"),
            ({"num_classes": 2}, r"labels must be integers in \[0, 2\), got \[0 1 2 3\]"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                LogisticRegression.fit(images, labels, **({"num_classes": 4} | wrong))
        with self.assertRaisesRegex(ValueError, "labels must be integers"):
            LogisticRegression.fit(images, labels.astype(float), num_classes=4)
        with self.assertRaisesRegex(ValueError, "wanted a label for each of at least one image, got 90 images"):
            LogisticRegression.fit(images, labels[1:], num_classes=4)
        with self.assertRaisesRegex(ValueError, "at least one image, got 0 images"):
            LogisticRegression.fit(images[:0], labels[:0], num_classes=4)


if __name__ == "__main__":
    tf.test.main()
