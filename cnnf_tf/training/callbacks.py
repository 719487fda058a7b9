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


class Pictures(keras.callbacks.Callback):
    """Writes images and their reconstructions to TensorBoard at the end of every epoch.

    Args:
      log_dir: folder of the event files.
      images: a few images in [0, 1], `[n, height, width, channels]`.
    """

    def __init__(self, log_dir: str, images: tf.Tensor):
        super().__init__()
        self._writer = tf.summary.create_file_writer(log_dir)
        self._images = images

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        del logs
        pictures = self.model.reconstruct(self._images, iterations=max(self.model.iterations, 1))
        with self._writer.as_default(step=epoch + 1):
            count = len(self._images)
            tf.summary.image("image", self._images, max_outputs=count)
            for index, picture in enumerate(pictures, start=1):
                tf.summary.image(f"reconstruction/iteration_{index}", picture, max_outputs=count)
        self._writer.flush()
