"""How far (h, y, z) is from being self-consistent: each the maximum given the other two (paper section 2.4)."""

from typing import NamedTuple

from keras import ops

from cnnf_tf.generative.latents import flatten_latents
from cnnf_tf.layers import FeedbackSequential
from cnnf_tf.layers.base import Tensor
from cnnf_tf.models import Trajectory
from cnnf_tf.models.agreement import feature_residual, latent_flip_rate


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
    latents = [list(flatten_latents(network, entry).values()) for entry in trajectory.latents]
    pairs = zip(latents[:-1], latents[1:], strict=True)
    flips = [latent_flip_rate(before, after, label_changed[0]) for before, after in pairs]
    steps = zip(trajectory.features[:-1], trajectory.reconstructions, strict=True)
    residuals = [feature_residual(features, reconstruction) for features, reconstruction in steps]
    return SelfConsistency(label_changed, ops.cast(ops.stack(flips), dtype), ops.cast(ops.stack(residuals), dtype))
