"""Self-consistency over a data set: masked sums, divided once."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnnf_tf.generative.self_consistency import SelfConsistency, self_consistency
from cnnf_tf.models import CNNF


@dataclasses.dataclass(frozen=True)
class SelfConsistencySummary:
    """Means over the images of a data set; entry t - 1 of each list is iteration t.

    Attributes:
      num_images: images counted (the sum of the mask).
      label_changed: share of images whose label moved in the iteration.
      latent_flip_rate: mean share of latents that flipped.
      feature_residual: mean of |h - g(0)| / |h| at the start of the iteration.
    """

    num_images: int
    label_changed: list[float]
    latent_flip_rate: list[float]
    feature_residual: list[float]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)


def summarize_self_consistency(
    model: CNNF, dataset: tf.data.Dataset, *, iterations: int | None = None, step_size: float | None = None
) -> SelfConsistencySummary:
    """Runs a model over a data set and averages what `self_consistency` says.

    Args:
      model: a CNNF.
      dataset: batches of images in [0, 1], alone or as `(images, labels)` or `(images, labels, mask)`; the mask,
        `[batch]`, is 1 for images that count and 0 for padding.
      iterations: K; the model's own by default.
      step_size: eta; the model's own by default.

    Raises:
      ValueError: an empty data set (or an all-zero mask), a mask other than 0 and 1, images that do not fit the model.
    """

    @tf.function(reduce_retracing=True)
    def sums(images: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        found = self_consistency(model.infer(images, iterations=iterations, step_size=step_size), model.network)
        # `where`, not a product: what padding computes may be anything, NaN included.
        return tf.stack([tf.reduce_sum(tf.where(mask, values, tf.zeros_like(values)), axis=-1) for values in found])

    num_images = 0
    totals: Any = 0.0
    for batch in dataset:
        images, _, mask = keras.utils.unpack_x_y_sample_weight(batch)
        mask = np.ones(int(images.shape[0])) if mask is None else np.asarray(mask)
        if mask.shape != (int(images.shape[0]),) or not np.isin(mask, (0, 1)).all():
            raise ValueError(f"the mask must be one 0 or 1 for each of the {images.shape[0]} images, got {mask!r}.")
        totals = totals + sums(images, tf.constant(mask.astype(bool))).numpy().astype(np.float64)
        num_images += int(mask.sum())
    if num_images == 0:
        raise ValueError("the data set to summarise is empty or masked out; wanted at least one image.")
    means = SelfConsistency(*(totals / num_images).tolist())
    return SelfConsistencySummary(num_images, *means)
