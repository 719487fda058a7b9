"""One figure for each analysis, written as PNG; equal results are equal files."""

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnf_tf.evaluation.figures import save_png
from cnnf_tf.evaluation.representations.estimates import NO_INTERVAL, Estimate
from cnnf_tf.evaluation.representations.similarity import Similarity
from cnnf_tf.utils.plotting import new_figure

_STYLES = ("-", "--", ":", "-.")
MOST_RDMS = 6
"""Pictures below a similarity."""


class Curves:
    """One panel: an estimate over the passes for each name.

    Args:
      title: of the panel.
      rows: by name, `[passes]`; without intervals where the ends are NaN.
      label: of the vertical axis.
      level: a value to draw a line at.
    """

    def __init__(self, title: str, rows: Mapping[str, Estimate], *, label: str = "", level: float | None = None):
        self.title, self.rows, self.label, self.level = title, rows, label, level


def curves_figure(
    path: str | os.PathLike[str],
    panels: Sequence[Curves],
    *,
    title: str,
    models: Mapping[str, str] | None = None,
    one_range: bool = False,
) -> None:
    """Writes a PNG of panels side by side, over the passes, with bars for the intervals.

    Args:
      path: file to write.
      panels: at least one. The names of the first are explained, below.
      title: heading of the figure.
      one_range: the panels share their vertical range, as they show one quantity.
      models: by name the model. Each model has its dash; its names have colours from dark to light, in order. So have
        names that are of no model, such as those of differences between two.
    """
    figure = new_figure(max(5.5, 4.2 * len(panels)), 4.2)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=one_range)[0]
    style = _styles(list(dict.fromkeys(name for panel in panels for name in panel.rows)), models)
    for axis, panel in zip(axes, panels, strict=True):
        _draw_curves(axis, panel, style)
    _legend(figure, axes[0])
    figure.suptitle(title, fontsize=10)
    save_png(figure, path)


def similarity_figure(
    path: str | os.PathLike[str],
    similarity: Similarity,
    *,
    title: str,
    models: Mapping[str, str] | None = None,
    pairs: Mapping[str, tuple[str, str]] | None = None,
    rdms: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Writes a PNG: every pass of every name against every other, likeness with pass 0, and between models; RDMs.

    Args:
      path: file to write.
      similarity: of `rsa` or `cka`.
      title: heading of the figure.
      models: as for `curves_figure`.
      pairs: names of two models to compare, pass by pass, by what to call them.
      rdms: pictures below, by what to call them, `[images, images]`; six at most are drawn, the last ones.
    """
    names = similarity.names()
    panels = [Curves("likeness of each pass with pass 0", {name: similarity.with_first_pass(name) for name in names})]
    if pairs:
        both = {text: similarity.between(*pair) for text, pair in pairs.items()}
        panels.append(Curves("likeness of the two models", both))
    shown = dict(list((rdms or {}).items())[-MOST_RDMS:])
    heights = [4.6, 2.5] if shown else [4.6]
    width = 5.4 + 4.0 * len(panels)
    figure = new_figure(width, sum(heights))
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    axes = parts[0].subplots(1, 1 + len(panels), width_ratios=[1.25, *[1] * len(panels)])
    _draw_matrix(parts[0], axes[0], similarity)
    style = _styles([*names, *(pairs or {})], models)
    for axis, panel in zip(axes[1:], panels, strict=True):
        _draw_curves(axis, panel, style)
    _legend(parts[0], axes[1])
    if shown:
        _draw_rdms(parts[1], shown)
    some = any(np.isnan(row.low).any() for panel in panels for row in panel.rows.values())
    figure.suptitle(title + NO_INTERVAL if some else title, fontsize=10)
    save_png(figure, path)


def _styles(names: Sequence[str], models: Mapping[str, str] | None) -> dict[str, dict[str, Any]]:
    """See `curves_figure`."""
    import matplotlib

    colours, styles = matplotlib.colormaps["viridis"], {}
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault((models or {}).get(name, ""), []).append(name)
    dashes = itertools.cycle(_STYLES)
    for model, own in groups.items():
        dash = next(dashes) if model else "-"
        for place, name in enumerate(own):
            styles[name] = {"color": colours(0.9 * place / max(1, len(own) - 1)), "linestyle": dash}
    return styles


def _draw_curves(axis: Any, panel: Curves, styles: Mapping[str, Mapping[str, Any]]) -> None:
    longest = max((len(row.value) for row in panel.rows.values()), default=1)
    aside = np.linspace(-0.12, 0.12, len(panel.rows)) if len(panel.rows) > 1 else [0.0]
    for shift, (name, row) in zip(aside, panel.rows.items(), strict=True):
        passes = np.arange(len(row.value)) + shift
        bars = np.abs(np.stack([row.value - row.low, row.high - row.value]))
        bars = None if np.isnan(bars).all() else bars
        axis.errorbar(
            passes, row.value, yerr=bars, label=name, marker="o", markersize=3.5, linewidth=1.3, elinewidth=0.9,
            capsize=2, **styles[name],
        )  # fmt: skip
    if panel.level is not None:
        axis.axhline(panel.level, color="0.5", linewidth=0.9)
    axis.set_title(panel.title, fontsize=9)
    axis.set_xlabel("pass (0: the plain CNN)", fontsize=8)
    axis.set_ylabel(panel.label, fontsize=8)
    axis.set_xlim(-0.4, longest - 0.6)
    axis.set_xticks(range(longest)[:: 1 + longest // 12])
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3)


def _draw_matrix(figure: Any, axis: Any, similarity: Similarity) -> None:
    values = similarity.matrix.value
    image = axis.imshow(
        values, cmap="viridis", vmin=min(0.0, float(np.nanmin(values))), vmax=1, interpolation="nearest"
    )
    places = [name for name, _ in similarity.items]
    starts = [index for index, name in enumerate(places) if index == 0 or name != places[index - 1]]
    ends = [*starts[1:], len(places)]
    for start in starts[1:]:
        axis.axhline(start - 0.5, color="white", linewidth=1)
        axis.axvline(start - 0.5, color="white", linewidth=1)
    centres = [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)]
    axis.set_xticks(centres, similarity.names(), rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(centres, similarity.names())
    axis.tick_params(labelsize=7, length=0)
    axis.set_title("every pass with every other, pass 0 left and above", fontsize=9)
    figure.colorbar(image, ax=axis, shrink=0.8).ax.tick_params(labelsize=7)


def _draw_rdms(figure: Any, rdms: Mapping[str, np.ndarray]) -> None:
    figure.suptitle(
        "RDMs of the last layers of each model, the images sorted by class where they have one; dark: alike", fontsize=9
    )
    axes = figure.subplots(1, len(rdms), squeeze=False)[0]
    for axis, (name, rdm) in zip(axes, rdms.items(), strict=True):
        above = rdm[np.triu_indices(len(rdm), 1)]
        low, high = np.percentile(above, [1, 99])
        axis.imshow(rdm, cmap="magma", vmin=low, vmax=max(high, low + 1e-12), interpolation="nearest")
        axis.set_title(name, fontsize=8)
        axis.set_xticks([])
        axis.set_yticks([])


def _legend(figure: Any, axis: Any) -> None:
    handles, labels = axis.get_legend_handles_labels()
    columns = max(1, min(len(labels), 110 // (6 + max(map(len, labels), default=1))))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
