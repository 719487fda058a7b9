"""An attack over a whole data set."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.attacks.base import Attack
from cnnf_tf.attacks.problem import AttackObjective, Predict


@dataclasses.dataclass(frozen=True)
class AttackReport:
    """What an attack did to a data set.

    The arrays are those of `AttackResult`, for all images in the order of the data set, and their `labels`, int32; the
    `losses` are means over all images that were attacked.
    """

    images: np.ndarray
    labels: np.ndarray
    success: np.ndarray
    distance: np.ndarray
    predictions: np.ndarray
    clean_correct: np.ndarray
    losses: np.ndarray
    queries: np.ndarray
    broken_by: np.ndarray

    @property
    def clean_accuracy(self) -> float:
        """Share of images classified correctly before the attack."""
        return float(np.mean(self.clean_correct))

    @property
    def robust_accuracy(self) -> float:
        """Share of images classified correctly after it."""
        return float(np.mean(self.predictions == self.labels))

    @property
    def success_rate(self) -> float:
        """Share of images where the attack reached its goal, those it did not have to touch included."""
        return float(np.mean(self.success))

    def to_dict(self) -> dict[str, Any]:
        """The numbers, without the arrays, for JSON."""
        return {
            "num_images": len(self.labels),
            "clean_accuracy": self.clean_accuracy,
            "robust_accuracy": self.robust_accuracy,
            "success_rate": self.success_rate,
            "mean_distance": float(np.mean(self.distance)),
            "max_distance": float(np.max(self.distance)),
            "mean_queries": float(np.mean(self.queries)),
            "broken_by": np.bincount(self.broken_by[self.broken_by >= 0]).tolist(),
            "losses": [float(loss) if np.isfinite(loss) else None for loss in self.losses],
        }


def run_attack(
    attack: Attack,
    predict: Predict,
    dataset: tf.data.Dataset,
    *,
    seed: int,
    surrogate: Predict | None = None,
    objective: AttackObjective | None = None,
    targets: Callable[[tf.Tensor], Any] | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> AttackReport:
    """Attacks every image of a data set.

    The random numbers of an image depend on the seed and on its place in the data set, not on the batch size.

    Args:
      attack: which attack.
      predict: decides success; see `Attack.bind`, also for `surrogate` and `objective`.
      dataset: batches of (images in [0, 1], integer labels).
      seed: an integer.
      surrogate: what gradients or queries go through; None for `predict`.
      objective: what to maximise in place of the loss of the surrogate's logits.
      targets: from labels `[batch]` to the class each image shall reach; None for an untargeted attack.
      progress: called after each batch with its number of images and the robust accuracy so far.

    Raises:
      ValueError: an empty data set, or as `Attack.bind` and `BoundAttack.__call__`.
    """
    bound = attack.bind(predict, surrogate=surrogate, objective=objective)
    parts: dict[str, list[np.ndarray]] = {}
    correct = count = 0
    for images, labels in dataset:
        size = int(images.shape[0])
        indices = tf.range(count, count + size)
        wanted = None if targets is None else targets(labels)
        result = bound(images, labels, seed=seed, targets=wanted, indices=indices)
        for name, value in {"labels": labels, **result._asdict()}.items():
            parts.setdefault(name, []).append(np.asarray(value))
        count += size
        correct += int(np.sum(parts["predictions"][-1] == parts["labels"][-1]))
        if progress is not None:
            progress(size, correct / count)
    if count == 0:
        raise ValueError("the data set to attack is empty; wanted at least one image.")
    losses = _mean_losses(parts.pop("losses"), [np.sum(queries != 0) for queries in parts["queries"]])
    return AttackReport(losses=losses, **{name: np.concatenate(values) for name, values in parts.items()})


def _mean_losses(curves: list[np.ndarray], attacked: list[Any]) -> np.ndarray:
    """Mean over images of curves that are means over the attacked images of a batch; NaN if there was none."""
    weights = np.asarray(attacked, np.float64)
    if weights.sum() == 0:
        return np.full_like(curves[0], np.nan)
    return np.average(np.nan_to_num(np.stack(curves)), axis=0, weights=weights)
