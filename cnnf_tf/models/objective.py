"""The one training objective, shared by `fit` and every other loop.

For a trajectory of K + 1 passes, the loss is

    mean over the K + 1 passes of CE(logits_t, label)
    + r * mean over the K feedback passes and over taps of MSE(reconstruction of the tap, tap on the first pass)

where the taps are h and what the network's `Tap` layers recorded. As in the authors' code gradients flow through both
sides of the reconstruction term. Where other targets are given, as for images that are corrupted or adversarial, they
take the place of the first pass's: those of the clean images.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from keras import ops

from cnnf_tf.layers.base import Tensor, at_least_float32
from cnnf_tf.models.unroll import Trajectory


class Losses(NamedTuple):
    """Terms of the objective; scalars, batch means."""

    total: Tensor
    """What training minimises."""
    passes: list[Tensor]
    """Classification loss of each of the K + 1 passes."""
    reconstruction: Tensor
    """The reconstruction term before its weight; 0 when K = 0."""


def reconstruction_targets(trajectory: Trajectory) -> list[Tensor]:
    """h and taps of the first pass: what feedback should reconstruct."""
    return [trajectory.features[0], *trajectory.taps[0]]


def reconstruction_loss(trajectory: Trajectory, targets: Sequence[Tensor] | None = None) -> Tensor:
    """Mean over feedback passes and over h and taps of the mean squared error; float32 scalar, 0 when K = 0.

    Args:
      trajectory: from `unroll` or `CNNF.infer`.
      targets: what to compare with, from `reconstruction_targets`; None for those of the trajectory itself.
    """
    targets = reconstruction_targets(trajectory) if targets is None else targets
    errors = [
        ops.mean(ops.square(at_least_float32(reconstruction) - at_least_float32(target)))
        for lowest, taps in zip(trajectory.reconstructions, trajectory.tap_reconstructions, strict=True)
        for reconstruction, target in zip([lowest, *taps], targets, strict=True)
    ]
    return ops.mean(ops.stack(errors)) if errors else ops.zeros(())


def trajectory_losses(
    trajectory: Trajectory,
    classification: Callable[[Tensor], Tensor],
    *,
    reconstruction_weight: float,
    targets: Sequence[Tensor] | None = None,
) -> Losses:
    """The objective.

    Args:
      trajectory: from `unroll` or `CNNF.infer`.
      classification: maps the logits of one pass, `[batch, classes]`, to a scalar loss against the labels.
      reconstruction_weight: r >= 0.
      targets: see `reconstruction_loss`.
    """
    passes = [classification(trajectory.logits[index]) for index in range(len(trajectory.features))]
    reconstruction = reconstruction_loss(trajectory, targets)
    total = ops.mean(ops.stack(passes)) + reconstruction_weight * reconstruction
    return Losses(total, passes, reconstruction)
