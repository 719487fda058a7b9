"""The figure of a benchmark: ratios with their targets, growth with K, and memory."""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnf_tf.experiments.benchmark import setups
from cnnf_tf.experiments.benchmark.report import BenchmarkReport, Row
from cnnf_tf.utils.plotting import new_figure, save_figure

_MARKERS = "osD^vP*X"
_COLOURS = {True: "tab:green", False: "tab:red", None: "tab:grey"}


def benchmark_figure(report: BenchmarkReport, stem: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Draws a report; writes `stem`.png and `stem`.svg.

    Args:
      report: from `run_benchmark`.
      stem: path of the files without their suffixes.
    """
    rows, main = report.rows(), (report.options.dtypes[0], report.options.modes[0])
    bars = [row for row in rows if row.ratio is not None and row.target is not None]
    memory = [row for row in rows if row.unit == "MiB" and row.value is not None]
    sweep = [
        row
        for row in rows
        if row.against == "floor" and row.case.kind == setups.INFERENCE and (row.case.dtype, row.case.mode) == main
    ]
    figure = new_figure(14, max(7.0, 2 + 0.2 * len(bars)))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1))
    _ratios(left.subplots(), bars)
    panels = {
        "inference against K, with straight lines through K < 10": (sweep, "K", _network_and_split),
        "peak memory against K": (memory, "K", _network_and_kind),
        "peak memory against the batch": (memory, "batch size", _network_and_kind),
    }
    for axis, (title, panel) in zip(right.subplots(3, 1), panels.items(), strict=True):
        axis.set_title(title, fontsize=9)
        _lines(axis, *panel)
    about = report.about
    figure.suptitle(f"{about['cpu']}, {about['threads']} threads, median of {report.options.repeats}", fontsize=10)
    return save_figure(figure, stem)


def _network_and_split(row: Row) -> str:
    return f"{row.case.setup.network}, encoder_blocks {row.case.encoder_blocks}"


def _network_and_kind(row: Row) -> str:
    return f"{row.case.setup.network}, {row.case.kind}"


def _ratios(axis: Any, rows: Sequence[Row]) -> None:
    """A bar for each comparison with a target; the black tick is the target."""
    axis.set_title("ratios and targets (ticks: floor, line at most; float32, authors at least)", fontsize=9)
    if _nothing(axis, rows):
        return
    places = range(len(rows))
    axis.barh(places, [row.ratio for row in rows], color=[_COLOURS[row.passed] for row in rows], height=0.7)
    axis.scatter([row.target for row in rows], places, marker="|", s=90, color="black", zorder=3)
    labels = [
        f"{row.case.kind}, {_network_and_split(row)}, K {row.case.iterations}, {row.case.dtype} / {row.against} "
        f"(batch {row.case.batch_size})"
        for row in rows
    ]
    axis.set_yticks(places, labels, fontsize=6)
    axis.invert_yaxis()
    axis.set_xlim(left=0)
    axis.grid(axis="x", alpha=0.3)


def _lines(axis: Any, rows: Sequence[Row], against: str, label: Callable[[Row], str]) -> None:
    """A line for each label; times as points, with the straight line through the smaller K."""
    growing, fixed = ("iterations", "batch_size") if against == "K" else ("batch_size", "iterations")
    rows = [row for row in rows if getattr(row.case, fixed) == getattr(row.case.setup, fixed)]
    if _nothing(axis, rows):
        return
    axis.set_xlabel(against, fontsize=8)
    axis.set_ylabel(rows[0].unit, fontsize=8)
    axis.grid(alpha=0.3)
    fit = rows[0].unit == "ms"
    for marker, name in zip(_MARKERS * len(rows), dict.fromkeys(map(label, rows)), strict=False):
        points = sorted((getattr(row.case, growing), row.value) for row in rows if label(row) == name)
        (line,) = axis.plot(*zip(*points, strict=True), marker=marker, markersize=4, label=name, lw=0 if fit else 1.2)
        small = [point for point in points if point[0] < 10]
        if fit and len(small) >= 2:
            straight = np.polyfit([place for place, _ in small], [value for _, value in small], 1)
            places = [place for place, _ in points]
            axis.plot(places, np.polyval(straight, places), color=line.get_color(), lw=0.9, ls="--")
    axis.set_ylim(bottom=0)
    axis.legend(fontsize=6)


def _nothing(axis: Any, rows: Sequence[Row]) -> bool:
    if not rows:
        axis.text(0.5, 0.5, "not measured in this run", ha="center", transform=axis.transAxes)
    return not rows
