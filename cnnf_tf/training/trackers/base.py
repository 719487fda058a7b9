"""What a tracker is, and what it is told."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from cnnf_tf.training.workdir import Workdir


@dataclasses.dataclass(frozen=True)
class TrackedRun:
    """The run that a tracker is made for."""

    folder: Workdir  # of the run
    parameters: Mapping[str, Any]  # the config by dotted names: numbers, texts, booleans, None, lists of them
    tags: Mapping[str, str]  # command, commit and versions of this start
    run_id: str  # where the run goes on, what `MetricsLogger.run_id` was at its beginning; otherwise ""


class MetricsLogger(Protocol):
    """A tracker, made as `Tracker(run)` with a `TrackedRun`. Each method does nothing here: it has what it has use for.

    Errors of a tracker that is being made end the run before its first step; later ones are reported once, and the run
    goes on without that tracker. A run that was killed and goes on runs some steps again; of these, a tracker is told
    nothing that it was told before.
    """

    run_id: str = ""  # what finds the run again in the place that it is tracked in
    local: ClassVar[bool] = False
    """Whether it writes into the workdir as the checkpoints do: then its errors end the run, and it is told of steps
    that are run again."""

    def scalars(self, step: int, values: Mapping[str, float], group: str) -> None:
        """Numbers after `step` steps; `group` is "train" (every 20 steps) or "validation" (at each evaluation)."""

    def pictures(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Images by name at an evaluation, each float32 of shape [n, height, width, channels] in [0, 1]; read-only."""

    def artifacts(self, paths: Sequence[pathlib.Path]) -> None:
        """Files worth keeping, once the run is finished."""

    def close(self, status: str) -> None:
        """The end of this process's part: "FINISHED", "FAILED" (an error) or "KILLED" (interrupted)."""


TrackerFactory = Callable[[TrackedRun], MetricsLogger]
"""A class of trackers, or anything else that makes one."""
