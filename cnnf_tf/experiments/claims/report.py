"""The study's tables and figures, from the cells of its record."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from cnnf_tf.experiments.claims.figures import accuracy_figure, needed_figure
from cnnf_tf.experiments.claims.measures import accuracy_row
from cnnf_tf.utils.files import write_text
from cnnf_tf.utils.resumable_results import ResumableResults
from cnnf_tf.utils.tables import aligned, csv_text

PARTS = ("epsilons", "trained", "tested", "needed")

_KEYS = ("model", "readout", "iterations", "epsilon")
_MEASURED = ("accuracy", "low", "high", "bar", "num_images", "num_seeds")
_NEEDED = (
    "model",
    "seed",
    "difficulty",
    "level",
    "num_images",
    "settled_mean",
    "settled_error",
    "settled_mean_if_right",
    "settled_error_if_right",
    "never_moved",
    "first_accuracy",
    "last_accuracy",
)

Cells = Sequence[Mapping[str, Any]]
Rows = list[dict[str, Any]]


def write_report(config: ConfigDict, record: ResumableResults) -> str:
    """Writes PART.csv, .png and .svg for each of `PARTS`, and the rows into the record.

    Args:
      config: as in configs/fashion_mnist_study.py.
      record: with all cells.

    Returns:
      The tables as text.
    """
    captions, rows, tables = _captions(config), {}, []
    for part in PARTS:
        rows[part] = _needed_rows(record.cells) if part == "needed" else _accuracy_rows(config, record.cells, part)
        fields = _NEEDED if part == "needed" else (*_KEYS, *_MEASURED)
        write_text(record.folder / f"{part}.csv", csv_text(fields, rows[part]))
        draw = needed_figure if part == "needed" else functools.partial(accuracy_figure, part)
        draw(rows[part], record.folder / part, title=captions[part])
        lines = _needed_lines(rows[part]) if part == "needed" else _accuracy_lines(rows[part])
        tables.append(f"\n{part}: {captions[part]}\n{aligned(list(lines))}")
    record.write(rows=rows)
    return "\n".join(tables) + "\n"


def _captions(config: ConfigDict) -> dict[str, str]:
    parts = config.study
    attack = f"PGD-{parts.attack.steps} ({' and '.join(parts.attack.paths).replace('_', ' ')})"
    clean = f"clean: {parts.clean_split} split"
    return {
        "epsilons": f"{attack}, {parts.epsilons.num_images} images; {clean}",
        "trained": f"{attack}, {parts.trained.num_images} images; {clean}; readout last",
        "tested": f"{attack} at the tested K', {parts.tested.num_images} images; {clean}",
        "needed": f"{parts.needed.num_images} images, K' = {parts.needed.max_iterations}; bars: one standard error",
    }


def _accuracy_rows(config: ConfigDict, cells: Cells, part: str) -> Rows:
    """One row for each model, readout, K' and epsilon: means over seeds."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for cell in cells:
        if cell["part"] == part or (cell["part"] == "clean" and _belongs(config, cell, part)):
            groups.setdefault(tuple(cell[key] for key in _KEYS), []).append(cell)
    order = list(config.study.models)
    keys = sorted(groups, key=lambda key: (order.index(key[0]), *key[1:]))
    return [dict(zip(_KEYS, key, strict=True)) | accuracy_row(groups[key]) for key in keys]


def _belongs(config: ConfigDict, cell: Mapping[str, Any], part: str) -> bool:
    """Whether a clean cell is the epsilon 0 of this part."""
    options = config.study.models[cell["model"]]
    if cell["model"] not in config.study[part].models:
        return False
    as_trained = cell["iterations"] == options.iterations
    if part == "epsilons":
        readouts = config.study.epsilons.readouts if options.iterations else config.study.epsilons.readouts[:1]
        return as_trained and cell["readout"] in readouts
    if part == "trained":
        return as_trained and cell["readout"] == "last"
    return cell["seed"] == options.seeds[0]


def _accuracy_lines(rows: Rows) -> Iterator[tuple[str, ...]]:
    yield (*_KEYS, "accuracy", "from", "to", "images", "seeds")
    for row in rows:
        shares = [f"{100 * row[name]:.1f} %" for name in ("accuracy", "low", "high")]
        yield *(str(row[key]) for key in _KEYS), *shares, str(row["num_images"]), str(row["num_seeds"])


def _needed_rows(cells: Cells) -> Rows:
    found = (cell for cell in cells if cell["part"] == "needed")
    return [dict(cell, first_accuracy=cell["accuracy"][0], last_accuracy=cell["accuracy"][-1]) for cell in found]


def _needed_lines(rows: Rows) -> Iterator[tuple[str, ...]]:
    yield ("model", "difficulty", "level", "settled after", "if right", "first pass", "last pass")
    for row in rows:
        right = "-" if row["settled_mean_if_right"] is None else f"{row['settled_mean_if_right']:.2f}"
        ends = [f"{100 * row[name]:.1f} %" for name in ("first_accuracy", "last_accuracy")]
        settled = f"{row['settled_mean']:.2f} +- {row['settled_error']:.2f}"
        yield row["model"], row["difficulty"], f"{row['level']:g}", settled, right, *ends
