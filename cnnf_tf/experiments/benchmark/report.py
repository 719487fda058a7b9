"""The report of a benchmark: one table whose rows are comparisons, each with its target and whether it is met.

    against          ratio                        target
    floor            time / floor                 at most; float32, as a `tf.function`, own batch size
    line             time at K = 10 / the straight line through the smaller K    at most
    float32          time in float32 / time       at least; how much faster half precision is
    authors          the authors' time / time     at least
    K = 1            start-up of a first result / that at K = 1                  at most, at K = 10
    keras, authors   time to a first result / that of Keras' plain CNN; the authors' time / time

All times are medians over rounds, and what is compared took turns. Beside the floor stands a second one, the same ops
by PyTorch where it is installed, and the ratio to the faster of both.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cnnf_tf.experiments.benchmark import setups
from cnnf_tf.experiments.benchmark.first_result import AUTHORS, KERAS, OURS, FirstRuns
from cnnf_tf.experiments.benchmark.memory import Memory
from cnnf_tf.experiments.benchmark.plan import LINE_ITERATIONS, BenchmarkOptions
from cnnf_tf.experiments.benchmark.setups import Case
from cnnf_tf.experiments.benchmark.timing import Failure, Timing
from cnnf_tf.utils.tables import aligned

FLOOR_AT_MOST = {setups.INFERENCE: 1.5, **dict.fromkeys(setups.ATTACKS, 1.6), setups.TRAINING: 1.8}
LINE_AT_MOST = 1.05
START_UP_AT_MOST = 1.5
HALF_AT_LEAST = dict.fromkeys((setups.INFERENCE, *setups.TRAININGS), 1.7)
AUTHORS_AT_LEAST = {setups.INFERENCE: 3.0, **dict.fromkeys(setups.ATTACKS, 2.0), **dict.fromkeys(setups.TRAININGS, 2.5)}
TARGET_REPEATS, FIRST_REPEATS = 5, 3
_PARTS = ("import", "load", "first", "later", "start_up", "total")


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was found for a case; None is what was not asked for."""

    case: Case
    time: Timing | Failure | None = None
    floor: Timing | Failure | None = None
    torch_floor: Timing | Failure | None = None
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
    torch_floor: float | None = None
    """The floor by PyTorch; None without it."""
    torch_error: str = ""
    """Why there is none."""
    best_ratio: float | None = None
    """The value / the smaller of both floors."""

    @property
    def faster(self) -> bool:
        """Whether the other is something slower, and the ratio says how much faster the case is: other / value."""
        return self.against in ("float32", "authors")

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        fields = dataclasses.asdict(self)
        case = fields.pop("case")
        case = {"network": case.pop("setup")["network"]} | case
        return case | fields | {"samples": [round(sample, 4) for sample in self.samples]}

    def cells(self) -> dict[str, str]:
        """For the table, by column."""
        case, sign = self.case, ">=" if self.faster else "<="
        return {
            "case": case.kind,
            "network": case.setup.network,
            "encoder_blocks": str(case.encoder_blocks),
            "K": str(case.iterations),
            "batch": str(case.batch_size),
            "dtype": case.dtype,
            "mode": case.mode,
            "median": "-" if self.value is None else f"{self.value:.1f} {self.unit}",
            "range": "" if self.low is None else f"{self.low:.1f}..{self.high:.1f}",
            "against": self.against,
            "time": "" if self.other is None else f"{self.other:.1f} {self.unit}",
            "ratio": "" if self.ratio is None else f"{self.ratio:.2f}",
            "torch floor": self.torch_error[:40] if self.torch_floor is None else f"{self.torch_floor:.1f} {self.unit}",
            "best ratio": "" if self.best_ratio is None else f"{self.best_ratio:.2f}",
            "target": "" if self.target is None else f"{sign} {self.target:g}",
            "": self.error[:100] or {None: "", True: "pass", False: "FAIL"}[self.passed],
        }


@dataclasses.dataclass(frozen=True)
class BenchmarkReport:
    """Everything that was measured.

    Attributes:
      options: what was asked for.
      found: one entry for each case.
      about: machine, threads, versions and seconds in all.
      first: what was found about first results.
    """

    options: BenchmarkOptions
    found: list[Measured]
    about: dict[str, Any]
    first: Sequence[FirstRuns] = ()

    @property
    def at_target_conditions(self) -> bool:
        """Whether this run is one that the targets speak of: the networks at their own batch, enough rounds."""
        return not self.options.smoke and self.options.batch_size is None and self.options.repeats >= self._rounds

    @property
    def _rounds(self) -> int:
        return FIRST_REPEATS if self.options.cases == ("first_result",) else TARGET_REPEATS

    def rows(self) -> list[Row]:
        """The comparisons, in the order of the cases."""
        times = {entry.case: entry.time for entry in self.found if isinstance(entry.time, Timing)}
        return [*(row for entry in self.found for row in _rows(entry, times)), *_first_rows(self.first)]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "about": self.about,
            "options": dataclasses.asdict(self.options),
            "at_target_conditions": self.at_target_conditions,
            "rows": [row.to_dict() for row in self.rows()],
            "first_results": [runs.to_dict() for runs in self.first],
        }

    def kernels(self) -> str:
        """Which kernels the floors were timed with; empty where there are none."""
        if not any(entry.floor for entry in self.found):
            return ""
        theirs, torch = "oneDNN's kernels", self.about.get("pytorch")
        ours = theirs
        if not self.about["onednn"]:
            ours = "its own kernels, oneDNN being off (TF_ENABLE_ONEDNN_OPTS, or another processor)"
        text = f"Floors: TensorFlow {self.about['versions']['tensorflow']} with {ours};"
        if not torch or "torch" not in torch:
            return f"{text} no second one by PyTorch, {'which failed' if torch else 'which is not installed'}."
        return f"{text} PyTorch {torch['torch']} with {theirs if torch['onednn'] else 'its own kernels'}."

    def summary(self) -> str:
        """How many targets are met, and whether this run could tell."""
        judged = [row.passed for row in self.rows() if row.passed is not None]
        text = f"{sum(judged)} of {len(judged)} targets met"
        if self.at_target_conditions:
            return f"{text}."
        return (
            f"{text}; they are meant for the networks at their own batch size and at least {self._rounds} rounds, so "
            "take these for an indication only."
        )

    def table(self) -> str:
        """The table for a terminal."""
        rows = [row.cells() for row in self.rows()]
        return aligned([[*rows[0]], *([*row.values()] for row in rows)]) if rows else "nothing was measured"

    def first_table(self) -> str:
        """The parts of each first result, for a terminal; empty where none was asked for."""
        head = ["first result", "network", "by", "K", "import", "load", "first", "later", "start-up", "total", "nodes"]
        rows = [head]
        for facts in (runs.to_dict() for runs in self.first):
            times = [f"{facts[part]:.2f} s" if part in facts else "-" for part in _PARTS]
            nodes = facts["error"][:60] or str(facts["nodes"] or "eager")
            rows.append([facts["kind"], facts["network"], facts["by"], str(facts["iterations"]), *times, nodes])
        return aligned(rows) if self.first else ""


def _rows(entry: Measured, times: Mapping[Case, Timing]) -> Iterator[Row]:
    case, time = entry.case, entry.time
    if isinstance(entry.memory, Memory):
        yield Row(case, "MiB", entry.memory.needed_mib)
    for failed, unit in ((entry.memory, "MiB"), (time, "ms")):
        if isinstance(failed, Failure):
            yield Row(case, unit, error=failed.message)
    if not isinstance(time, Timing):
        return
    row = _row(case, time)
    judged = (case.dtype, case.mode, case.batch_size) == ("float32", "function", case.setup.batch_size)
    yield _with_best(
        _compared(row, "floor", entry.floor, FLOOR_AT_MOST.get(case.kind) if judged else None), entry.torch_floor
    )
    if (line := _line(case, times)) is not None:
        yield _compared(row, "line", line, LINE_AT_MOST)
    single = times.get(dataclasses.replace(case, dtype="float32"))
    if case.dtype != "float32" and single is not None:
        yield _compared(row, "float32", single, HALF_AT_LEAST.get(case.kind) if case.mode == "function" else None)
    if entry.authors is not None:
        yield _compared(row, "authors", entry.authors, AUTHORS_AT_LEAST[case.kind])


def _row(case: Case, time: Timing) -> Row:
    samples = tuple(1e3 * seconds for seconds in time.seconds)
    return Row(case, "ms", 1e3 * time.median, 1e3 * time.low, 1e3 * time.high, samples)


def _first_rows(first: Sequence[FirstRuns]) -> Iterator[Row]:
    """Time to the first result beside that of the others, and start-up beside that at K = 1."""
    ours = {runs.case: runs for runs in first if runs.by == OURS}
    others: dict[tuple[str, Case], FirstRuns] = {(runs.by, runs.case): runs for runs in first}
    plain = {(runs.case.setup, runs.case.kind): runs for runs in first if runs.by == KERAS}
    for case, runs in ours.items():
        if runs.failure is not None:
            yield Row(case, "ms", error=runs.failure.message)
            continue
        for by, other in ((KERAS, plain.get((case.setup, case.kind))), (AUTHORS, others.get((AUTHORS, case)))):
            if other is not None:
                yield _compared(_row(case, runs.total), by, other.failure or other.total, None)
        once = ours.get(dataclasses.replace(case, iterations=1))
        if once is not None and once.failure is None and case.iterations > 1:
            target = START_UP_AT_MOST if case.iterations == LINE_ITERATIONS else None
            row = _row(dataclasses.replace(case, kind=f"{case.kind}, start-up"), runs.start_up)
            yield _compared(row, "K = 1", once.start_up, target)


def _with_best(row: Row, torch_floor: Timing | Failure | None) -> Row:
    """The row of a floor with the other floor beside it."""
    if not isinstance(torch_floor, Timing):
        return dataclasses.replace(row, torch_error="no PyTorch" if torch_floor is None else torch_floor.message)
    milliseconds, value = 1e3 * torch_floor.median, row.value or 0.0
    best = milliseconds if row.other is None else min(milliseconds, row.other)
    return dataclasses.replace(row, torch_floor=milliseconds, best_ratio=value / best)


def _compared(row: Row, against: str, other: Timing | Failure | None, target: float | None) -> Row:
    """The row, related to another time."""
    row = dataclasses.replace(row, against=against, error=other.message if isinstance(other, Failure) else "")
    if not isinstance(other, Timing):
        return row
    milliseconds, value = 1e3 * other.median, row.value or 0.0
    ratio = milliseconds / value if row.faster else value / milliseconds
    passed = None if target is None else (ratio >= target if row.faster else ratio <= target)
    return dataclasses.replace(row, other=milliseconds, ratio=ratio, target=target, passed=passed)


def _line(case: Case, times: Mapping[Case, Timing]) -> Timing | None:
    """The time at K = 10 on the straight line through the smaller K; None where there is no line."""
    if case.kind != setups.INFERENCE or case.iterations != LINE_ITERATIONS:
        return None
    smaller = {k: times.get(dataclasses.replace(case, iterations=k)) for k in range(LINE_ITERATIONS)}
    points = {k: time.median for k, time in smaller.items() if time is not None}
    if len(points) < 3:
        return None
    return Timing((float(np.polyval(np.polyfit([*points], [*points.values()], 1), LINE_ITERATIONS)),))
