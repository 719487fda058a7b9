"""Watching a run: its progress, one line of `metrics.jsonl` for each evaluation, and what its trackers are told."""

import dataclasses
import json
import time
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.models import CNNF
from cnnf_tf.training.trackers import MetricsLogger
from cnnf_tf.training.workdir import Workdir
from cnnf_tf.utils.files import write_text
from cnnf_tf.utils.progress import Progress, say

_SCALARS_EVERY = 20


@dataclasses.dataclass(eq=False)
class RunLog:
    """What a run shows while it goes on; a context manager, whose end tells the trackers how the run ended."""

    folder: Workdir  # of the run
    _: dataclasses.KW_ONLY
    done: dataclasses.InitVar[int]  # steps done before
    total_steps: int  # of the whole run
    batch_size: int  # images of a step, for the images/s
    shown: bool  # whether to show the progress, and a line for each evaluation
    trackers: Sequence[MetricsLogger] = ()  # open

    def __post_init__(self, done: int) -> None:
        # Lines after the checkpoint are of steps that are now done again.
        self.history = [entry for entry in self.folder.history() if entry["step"] <= done]
        self.restart_clock(done)
        self._progress = Progress("training", self.total_steps, "steps", done=done, shown=self.shown)

    def step(self, done: int, report: Mapping[str, float], learning_rate: float) -> None:
        """After each step."""
        shown = ", ".join(f"{name} {report[name]:.3f}" for name in ("loss", "accuracy"))
        self._progress.update(note=f"{shown}, {self._rate(done):.0f} images/s")
        if done % _SCALARS_EVERY == 0:
            self._scalars(done, dict(report) | {"learning_rate": learning_rate}, "train")

    def evaluation(
        self,
        done: int,
        epoch: float,
        train: Mapping[str, float],
        validation: Mapping[str, float],
        more: Mapping[str, Any] = types.MappingProxyType({}),
    ) -> dict[str, Any]:
        """After each evaluation, which began with `stop_clock`; returns the line that was added to the history.

        Args:
          done: steps done.
          epoch: epochs done.
          train: means over the steps since the last evaluation.
          validation: metrics of the validation split.
          more: what else to write into the line.
        """
        entry = {"epoch": int(epoch) if epoch == int(epoch) else round(epoch, 4), "step": done}
        entry |= {"seconds": round(self._seconds, 2), "images_per_second": round(self._images_per_second, 1)}
        entry |= {name: round(float(value), 6) for name, value in train.items()}
        entry |= {f"val_{name}": round(float(value), 6) for name, value in validation.items()} | dict(more)
        self.history.append(entry)
        write_text(self.folder.metrics, "".join(json.dumps(line) + "\n" for line in self.history))
        self._progress.note("")
        self._scalars(done, validation, "validation")
        if self.shown:
            shown = ("loss", "accuracy", "val_accuracy", "val_robust_accuracy", "images_per_second")
            values = ", ".join(f"{name} {entry[name]:.4g}" for name in shown if name in entry)
            say(f"step {done} of {self.total_steps} (epoch {entry['epoch']}): {values}")
        return entry

    def stop_clock(self, done: int) -> None:
        """Ends the time of training that the next line reports; the evaluation itself is not in it."""
        self._seconds, self._images_per_second = time.perf_counter() - self._since, self._rate(done)
        self._progress.note("evaluating")

    def restart_clock(self, done: int) -> None:
        """Starts the clock of the next line, once an evaluation with all that belongs to it is over."""
        self._since_step, self._since = done, time.perf_counter()

    def pictures(self, done: int, model: CNNF, images: tf.Tensor, adversarial: tf.Tensor | None) -> None:
        """Images, adversarial images, and what the model reconstructs from the last of them."""
        if not self.trackers:
            return
        shown = {"image": images} if adversarial is None else {"image": images, "adversarial": adversarial}
        reconstructions = model.reconstruct([*shown.values()][-1], iterations=max(model.iterations, 1))
        shown |= {f"reconstruction/iteration_{index}": found for index, found in enumerate(reconstructions, start=1)}
        arrays = {name: np.asarray(pictures, np.float32).view() for name, pictures in shown.items()}
        for array in arrays.values():
            array.flags.writeable = False  # all trackers get the same
        for tracker in self.trackers:
            tracker.pictures(done, dict(arrays))

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._progress.close()
        status = "FINISHED" if kind is None else "FAILED" if issubclass(kind, Exception) else "KILLED"
        kept = (self.folder.best, self.folder.config, self.folder.metrics, self.folder.run)
        for tracker in self.trackers:
            if status == "FINISHED":
                tracker.artifacts([path for path in kept if path.exists()])
            tracker.close(status)

    def _scalars(self, step: int, values: Mapping[str, float], group: str) -> None:
        if values:
            for tracker in self.trackers:
                tracker.scalars(step, dict(values), group)

    def _rate(self, done: int) -> float:
        return (done - self._since_step) * self.batch_size / max(time.perf_counter() - self._since, 1e-9)
