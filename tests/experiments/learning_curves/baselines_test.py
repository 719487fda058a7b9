"""The baselines: by hand, against each other, and what is ours around scikit-learn's."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from sklearn.exceptions import ConvergenceWarning

from cnnf_tf.experiments.learning_curves.baselines import gaussian_naive_bayes, logistic_regression


def toy(num_images=90, num_classes=4, seed=0):
    """Images `[m, 20]` in [0, 1] whose first pixel is always 0, and labels that depend on them."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(size=(num_images, 20))
    images[:, 0] = 0
    labels = (images[:, 4:].sum(axis=1) + 0.8 * rng.standard_normal(num_images)).astype(int) % num_classes
    return images, labels


class GaussianNaiveBayesTest(tf.test.TestCase, parameterized.TestCase):
    def test_by_hand(self):
        """One pixel, labels 0 0 1 1 1: means 1 and 5, variances 1 and 6, pooled (2 * 1 + 3 * 6) / 5 = 4."""
        images, labels = np.array([[0.0], [2.0], [2.0], [5.0], [8.0]]), np.array([0, 0, 1, 1, 1])
        model = gaussian_naive_bayes(images, labels, var_smoothing=0)
        self.assertAllClose(model.theta_, [[1], [5]])
        self.assertAllClose(model.var_, [[1], [6]])
        wanted = [np.log(0.4) - np.log(2 * np.pi) / 2 - 2, np.log(0.6) - np.log(2 * np.pi * 6) / 2 - 4 / 12]
        self.assertAllClose(model.predict_joint_log_proba([[3.0]]), [wanted], rtol=1e-12)
        shared = gaussian_naive_bayes(images, labels, var_smoothing=0, shared_variance=True)
        self.assertAllClose(shared.var_, [[4], [4]])

    @parameterized.parameters(False, True)
    def test_floor_is_a_share_of_the_largest_variance(self, shared):
        images, labels = toy()
        model = gaussian_naive_bayes(images, labels, var_smoothing=0.25, shared_variance=shared)
        floor = 0.25 * images.var(axis=0).max()
        self.assertAllClose(model.var_[:, 0], np.full(4, floor), rtol=1e-12)  # the pixel that is always 0

    @parameterized.parameters(False, True)
    def test_classes_without_images_are_never_predicted(self, shared):
        images, labels = toy()
        kept = labels != 2
        model = gaussian_naive_bayes(images[kept], labels[kept], var_smoothing=0.01, shared_variance=shared)
        self.assertTrue(np.isfinite(model.predict_joint_log_proba(images)).all())
        self.assertContainsSubset(set(model.predict(images)), {0, 1, 3})

    def test_shared_variances_give_a_logistic_regression(self):
        """log p(y | x) - log p(0 | x) is linear in x: W = mu / sigma^2, b = log p(y) - mu^2 / (2 sigma^2)."""
        images, labels = toy()
        model = gaussian_naive_bayes(images, labels, var_smoothing=0.01, shared_variance=True)
        bias = np.log(model.class_prior_) - (model.theta_**2 / (2 * model.var_)).sum(axis=1)
        logits = images @ (model.theta_ / model.var_).T + bias
        self.assertAllClose(tf.nn.log_softmax(logits), model.predict_log_proba(images), rtol=0, atol=1e-9)
        self.assertAllEqual(logits.argmax(-1), model.predict(images))


class LogisticRegressionTest(tf.test.TestCase):
    def test_is_a_minimum(self):
        """At the optimum X^T (p - onehot(y)) + l2 W = 0 and the mean posterior is the class frequency."""
        images, labels = toy()
        model = logistic_regression(images, labels, l2=3.0, tolerance=1e-7)
        excess = model.predict_proba(images) - np.eye(4)[labels]
        self.assertAllClose(images.T @ excess + 3.0 * model.coef_.T, np.zeros((20, 4)), atol=1e-4)
        self.assertAllClose(excess.sum(axis=0), np.zeros(4), atol=1e-4)

    def test_deterministic(self):
        images, labels = toy()
        first, second = (logistic_regression(images, labels, l2=1.0) for _ in range(2))
        self.assertAllEqual(first.coef_, second.coef_)

    def test_classes_without_images_are_never_predicted(self):
        images, labels = toy()
        kept = labels != 2
        model = logistic_regression(images[kept], labels[kept], l2=1.0)
        self.assertContainsSubset(set(model.predict(images)), {0, 1, 3})

    def test_a_fit_that_is_not_finished_is_an_error(self):
        with self.assertRaisesRegex(ConvergenceWarning, "failed to converge"):
            logistic_regression(*toy(), l2=1.0, max_iterations=1)


if __name__ == "__main__":
    tf.test.main()
