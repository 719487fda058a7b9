"""Accuracy under corruptions, pass by pass: a table, a figure, and the mean corruption error against a baseline.

After D. Hendrycks and T. Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
ICLR 2019, arXiv:1903.12261.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from cnnf_tf.data import CORRUPTIONS, SEVERITIES, corrupted
from cnnf_tf.evaluation.accuracy import PassAccuracy, evaluate_passes, pass_scorer
from cnnf_tf.evaluation.figures import save_png
from cnnf_tf.layers.base import one_of
from cnnf_tf.models import CNNF, READOUTS
from cnnf_tf.models.unroll import check_iterations
from cnnf_tf.plotting import new_figure
from cnnf_tf.tables import aligned


@dataclasses.dataclass(frozen=True)
class CorruptionAccuracy:
    """How a model did on corrupted images.

    Attributes:
      iterations: K', the last pass.
      severities: the severities, ascending.
      seed: of the corruptions.
      clean: the same images without corruption.
      corrupted: for each corruption, a `PassAccuracy` for each of `severities`.
    """

    iterations: int
    severities: tuple[int, ...]
    seed: int
    clean: PassAccuracy
    corrupted: dict[str, list[PassAccuracy]]

    def errors(self, corruption: str, *, readout: str = "last", index: int = -1) -> list[float]:
        """Share of wrong images at each severity after pass `index`; -1 is the last pass."""
        return [1 - found.accuracy[readout][index] for found in self.corrupted[corruption]]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "num_images": self.clean.num_images,
            "iterations": self.iterations,
            "severities": list(self.severities),
            "seed": self.seed,
            "clean": self.clean.to_dict(),
            "corrupted": {
                name: {str(s): found.to_dict() for s, found in zip(self.severities, row, strict=True)}
                for name, row in self.corrupted.items()
            },
        }

    def table(self) -> str:
        """A table for each readout: a row for each corruption and severity, a column for each pass."""
        passes = ["0 (plain CNN)", *map(str, range(1, self.iterations + 1))]
        blocks = []
        for readout in READOUTS:
            rows = [["corruption", "severity", *(f"pass {name}" for name in passes)]]
            entries = [("none", "-", self.clean)]
            for name, row in self.corrupted.items():
                entries += [(name, str(s), found) for s, found in zip(self.severities, row, strict=True)]
            for name, severity, found in entries:
                rows.append([name, severity, *(f"{100 * value:.2f} %" for value in found.accuracy[readout])])
            blocks.append(f"accuracy, readout {readout!r}\n{aligned(rows)}")
        return "\n\n".join(blocks)


@dataclasses.dataclass(frozen=True)
class CorruptionError:
    """Errors under corruption in % of a baseline's; below 100 is better than the baseline.

    Attributes:
      mean: mCE, the mean over the corruptions.
      corruptions: CE of each corruption.
    """

    mean: float
    corruptions: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    def table(self) -> str:
        """A table with a row for each corruption and one for the mean."""
        rows = [("corruption", "CE"), *((name, f"{value:.1f} %") for name, value in self.corruptions.items())]
        return aligned([*rows, ("mean (mCE)", f"{self.mean:.1f} %")])


def evaluate_corruptions(
    model: CNNF,
    dataset: tf.data.Dataset,
    corruptions: Sequence[str] = tuple(CORRUPTIONS),
    severities: Sequence[int] = SEVERITIES,
    *,
    iterations: int,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> CorruptionAccuracy:
    """Scores a model after every pass, on clean images and under each corruption at each severity.

    Args:
      model: the model; its own `iterations` does not matter here.
      dataset: batches of (clean images in [0, 1], integer labels).
      corruptions: names of `data.CORRUPTIONS`, each once.
      severities: of 1 to 5, ascending.
      iterations: K' >= 0.
      seed: seed of the corruptions.
      progress: called with the number of images after each batch.

    Raises:
      ValueError: no or an unknown corruption or severity, bad `iterations` or `seed`, an empty data set, or images
        that do not fit the model. All but the last two are found before any work.
    """
    names, levels = tuple(corruptions), tuple(severities)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"corruptions wants names of {sorted(CORRUPTIONS)}, each once and at least one, got {names}.")
    if not levels or any(later <= earlier for earlier, later in zip(levels, levels[1:], strict=False)):
        raise ValueError(f"severities wants ascending integers from 1 to 5, at least one, got {levels}.")
    check_iterations(iterations)
    scorer = pass_scorer(model, iterations)
    sets = {name: [corrupted(dataset, name, level, seed=seed) for level in levels] for name in names}

    def score(images_and_labels: tf.data.Dataset) -> PassAccuracy:
        return evaluate_passes(model, images_and_labels, iterations=iterations, progress=progress, scorer=scorer)

    return CorruptionAccuracy(
        iterations=iterations,
        severities=levels,
        seed=int(seed),
        clean=score(dataset),
        corrupted={name: [score(corrupted_set) for corrupted_set in row] for name, row in sets.items()},
    )


def mean_corruption_error(
    result: CorruptionAccuracy,
    baseline: CorruptionAccuracy,
    *,
    readout: str = "last",
    index: int = -1,
    baseline_index: int = -1,
) -> CorruptionError:
    """Errors relative to those of a baseline: CE_c = 100 sum_s error_c,s / sum_s baseline error_c,s, and their mean.

    A model can be compared with its own plain CNN: give the same result twice and `baseline_index=0`.

    Args:
      result: of the model.
      baseline: of another model, on the same corruptions, severities and seed and as many images.
      readout: "last" or "average", of both.
      index: pass of the model; -1 is the last.
      baseline_index: pass of the baseline.

    Raises:
      ValueError: results that cannot be compared, a pass that one does not have, or a baseline without any error
        under a corruption.
    """
    one_of("readout", readout, READOUTS)
    for name, there, wanted in (
        ("corruptions", list(result.corrupted), list(baseline.corrupted)),
        ("severities", result.severities, baseline.severities),
        ("seed", result.seed, baseline.seed),
        ("number of images", result.clean.num_images, baseline.clean.num_images),
    ):
        if there != wanted:
            raise ValueError(
                f"mean_corruption_error wants the same {name} in both, got {there}, in the baseline {wanted}."
            )
    for name, at, last in (
        ("index", index, result.iterations),
        ("baseline_index", baseline_index, baseline.iterations),
    ):
        if not -1 <= at <= last:
            raise ValueError(f"{name} must be a pass from 0 to {last}, or -1 for the last, got {at}.")
    errors = {}
    for name in result.corrupted:
        ours = sum(result.errors(name, readout=readout, index=index))
        theirs = sum(baseline.errors(name, readout=readout, index=baseline_index))
        if theirs == 0:
            raise ValueError(f"the baseline makes no error under {name}: nothing to relate the model's errors to.")
        errors[name] = 100 * ours / theirs
    return CorruptionError(mean=sum(errors.values()) / len(errors), corruptions=errors)


def corruption_figure(
    path: str | os.PathLike[str], result: CorruptionAccuracy, *, title: str, readout: str = "last"
) -> None:
    """Writes a PNG: accuracy against severity (0 is clean), a panel for each corruption, a line for each pass.

    Args:
      path: file to write.
      result: to draw.
      title: heading of the figure.
      readout: "last" or "average".

    Raises:
      ValueError: unknown readout.
    """
    one_of("readout", readout, READOUTS)
    columns = min(4, len(result.corrupted))
    rows = -(-len(result.corrupted) // columns)
    figure = new_figure(max(4.0, 2.7 * columns), 2.5 * rows + 0.9)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    shades = [0.35 + 0.65 * index / max(1, result.iterations) for index in range(result.iterations + 1)]
    for position, axis in enumerate(axes.flat):
        if position >= len(result.corrupted):
            axis.set_axis_off()
            continue
        name = list(result.corrupted)[position]
        found = [result.clean, *result.corrupted[name]]
        for index in range(result.iterations + 1):
            values = [100 * entry.accuracy[readout][index] for entry in found]
            style: dict[str, Any] = {"color": "black", "linestyle": "--", "label": "CNN (pass 0)"}
            if index:
                style = {"color": (0.12, 0.31, 0.47, shades[index]), "label": f"CNN-F, pass {index}"}
            axis.plot([0, *result.severities], values, marker="o", markersize=3, linewidth=1.2, **style)
        axis.set_title(name.replace("_", " "), fontsize=9)
        axis.set_xticks([0, *result.severities])
        axis.set_xlabel("severity (0: clean)", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel("accuracy (%)", fontsize=8)
    figure.suptitle(title, fontsize=10)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)), fontsize=8)
    save_png(figure, path)
