"""Does the CNN-F know what it has not been trained on? Scores per image, and how well they tell two sets apart.

Every score is larger for images that the model takes for its own. With y-hat and z-hat the label and the latents that
inference ended with after K iterations, and h the network's own input (not what the iterations made of it):

    log p(h, y, z)     log-probability of (h, y-hat, z-hat) in the generative model, in nats
    log p(z | y)       its part from the latents
    log p(h | y, z)    its part from the features, Normal(h; g(0; y-hat, z-hat), sigma^2)
    max softmax        largest class probability: the usual baseline (Hendrycks and Gimpel, arXiv:1610.02136)
    -residual          minus |h - g(0)| / |h| of the last iteration; only for K >= 1

Sigma weighs the parts of the first score against each other; the ranking by the others does not depend on it.
`fit_scale` gives its value of maximum likelihood, in closed form.
"""

import dataclasses
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.evaluation.figures import save_png
from cnnf_tf.generative import DeconvolutionalGenerativeModel, self_consistency
from cnnf_tf.generative.deconvolutional import sum_terms
from cnnf_tf.layers.base import Tensor
from cnnf_tf.models import CNNF, READOUTS, Trajectory
from cnnf_tf.utils.batches import SECONDS, BatchRunner, Facts, Job
from cnnf_tf.utils.plotting import new_figure
from cnnf_tf.utils.tables import aligned
from cnnf_tf.utils.traces import traced


@dataclasses.dataclass(frozen=True)
class Separation:
    """How well one score tells images of the model's own kind from others.

    Attributes:
      auroc: probability that an own image scores higher than another one; ties count half. 0.5 is chance; below it,
        the model takes the other images for more its own than its own.
      false_positive_rate_95: share of the other images still accepted where 95 % of the own ones are.
      own_median: median score of the own images.
      other_median: median score of the other images.
    """

    auroc: float
    false_positive_rate_95: float
    own_median: float
    other_median: float

    def to_dict(self) -> dict[str, float]:
        """For JSON."""
        return dataclasses.asdict(self)


def fit_scale(model: CNNF, batches: Iterable[Any], *, iterations: int | None = None) -> float:
    """The sigma, one for all of h, that maximises the likelihood of h given y-hat and z-hat over some images.

    In closed form, sigma^2 = mean over images and units of (h - g(0; y-hat, z-hat))^2.

    Args:
      model: a CNNF.
      batches: images in [0, 1], `[batch, height, width, channels]`, alone or as `(images, labels)`.
      iterations: K of the inference; the model's own by default.

    Raises:
      ValueError: no image, or images that the model renders without any error.
    """
    squares = traced(_squares, model, iterations)
    total, count = 0.0, 0
    size = np.prod(model.network.get_build_config()["input_shape"][1:])
    for images in map(_images, batches):
        total += float(squares(images))
        count += int(images.shape[0] * size)
    if count == 0:
        raise ValueError("there are no images to fit sigma to; wanted at least one.")
    if not total > 0 or not np.isfinite(total):
        raise ValueError(f"sigma cannot be fitted: the mean squared error of g(0) is {total / count}, wanted above 0.")
    return float(np.sqrt(total / count))


def score_job(
    model: CNNF,
    generative: DeconvolutionalGenerativeModel,
    batches: Iterable[Any],
    *,
    iterations: int | None = None,
    name: str = "scores",
) -> Job:
    """`image_scores`, see there, as a job, for several devices or in parts; its facts are the scores, float32."""
    score = traced(_scores, model, generative, iterations)
    empty = "there are no images to score; wanted at least one."
    return Job(name, batches, lambda images, *rest: score(images), if_empty=empty)


def image_scores(
    model: CNNF,
    generative: DeconvolutionalGenerativeModel,
    batches: Iterable[Any],
    *,
    iterations: int | None = None,
    runner: BatchRunner = BatchRunner(),  # noqa: B008 - frozen
) -> dict[str, np.ndarray]:
    """Scores images; see the module docstring.

    Args:
      model: a CNNF.
      generative: its generative model, with the sigma to use.
      batches: images in [0, 1], `[batch, height, width, channels]`, alone or as `(images, labels)`.
      iterations: K of the inference; the model's own by default.
      runner: how the batches are shared out: `BatchRunner(strategy=...)` for several devices.

    Returns:
      By name of the score, float64 `[images]`.

    Raises:
      ValueError: no image, or images that do not fit the model.
    """
    return scores_of(runner.run(score_job(model, generative, batches, iterations=iterations)))


def scores_of(facts: Facts) -> dict[str, np.ndarray]:
    """What the facts of a `score_job` come to; see `image_scores`."""
    return {name: values.astype(np.float64) for name, values in facts.items() if name != SECONDS}


def separation(own: Any, other: Any) -> Separation:
    """How well a score tells two sets of images apart.

    Args:
      own: scores of images of the model's own kind, `[n]`.
      other: scores of other images, `[m]`.

    Raises:
      ValueError: empty, not of rank 1, or not finite.
    """
    own, other = _checked("own", own), _checked("other", other)
    threshold = np.quantile(own, 0.05, method="lower")
    return Separation(
        auroc=auroc(own, other),
        false_positive_rate_95=float(np.mean(other >= threshold)),
        own_median=float(np.median(own)),
        other_median=float(np.median(other)),
    )


def auroc(own: Any, other: Any) -> float:
    """The area under the ROC curve: P(own > other) + P(own = other) / 2 over all pairs.

    Args:
      own: scores `[n]` that should be high.
      other: scores `[m]` that should be low.

    Raises:
      ValueError: empty, not of rank 1, or not finite.
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(*_labelled(own, other)))


def roc_curve(own: Any, other: Any) -> tuple[np.ndarray, np.ndarray]:
    """Shares accepted as the threshold falls: of the other images (x) and of the own ones (y), both from 0 to 1.

    Raises:
      ValueError: empty, not of rank 1, or not finite.
    """
    from sklearn.metrics import roc_curve as shares

    return shares(*_labelled(own, other))[:2]


def separation_table(found: dict[str, Separation]) -> str:
    """A table with a row for each score."""
    rows = [("score", "AUROC", "FPR at 95 %", "median, own", "median, other")]
    for name, value in found.items():
        medians = (f"{value.own_median:.4g}", f"{value.other_median:.4g}")
        rows.append((name, f"{value.auroc:.4f}", f"{100 * value.false_positive_rate_95:.1f} %", *medians))
    return aligned(rows)


def separation_figure(
    path: str | os.PathLike[str],
    own: dict[str, np.ndarray],
    other: dict[str, np.ndarray],
    *,
    title: str,
    names: tuple[str, str],
) -> None:
    """Writes a PNG: the histogram of log p(h, y, z) of both sets, and the ROC curve of every score.

    Args:
      path: file to write.
      own: scores of the own images by name, as `image_scores` returns them.
      other: the same for the other images.
      title: heading of the figure.
      names: of the two sets.
    """
    figure = new_figure(11.0, 3.8)
    left, right = figure.subplots(1, 2)
    score = "log p(h, y, z)"
    bins = np.histogram_bin_edges(np.concatenate([own[score], other[score]]), 60)
    for values, name, colour in zip((own[score], other[score]), names, ("#1f4e79", "#c55a11"), strict=True):
        left.hist(values, bins, weights=np.full(values.size, 1 / values.size), alpha=0.6, label=name, color=colour)
    left.set_xlabel(f"{score} in nats", fontsize=9)
    left.set_ylabel("share of images", fontsize=9)
    left.legend(fontsize=8)
    right.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name in own:
        area = auroc(own[name], other[name])
        right.plot(*roc_curve(own[name], other[name]), label=f"{name}: {area:.3f}", linewidth=1.4)
    right.set_xlabel(f"{names[1]} accepted", fontsize=9)
    right.set_ylabel(f"{names[0]} accepted", fontsize=9)
    right.set_title("ROC curves and their areas (0.5 is chance)", fontsize=9)
    right.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    for axis in (left, right):
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
    figure.suptitle(title, fontsize=11)
    save_png(figure, path)


def uniform_noise(count: int, image_shape: tuple[int, int, int], *, seed: int) -> np.ndarray:
    """Images whose pixels are independent and uniform in [0, 1), float32 `[count, *image_shape]`."""
    return np.random.default_rng(seed).random((count, *image_shape), np.float32)


def handwritten_digits(count: int, image_shape: tuple[int, int, int]) -> np.ndarray:
    """The first of scikit-learn's 1,797 handwritten digits (8x8), enlarged bilinearly; nothing is downloaded.

    Args:
      count: images wanted; fewer come back if there are fewer.
      image_shape: height, width and channels to bring them to.

    Returns:
      float32 in [0, 1], `[min(count, 1797), *image_shape]`.
    """
    from sklearn.datasets import load_digits

    images = load_digits().images[:count, ..., None].astype(np.float32) / 16
    height, width, channels = image_shape
    return match_channels(np.clip(tf.image.resize(images, (height, width)), 0, 1), channels)


def match_channels(images: Any, channels: int) -> np.ndarray:
    """Colour to grey as the mean of the channels, grey to colour by repetition; `[batch, height, width, channels]`."""
    images = np.asarray(images)
    if images.shape[-1] == channels:
        return images
    return np.repeat(images.mean(-1, keepdims=True), channels, axis=-1)


def _squares(model: CNNF, iterations: int | None, images: tf.Tensor) -> tf.Tensor:
    features, labels, latents = _state(model.infer(images, iterations=iterations))
    one_hot = tf.one_hot(labels, model.num_classes, dtype=model.network.compute_dtype)
    reconstruction, _ = model.network.feedback(one_hot, latents)
    return tf.reduce_sum(tf.square(tf.cast(features, tf.float32) - tf.cast(reconstruction, tf.float32)))


def _scores(
    model: CNNF, generative: DeconvolutionalGenerativeModel, iterations: int | None, images: tf.Tensor
) -> dict[str, tf.Tensor]:
    trajectory = model.infer(images, iterations=iterations)
    terms = generative.log_prob_terms(*_state(trajectory))
    inside = [value for name, value in terms.items() if name not in ("label", "features")]
    scores = {
        "log p(h, y, z)": sum_terms(terms.values()),
        "log p(z | y)": sum_terms(inside) if inside else tf.zeros_like(terms["label"]),
        "log p(h | y, z)": terms["features"],
        "max softmax": tf.reduce_max(tf.nn.softmax(READOUTS[model.readout](trajectory.logits)), -1),
    }
    if trajectory.reconstructions:
        scores["-residual"] = -self_consistency(trajectory, model.network).feature_residual[-1]
    return scores


def _state(trajectory: Trajectory) -> tuple[Tensor, Tensor, Any]:
    """h of the input, y-hat and z-hat of the last pass."""
    labels = tf.argmax(trajectory.logits[-1], -1, output_type=tf.int32)
    return trajectory.features[0], labels, trajectory.latents[-1]


def _images(batch: Any) -> Any:
    return batch[0] if isinstance(batch, (tuple, list)) else batch


def _labelled(own: Any, other: Any) -> tuple[np.ndarray, np.ndarray]:
    """1 for the own scores and 0 for the others, beside all of them."""
    own, other = _checked("own", own), _checked("other", other)
    return np.repeat([1, 0], [own.size, other.size]), np.concatenate([own, other])


def _checked(name: str, scores: Any) -> np.ndarray:
    values = np.asarray(scores, np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"{name}: wanted finite scores of rank 1, at least one, got shape {values.shape}: {values!r}.")
    return values
