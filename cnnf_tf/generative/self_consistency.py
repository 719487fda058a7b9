"""How far (h, y, z) is from being self-consistent: each the maximum given the other two (paper section 2.4)."""

from typing import NamedTuple

from keras import ops

from cnnf_tf.generative.latents import flatten_latents
from cnnf_tf.layers import FeedbackSequential
from cnnf_tf.layers.base import Tensor, at_least_float32
from cnnf_tf.models import Trajectory


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


def self_consistency(trajectory: Trajectory, network: FeedbackSequential) -> SelfConsistency:
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
    latents = [_as_rows(network, entry) for entry in trajectory.latents]
    pairs = zip(latents[:-1], latents[1:], strict=True)
    flips = [_flip_rate(before, after, label_changed[0]) for before, after in pairs]
    steps = zip(trajectory.features[:-1], trajectory.reconstructions, strict=True)
    residuals = [_residual(features, reconstruction) for features, reconstruction in steps]
    return SelfConsistency(label_changed, ops.cast(ops.stack(flips), dtype), ops.cast(ops.stack(residuals), dtype))


def _as_rows(network: FeedbackSequential, latents: list) -> list[Tensor]:
    """Each layer's latents as `[batch, units]`; what taps recorded is no latent."""
    return [_rows(value) for value in flatten_latents(network, latents).values()]


def _rows(values: Tensor) -> Tensor:
    units = 1
    for size in values.shape[1:]:
        units *= size
    return at_least_float32(ops.reshape(values, (-1, units)))


def _flip_rate(before: list[Tensor], after: list[Tensor], like: Tensor) -> Tensor:
    if not before:
        return ops.zeros_like(like)
    flipped = [ops.sum(ops.cast(old != new, old.dtype), axis=-1) for old, new in zip(before, after, strict=True)]
    return sum(flipped[1:], start=flipped[0]) / sum(old.shape[-1] for old in before)


def _residual(features: Tensor, reconstruction: Tensor) -> Tensor:
    features, reconstruction = _rows(features), _rows(reconstruction)
    norm = ops.norm(features, axis=-1)
    # An all-zero h has no scale of its own: the residual is then |g(0)| itself.
    return ops.norm(features - reconstruction, axis=-1) / ops.where(norm > 0, norm, ops.ones_like(norm))
