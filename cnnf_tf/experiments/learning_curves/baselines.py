"""Gaussian naive Bayes and logistic regression: the generative-discriminative pair of Ng & Jordan.

A. Y. Ng and M. I. Jordan, "On discriminative vs. generative classifiers: a comparison of logistic regression and naive
Bayes", NIPS 14, 2002. Symbols: x the pixels of an image in [0, 1], y its label, m the number of training images.

Naive Bayes models p(y) prod_i N(x_i; mu_iy, sigma_iy^2). With variances shared by the classes, sigma_iy = sigma_i, as
in that paper, its posterior p(y | x) is a softmax of linear functions of x, so that logistic regression is the same
family of classifiers fitted to p(y | x) alone. With a variance for each class the posterior is quadratic in x; that is
scikit-learn's `GaussianNB`.

Classes that no training image has get prior probability 0: log-probability -inf, never predicted.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions

_CHUNK = 256
"""Images at a time in `predict`; `[images, classes, pixels]` is held in memory."""
_NEVER = -1e30
"""Logit of a class without training images while the others are fitted; finite, so that gradients are 0 and not NaN."""


@dataclasses.dataclass(frozen=True)
class GaussianNaiveBayes:
    """p(x, y) with independent Gaussian pixels in each class.

    Attributes:
      prior: p(y), the shares of the training labels.
      pixels: p(x | y), batch shape `[classes]`, event shape `[pixels]`.
    """

    prior: Any
    pixels: Any

    @classmethod
    def fit(
        cls,
        images: Any,
        labels: Any,
        *,
        num_classes: int,
        var_smoothing: float = 1e-9,
        shared_variance: bool = False,
    ) -> "GaussianNaiveBayes":
        """The maximum of the likelihood, in closed form and float64, with a floor under the variances.

        Args:
          images: `[m, ...]`, flattened to `[m, pixels]`.
          labels: `[m]`, integers in [0, num_classes).
          num_classes: number of labels there are.
          var_smoothing: >= 0; this times the largest variance of any pixel over the training set is added to every
            variance (scikit-learn's rule). Must be > 0 where a pixel never changes.
          shared_variance: whether one variance per pixel, pooled within the classes, serves all classes.

        Raises:
          ValueError: empty or unequal inputs, labels out of range, negative smoothing, or a variance of 0.
        """
        pixels, labels = _check(images, labels, num_classes)
        if not var_smoothing >= 0:
            raise ValueError(f"var_smoothing must be >= 0, got {var_smoothing!r}.")
        floor = var_smoothing * pixels.var(axis=0).max()
        counts = np.bincount(labels, minlength=num_classes)
        means, variances = np.zeros((2, num_classes, pixels.shape[1]))
        for label in np.flatnonzero(counts):
            mine = pixels[labels == label]
            means[label], variances[label] = mine.mean(axis=0), mine.var(axis=0)
        if shared_variance:
            variances[:] = (counts[:, None] * variances).sum(axis=0) / len(labels)
        variances[counts == 0] = 1.0  # never used: the prior of these classes is 0
        present = variances[counts > 0] + floor
        if present.min() <= 0:
            raise ValueError(
                f"{int((present <= 0).sum())} variances are 0 (pixels that never change within a class) and "
                f"var_smoothing is {var_smoothing!r}; wanted a floor > 0 under them."
            )
        variances[counts > 0] = present
        return cls(
            prior=tfd.Categorical(probs=tf.constant(counts / len(labels), tf.float64)),
            pixels=tfd.Independent(tfd.Normal(tf.constant(means), tf.constant(np.sqrt(variances))), 1),
        )

    @property
    def mixture(self) -> Any:
        """p(x), to sample from or to score images with; event shape `[pixels]`."""
        return tfd.MixtureSameFamily(self.prior, self.pixels)

    def log_joint(self, images: Any) -> tf.Tensor:
        """log p(x, y) in nats for every y; float64 `[n, classes]`, -inf for classes without training images."""
        log_likelihood = self.pixels.log_prob(tf.constant(_flatten(images))[:, None, :])
        return log_likelihood + tf.math.log(self.prior.probs_parameter())

    def predict(self, images: Any) -> np.ndarray:
        """The most probable label of each image; int64 `[n]`."""
        pixels = _flatten(images)
        parts = [self.log_joint(pixels[at : at + _CHUNK]).numpy().argmax(-1) for at in range(0, len(pixels), _CHUNK)]
        return np.concatenate(parts)


@dataclasses.dataclass(frozen=True)
class LogisticRegression:
    """p(y | x) = softmax(x W + b): the conditional counterpart of naive Bayes with shared variances.

    Attributes:
      weights: W, float64 `[pixels, classes]`.
      bias: b, float64 `[classes]`; -inf for classes without training images.
      iterations: L-BFGS iterations that the fit took.
    """

    weights: np.ndarray
    bias: np.ndarray
    iterations: int

    @classmethod
    def fit(
        cls,
        images: Any,
        labels: Any,
        *,
        num_classes: int,
        l2: float = 1.0,
        tolerance: float = 1e-5,
        max_iterations: int = 2000,
    ) -> "LogisticRegression":
        """Minimises  sum over images of -log p(y | x)  +  l2 / 2 |W|^2  with L-BFGS from 0, in float64.

        This is the MAP estimate under W ~ N(0, 1 / l2) with a flat prior on b, and what scikit-learn calls C = 1 / l2.
        The function is convex and there is no randomness.

        Args:
          images: `[m, ...]`, flattened to `[m, pixels]`.
          labels: `[m]`, integers in [0, num_classes).
          num_classes: number of labels there are; those without images take no part.
          l2: > 0.
          tolerance: it has converged when no component of the gradient of the function above, divided by m, is larger.
          max_iterations: a fit that takes more has failed.

        Raises:
          ValueError: empty or unequal inputs, labels out of range, l2 <= 0, or no convergence.
        """
        pixels, labels = _check(images, labels, num_classes)
        if not l2 > 0:
            raise ValueError(f"l2 must be > 0, got {l2!r}.")
        present = np.isin(np.arange(num_classes), labels)
        found = _minimize(
            tf.constant(pixels),
            tf.constant(labels),
            tf.constant(present),
            tf.constant(l2 / (2 * len(labels)), tf.float64),
            tf.constant(tolerance, tf.float64),
            tf.constant(max_iterations),
            size=(pixels.shape[1] + 1, num_classes),
        )
        worst = float(tf.reduce_max(tf.abs(found.objective_gradient)))
        if not worst <= tolerance:
            raise ValueError(
                f"logistic regression on {len(labels)} images did not converge: the gradient is {worst:.1e} after "
                f"{int(found.num_iterations)} iterations, wanted at most {tolerance:.1e}. A larger l2 (now {l2}) helps."
            )
        weights = found.position.numpy().reshape(-1, num_classes)
        weights, bias = weights[:-1], np.where(present, weights[-1], -np.inf)
        return cls(weights=weights, bias=bias, iterations=int(found.num_iterations))

    def log_posterior(self, images: Any) -> tf.Tensor:
        """log p(y | x) in nats; float64 `[n, classes]`, -inf for classes without training images."""
        return tf.nn.log_softmax(tf.constant(_flatten(images) @ self.weights + self.bias))

    def predict(self, images: Any) -> np.ndarray:
        """The most probable label of each image; int64 `[n]`."""
        return (_flatten(images) @ self.weights + self.bias).argmax(-1)


@tf.function(autograph=False, reduce_retracing=True)
def _minimize(
    pixels: tf.Tensor,
    labels: tf.Tensor,
    present: tf.Tensor,
    penalty: tf.Tensor,
    tolerance: tf.Tensor,
    max_iterations: tf.Tensor,
    *,
    size: tuple[int, int],
) -> Any:
    """L-BFGS on the regularised mean cross-entropy; one trace serves every m. Position: W, then b as a last row."""

    def loss(position: tf.Tensor) -> tf.Tensor:
        w = tf.reshape(position, size)
        logits = tf.where(present, pixels @ w[:-1] + w[-1], tf.constant(_NEVER, tf.float64))
        cross_entropy = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        return cross_entropy + penalty * tf.reduce_sum(tf.square(w[:-1]))

    return tfp.optimizer.lbfgs_minimize(
        lambda position: tfp.math.value_and_gradient(loss, position),
        initial_position=tf.zeros([size[0] * size[1]], tf.float64),
        tolerance=tolerance,
        max_iterations=max_iterations,
    )


def _flatten(images: Any) -> np.ndarray:
    images = np.asarray(images, np.float64)
    return images.reshape(len(images), -1)


def _check(images: Any, labels: Any, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels `[m, pixels]`, float64, and labels `[m]`, int64."""
    labels = np.asarray(labels)
    if len(images) == 0 or labels.shape != (len(images),):
        raise ValueError(f"wanted a label for each of at least one image, got {len(images)} images, {labels.shape=}.")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(f"labels must be integers in [0, {num_classes}), got {np.unique(labels)}.")
    return _flatten(images), labels.astype(np.int64)
