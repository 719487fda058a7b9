"""What an attack on logits makes as large as it can, per image: three losses, each untargeted and targeted.

With z the logits, y the label, t the target and z_(k) the k-th largest logit:

    name           untargeted                                  targeted
    cross_entropy  -log softmax(z)_y                           log softmax(z)_t
    margin         max_{i != y} z_i - z_y                      z_t - max_{i != t} z_i
    dlr            (max_{i != y} z_i - z_y) / (z_(1) - z_(3))  (z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2)

`margin` is that of Carlini and Wagner (arXiv:1608.04644), `dlr`, the difference of logits ratio, of Croce and Hein
(arXiv:2003.01690, equations 6 and 7); neither loses its gradient to a saturated softmax, and `dlr` does not change when
all logits are scaled.
"""

from collections.abc import Callable

from keras import ops

from cnnf_tf.layers.base import Tensor

LossFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def _cross_entropy(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    loss = ops.sparse_categorical_crossentropy(labels if targets is None else targets, logits, from_logits=True)
    return loss if targets is None else -loss


def own_class(logits: Tensor, classes: Tensor) -> Tensor:
    """bool `[batch, classes]`: where the logit of a class id is."""
    return ops.arange(logits.shape[-1], dtype="int32") == classes[:, None]


def _lead(logits: Tensor, classes: Tensor) -> Tensor:
    """How far the logit of a class is above the best of the others, `[batch]`."""
    others = ops.max(ops.where(own_class(logits, classes), -float("inf"), logits), axis=-1)
    return _pick(logits, classes) - others


def _pick(logits: Tensor, classes: Tensor) -> Tensor:
    return ops.take_along_axis(logits, classes[:, None], axis=1)[:, 0]


def _margin(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    return -_lead(logits, labels) if targets is None else _lead(logits, targets)


def _dlr(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    tiny = 1e-12  # as in the authors' code: equal logits give 0, not NaN
    if targets is None:
        largest = ops.top_k(logits, 3)[0]
        return -_lead(logits, labels) / (largest[:, 0] - largest[:, 2] + tiny)
    largest = ops.top_k(logits, 4)[0]
    scale = largest[:, 0] - (largest[:, 2] + largest[:, 3]) / 2
    return (_pick(logits, targets) - _pick(logits, labels)) / (scale + tiny)


LOSSES: dict[str, LossFunction] = {"cross_entropy": _cross_entropy, "margin": _margin, "dlr": _dlr}
"""By name, functions of logits `[batch, classes]`, labels `[batch]` and targets `[batch]` or None; the result,
`[batch]`, is to be maximised, with targets or without."""


def check_classes(loss: str, num_classes: int, *, targeted: bool) -> None:
    """Raises ValueError if the loss is not defined for so few classes."""
    wanted = 3 + targeted if loss == "dlr" else 2
    if num_classes < wanted:
        kind = "targeted" if targeted else "untargeted"
        raise ValueError(f"the {kind} loss {loss!r} wants logits of at least {wanted} classes, got {num_classes}.")
