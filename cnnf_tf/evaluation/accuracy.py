"""Accuracy of every pass, for both readouts: what is true of each image, then means over a data set."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.models import CNNF, READOUTS
from cnnf_tf.models.unroll import check_iterations
from cnnf_tf.utils.batches import BatchRunner, Facts, Job, counting
from cnnf_tf.utils.tables import aligned
from cnnf_tf.utils.traces import traced


@dataclasses.dataclass(frozen=True)
class PassAccuracy:
    """How a model did on a data set, pass by pass.

    Attributes:
      num_images: images seen.
      correct: for each readout, the number of correct images when the loop is stopped after pass 0, 1, ..., K'.
      cross_entropy: mean cross-entropy, in nats, of the logits of each pass.
      reconstruction_error: mean squared error between h of the first pass and g(0) of each feedback pass.
    """

    num_images: int
    correct: dict[str, list[int]]
    cross_entropy: list[float]
    reconstruction_error: list[float]

    @classmethod
    def from_facts(cls, facts: Facts) -> "PassAccuracy":
        """What the facts of a `pass_job` come to."""
        correct = facts["correct"].sum(axis=0)
        means = {
            name: facts[name].mean(axis=0, dtype=np.float64).tolist()
            for name in ("cross_entropy", "reconstruction_error")
        }
        return cls(len(facts["correct"]), dict(zip(READOUTS, correct.tolist(), strict=True)), **means)

    @property
    def accuracy(self) -> dict[str, list[float]]:
        """For each readout, the share of correct images after pass 0, 1, ..., K'."""
        return {readout: [count / self.num_images for count in counts] for readout, counts in self.correct.items()}

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self) | {"accuracy": self.accuracy}

    def table(self) -> str:
        """A table with a row for each pass."""
        header = ("pass", *(f"accuracy ({readout})" for readout in self.accuracy), "cross-entropy", "MSE of g(0)")
        rows = [header]
        for index, cross_entropy in enumerate(self.cross_entropy):
            error = f"{self.reconstruction_error[index - 1]:.4f}" if index else "-"
            accuracies = [f"{100 * values[index]:.2f} %" for values in self.accuracy.values()]
            name = "0 (plain CNN)" if index == 0 else str(index)
            rows.append((name, *accuracies, f"{cross_entropy:.4f}", error))
        return aligned(rows)


def pass_job(model: CNNF, dataset: tf.data.Dataset, *, iterations: int, name: str = "passes") -> Job:
    """`evaluate_passes`, see there, as a job: to be done on several devices, in parts, or with other jobs.

    Its facts are `correct`, bool `[images, readouts, K' + 1]`; `cross_entropy`, `[images, K' + 1]`, and
    `reconstruction_error`, `[images, K']`, both float32.
    """
    score = traced(_score, model, check_iterations(iterations))
    return Job(name, dataset, lambda images, labels, indices: score(images, labels))


def evaluate_passes(
    model: CNNF,
    dataset: tf.data.Dataset,
    *,
    iterations: int,
    progress: Callable[[int], None] | None = None,
    runner: BatchRunner = BatchRunner(),  # noqa: B008 - frozen
) -> PassAccuracy:
    """Scores a model after every pass.

    Args:
      model: the model; its own `iterations` does not matter here.
      dataset: batches of (images in [0, 1], integer labels).
      iterations: K' >= 0, may be more than the model was trained with.
      progress: called with the number of images after each batch.
      runner: how the batches are shared out: `BatchRunner(strategy=...)` for several devices.

    Raises:
      ValueError: bad `iterations`, an empty data set, or images that do not fit the model.
    """
    job = pass_job(model, dataset, iterations=iterations)
    return PassAccuracy.from_facts(runner.run(job, counting(progress)))


def _score(model: CNNF, iterations: int, images: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
    trajectory = model.infer(images, iterations=iterations)
    passes = range(iterations + 1)
    correct = [
        [_is_correct(readout(trajectory.logits[: index + 1]), labels) for index in passes]
        for readout in READOUTS.values()
    ]
    losses = [
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(trajectory.logits[index], tf.float32))
        for index in passes
    ]
    target = tf.cast(trajectory.features[0], tf.float32)
    errors = [
        tf.reduce_mean(tf.square(tf.cast(g, tf.float32) - target), list(range(1, g.shape.rank)))
        for g in trajectory.reconstructions
    ]
    return {
        "correct": tf.transpose(tf.convert_to_tensor(correct), (2, 0, 1)),
        "cross_entropy": tf.stack(losses, -1),
        "reconstruction_error": tf.stack(errors, -1) if errors else tf.zeros((tf.shape(labels)[0], 0)),
    }


def _is_correct(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    return tf.argmax(logits, -1, output_type=labels.dtype) == labels
