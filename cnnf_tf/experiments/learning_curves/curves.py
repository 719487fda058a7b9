"""Test error against the number of training images: nested subsets, resumable records, means over seeds, the figure.

A study is a grid of cells (method, m, seed). Every method sees the same m images for the same seed, and the images for
a smaller m are among those for a larger one.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnf_tf.utils.files import write_text
from cnnf_tf.utils.plotting import new_figure, save_figure
from cnnf_tf.utils.resumable_results import ResumableResults
from cnnf_tf.utils.tables import aligned, csv_text

_FIELDS = ("method", "num_images", "num_seeds", "error_mean", "error_std", "error_min", "error_max", "num_test_images")


def nested_subsets(pool_size: int, sizes: Sequence[int], seed: int) -> dict[int, np.ndarray]:
    """The first m of one seeded permutation, for each m: independent draws from the pool, not stratified by class.

    Args:
      pool_size: number of images to draw from.
      sizes: values of m, increasing, from 1 to pool_size.
      seed: of the permutation, >= 0.

    Returns:
      For each m, `[m]` different integers in [0, pool_size).

    Raises:
      ValueError: sizes that are not increasing, or more images than the pool has.
    """
    sizes = list(sizes)
    if not sizes or sizes[0] < 1 or any(small >= large for small, large in zip(sizes, sizes[1:], strict=False)):
        raise ValueError(f"the numbers of training images must be increasing and at least 1, got {sizes}.")
    if sizes[-1] > pool_size:
        raise ValueError(f"{sizes[-1]} training images were asked for, but there are {pool_size} to draw from.")
    order = np.random.default_rng(seed).permutation(pool_size)
    return {size: order[:size] for size in sizes}


def place(cell: Mapping[str, Any]) -> tuple[str, int, int]:
    """The place of a cell in the grid: method, m, seed."""
    return cell["method"], cell["num_images"], cell["seed"]


class LearningCurves(ResumableResults):
    """The record of a study; see `ResumableResults` for its arguments and errors.

    A cell says what one method did after one training: `method`, `num_images` (m), `seed` (of the subset and, where
    there is any randomness, of the training), `num_correct` of `num_test_images` test images, `num_classes_seen` (how
    many of the classes the m images hold), `seconds` of training and scoring, and `details` (what else the method
    reports, for example its number of steps).
    """

    def __init__(self, folder: str | os.PathLike[str], config: Mapping[str, Any], about: Mapping[str, Any]):
        super().__init__(folder, config, about)
        try:
            self.rows()
        except (KeyError, TypeError) as error:
            raise self.damaged(error) from error

    def write(self, **derived: Any) -> None:
        super().write(rows=self.rows(), **derived)

    def rows(self) -> list[dict[str, Any]]:
        """Mean and sample standard deviation (n - 1; None for one seed) over seeds, for each method, m."""
        groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
        for cell in self.cells:
            groups.setdefault(place(cell)[:2], []).append(cell)
        methods = list(dict.fromkeys(method for method, _ in groups))
        rows = []
        for method, size in sorted(groups, key=lambda group: (methods.index(group[0]), group[1])):
            cells = groups[method, size]
            errors = np.array([1 - cell["num_correct"] / cell["num_test_images"] for cell in cells])
            spread = errors.std(ddof=1) if len(errors) > 1 else None
            numbers = (errors.mean(), spread, errors.min(), errors.max())
            rounded = (None if number is None else round(float(number), 6) for number in numbers)
            values = (method, size, len(cells), *rounded, cells[0]["num_test_images"])
            rows.append(dict(zip(_FIELDS, values, strict=True)))
        return rows

    def table(self, names: Mapping[str, str]) -> str:
        """Test error in percent, mean and standard deviation; a row for each m and a column for each method."""
        rows = {(row["method"], row["num_images"]): row for row in self.rows()}
        sizes = sorted({size for _, size in rows})
        methods = [method for method in names if any(key[0] == method for key in rows)]
        lines = [["m", *(names[method] for method in methods)]]
        for size in sizes:
            found = [rows.get((method, size)) for method in methods]
            lines.append([str(size), *("-" if row is None else _percent(row) for row in found)])
        return aligned(lines)

    def write_csv(self) -> pathlib.Path:
        """Writes `learning_curves.csv`: the rows, as shares in [0, 1]."""
        path = self.folder / "learning_curves.csv"
        write_text(path, csv_text(_FIELDS, self.rows()))
        return path

    def draw(self, names: Mapping[str, str], *, title: str) -> list[pathlib.Path]:
        """Writes `learning_curves.png` and `.svg`: error over m (log scale), bars of one standard deviation."""
        figure = new_figure(7.2, 4.8)
        axis = figure.subplots()
        for index, (method, name) in enumerate(names.items()):
            rows = [row for row in self.rows() if row["method"] == method]
            if not rows:
                continue
            axis.errorbar(
                [row["num_images"] * 1.02 ** (index - len(names) / 2) for row in rows],  # bars do not hide each other
                [100 * row["error_mean"] for row in rows],
                [100 * (row["error_std"] or 0) for row in rows],
                label=name,
                marker="osD^v"[index % 5],
                linestyle="--" if "naive" in method or method == "logistic_regression" else "-",
                markersize=4,
                capsize=2,
                linewidth=1.4,
            )
        axis.set_xscale("log")
        axis.set_xlabel("training images m")
        axis.set_ylabel("test error (%)")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
        axis.set_title(title, fontsize=9)
        return save_figure(figure, self.folder / "learning_curves")


def _percent(row: Mapping[str, Any]) -> str:
    spread = "" if row["error_std"] is None else f" +- {100 * row['error_std']:.1f}"
    return f"{100 * row['error_mean']:.1f}{spread}"
