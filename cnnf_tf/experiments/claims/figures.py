"""The four figures of the study, from its rows."""

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnf_tf.utils.plotting import new_figure, save_figure

_MARKERS = "osD^vP*"
Rows = Sequence[Mapping[str, Any]]


def radii_figure(rows: Rows, stem: str | os.PathLike[str], *, title: str) -> list[pathlib.Path]:
    """(a) Accuracy under PGD against its radius, a line for each model and readout."""
    figure = new_figure(6.4, 4.6)
    axis = figure.subplots()
    _lines(axis, rows, x="radius", label=lambda row: f"{row['model']}, {row['readout']}")
    _finish(axis, "radius (l-inf, pixels in [0, 1])", title)
    return save_figure(figure, stem)


def trained_figure(rows: Rows, stem: str | os.PathLike[str], *, title: str) -> list[pathlib.Path]:
    """(b) Accuracy against the K that CNN-F was trained and tested with, a line for each radius."""
    figure = new_figure(6.4, 4.6)
    axis = figure.subplots()
    _lines(axis, rows, x="iterations", label=lambda row: _radius_name(row["radius"]))
    _finish(axis, "K, iterations in training and test", title)
    return save_figure(figure, stem)


def tested_figure(rows: Rows, stem: str | os.PathLike[str], *, title: str) -> list[pathlib.Path]:
    """(c) Accuracy against the K' of the test: a panel for each model, a line for each radius and readout."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    figure = new_figure(5.2 * len(models) + 0.4, 4.6)
    panels = figure.subplots(1, len(models), squeeze=False, sharey=True)[0]
    for axis, model in zip(panels, models, strict=True):
        own = [row for row in rows if row["model"] == model]
        _lines(axis, own, x="iterations", label=lambda row: f"{_radius_name(row['radius'])}, {row['readout']}")
        _finish(axis, "K', iterations in test", model)
    figure.suptitle(title, fontsize=9)
    return save_figure(figure, stem)


def needed_figure(rows: Rows, stem: str | os.PathLike[str], *, title: str) -> list[pathlib.Path]:
    """(d) Mean number of iterations until the label stays, against three kinds of difficulty."""
    kinds = {
        "radius of PGD on the first pass": [row for row in rows if row["difficulty"] == "radius"],
        "severity of a corruption": [row for row in rows if row["difficulty"] not in ("radius", "margin")],
        "margin of the first pass (bin 1: largest)": [row for row in rows if row["difficulty"] == "margin"],
    }
    figure = new_figure(11.5, 4.2)
    for axis, (name, own) in zip(figure.subplots(1, 3, sharey=True), kinds.items(), strict=True):
        groups = dict.fromkeys((row["model"], row["difficulty"]) for row in own)
        for index, group in enumerate(groups):
            line = [row for row in own if (row["model"], row["difficulty"]) == group]
            for condition, suffix, style in (("all images", "", "-"), ("images right in the end", "_if_right", "--")):
                shown = [row for row in line if row[f"settled_mean{suffix}"] is not None]
                axis.errorbar(
                    [row["level"] for row in shown],
                    [row[f"settled_mean{suffix}"] for row in shown],
                    [row[f"settled_error{suffix}"] for row in shown],
                    label=f"{group[0]}, {group[1]}, {condition}",
                    color=f"C{index}",
                    linestyle=style,
                    marker=_MARKERS[index % len(_MARKERS)],
                    markersize=4,
                    capsize=2,
                )
        axis.set_xlabel(name)
        axis.grid(alpha=0.3)
        if own:
            axis.legend(fontsize=7)
    figure.axes[0].set_ylabel("iterations until the label stays")
    figure.suptitle(title, fontsize=9)
    return save_figure(figure, stem)


def _lines(axis: Any, rows: Rows, *, x: str, label: Callable[[Mapping[str, Any]], str]) -> None:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(label(row), []).append(row)
    for index, (name, line) in enumerate(groups.items()):
        line = sorted(line, key=lambda row: row[x])
        centre = [100 * row["accuracy"] for row in line]
        # An interval need not reach down to a mean of exactly 0 or 1.
        below = [max(0.0, 100 * (row["accuracy"] - row["low"])) for row in line]
        above = [max(0.0, 100 * (row["high"] - row["accuracy"])) for row in line]
        axis.errorbar(
            [row[x] for row in line],
            centre,
            [below, above],
            label=name,
            marker=_MARKERS[index % len(_MARKERS)],
            markersize=4,
            capsize=2,
            linewidth=1.4,
        )


def _finish(axis: Any, x_label: str, title: str) -> None:
    axis.set_xlabel(x_label)
    axis.set_ylabel("accuracy (%)")
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)
    axis.set_title(title, fontsize=9)


def _radius_name(radius: float) -> str:
    return "clean" if radius == 0 else f"PGD, radius {radius:g}"
