"""The one training objective, shared by `fit` and every other loop.

For a trajectory of K + 1 passes, the loss is

    mean over the K + 1 passes of CE(logits_t, label)
    + r * mean over the K feedback passes and over taps of MSE(reconstruction of the tap, tap on the first pass)

where the taps are h and what the network's `Tap` layers recorded, and both terms are means over the batch. As in the
authors' code gradients flow through both sides of the reconstruction term. Where the images come with clean ones,
because they are corrupted or adversarial, the targets are the taps of the clean images. Adversarial training also
classifies the clean images, with a weight a >= 0: the first term becomes the mean over passes of
`(a CE(clean) + CE(adversarial)) / 2`, the authors' recipe.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from keras import ops, tree

from cnnf_tf.layers.base import Tensor, at_least_float32, custom_gradient
from cnnf_tf.models.unroll import Trajectory

Reduce = Callable[[Tensor], Tensor]
"""From the reconstruction errors of a batch, `[batch]`, to a scalar."""


class Losses(NamedTuple):
    """Terms of the objective; scalars, batch means."""

    total: Tensor
    """What training minimises."""
    passes: list[Tensor]
    """Classification loss of each of the K + 1 passes."""
    reconstruction: Tensor
    """The reconstruction term before its weight; 0 when K = 0."""


class Scored(NamedTuple):
    """A batch and its objective."""

    losses: Losses
    seen: Trajectory
    """Of the images the model was shown; without latents and signals where clean images went through beside them."""
    clean: Trajectory | None
    """Of the clean images, likewise; None where they are not classified."""


def reconstruction_targets(trajectory: Trajectory) -> list[Tensor]:
    """h and taps of the first pass: what feedback should reconstruct."""
    return [trajectory.features[0], *trajectory.taps[0]]


def reconstruction_errors(trajectory: Trajectory, targets: Sequence[Tensor] | None = None) -> Tensor:
    """The reconstruction term of each example: mean over feedback passes and over h and taps of the squared error.

    Args:
      trajectory: from `unroll` or `CNNF.infer`.
      targets: what to compare with, from `reconstruction_targets`; None for those of the trajectory itself.

    Returns:
      `[batch]`, at least float32; 0 when K = 0.
    """
    targets = reconstruction_targets(trajectory) if targets is None else targets
    found = zip(trajectory.reconstructions, trajectory.tap_reconstructions, strict=True)
    passes = [[lowest, *taps] for lowest, taps in found]
    errors = [_squared_errors(*places) for places in zip(targets, *passes, strict=True)] if passes else []
    return ops.mean(ops.stack(errors), axis=(0, 1)) if errors else ops.zeros_like(trajectory.logits[0, :, 0])


def reconstruction_loss(trajectory: Trajectory, targets: Sequence[Tensor] | None = None) -> Tensor:
    """The mean of `reconstruction_errors` over the batch, a scalar."""
    return ops.mean(reconstruction_errors(trajectory, targets))


@custom_gradient
def _squared_errors(target: Tensor, *found: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, ...]]]:
    """The mean squared errors of n tensors, `[n, batch]`, at least float32.

    The gradient of the target is summed as it arises. Automatic differentiation would keep its parts, one for each
    tensor, from the forward pass on until the last of all gradients.
    """
    axes = tuple(range(1, len(target.shape)))
    differences = [at_least_float32(tensor) - at_least_float32(target) for tensor in found]

    def gradient(upstream: Tensor) -> tuple[Tensor, ...]:
        units = ops.size(target) / ops.shape(target)[0]
        scale = ops.expand_dims(2 * upstream / ops.cast(units, upstream.dtype), [axis + 1 for axis in axes])
        pulls = [difference * scale[place] for place, difference in enumerate(differences)]
        return -ops.cast(sum(pulls), target.dtype), *(
            ops.cast(pull, tensor.dtype) for pull, tensor in zip(pulls, found, strict=True)
        )

    return ops.stack([ops.mean(ops.square(difference), axis=axes) for difference in differences]), gradient


def trajectory_losses(
    trajectory: Trajectory,
    classification: Callable[[Tensor], Tensor],
    *,
    reconstruction_weight: float,
    targets: Sequence[Tensor] | None = None,
    reduce: Reduce = ops.mean,
) -> Losses:
    """The objective of one trajectory.

    Args:
      trajectory: from `unroll` or `CNNF.infer`.
      classification: maps the logits of one pass, `[batch, classes]`, to a scalar loss against the labels.
      reconstruction_weight: r >= 0.
      targets: see `reconstruction_errors`.
      reduce: for where examples have weights.
    """
    passes = [classification(trajectory.logits[index]) for index in range(len(trajectory.features))]
    return _combine(passes, reduce(reconstruction_errors(trajectory, targets)), reconstruction_weight)


def batch_losses(
    infer: Callable[..., Trajectory],
    images: Tensor,
    classification: Callable[[Tensor], Tensor],
    *,
    reconstruction_weight: float,
    reduce: Reduce = ops.mean,
    clean: Tensor | None = None,
    clean_weight: float | None = None,
    training: bool = False,
    burn_in: Tensor | None = None,
) -> Scored:
    """Runs a batch and returns its objective.

    Args:
      infer: `CNNF.infer`.
      images: what the model is shown, `[batch, height, width, channels]` in [0, 1]: plain, corrupted or adversarial.
      classification: see `trajectory_losses`.
      reconstruction_weight: r >= 0.
      reduce: see `trajectory_losses`.
      clean: clean images of the same shape, whose h and taps are the targets of reconstruction; None for the images'
        own.
      clean_weight: a >= 0, for adversarial training; both kinds of images then make one batch. With 0 the clean images
        run up once, for the targets, and that is all. None where clean images, if any, are targets only.
      training: as in Keras.
      burn_in: see `unroll`.

    Raises:
      ValueError: a `clean_weight` below 0, or one without clean images.
    """
    if clean_weight is not None and (clean is None or clean_weight < 0):
        came = f"{clean_weight!r} {'without' if clean is None else 'with'} clean images"
        raise ValueError(f"clean_weight must be >= 0 and needs clean images, got {came}.")
    if not clean_weight:
        seen = infer(images, training=training, burn_in=burn_in)
        targets = None
        if clean is not None and seen.reconstructions:
            targets = reconstruction_targets(infer(clean, iterations=0, training=training))
        weight = 1.0 if clean_weight is None else 0.5
        losses = trajectory_losses(
            seen,
            lambda logits: weight * classification(logits),
            reconstruction_weight=reconstruction_weight,
            targets=targets,
            reduce=reduce,
        )
        return Scored(losses, seen, None)
    both = infer(ops.concatenate([clean, images]), training=training, burn_in=burn_in)
    first, second = _half(both, 0), _half(both, 1)
    passes = [
        (clean_weight * classification(first.logits[index]) + classification(second.logits[index])) / 2
        for index in range(len(both.features))
    ]
    reconstruction = reduce(reconstruction_errors(second, reconstruction_targets(first)))
    return Scored(_combine(passes, reconstruction, reconstruction_weight), second, first)


def _combine(passes: list[Tensor], reconstruction: Tensor, reconstruction_weight: float) -> Losses:
    return Losses(ops.mean(ops.stack(passes)) + reconstruction_weight * reconstruction, passes, reconstruction)


def _half(trajectory: Trajectory, index: int) -> Trajectory:
    """What became of the first (0) or second (1) half of a batch; without latents and signals."""
    rest = trajectory._replace(logits=[], latents=[], signals=[])
    half = tree.map_structure(lambda tensor: ops.split(tensor, 2)[index], rest)
    return half._replace(logits=ops.split(trajectory.logits, 2, axis=1)[index])
