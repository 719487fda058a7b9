"""The figure of a benchmark: ratios with their targets, growth with K, and memory."""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnf_tf.experiments.benchmark import cases
from cnnf_tf.experiments.benchmark.report import BenchmarkReport, Row
from cnnf_tf.utils.plotting import new_figure, save_figure

_MARKERS = "osD^vP*X"
_COLOURS = {True: "tab:green", False: "tab:red", None: "tab:grey"}
_NOTHING = "not measured in this run"


def benchmark_figure(report: BenchmarkReport, stem: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Draws a report; writes `stem`.png and `stem`.svg.

    Args:
      report: from `run_benchmark`.
      stem: path of the files without their suffixes.
    """
    rows = report.rows()
    bars = [row for row in rows if row.ratio is not None and row.target is not None]
    figure = new_figure(14, max(7.0, 2 + 0.2 * len(bars)))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1))
    _ratios(left.subplots(), bars)
    panels = right.subplots(3, 1)
    timed = [row for row in rows if row.unit == "ms" and row.against == "floor" and row.value is not None]
    sweep = [row for row in timed if row.case.kind == cases.INFERENCE and _main(row, report)]
    sweep = [row for row in sweep if row.case.batch_size == row.case.setup.batch_size]
    _lines(panels[0], sweep, "K", "ms", lambda row: f"{row.case.setup.network}, ind {row.case.ind}", fit=True)
    panels[0].set_title("inference against K, with straight lines through K < 10", fontsize=9)
    memory = [row for row in rows if row.unit == "MiB" and row.value is not None]
    own = [row for row in memory if row.case.batch_size == row.case.setup.batch_size]
    _lines(panels[1], own, "K", "MiB", _label)
    panels[1].set_title("peak memory against K", fontsize=9)
    fixed = [row for row in memory if row.case.iterations == row.case.setup.iterations]
    _lines(panels[2], fixed, "batch size", "MiB", _label)
    panels[2].set_title("peak memory against the batch", fontsize=9)
    about = report.about
    figure.suptitle(f"{about['cpu']}, {about['threads']} threads, median of {report.options.repeats}", fontsize=10)
    return save_figure(figure, stem)


def _main(row: Row, report: BenchmarkReport) -> bool:
    return (row.case.dtype, row.case.mode) == (report.options.dtypes[0], report.options.modes[0])


def _label(row: Row) -> str:
    return f"{row.case.setup.network}, {row.case.kind}"


def _ratios(axis: Any, rows: Sequence[Row]) -> None:
    """A bar for each comparison with a target; the black tick is the target."""
    axis.set_title("ratios and targets (ticks: floor, line at most; float32, authors at least)", fontsize=9)
    if not rows:
        axis.text(0.5, 0.5, _NOTHING, ha="center", transform=axis.transAxes)
        return
    places = range(len(rows))
    axis.barh(places, [row.ratio for row in rows], color=[_COLOURS[row.passed] for row in rows], height=0.7)
    axis.scatter([row.target for row in rows], places, marker="|", s=90, color="black", zorder=3)
    labels = []
    for row in rows:
        case = row.case
        labels.append(f"{case.kind}, {case.setup.network}, ind {case.ind}, K {case.iterations}, {case.dtype} / ")
        labels[-1] += f"{row.against} (batch {case.batch_size})"
    axis.set_yticks(places, labels, fontsize=6)
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.grid(axis="x", alpha=0.3)


def _lines(
    axis: Any, rows: Sequence[Row], against: str, unit: str, label: Callable[[Row], str], *, fit: bool = False
) -> None:
    axis.set_xlabel(against, fontsize=8)
    axis.set_ylabel(unit, fontsize=8)
    axis.grid(alpha=0.3)
    if not rows:
        axis.text(0.5, 0.5, _NOTHING, ha="center", transform=axis.transAxes)
        return
    for index, name in enumerate(dict.fromkeys(map(label, rows))):
        values = {}
        for row in rows:
            if label(row) == name:
                values[row.case.iterations if against == "K" else row.case.batch_size] = row.value
        places = sorted(values)
        marker = _MARKERS[index % len(_MARKERS)]
        (line,) = axis.plot(
            places, [values[place] for place in places], marker=marker, markersize=4, label=name, lw=0 if fit else 1.2
        )
        small = [place for place in places if place < 10]
        if fit and len(small) >= 2:
            straight = np.polyfit(small, [values[place] for place in small], 1)
            axis.plot(places, np.polyval(straight, places), color=line.get_color(), lw=0.9, ls="--")
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=6)
