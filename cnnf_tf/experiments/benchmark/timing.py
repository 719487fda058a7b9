"""Timing in turns: what is to be compared takes turns, so that a busy moment of a shared machine hits all of it."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from cnnf_tf.utils.validation import positive_int

Key = TypeVar("Key", bound=Hashable)
Run = Callable[[], float]
"""Does its work once and returns the seconds it took."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of every round, in their order; the warm-up is not among them."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def low(self) -> float:
        return min(self.seconds)

    @property
    def high(self) -> float:
        return max(self.seconds)


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why something could not be measured, in one line."""

    message: str


def failure(error: BaseException) -> Failure:
    """The type of an error and the first line of its message."""
    lines = [line.strip() for line in str(getattr(error, "message", error)).splitlines()]
    first = next((line for line in lines if line), "")
    return Failure(f"{type(error).__name__}: {first}" if first else type(error).__name__)


def timed(work: Callable[[], Any]) -> Run:
    """A run that measures `work` with the wall clock."""

    def run() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return run


def time_in_turns(runs: Mapping[Key, Run], *, repeats: int, warmups: int = 1) -> dict[Key, Timing | Failure]:
    """Runs everything once, then everything again, and so on: A B C, A B C, ...

    Args:
      runs: what to time, in the order of a round. One that raises is left out of what follows, and the others go on.
      repeats: rounds that count, at least 1.
      warmups: rounds before them that do not; the first one traces and compiles.

    Returns:
      For each key the times of its rounds, or why there are none.

    Raises:
      ValueError: `repeats` or `warmups` below 1.
    """
    positive_int("repeats", repeats)
    positive_int("warmups", warmups)
    seconds: dict[Key, list[float]] = {key: [] for key in runs}
    failed: dict[Key, Failure] = {}
    for _ in range(warmups + repeats):
        for key, run in runs.items():
            if key in failed:
                continue
            try:
                seconds[key].append(run())
            except Exception as error:  # noqa: BLE001 - whatever fails becomes a row of the table
                failed[key] = failure(error)
    return {key: failed.get(key) or Timing(tuple(values[warmups:])) for key, values in seconds.items()}
