"""The four figures of the study, from its rows."""

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnf_tf.utils.plotting import new_figure, save_figure

_MARKERS = "osD^vP*"
Rows = Sequence[Mapping[str, Any]]


_ACCURACY: dict[str, tuple[str, str, Callable[[Mapping[str, Any]], str]]] = {
    "epsilons": ("epsilon", "epsilon (l-inf, pixels in [0, 1])", lambda row: f"{row['model']}, {row['readout']}"),
    "trained": ("iterations", "K, iterations in training and test", lambda row: _epsilon_name(row)),
    "tested": ("iterations", "K', iterations in test", lambda row: f"{_epsilon_name(row)}, {row['readout']}"),
}
"""What accuracy is drawn against: the key in the rows, its name, and the name of the line that a row belongs to."""


def accuracy_figure(part: str, rows: Rows, stem: str | os.PathLike[str], *, title: str) -> list[pathlib.Path]:
    """(a) to (c) Accuracy under PGD: against its epsilon, the trained K and the tested K' (a panel for each model)."""
    x, x_label, label = _ACCURACY[part]
    models = list(dict.fromkeys(row["model"] for row in rows))
    panels: dict[str, Rows] = {title: rows}
    if part == "tested":
        panels = {model: [row for row in rows if row["model"] == model] for model in models}
    figure = new_figure(5.2 * len(models) + 0.4 if part == "tested" else 6.4, 4.6)
    for axis, (heading, own) in zip(
        figure.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels.items(), strict=True
    ):
        for marker, name in zip(_MARKERS * len(own), dict.fromkeys(map(label, own)), strict=False):
            line = sorted((row for row in own if label(row) == name), key=lambda row: row[x])
            # An interval need not reach down to a mean of exactly 0 or 1.
            below = [max(0.0, 100 * (row["accuracy"] - row["low"])) for row in line]
            above = [max(0.0, 100 * (row["high"] - row["accuracy"])) for row in line]
            shares = [100 * row["accuracy"] for row in line]
            style = {"label": name, "marker": marker, "markersize": 4, "capsize": 2, "linewidth": 1.4}
            axis.errorbar([row[x] for row in line], shares, [below, above], **style)
        axis.set_xlabel(x_label)
        axis.set_ylabel("accuracy (%)")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
        axis.set_title(heading, fontsize=9)
    if part == "tested":
        figure.suptitle(title, fontsize=9)
    return save_figure(figure, stem)


def needed_figure(rows: Rows, stem: str | os.PathLike[str], *, title: str) -> list[pathlib.Path]:
    """(d) Mean number of iterations until the label stays, against three kinds of difficulty."""
    kinds = {
        "epsilon of PGD on the first pass": [row for row in rows if row["difficulty"] == "epsilon"],
        "severity of a corruption": [row for row in rows if row["difficulty"] not in ("epsilon", "margin")],
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


def _epsilon_name(row: Mapping[str, Any]) -> str:
    return "clean" if row["epsilon"] == 0 else f"PGD, epsilon {row['epsilon']:g}"
