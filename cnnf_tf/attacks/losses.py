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

import tensorflow as tf

LossFunction = Callable[[tf.Tensor, tf.Tensor, "tf.Tensor | None"], tf.Tensor]


def _cross_entropy(logits: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor | None) -> tf.Tensor:
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels if targets is None else targets, logits)
    return loss if targets is None else -loss


def _lead(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """How far the logit of a class is above the best of the others, `[batch]`."""
    own = tf.one_hot(classes, logits.shape[-1], on_value=True, off_value=False, dtype=tf.bool)
    others = tf.reduce_max(tf.where(own, tf.constant(-float("inf"), logits.dtype), logits), -1)
    return _pick(logits, classes) - others


def _pick(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    return tf.gather(logits, classes, axis=1, batch_dims=1)


def _margin(logits: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor | None) -> tf.Tensor:
    return -_lead(logits, labels) if targets is None else _lead(logits, targets)


def _dlr(logits: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor | None) -> tf.Tensor:
    tiny = 1e-12  # as in the authors' code: equal logits give 0, not NaN
    if targets is None:
        largest = tf.math.top_k(logits, 3).values
        return -_lead(logits, labels) / (largest[:, 0] - largest[:, 2] + tiny)
    largest = tf.math.top_k(logits, 4).values
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
