"""What stopping each image by itself saves, and what it costs in accuracy: the adaptive loop against the fixed one."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from cnnf_tf.models import CNNF, infer_adaptive
from cnnf_tf.utils.tables import aligned
from cnnf_tf.utils.traces import traced


@dataclasses.dataclass(frozen=True)
class AdaptiveWork:
    """A model on a data set at one tolerance; tolerance 0 is the fixed loop of `max_iterations`.

    Attributes:
      tolerance: of the stopping rule.
      max_iterations: most feedback passes.
      num_images: images seen.
      num_correct: images with the right label.
      iterations_used: entry t counts the images that used t feedback passes, t = 0, ..., max_iterations.
    """

    tolerance: float
    max_iterations: int
    num_images: int
    num_correct: int
    iterations_used: list[int]

    @property
    def accuracy(self) -> float:
        """Share of correct images."""
        return self.num_correct / self.num_images

    @property
    def mean_iterations(self) -> float:
        """Feedback passes for each image, on average."""
        return float(np.dot(self.iterations_used, np.arange(self.max_iterations + 1)) / self.num_images)

    @property
    def saved(self) -> float:
        """Share of the fixed loop's feedback passes that were not run."""
        return 1 - self.mean_iterations / self.max_iterations if self.max_iterations else 0.0


def adaptive_work(
    model: CNNF,
    dataset: tf.data.Dataset,
    *,
    tolerances: Sequence[float],
    max_iterations: int,
    readout: str | None = None,
) -> list[AdaptiveWork]:
    """Runs a data set once for each tolerance.

    Args:
      model: a CNNF.
      dataset: batches of (images in [0, 1], integer labels).
      tolerances: of the stopping rule; include 0 for the fixed loop.
      max_iterations: most feedback passes.
      readout: "last" or "average"; the model's own by default.

    Raises:
      ValueError: bad arguments, or an empty data set.
    """
    run = traced(_run, model, max_iterations, readout or model.readout)
    rows = []
    for tolerance in tolerances:
        correct = 0
        used: np.ndarray = np.zeros(max_iterations + 1, np.int64)
        for images, labels in dataset:
            right, iterations = run(images, labels, tf.constant(tolerance, tf.float32))
            correct += int(right)
            used += np.bincount(iterations.numpy(), minlength=max_iterations + 1)
        if not used.sum():
            raise ValueError("the data set is empty; wanted at least one image.")
        rows.append(AdaptiveWork(float(tolerance), max_iterations, int(used.sum()), correct, used.tolist()))
    return rows


def _run(
    model: CNNF, max_iterations: int, readout: str, images: tf.Tensor, labels: tf.Tensor, tolerance: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    result = infer_adaptive(model, images, max_iterations=max_iterations, tolerance=tolerance)
    found = tf.argmax(result.logits(readout), axis=-1, output_type=labels.dtype)
    return tf.reduce_sum(tf.cast(found == labels, tf.int32)), result.iterations_used


def adaptive_work_table(rows: Sequence[AdaptiveWork]) -> str:
    """A row for each tolerance."""
    table = [("tolerance", "accuracy", "mean iterations", "saved")]
    for row in rows:
        saved = f"{100 * row.saved:.1f} %"
        table.append((f"{row.tolerance:g}", f"{100 * row.accuracy:.2f} %", f"{row.mean_iterations:.2f}", saved))
    return aligned(table)
