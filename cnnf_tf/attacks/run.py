"""An attack over a whole data set."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.attacks.base import Attack
from cnnf_tf.attacks.problem import AttackObjective, Predict
from cnnf_tf.utils.batches import BatchRunner, Facts, Job


@dataclasses.dataclass(frozen=True)
class AttackReport:
    """What an attack did to a data set.

    The arrays are those of `AttackResult`, for all images in the order of the data set, and their `labels`, int32; the
    `losses` are means over all images that were attacked. `images` is empty where a job did not keep them.
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

    @classmethod
    def from_facts(cls, facts: Facts) -> "AttackReport":
        """What the facts of an `attack_job` come to."""
        known = {"images": np.empty(0)} | facts
        arrays = {field.name: known[field.name] for field in dataclasses.fields(cls)}
        return cls(**arrays | {"losses": _mean_losses(facts["losses"], facts["queries"])})

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


def attack_job(
    attack: Attack,
    predict: Predict,
    dataset: tf.data.Dataset,
    *,
    seed: int,
    surrogate: Predict | None = None,
    objective: AttackObjective | None = None,
    targets: Callable[[tf.Tensor], Any] | None = None,
    name: str = "attack",
    keep_images: bool = True,
) -> Job:
    """`run_attack`, see there, as a job: to be done on several devices, in parts, or with other jobs.

    Its facts are the fields of `AttackReport`, with `keep_images` also the images; of the losses each image has the
    curve of its batch.
    """
    bound = attack.bind(predict, surrogate=surrogate, objective=objective)

    def work(images: tf.Tensor, labels: tf.Tensor, indices: tf.Tensor) -> Mapping[str, Any]:
        wanted = None if targets is None else targets(labels)
        result = bound(images, labels, seed=seed, targets=wanted, indices=indices)
        curves = tf.repeat(result.losses[None], tf.shape(images)[0], axis=0)
        facts = result._asdict() | {"labels": tf.cast(labels, tf.int32), "losses": curves}
        return {name: value for name, value in facts.items() if keep_images or name != "images"}

    return Job(name, dataset, work, if_empty="the data set to attack is empty; wanted at least one image.")


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
    runner: BatchRunner = BatchRunner(),  # noqa: B008 - frozen
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
      runner: how the batches are shared out: `BatchRunner(strategy=...)` for several devices.

    Raises:
      ValueError: an empty data set, or as `Attack.bind` and `BoundAttack.__call__`.
    """
    functions: dict[str, Any] = {"surrogate": surrogate, "objective": objective, "targets": targets}
    job = attack_job(attack, predict, dataset, seed=seed, **functions)
    correct = count = 0

    def batch_done(facts: Facts) -> None:
        nonlocal correct, count
        correct += int(np.sum(facts["predictions"] == facts["labels"]))
        count += len(facts["labels"])
        if progress is not None:
            progress(len(facts["labels"]), correct / count)

    return AttackReport.from_facts(runner.run(job, batch_done))


def _mean_losses(curves: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Mean over images of curves that are means over the attacked images of a batch; NaN if there was none."""
    attacked = curves[queries != 0]
    return np.mean(np.nan_to_num(attacked), axis=0, dtype=np.float64) if len(attacked) else curves[0] * np.nan
