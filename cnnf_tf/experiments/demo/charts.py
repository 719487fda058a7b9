"""The charts of the demo page, each drawn for a light and for a dark page, and as a PNG of its own."""

import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cnnf_tf.experiments.demo.measures import SHOWN, AttackComparison, FineTuning, RestorationDemo
from cnnf_tf.utils.files import atomic_path
from cnnf_tf.utils.intervals import wilson_interval
from cnnf_tf.utils.plotting import new_figure

WIDTH = 520
"""Of a chart on the page, in CSS pixels."""

_HEIGHT = 320
_DENSITY = 2  # pixels of the PNG in one of the page
_MARKERS = "osD^"


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colours of a chart: of its text, of text on a bar, its grid and its series; what is behind it shows through.

    Of the series the first is CNN-F and the second the CNN, as in the style sheet of the page; the others are free.
    """

    ink: str
    on_bar: str
    grid: str
    series: tuple[str, ...]


LIGHT = Theme("#3b3935", "white", "#dcd8cf", ("#c2540f", "#2f5fb3", "#2b7a3d", "#7a4fb0"))
DARK = Theme("#cfccc5", "#16171a", "#3b3d43", ("#ff9d5c", "#8fb4ff", "#7fd491", "#c9a8f5"))

Draw = Callable[[Any, Theme], None]
"""Draws a chart on an axis; the functions below do, given what to show."""


def words(name: str) -> str:
    """A name such as shot_noise in words."""
    return name.replace("_", " ").replace("gaussian", "Gaussian")


def save_chart(draw: Draw, path: Any) -> tuple[bytes, bytes]:
    """Writes a chart as PNG on white; returns it as two PNGs without a ground, for light and for dark pages."""
    from PIL import Image

    light = _drawn(draw, LIGHT)
    with atomic_path(path) as temporary:
        drawn = Image.open(io.BytesIO(light)).convert("RGBA")
        Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB").save(temporary)
    return light, _drawn(draw, DARK)


def restoration_chart(repairs: Sequence[RestorationDemo], axis: Any, theme: Theme) -> None:
    """PSNR of the corrupted images and after each iteration, a line for each corruption."""
    for index, repair in enumerate(repairs):
        quality = repair.quality
        values = [quality.corrupted.psnr, *(found.psnr for found in quality.restored[SHOWN])]
        axis.plot([0, *quality.iterations], values, label=words(quality.corruption), **_line(theme, index))
    axis.set_xticks([0, *repairs[0].quality.iterations])
    axis.set_xlabel("feedback passes (0: the corrupted image)")
    axis.set_ylabel("PSNR (dB)")


def comparison_chart(comparisons: Sequence[AttackComparison], axis: Any, theme: Theme) -> None:
    """Accuracy of CNN-F and CNN without and under attack, with 95 % intervals."""
    groups = [when for comparison in comparisons for when in ("no attack", f"epsilon {comparison.epsilon:g}")]
    places = np.arange(len(groups)) + 0.35 * (np.arange(len(groups)) // 2)
    for index, name in enumerate(("CNN-F", "CNN")):
        shares, errors = [], []
        for comparison in comparisons:
            found = comparison.cnnf if index == 0 else comparison.cnn
            for flags in (found.clean_correct, found.robust):
                low, high = wilson_interval(int(flags.sum()), len(flags))
                shares.append(100 * float(np.mean(flags)))
                errors.append((max(0.0, shares[-1] - 100 * low), max(0.0, 100 * high - shares[-1])))
        offset = (index - 0.5) * 0.4
        bars = axis.bar(
            places + offset,
            shares,
            0.37,
            yerr=np.transpose(errors),
            color=theme.series[index],
            error_kw={"ecolor": theme.ink, "capsize": 3, "elinewidth": 1},
            label=name,
        )
        for bar, share in zip(bars, shares, strict=True):
            if share >= 12:  # at the foot, where no interval reaches
                place = bar.get_x() + bar.get_width() / 2
                axis.text(place, 3, f"{share:.0f}", ha="center", color=theme.on_bar, fontweight="bold")
    for index, comparison in enumerate(comparisons):
        axis.text(np.mean(places[2 * index : 2 * index + 2]), 108, comparison.name, ha="center", fontstyle="italic")
    axis.set_xticks(places, groups)
    axis.set_yticks(range(0, 101, 20))
    axis.set_ylabel("right answers (%)")
    axis.set_ylim(0, 115)
    axis.grid(visible=False, axis="x")


def passes_chart(lines: Mapping[str, Sequence[float]], axis: Any, theme: Theme) -> None:
    """Accuracy after every pass; shares in [0, 1] by the name of the line."""
    for index, (name, shares) in enumerate(lines.items()):
        # Two readouts of one model: one colour, the second dashed.
        style = _line(theme, index // 2) | {"linestyle": "--" if index % 2 else "-", "marker": _MARKERS[index % 4]}
        axis.plot(range(len(shares)), [100 * share for share in shares], label=name, **style)
    axis.set_xticks(range(max(map(len, lines.values()))))
    axis.set_xlabel("feedback passes (0: the plain CNN)")
    axis.set_ylabel("right answers (%)")


def training_chart(tuning: FineTuning, axis: Any, theme: Theme) -> None:
    """The loss of every step."""
    axis.plot(range(1, len(tuning.losses) + 1), tuning.losses, color=theme.series[0], linewidth=2)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("step")
    axis.set_ylabel("loss of the batch (nats)")


def _drawn(draw: Draw, theme: Theme) -> bytes:
    import matplotlib

    settings = {
        "font.size": 11,
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.edgecolor": theme.grid,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": theme.grid,
        "grid.linewidth": 0.8,
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "legend.frameon": False,
        "legend.fontsize": 10.5,
    }
    with matplotlib.rc_context(settings):
        figure = new_figure(WIDTH / 100, _HEIGHT / 100)
        axis = figure.subplots()
        draw(axis, theme)
        axis.tick_params(length=0)
        count = len(axis.get_legend_handles_labels()[0])
        if count > 1:
            columns = count if count <= 3 else 2
            figure.legend(loc="outside upper left", ncols=columns, columnspacing=1.4, handlelength=1.6)
        stored = io.BytesIO()
        figure.savefig(stored, format="png", dpi=100 * _DENSITY, metadata={"Software": None})
    return stored.getvalue()


def _line(theme: Theme, index: int) -> dict[str, Any]:
    colours = (theme.series[0], *theme.series[2:])  # all are CNN-F
    return {
        "color": colours[index % len(colours)],
        "marker": _MARKERS[index % len(_MARKERS)],
        "linewidth": 2,
        "markersize": 6,
    }
