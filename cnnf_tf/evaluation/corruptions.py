"""Accuracy under corruptions, pass by pass, and the mean corruption error against a baseline.

Of our own corruptions, of those with the strengths of a published set, and of published files; every mean says which.

After D. Hendrycks and T. Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
ICLR 2019, arXiv:1903.12261.
"""

import dataclasses
import functools
import numbers
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from cnnf_tf.data import CORRUPTION_SETS, corrupted
from cnnf_tf.data.corruptions import benchmark_corruptions, find_corruption, lacking, severities_of
from cnnf_tf.evaluation.accuracy import PassAccuracy, pass_job
from cnnf_tf.models import CNNF, READOUTS
from cnnf_tf.models.unroll import check_iterations
from cnnf_tf.utils.batches import BatchRunner, counting
from cnnf_tf.utils.tables import aligned
from cnnf_tf.utils.validation import one_of

CLEAN = ("none", 0)
"""What stands for the corruption and the severity of clean images."""


@dataclasses.dataclass(frozen=True)
class CorruptionAccuracy:
    """How a model did on corrupted images.

    Attributes:
      iterations: K', the last pass.
      severities: the severities, ascending.
      seed: of the corruptions; None for published files.
      clean: the same images without corruption, or None where they were not scored.
      corrupted: for each corruption, a `PassAccuracy` for each of `severities`.
      strengths: the set of corruptions, a name of `data.CORRUPTION_SETS`; or the name of published files.
    """

    iterations: int
    severities: tuple[int, ...]
    seed: int | None
    clean: PassAccuracy | None
    corrupted: dict[str, list[PassAccuracy]]
    strengths: str = "ours"

    def errors(self, corruption: str, *, readout: str = "last", index: int = -1) -> list[float]:
        """Share of wrong images at each severity after pass `index`; -1 is the last pass."""
        return [1 - found.accuracy[readout][index] for found in self.corrupted[corruption]]

    def mean_accuracy(self, corruption: str | None = None, *, readout: str = "last", index: int = -1) -> float:
        """Share of correct images after pass `index`, the mean over the severities of one corruption.

        Without `corruption` the mean over all corruptions and severities, which is RobustBench's accuracy under
        corruptions where these are the 15 of the benchmark.
        """
        rows = [*self.corrupted.values()] if corruption is None else [self.corrupted[corruption]]
        shares = [entry.accuracy[readout][index] for row in rows for entry in row]
        return sum(shares) / len(shares)

    @property
    def num_images(self) -> int:
        """Images of each corruption and severity."""
        return next(found for _, _, found in self.cells()).num_images

    def cells(self) -> Iterator[tuple[str, int, PassAccuracy]]:
        """Corruption, severity and accuracy of everything that was scored, the clean images first, as `CLEAN`."""
        if self.clean is not None:
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
            "num_images": self.num_images,
            "iterations": self.iterations,
            "strengths": self.strengths,
            "severities": list(self.severities),
            "seed": self.seed,
            "clean": self.clean and self.clean.to_dict(),
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
      strengths: of the corruptions, as in `CorruptionAccuracy`.
    """

    mean: float | None
    corruptions: dict[str, float | None]
    strengths: str = "ours"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    def table(self) -> str:
        """A table with a row for each corruption and one for the mean."""
        entries = {**self.corruptions, f"mean (mCE, {strengths_label(self.strengths)})": self.mean}
        texts = [(name, "-" if value is None else f"{value:.1f} %") for name, value in entries.items()]
        return aligned([("corruption", "CE"), *texts])


def strengths_label(strengths: str) -> str:
    """What to write beside a mean over corruptions: whose strengths these are, and whether they were made here."""
    return "our strengths" if strengths == "ours" else f"{strengths}{', made here' * (strengths in CORRUPTION_SETS)}"


def check_grid(
    corruptions: Sequence[str] | None, severities: Sequence[int] | None, strengths: str = "ours"
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Both as tuples if they are corruptions of a set, each once, and ascending severities, else ValueError.

    Args:
      corruptions: names; None for those of the benchmark that can be had, see `data.corruptions.lacking`.
      severities: numbers; None for all of the set.
      strengths: a name of `data.CORRUPTION_SETS`.
    """
    one_of("strengths", strengths, CORRUPTION_SETS)
    allowed, most = [*CORRUPTION_SETS[strengths]], severities_of(strengths)
    if corruptions is None:
        missing = lacking(strengths)
        corruptions = [name for name in benchmark_corruptions(strengths) if name not in missing]
    names = tuple(corruptions)
    levels = most if severities is None else tuple(severities)
    if not names or any(names.count(name) > 1 or name not in allowed for name in names):
        raise ValueError(f"corruptions wants names of {sorted(allowed)}, each once and at least one, got {names}.")
    whole = all(isinstance(level, numbers.Integral) and not isinstance(level, bool) for level in levels)
    if not levels or not whole or list(levels) != sorted({*levels} & {*most}):
        raise ValueError(f"severities wants ascending integers from 1 to {most[-1]}, at least one, got {levels}.")
    return names, tuple(int(level) for level in levels)


def evaluate_corruptions(
    model: CNNF,
    dataset: tf.data.Dataset,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] | None = None,
    *,
    iterations: int,
    seed: int = 0,
    strengths: str = "ours",
    progress: Callable[[int], None] | None = None,
    known: Mapping[tuple[str, int], PassAccuracy] | None = None,
    finished: Callable[[str, int, PassAccuracy], None] | None = None,
    runner: BatchRunner = BatchRunner(),  # noqa: B008 - frozen
) -> CorruptionAccuracy:
    """Scores a model after every pass, on clean images and under each corruption at each severity.

    Args:
      model: the model; its own `iterations` does not matter here.
      dataset: batches of (clean images in [0, 1], integer labels).
      corruptions: kinds of the set, each once; None for those of its benchmark, without the extras, and without frost
        where its pictures are missing.
      severities: of 1 to 5, ascending; None for all of the set.
      iterations: K' >= 0.
      seed: seed of the corruptions.
      strengths: the set, as in `data.corrupt`.
      progress: called with the number of images after each batch.
      known: by corruption and severity what was scored before, with the same arguments, and is not scored again.
      finished: called with corruption, severity (`CLEAN` for clean images) and result after each data set that was.
      runner: how the batches are shared out: `BatchRunner(strategy=...)` for several devices.

    Raises:
      ValueError: no or an unknown corruption or severity, bad `iterations` or `seed`, an empty data set, or images
        that do not fit the model. All but the last two are found before any work.
    """
    names, levels = check_grid(corruptions, severities, strengths)
    options: dict[str, Any] = {"seed": seed, "strengths": strengths}
    for name in names:  # refuses what is wrong before any work
        find_corruption(name, levels[0], **options)
    corrupted(dataset, names[0], levels[0], **options)
    sets = {
        (name, level): functools.partial(corrupted, dataset, name, level, **options)
        for name in names
        for level in levels
    }
    return evaluate_corrupted_sets(
        model,
        sets,
        clean=dataset,
        iterations=iterations,
        progress=progress,
        known=known,
        finished=finished,
        runner=runner,
        **options,
    )


def evaluate_corrupted_sets(
    model: CNNF,
    sets: Mapping[tuple[str, int], Callable[[], tf.data.Dataset]],
    *,
    iterations: int,
    strengths: str,
    seed: int | None = None,
    clean: tf.data.Dataset | None = None,
    progress: Callable[[int], None] | None = None,
    known: Mapping[tuple[str, int], PassAccuracy] | None = None,
    finished: Callable[[str, int, PassAccuracy], None] | None = None,
    runner: BatchRunner = BatchRunner(),  # noqa: B008 - frozen
) -> CorruptionAccuracy:
    """Scores a model on data sets that are corrupted already, such as those of `data.premade_corruptions`.

    Args:
      model: as in `evaluate_corruptions`, like `iterations`, `progress`, `known` and `finished`.
      sets: by corruption and severity what makes a data set, of batches of (images in [0, 1], integer labels); the same
        severities of each corruption.
      iterations: K' >= 0.
      strengths: what the images are called in tables: `data.CORRUPTION_SETS`, or the published files.
      seed: of the corruptions, if they have one.
      clean: batches of (images, labels) without corruption; None for no accuracy of those.
      progress: called with the number of images after each batch.
      known: what is not scored again.
      finished: called after each data set.
      runner: how the batches are shared out.

    Raises:
      ValueError: no sets or not the same severities, bad `iterations`, an empty data set, or images that do not fit
        the model.
    """
    check_iterations(iterations)
    names, levels = list(dict.fromkeys(name for name, _ in sets)), sorted({level for _, level in sets})
    if not sets or {*sets} != {(name, level) for name in names for level in levels}:
        raise ValueError(f"sets wants the same severities of each corruption, at least one, got {sorted(sets)}.")
    found = dict(known or {})
    everything = ({CLEAN: lambda: clean} if clean is not None else {}) | dict(sets)
    for cell, make in everything.items():
        if cell not in found:
            job = pass_job(model, make(), iterations=iterations, name=" ".join(map(str, cell)))
            found[cell] = PassAccuracy.from_facts(runner.run(job, counting(progress)))
            if finished is not None:
                finished(*cell, found[cell])
    return CorruptionAccuracy(
        iterations=iterations,
        severities=tuple(levels),
        seed=None if seed is None else int(seed),
        clean=found.get(CLEAN),
        corrupted={name: [found[name, level] for level in levels] for name in names},
        strengths=strengths,
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
      baseline: of another model, on the same corruptions, strengths, severities and seed and as many images.
      readout: "last" or "average", of both.
      index: pass of the model; -1 is the last.
      baseline_index: pass of the baseline.
      relative: take the error on clean images off each error first, in both: the relative mCE, of what corruption adds;
        needs the accuracy on clean images.

    Returns:
      The errors. There is none under a corruption where the baseline's sum is not positive: it makes no error there, or
      if `relative` none more than on clean images.

    Raises:
      ValueError: results that cannot be compared, or a pass that one does not have.
    """
    one_of("readout", readout, READOUTS)
    counts = _facts(result)[-1]
    if len(counts) > 1:
        raise ValueError(f"mean_corruption_error wants equally many images everywhere, got counts of {counts}.")
    if relative and (result.clean is None or baseline.clean is None):
        raise ValueError("relative errors want results with the accuracy on clean images, got one without.")
    facts = ("corruptions", "strengths", "severities", "seed", "number of images")
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
    mean = sum(values) / len(values) if len(values) == len(errors) else None
    return CorruptionError(mean, errors, result.strengths)


def _facts(result: CorruptionAccuracy) -> tuple[Any, ...]:
    """What two results must share to be compared."""
    counts = sorted({found.num_images for _, _, found in result.cells()})
    return [*result.corrupted], result.strengths, result.severities, result.seed, counts


def _wrong(result: CorruptionAccuracy, corruption: str, readout: str, index: int, relative: bool) -> int:
    """Number of wrong images over all severities; `relative`: how many more than without corruption."""
    right = [found.correct[readout][index] for found in result.corrupted[corruption]]
    most = result.clean.correct[readout][index] if relative and result.clean else result.num_images
    return most * len(right) - sum(right)
