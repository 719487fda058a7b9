"""Accuracy of every pass, for both readouts: masked sums over a data set, divided once."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.models import CNNF, READOUTS
from cnnf_tf.models.unroll import check_iterations
from cnnf_tf.utils.tables import aligned


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


Scorer = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


def pass_scorer(model: CNNF, iterations: int) -> Scorer:
    """The traced function behind `evaluate_passes`, for callers that score many data sets.

    Args:
      model: a CNN-F.
      iterations: K' >= 0.

    Returns:
      A function of images and labels: counts of correct images `[readouts, K' + 1]`, sums over images of the
      cross-entropy `[K' + 1]` and of the reconstruction error `[K' + 1]`, 0 for the first pass.
    """
    check_iterations(iterations)

    @tf.function(reduce_retracing=True)
    def score(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        trajectory = model.infer(images, iterations=iterations)
        correct = [
            [_count_correct(readout(trajectory.logits[: index + 1]), labels) for index in range(iterations + 1)]
            for readout in READOUTS.values()
        ]
        losses = [
            tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, trajectory.logits[index]))
            for index in range(iterations + 1)
        ]
        target = tf.cast(trajectory.features[0], tf.float32)
        errors = [
            tf.reduce_sum(tf.reduce_mean(tf.square(tf.cast(g, tf.float32) - target), list(range(1, g.shape.rank))))
            for g in trajectory.reconstructions
        ]
        return tf.convert_to_tensor(correct), tf.stack(losses), tf.stack([0.0, *errors])

    return score


def evaluate_passes(
    model: CNNF,
    dataset: tf.data.Dataset,
    *,
    iterations: int,
    progress: Callable[[int], None] | None = None,
    scorer: Scorer | None = None,
) -> PassAccuracy:
    """Scores a model after every pass.

    Args:
      model: the model; its own `iterations` does not matter here.
      dataset: batches of (images in [0, 1], integer labels).
      iterations: K' >= 0, may be more than the model was trained with.
      progress: called with the number of images after each batch.
      scorer: `pass_scorer(model, iterations)`, to trace it once for many data sets; None to make it here.

    Raises:
      ValueError: bad `iterations`, an empty data set, or images that do not fit the model.
    """
    score = pass_scorer(model, iterations) if scorer is None else scorer
    num_images = 0
    sums: list[Any] = [0, 0.0, 0.0]
    for images, labels in dataset:
        sums = [
            total + part.numpy().astype(np.float64) for total, part in zip(sums, score(images, labels), strict=True)
        ]
        num_images += int(images.shape[0])
        if progress is not None:
            progress(int(images.shape[0]))
    if num_images == 0:
        raise ValueError("the data set to evaluate is empty; wanted at least one image.")
    correct, losses, errors = sums
    return PassAccuracy(
        num_images=num_images,
        correct={name: [int(value) for value in row] for name, row in zip(READOUTS, correct, strict=True)},
        cross_entropy=[float(value) for value in losses / num_images],
        reconstruction_error=[float(value) for value in errors[1:] / num_images],
    )


def _count_correct(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(tf.argmax(logits, -1, output_type=labels.dtype) == labels, tf.int32))
