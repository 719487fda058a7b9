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

    median = property(lambda self: statistics.median(self.seconds))
    low = property(lambda self: min(self.seconds))
    high = property(lambda self: max(self.seconds))


@dataclasses.dataclass(frozen=True)
class Failure:
    """Why something could not be measured, in one line."""

    message: str


def failure(error: BaseException) -> Failure:
    """The type of an error and the first line of its message."""
    lines = str(getattr(error, "message", error)).strip().splitlines()
    return Failure(": ".join([type(error).__name__, *lines[:1]]))


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
    rounds = positive_int("warmups", warmups) + positive_int("repeats", repeats)
    seconds: dict[Key, list[float]] = {key: [] for key in runs}
    failed: dict[Key, Failure] = {}
    for _ in range(rounds):
        for key in [key for key in runs if key not in failed]:
            try:
                seconds[key].append(runs[key]())
            except Exception as error:  # noqa: BLE001 - whatever fails becomes a row of the table
                failed[key] = failure(error)
    return {key: failed.get(key) or Timing(tuple(values[warmups:])) for key, values in seconds.items()}
