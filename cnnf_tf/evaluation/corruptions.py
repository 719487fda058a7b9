"""Accuracy under corruptions, pass by pass: a table, a figure, and the mean corruption error against a baseline.

After D. Hendrycks and T. Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
ICLR 2019, arXiv:1903.12261.
"""

import dataclasses
import numbers
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from cnnf_tf.data import CORRUPTIONS, SEVERITIES, corrupted
from cnnf_tf.evaluation.accuracy import PassAccuracy, evaluate_passes, pass_scorer
from cnnf_tf.models import CNNF, READOUTS
from cnnf_tf.models.unroll import check_iterations
from cnnf_tf.utils.plotting import new_figure, save_figure
from cnnf_tf.utils.tables import aligned, markdown
from cnnf_tf.utils.validation import one_of

CLEAN = ("none", 0)
"""What stands for the corruption and the severity of clean images."""


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

    def mean_accuracy(self, corruption: str, *, readout: str = "last", index: int = -1) -> float:
        """Share of correct images after pass `index`, the mean over the severities."""
        found = self.corrupted[corruption]
        return sum(entry.accuracy[readout][index] for entry in found) / len(found)

    def cells(self) -> Iterator[tuple[str, int, PassAccuracy]]:
        """Corruption, severity and accuracy of everything that was scored, the clean images first, as `CLEAN`."""
        yield *CLEAN, self.clean
        for name, row in self.corrupted.items():
            for severity, found in zip(self.severities, row, strict=True):
                yield name, severity, found

    def rows(self) -> Iterator[dict[str, Any]]:
        """For CSV: a row for each corruption, severity, readout and pass."""
        for name, severity, found in self.cells():
            for readout, counts in found.correct.items():
                for index, correct in enumerate(counts):
                    yield {
                        "corruption": name,
                        "severity": severity,
                        "readout": readout,
                        "pass": index,
                        "num_images": found.num_images,
                        "correct": correct,
                        "accuracy": round(correct / found.num_images, 6),
                    }

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
            for name, severity, found in self.cells():
                shares = (f"{100 * value:.2f} %" for value in found.accuracy[readout])
                rows.append([name, str(severity or "-"), *shares])
            blocks.append(f"accuracy, readout {readout!r}\n{aligned(rows)}")
        return "\n\n".join(blocks)


@dataclasses.dataclass(frozen=True)
class CorruptionError:
    """Errors under corruption in % of a baseline's; below 100 is better than the baseline.

    Attributes:
      mean: mCE, the mean over the corruptions; None if a corruption has none.
      corruptions: CE of each corruption; None where the baseline has nothing to relate the model's errors to.
    """

    mean: float | None
    corruptions: dict[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    def table(self) -> str:
        """A table with a row for each corruption and one for the mean."""
        entries = {**self.corruptions, "mean (mCE)": self.mean}
        texts = [(name, "-" if value is None else f"{value:.1f} %") for name, value in entries.items()]
        return aligned([("corruption", "CE"), *texts])


def check_grid(corruptions: Sequence[str], severities: Sequence[int]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Both as tuples if they are known corruptions, each once, and ascending severities, else ValueError."""
    names, levels = tuple(corruptions), tuple(severities)
    if not names or any(names.count(name) > 1 or name not in [*CORRUPTIONS] for name in names):
        raise ValueError(f"corruptions wants names of {sorted(CORRUPTIONS)}, each once and at least one, got {names}.")
    whole = all(isinstance(level, numbers.Integral) and not isinstance(level, bool) for level in levels)
    if not levels or not whole or list(levels) != sorted({*levels} & {*SEVERITIES}):
        raise ValueError(f"severities wants ascending integers from 1 to 5, at least one, got {levels}.")
    return names, tuple(int(level) for level in levels)


def evaluate_corruptions(
    model: CNNF,
    dataset: tf.data.Dataset,
    corruptions: Sequence[str] = tuple(CORRUPTIONS),
    severities: Sequence[int] = SEVERITIES,
    *,
    iterations: int,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
    known: Mapping[tuple[str, int], PassAccuracy] | None = None,
    finished: Callable[[str, int, PassAccuracy], None] | None = None,
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
      known: by corruption and severity what was scored before, with the same arguments, and is not scored again.
      finished: called with corruption, severity (`CLEAN` for clean images) and result after each data set that was.

    Raises:
      ValueError: no or an unknown corruption or severity, bad `iterations` or `seed`, an empty data set, or images
        that do not fit the model. All but the last two are found before any work.
    """
    names, levels = check_grid(corruptions, severities)
    check_iterations(iterations)
    scorer = pass_scorer(model, iterations)
    found = dict(known or {})
    missing = [(name, level) for name in names for level in levels if (name, level) not in found]
    sets = {(name, level): corrupted(dataset, name, level, seed=seed) for name, level in missing}
    for cell, images_and_labels in {CLEAN: dataset, **sets}.items():
        if cell not in found:
            found[cell] = evaluate_passes(
                model, images_and_labels, iterations=iterations, progress=progress, scorer=scorer
            )
            if finished is not None:
                finished(*cell, found[cell])
    return CorruptionAccuracy(
        iterations=iterations,
        severities=levels,
        seed=int(seed),
        clean=found[CLEAN],
        corrupted={name: [found[name, level] for level in levels] for name in names},
    )


def mean_corruption_error(
    result: CorruptionAccuracy,
    baseline: CorruptionAccuracy,
    *,
    readout: str = "last",
    index: int = -1,
    baseline_index: int = -1,
    relative: bool = False,
) -> CorruptionError:
    """Errors relative to those of a baseline: CE_c = 100 sum_s error_c,s / sum_s baseline error_c,s, and their mean.

    A model can be compared with its own plain CNN: give the same result twice and `baseline_index=0`.

    Args:
      result: of the model.
      baseline: of another model, on the same corruptions, severities and seed and as many images.
      readout: "last" or "average", of both.
      index: pass of the model; -1 is the last.
      baseline_index: pass of the baseline.
      relative: take the error on clean images off each error first, in both: the relative mCE, of what corruption adds.

    Returns:
      The errors. There is none under a corruption where the baseline's sum is not positive: it makes no error there, or
      if `relative` none more than on clean images.

    Raises:
      ValueError: results that cannot be compared, or a pass that one does not have.
    """
    one_of("readout", readout, READOUTS)
    facts = ("corruptions", "severities", "seed", "number of images")
    for name, there, wanted in zip(facts, _facts(result), _facts(baseline), strict=True):
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
    errors: dict[str, float | None] = {}
    for name in result.corrupted:
        ours = _wrong(result, name, readout, index, relative)
        theirs = _wrong(baseline, name, readout, baseline_index, relative)
        errors[name] = 100 * ours / theirs if theirs > 0 else None
    values = [value for value in errors.values() if value is not None]
    return CorruptionError(mean=sum(values) / len(values) if len(values) == len(errors) else None, corruptions=errors)


def _facts(result: CorruptionAccuracy) -> tuple[Any, ...]:
    """What two results must share to be compared."""
    counts = sorted({found.num_images for _, _, found in result.cells()})
    return [*result.corrupted], result.severities, result.seed, counts


def _wrong(result: CorruptionAccuracy, corruption: str, readout: str, index: int, relative: bool) -> int:
    """Number of wrong images over all severities; `relative`: how many more than without corruption."""
    right = [found.correct[readout][index] for found in result.corrupted[corruption]]
    most = result.clean.correct[readout][index] if relative else result.clean.num_images
    return most * len(right) - sum(right)


def corruption_table(result: CorruptionAccuracy, baseline: CorruptionAccuracy, *, readout: str = "last") -> str:
    """A Markdown table: mean accuracy over severities in %, of the baseline and of every pass, then mCE, relative mCE.

    Args:
      result: of the model.
      baseline: what the errors are in % of, at its last pass; see `mean_corruption_error`.
      readout: "last" or "average", of both.

    Raises:
      ValueError: unknown readout, or results that cannot be compared.
    """
    columns = [(baseline, -1), *((result, index) for index in range(result.iterations + 1))]
    errors = {
        name: [
            mean_corruption_error(found, baseline, readout=readout, index=index, relative=relative)
            for found, index in columns
        ]
        for name, relative in (("mCE", False), ("relative mCE", True))
    }
    shares = {"clean": [found.clean.accuracy[readout][index] for found, index in columns]}
    for name in result.corrupted:
        shares[name] = [found.mean_accuracy(name, readout=readout, index=index) for found, index in columns]
    corrupted_shares = list(shares.values())[1:]
    shares["mean of the corruptions"] = [sum(column) / len(column) for column in zip(*corrupted_shares, strict=True)]
    passes = [f"pass {index}" for index in range(1, result.iterations + 1)]
    lines = [["", "baseline", "pass 0 (CNN)", *passes, "CE of the last pass"]]
    for name, values in shares.items():
        error = errors["mCE"][-1].corruptions.get(name)
        lines.append([name, *(f"{100 * value:.2f}" for value in values), "" if error is None else f"{error:.1f}"])
    for name, found_errors in errors.items():
        means = (found.mean for found in found_errors)
        lines.append([name, *("-" if mean is None else f"{mean:.1f}" for mean in means), ""])
    return markdown(lines)


def corruption_figure(
    stem: str | os.PathLike[str],
    result: CorruptionAccuracy,
    *,
    title: str,
    readout: str = "last",
    baseline: CorruptionAccuracy | None = None,
) -> list[pathlib.Path]:
    """Draws accuracy against severity (0 is clean), a panel for each corruption, a line for each pass.

    Args:
      stem: path of the files without ".png" and ".svg"; both are written.
      result: to draw.
      title: heading of the figure.
      readout: "last" or "average".
      baseline: another model, on the same corruptions and severities, whose last pass is one more line.

    Returns:
      The files.

    Raises:
      ValueError: unknown readout.
    """
    one_of("readout", readout, READOUTS)
    lines: list[tuple[CorruptionAccuracy, int, dict[str, Any]]] = []
    if baseline is not None:
        lines.append((baseline, -1, {"color": "tab:orange", "label": "baseline"}))
    lines.append((result, 0, {"color": "black", "linestyle": "--", "label": "pass 0 (CNN)"}))
    for index in range(1, result.iterations + 1):
        shade = 0.35 + 0.65 * index / result.iterations
        lines.append((result, index, {"color": (0.12, 0.31, 0.47, shade), "label": f"CNN-F, pass {index}"}))
    columns = min(4, len(result.corrupted))
    rows = -(-len(result.corrupted) // columns)
    figure = new_figure(max(4.0, 2.7 * columns), 2.5 * rows + 0.9)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axis in axes.flat[len(result.corrupted) :]:
        axis.set_axis_off()
    for axis, name in zip(axes.flat, result.corrupted, strict=False):
        for found, index, style in lines:
            entries = [found.clean, *found.corrupted[name]]
            values = [100 * entry.accuracy[readout][index] for entry in entries]
            axis.plot([0, *found.severities], values, marker="o", markersize=3, linewidth=1.2, **style)
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
    return save_figure(figure, stem)
