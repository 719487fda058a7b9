"""Writes what a demo found: `index.html` by the template beside this file, its pictures as PNG, the numbers as JSON."""

import functools
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnf_tf.evaluation.figures import Picture, picture_address, picture_grid, png_address
from cnnf_tf.evaluation.restoration.quality import image_qualities, restoration_figure
from cnnf_tf.experiments.demo import charts
from cnnf_tf.experiments.demo.measures import Demo, RestorationDemo
from cnnf_tf.utils.files import write_json, write_text
from cnnf_tf.utils.intervals import wilson_interval
from cnnf_tf.utils.templates import template

_ATTACKED_SHOWN = 3  # images that broke, and as many that stand


def write_demo(demo: Demo, folder: str | os.PathLike[str], *, facts: Mapping[str, str]) -> pathlib.Path:
    """Writes the page and all that goes with it.

    Args:
      demo: what was found.
      folder: made if need be.
      facts: lines for the foot of the page, such as versions; that called "Command" is shown as it is typed.

    Returns:
      The page, `index.html` in the folder.
    """
    folder = pathlib.Path(folder)
    lines = {
        f"{name}, {'last pass' if readout == 'last' else readout}": shares
        for name, found in demo.passes.items()
        for readout, shares in found.accuracy.items()
    }
    drawings = {
        "repair": functools.partial(charts.restoration_chart, demo.repairs),
        "attack": functools.partial(charts.comparison_chart, demo.comparisons),
        "accuracy": functools.partial(charts.passes_chart, lines),
        "training": functools.partial(charts.training_chart, demo.tuning),
    }
    drawn: dict[str, Any] = {"width": charts.WIDTH}
    for name, draw in drawings.items():
        light, dark = charts.save_chart(draw, folder / f"{name}.png")
        drawn[name] = {"light": png_address(light), "dark": png_address(dark)}
    for repair in demo.repairs:
        quality = repair.quality
        restoration_figure(
            folder / f"repair_{quality.corruption}.png",
            repair.noisy,
            repair.restored,
            repair.clean,
            iterations=quality.iterations,
            title=f"{charts.words(quality.corruption)}, severity {quality.severity}; restored: h after an iteration",
        )
    filters: dict[str, Any] = {
        "capitalize_first": lambda text: text[:1].upper() + text[1:],
        "change": lambda decibels: f"{decibels:+.1f}".replace("-", "\N{MINUS SIGN}"),
        "percent": lambda share: f"{100 * share:.1f}\N{NO-BREAK SPACE}%",
        "picture": picture_address,
        "rows": lambda quality: quality.rows(),
        "share": _share,
        "tiles": _tiles,
        "words": charts.words,
    }
    text = template(pathlib.Path(__file__).with_name("page.html.j2"), **filters).render(
        demo=demo, charts=drawn, lines=lines, attacked=_attacked(demo, folder), facts=facts
    )
    write_json(folder / "demo.json", demo.to_dict() | {"facts": dict(facts)})
    write_text(folder / "index.html", text.replace("CNN-F", "CNN\N{NON-BREAKING HYPHEN}F"))
    return folder / "index.html"


def _share(flags: np.ndarray) -> str:
    """How many of how many, with the 95 % interval."""
    low, high = wilson_interval(int(flags.sum()), len(flags))
    return f"{int(flags.sum())} of {len(flags)} ({100 * low:.0f}–{100 * high:.0f}\N{NO-BREAK SPACE}%)"


def _tiles(repair: RestorationDemo) -> list[list[tuple[str, np.ndarray, float]]]:
    """A row for each image: name, pixels and PSNR of the truth, of the corrupted image, and of h after each pass."""
    columns = {"truth": repair.clean, "corrupted": repair.noisy}
    columns |= {f"pass {step}": h for step, h in zip(repair.quality.iterations, repair.restored, strict=True)}
    scores = {name: np.asarray(image_qualities(images, repair.clean))[:, 0] for name, images in columns.items()}
    return [[(name, columns[name][i], scores[name][i]) for name in columns] for i in range(len(repair.clean))]


def _attacked(demo: Demo, folder: pathlib.Path) -> list[dict[str, Any]]:
    """Some images of the first comparison that broke and some that stand, before and after PGD through the loop."""
    comparison = demo.comparisons[0]
    report = comparison.cnnf.reports["full_unroll"]
    broken = _of_several_classes(report.clean_correct & (report.predictions != report.labels), report.labels)
    chosen: list[dict[str, Any]] = [
        {
            "index": index,
            "before": comparison.cnnf.images[index],
            "after": report.images[index],
            "label": demo.class_names[int(report.labels[index])],
            "answer": demo.class_names[int(report.predictions[index])],
        }
        for index in [*broken, *_of_several_classes(comparison.cnnf.robust, report.labels)]
    ]
    if chosen:
        picture_grid(
            folder / "attack_images.png",
            [
                [Picture(image["before"], image["label"]) for image in chosen],
                [Picture(image["after"], image["answer"]) for image in chosen],
            ],
            title=f"CNN-F, {comparison.name}, before and after PGD of epsilon {comparison.epsilon:g}",
            row_titles=["image", "attacked"],
        )
    return chosen


def _of_several_classes(flags: np.ndarray, labels: np.ndarray) -> list[int]:
    """The first flagged image of each class, in the order of the images, some of them."""
    firsts = np.unique(np.where(flags, labels, -1), return_index=True)
    return sorted(int(index) for label, index in zip(*firsts, strict=True) if label >= 0)[:_ATTACKED_SHOWN]
