"""TensorBoard: event files in the workdir."""

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from cnnf_tf.training.trackers.base import MetricsLogger, TrackedRun


class TensorBoard(MetricsLogger):
    """Writes `WORKDIR/tensorboard/train` and `WORKDIR/tensorboard/validation`, where the pictures are."""

    local: ClassVar[bool] = True  # TensorBoard's page drops what it read of steps that are run again

    def __init__(self, run: TrackedRun) -> None:
        self._folder = run.folder.tensorboard
        self._writers: dict[str, Any] = {}

    def scalars(self, step: int, values: Mapping[str, float], group: str) -> None:
        with self._writer(group).as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self._writer(group).flush()

    def pictures(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        with self._writer("validation").as_default(step=step):
            for name, pictures in images.items():
                tf.summary.image(name, pictures, max_outputs=len(pictures))
        self._writer("validation").flush()

    def close(self, status: str) -> None:
        del status
        for writer in self._writers.values():
            writer.close()

    def _writer(self, group: str) -> Any:
        if group not in self._writers:
            self._writers[group] = tf.summary.create_file_writer(os.fsencode(self._folder / group))
        return self._writers[group]
