"""How far (h, y, z) is from being self-consistent: each the maximum given the other two (paper section 2.4)."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from cnnf_tf.generative.latents import flatten_latents
from cnnf_tf.layers import FeedbackComposite
from cnnf_tf.layers.base import Tensor
from cnnf_tf.models import CNNF, Trajectory
from cnnf_tf.models.adaptive import feature_residual, latent_flip_rate
from cnnf_tf.utils.batches import BatchRunner, Facts, Job
from cnnf_tf.utils.traces import traced


class SelfConsistency(NamedTuple):
    """What each iteration t = 1, ..., K changed; entry t - 1 of `[K, batch]` tensors, float32 or float64.

    All three are 0 at a self-consistent state.
    """

    label_changed: Tensor
    """1 where the argmax of the logits moved between pass t - 1 and pass t, else 0."""
    latent_flip_rate: Tensor
    """Share of all latents, z_R and z_P, that differ between pass t - 1 and pass t (0 in a network without latents).
    A pool that picks another unit of a window flips two latents."""
    feature_residual: Tensor
    """|h - g(0)| / |h| with h the features of pass t - 1 and g(0) their reconstruction in iteration t: what the
    iteration set out to remove. (Afterwards the distance to that g(0) is `1 - eta` times as large, always.)"""


def self_consistency(trajectory: Trajectory, network: FeedbackComposite) -> SelfConsistency:
    """Reads the self-consistency of every example and iteration from a trajectory. A pure function.

    Args:
      trajectory: what `models.unroll` or `CNNF.infer` returned.
      network: the network that made it.

    Returns:
      Tensors `[K, batch]`, with K = 0 rows for the trajectory of a plain CNN.

    Raises:
      ValueError: the latents of another network.
    """
    labels = ops.argmax(trajectory.logits, axis=-1)
    dtype = trajectory.logits.dtype
    label_changed = ops.cast(labels[1:] != labels[:-1], dtype)
    if not trajectory.reconstructions:
        return SelfConsistency(label_changed, label_changed, label_changed)
    latents = [list(flatten_latents(network, entry).values()) for entry in trajectory.latents]
    pairs = zip(latents[:-1], latents[1:], strict=True)
    flips = [latent_flip_rate(before, after, label_changed[0]) for before, after in pairs]
    steps = zip(trajectory.features[:-1], trajectory.reconstructions, strict=True)
    residuals = [feature_residual(features, reconstruction) for features, reconstruction in steps]
    return SelfConsistency(label_changed, ops.cast(ops.stack(flips), dtype), ops.cast(ops.stack(residuals), dtype))


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

    @classmethod
    def from_facts(cls, facts: Facts) -> "SelfConsistencySummary":
        """What the facts of a `self_consistency_job` come to; ValueError if all images are masked out."""
        mask = facts["mask"]
        if not mask.any():
            raise ValueError(_EMPTY)
        # Rows are taken, not weighed: what padding computes may be anything, NaN included.
        means = {name: facts[name][mask].mean(axis=0, dtype=np.float64).tolist() for name in SelfConsistency._fields}
        return cls(int(mask.sum()), **means)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class _Masked:
    """Batches of (images, mask), bool `[batch]`, from those of `summarize_self_consistency`."""

    dataset: tf.data.Dataset

    def __iter__(self) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        for batch in self.dataset:
            images, _, mask = keras.utils.unpack_x_y_sample_weight(batch)
            mask = np.ones(int(images.shape[0])) if mask is None else np.asarray(mask)
            if mask.shape != (int(images.shape[0]),) or not np.isin(mask, (0, 1)).all():
                raise ValueError(f"the mask must be one 0 or 1 for each of the {images.shape[0]} images, got {mask!r}.")
            yield images, tf.constant(mask.astype(bool))

    def cardinality(self) -> tf.Tensor:
        """As the data set's."""
        return self.dataset.cardinality()


_EMPTY = "the data set to summarise is empty or masked out; wanted at least one image."


def self_consistency_job(
    model: CNNF,
    dataset: tf.data.Dataset,
    *,
    iterations: int | None = None,
    eta: float | Mapping[str, float] | None = None,
    name: str = "self-consistency",
) -> Job:
    """`summarize_self_consistency`, see there, as a job: to be done on several devices, in parts, or with other jobs.

    Its facts are the fields of `SelfConsistency`, `[images, K]`, and `mask`, bool `[images]`.
    """
    measure = traced(_measure, model, iterations, tuple(eta.items()) if isinstance(eta, Mapping) else eta)
    return Job(name, _Masked(dataset), lambda images, mask, indices: measure(images, mask), if_empty=_EMPTY)


def _measure(model: CNNF, iterations: int | None, eta: Any, images: tf.Tensor, mask: tf.Tensor) -> dict[str, tf.Tensor]:
    eta = dict(eta) if isinstance(eta, tuple) else eta
    found = self_consistency(model.infer(images, iterations=iterations, eta=eta), model.network)
    return {"mask": mask} | {name: tf.transpose(values) for name, values in found._asdict().items()}


def summarize_self_consistency(
    model: CNNF,
    dataset: tf.data.Dataset,
    *,
    iterations: int | None = None,
    eta: float | Mapping[str, float] | None = None,
    runner: BatchRunner = BatchRunner(),  # noqa: B008 - frozen
) -> SelfConsistencySummary:
    """Runs a model over a data set and averages what `self_consistency` says.

    Args:
      model: a CNNF.
      dataset: batches of images in [0, 1], alone or as `(images, labels)` or `(images, labels, mask)`; the mask,
        `[batch]`, is 1 for images that count and 0 for padding.
      iterations: K; the model's own by default.
      eta: a number or a mapping, as in `CNNF`; the model's own step sizes by default.
      runner: how the batches are shared out: `BatchRunner(strategy=...)` for several devices.

    Raises:
      ValueError: an empty data set (or an all-zero mask), a mask other than 0 and 1, images that do not fit the model.
    """
    job = self_consistency_job(model, dataset, iterations=iterations, eta=eta)
    return SelfConsistencySummary.from_facts(runner.run(job))
