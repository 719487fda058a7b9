"""From a CNN-F to the functions an attack sees: its prediction, gradient paths, and losses for adaptive attacks.

All of them are small values that are equal whenever they were made from the same model and settings, so that an attack
recognises them and traces once.
"""

import dataclasses
import enum
from collections.abc import Callable
from typing import Any

from keras import ops

from cnnf_tf.attacks.losses import LOSSES
from cnnf_tf.attacks.problem import AttackObjective, Predict
from cnnf_tf.layers.base import Tensor, at_least_float32
from cnnf_tf.models import CNNF, READOUTS
from cnnf_tf.models.unroll import check_iterations
from cnnf_tf.utils.validation import one_of

_cross_entropy = LOSSES["cross_entropy"]


class GradientPath(str, enum.Enum):
    """Which computation an attack's gradient (or query) goes through; its value is the name in every report."""

    FIRST_PASS = "first_pass"
    """The plain CNN, before any feedback: what an attacker does who does not know of the feedback."""
    FULL_UNROLL = "full_unroll"
    """All passes, the feedback included: the honest choice."""


@dataclasses.dataclass(frozen=True)
class _Partial:
    """As `functools.partial`, but equal to another one of the same function and settings."""

    function: Callable[..., Tensor]
    settings: tuple[Any, ...]

    @property
    def model(self) -> CNNF:
        """What it is a function of."""
        return self.settings[0]

    def __call__(self, *batch: Tensor) -> Tensor:
        return self.function(*self.settings, *batch)


def predictor(model: CNNF, *, iterations: int | None = None, readout: str | None = None) -> Predict:
    """The model's prediction as a function from images in [0, 1] to logits `[batch, classes]`.

    Args:
      model: a CNN-F.
      iterations: K' >= 0, may differ from the trained K; None for the model's own.
      readout: "last" or "average"; None for the model's own.

    Raises:
      ValueError: no CNN-F, or settings out of range.
    """
    return _Partial(_logits, _settings(model, iterations, readout))


def gradient_source(
    model: CNNF, path: GradientPath | str, *, iterations: int | None = None, readout: str | None = None
) -> Predict:
    """What an attack's gradients go through, as the `surrogate` of an attack.

    Args:
      model: see `predictor`, also for `iterations` and `readout`; FIRST_PASS runs no iterations whatever is given here.
      path: a `GradientPath` or its name.

    Raises:
      ValueError: an unknown path, or as `predictor`.
    """
    one_of("gradient_path", path, [known.value for known in GradientPath])
    model, iterations, readout = _settings(model, iterations, readout)
    return predictor(model, iterations=0 if path == GradientPath.FIRST_PASS else iterations, readout=readout)


def every_pass_objective(model: CNNF, *, iterations: int | None = None) -> AttackObjective:
    """An `objective`: the cross-entropy of each of the K' + 1 passes, averaged, as training minimises it.

    For where one pass alone gives poor gradients: an image must fool all of them. For the arguments see `predictor`.
    """
    return _Partial(_every_pass_loss, _settings(model, iterations, None))


def residual_objective(
    model: CNNF, *, weight: float, iterations: int | None = None, readout: str | None = None
) -> AttackObjective:
    """An `objective` for an adaptive attack: cross-entropy of the readout minus `weight` times the residual.

    The residual is |h - g(0)| / |h|, mean over the K' feedback passes. Feedback moves h towards its reconstruction
    g(0), and that is how it repairs an image; so this attack looks for images that fool the readout *and* are their
    own reconstruction already, which leaves feedback nothing to move. A negative weight pushes the other way, towards
    images that the model cannot reconstruct.

    Args:
      model: see `predictor`, also for `iterations`, at least 1, and `readout`.
      weight: in nats per unit of the residual; 0 is the plain cross-entropy through the full unroll.

    Raises:
      ValueError: as `predictor`, and for K' = 0, which reconstructs nothing.
    """
    settings = _settings(model, iterations, readout)
    if settings[1] == 0:
        raise ValueError("residual_objective wants at least 1 iteration, got 0: nothing is reconstructed.")
    return _Partial(_residual_loss, (*settings, float(weight)))


def _settings(model: CNNF, iterations: int | None, readout: str | None) -> tuple[CNNF, int, str]:
    if not isinstance(model, CNNF):
        raise ValueError(
            f"wanted a CNNF, got a {type(model).__name__}; attacks take any function from images to logits as it is."
        )
    iterations = model.iterations if iterations is None else check_iterations(iterations)
    readout = one_of("readout", model.readout if readout is None else readout, READOUTS)
    return model, iterations, readout if iterations else "last"  # of one pass all readouts are the same


def _logits(model: CNNF, iterations: int, readout: str, images: Tensor) -> Tensor:
    return READOUTS[readout](model.infer(images, iterations=iterations).logits)


def _every_pass_loss(model: CNNF, iterations: int, readout: str, images: Tensor, labels: Tensor) -> Tensor:
    del readout
    logits = model.infer(images, iterations=iterations).logits
    return ops.mean(ops.stack([_cross_entropy(logits[index], labels, None) for index in range(iterations + 1)]), axis=0)


def _residual_loss(model: CNNF, iterations: int, readout: str, weight: float, images: Tensor, labels: Tensor) -> Tensor:
    trajectory = model.infer(images, iterations=iterations)
    steps = zip(trajectory.features[:-1], trajectory.reconstructions, strict=True)
    residual = ops.mean(ops.stack([_residual(features, g) for features, g in steps]), axis=0)
    loss = _cross_entropy(READOUTS[readout](trajectory.logits), labels, None)
    return loss - weight * ops.cast(residual, loss.dtype)


def _residual(features: Tensor, reconstruction: Tensor) -> Tensor:
    """|h - g(0)| / |h| of each image, `[batch]`; the small constant keeps the gradient finite at h = g(0)."""
    axes = list(range(1, len(features.shape)))
    features, reconstruction = at_least_float32(features), at_least_float32(reconstruction)
    error = ops.sum(ops.square(features - reconstruction), axis=axes)
    return ops.sqrt((error + 1e-12) / (ops.sum(ops.square(features), axis=axes) + 1e-12))
