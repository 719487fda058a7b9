"""What happens at the end of an epoch: checkpoints, history, pictures."""

import json
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnnf_tf.files import atomic_path, write_text
from cnnf_tf.models import CNNF
from cnnf_tf.training.workdir import Workdir


class Checkpoints(keras.callbacks.Callback):
    """Writes `last.keras`, `best.keras` and `metrics.jsonl`, each at once or not at all.

    Args:
      workdir: where to write.
      images_per_epoch: for the images/s of the history.
    """

    def __init__(self, workdir: Workdir, images_per_epoch: int):
        super().__init__()
        self._workdir = workdir
        self._images_per_epoch = images_per_epoch
        self._history = workdir.history()
        self._started = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        del logs
        self._history = self._history[:epoch]  # an epoch that is run again replaces its line
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        if not np.isfinite(values["loss"]):
            self.model.stop_training = True
            raise ValueError(
                f"the loss became {values['loss']} in epoch {epoch + 1}; the checkpoints of earlier epochs are kept in "
                f"{self._workdir.root}. A lower config.train.optimizer.learning_rate usually helps."
            )
        seconds = time.perf_counter() - self._started
        entry = {"epoch": epoch + 1, "seconds": round(seconds, 2)} | {key: round(v, 6) for key, v in values.items()}
        entry["images_per_second"] = round(self._images_per_epoch / seconds, 1)
        is_best = all(_score(entry) >= _score(earlier) for earlier in self._history)
        self._history.append(entry)
        # History first: should a kill fall between the two, the epoch is run again and its line replaced.
        write_text(self._workdir.metrics, "".join(json.dumps(line) + "\n" for line in self._history))
        if is_best:
            save_model(self.model, self._workdir.best)
        save_model(self.model, self._workdir.last)


def save_model(model: CNNF, path: Any) -> None:
    """Saves a `.keras` file atomically."""
    with atomic_path(path) as temporary:
        model.save(temporary)


def _score(entry: dict[str, float]) -> float:
    """Validation accuracy; without a validation split every epoch is as good as the last, so the newest wins."""
    return entry.get("val_accuracy", 0.0)


class Events(keras.callbacks.Callback):
    """Writes TensorBoard files: scalars of training and validation over steps, images and their reconstructions.

    Keras' own TensorBoard callback drops what is logged at the end of an epoch unless the step happens to be a multiple
    of its `update_freq`.

    Args:
      log_dir: folder of the event files.
      images: a few images in [0, 1], `[n, height, width, channels]`.
      first_step: steps done before this training.
      every: steps between two training scalars.
    """

    def __init__(self, log_dir: str, images: tf.Tensor, *, first_step: int, every: int = 20):
        super().__init__()
        self._train = tf.summary.create_file_writer(f"{log_dir}/train")
        self._validation = tf.summary.create_file_writer(f"{log_dir}/validation")
        self._images = images
        self._step = first_step
        self._every = every

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        del batch
        self._step += 1
        if self._step % self._every == 0:
            self._write(self._train, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        del epoch
        prefix = "val_"
        values = {key.removeprefix(prefix): value for key, value in (logs or {}).items() if key.startswith(prefix)}
        self._write(self._validation, values)
        pictures = self.model.reconstruct(self._images, iterations=max(self.model.iterations, 1))
        count = len(self._images)
        with self._validation.as_default(step=self._step):
            tf.summary.image("image", self._images, max_outputs=count)
            for index, picture in enumerate(pictures, start=1):
                tf.summary.image(f"reconstruction/iteration_{index}", picture, max_outputs=count)
        self._validation.flush()
        self._train.flush()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        del logs
        self._train.close()
        self._validation.close()

    def _write(self, writer: Any, values: dict[str, float]) -> None:
        with writer.as_default(step=self._step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
            tf.summary.scalar("learning_rate", self.model.optimizer.learning_rate)
