"""The report of a benchmark: one table whose rows are comparisons, each with its target and whether it is met.

    against          ratio                        target
    floor            time / floor                 at most; float32, as a `tf.function`, own batch size
    line             time at K = 10 / the straight line through the smaller K    at most
    float32          time in float32 / time       at least; how much faster half precision is
    authors          the authors' time / time     at least

All times are medians over rounds, and what is compared took turns.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cnnf_tf.experiments.benchmark import cases
from cnnf_tf.experiments.benchmark.cases import Case
from cnnf_tf.experiments.benchmark.memory import Memory
from cnnf_tf.experiments.benchmark.plan import LINE_ITERATIONS, BenchmarkOptions
from cnnf_tf.experiments.benchmark.timing import Failure, Timing
from cnnf_tf.utils.tables import aligned

_ATTACKS = (cases.ATTACK_FIRST_PASS, cases.ATTACK_FULL_UNROLL)
_TRAININGS = (cases.TRAINING, cases.ADVERSARIAL_TRAINING)
FLOOR_AT_MOST = {cases.INFERENCE: 1.5, **dict.fromkeys(_ATTACKS, 1.6), cases.TRAINING: 1.8}
LINE_AT_MOST = 1.05
HALF_AT_LEAST = dict.fromkeys((cases.INFERENCE, *_TRAININGS), 1.7)
AUTHORS_AT_LEAST = {cases.INFERENCE: 3.0, **dict.fromkeys(_ATTACKS, 2.0), **dict.fromkeys(_TRAININGS, 2.5)}
TARGET_REPEATS = 5


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was found for a case; None is what was not asked for."""

    case: Case
    time: Timing | Failure | None = None
    floor: Timing | Failure | None = None
    authors: Timing | Failure | None = None
    memory: Memory | Failure | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table. Times in milliseconds, memory in MiB, both of the whole batch."""

    case: Case
    unit: str
    """"ms" or "MiB"."""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    samples: tuple[float, ...] = ()
    against: str = ""
    other: float | None = None
    """What the value is compared with, in the same unit."""
    ratio: float | None = None
    target: float | None = None
    passed: bool | None = None
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        case = fields.pop("case")
        names = ("kind", "ind", "iterations", "batch_size", "dtype", "mode")
        about = {"network": case.setup.network} | {name: getattr(case, name) for name in names}
        return about | fields | {"samples": [round(sample, 4) for sample in self.samples]}


@dataclasses.dataclass(frozen=True)
class BenchmarkReport:
    """Everything that was measured.

    Attributes:
      options: what was asked for.
      found: one entry for each case.
      about: machine, threads, versions and seconds in all.
    """

    options: BenchmarkOptions
    found: list[Measured]
    about: dict[str, Any]

    @property
    def at_target_conditions(self) -> bool:
        """Whether this run is one that the targets speak of: the networks at their own batch, enough rounds."""
        return not self.options.smoke and self.options.batch_size is None and self.options.repeats >= TARGET_REPEATS

    def rows(self) -> list[Row]:
        """The comparisons, in the order of the cases."""
        times = {entry.case: entry.time for entry in self.found if isinstance(entry.time, Timing)}
        return [row for entry in self.found for row in _rows(entry, times)]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "about": self.about,
            "options": dataclasses.asdict(self.options),
            "at_target_conditions": self.at_target_conditions,
            "rows": [row.to_dict() for row in self.rows()],
        }

    def summary(self) -> str:
        """How many targets are met, and whether this run could tell."""
        judged = [row.passed for row in self.rows() if row.passed is not None]
        text = f"{sum(judged)} of {len(judged)} targets met"
        if self.at_target_conditions:
            return f"{text}."
        return (
            f"{text}; they are meant for the networks at their own batch size and at least {TARGET_REPEATS} rounds, so "
            "take these for an indication only."
        )

    def table(self) -> str:
        """The table for a terminal."""
        head = ["case", "network", "ind", "K", "batch", "dtype", "mode", "median", "range", "against", "", "ratio"]
        return aligned([[*head, "target", ""], *(_cells(row) for row in self.rows())])


def _rows(entry: Measured, times: Mapping[Case, Timing]) -> Iterator[Row]:
    case = entry.case
    if isinstance(entry.memory, Memory):
        yield Row(case, "MiB", entry.memory.needed_mib)
    for failed in (entry.memory, entry.time):
        if isinstance(failed, Failure):
            yield Row(case, "MiB" if failed is entry.memory else "ms", error=failed.message)
    if not isinstance(entry.time, Timing):
        return
    judged = (case.dtype, case.mode, case.batch_size) == ("float32", "function", case.setup.batch_size)
    yield _row(entry, "floor", entry.floor, at_most=FLOOR_AT_MOST.get(case.kind) if judged else None)
    line = _line(case, times)
    if line is not None:
        yield _row(entry, "line", line, at_most=LINE_AT_MOST)
    single = times.get(dataclasses.replace(case, dtype="float32"))
    if case.dtype != "float32" and single is not None:
        at_least = HALF_AT_LEAST.get(case.kind) if case.mode == "function" else None
        yield _row(entry, "float32", single, at_least=at_least)
    if entry.authors is not None:
        yield _row(entry, "authors", entry.authors, at_least=AUTHORS_AT_LEAST[case.kind])


def _row(
    entry: Measured,
    against: str,
    other: Timing | Failure | float | None,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Row:
    """A comparison; the ratio is time / other, or other / time where `against` names something slower."""
    time = entry.time
    assert isinstance(time, Timing)  # for the type checker
    row = Row(
        entry.case, "ms", 1e3 * time.median, 1e3 * time.low, 1e3 * time.high, tuple(1e3 * s for s in time.seconds)
    )
    if not isinstance(other, (Timing, float)):
        return dataclasses.replace(row, against=against, error=other.message if isinstance(other, Failure) else "")
    seconds = other if isinstance(other, float) else other.median
    faster = against in ("float32", "authors")
    ratio = seconds / time.median if faster else time.median / seconds
    target = at_least if faster else at_most
    passed = None if target is None else (ratio >= target if faster else ratio <= target)
    return dataclasses.replace(row, against=against, other=1e3 * seconds, ratio=ratio, target=target, passed=passed)


def _line(case: Case, times: Mapping[Case, Timing]) -> float | None:
    """The time at K = 10 on the straight line through the smaller K, in seconds; None where there is no line."""
    if case.kind != cases.INFERENCE or case.iterations != LINE_ITERATIONS:
        return None
    points = [
        (other.iterations, time.median)
        for other, time in times.items()
        if other.iterations < LINE_ITERATIONS and dataclasses.replace(other, iterations=case.iterations) == case
    ]
    if len(points) < 3:
        return None
    places, seconds = zip(*points, strict=True)
    return float(np.polyval(np.polyfit(places, seconds, 1), LINE_ITERATIONS))


def _cells(row: Row) -> list[str]:
    case = row.case
    numbers = [str(number) for number in (case.ind, case.iterations, case.batch_size)]
    cells = [case.kind, case.setup.network, *numbers, case.dtype, case.mode]
    cells.append("-" if row.value is None else f"{row.value:.1f} {row.unit}")
    cells.append("" if row.low is None else f"{row.low:.1f}..{row.high:.1f}")
    cells += [row.against, "" if row.other is None else f"{row.other:.1f} {row.unit}"]
    cells.append("" if row.ratio is None else f"{row.ratio:.2f}")
    sign = ">=" if row.against in ("float32", "authors") else "<="
    cells.append("" if row.target is None else f"{sign} {row.target:g}")
    verdict = "" if row.passed is None else ("pass" if row.passed else "FAIL")
    return [*cells, row.error[:100] or verdict]
