"""Sections: generative against discriminative classifiers, and the likelihood as an out-of-distribution score."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnf_tf.experiments.results.markdown import paragraph, table
from cnnf_tf.experiments.results.numbers import ABSENT, listed, plural
from cnnf_tf.experiments.results.results import Results
from cnnf_tf.experiments.results.section import (
    FILES,
    Section,
    claim_block,
    command_block,
    facts_block,
    figure_block,
    not_measured,
)

LEARNING_TITLE = "Generative and discriminative classifiers"
LEARNING = "generative_vs_discriminative"
LEARNING_COMMANDS = (
    "python bin/generative_vs_discriminative.py --config=configs/generative_vs_discriminative.py "
    "--output=docs/results/generative_vs_discriminative",
)
LIKELIHOOD_TITLE = "The likelihood as an out-of-distribution score"
LIKELIHOOD = "out_of_distribution"
LIKELIHOOD_COMMANDS = tuple(
    f"python bin/out_of_distribution.py --model=runs/standard/best.keras --ood_dataset={name} "
    f"--output=docs/results/out_of_distribution"
    for name in ("digits", "uniform_noise")
)

_NAMES = {
    "gaussian_naive_bayes": "naive Bayes",
    "gaussian_naive_bayes_per_class": "naive Bayes, variances per class",
    "logistic_regression": "logistic regression",
    "cnn": "CNN",
    "cnnf": "CNN-F",
}
_LIKELIHOOD_SCORE, _BASELINE_SCORE = "log p(h, y, z)", "max softmax"
_CHANCE = 0.5

Row = Mapping[str, Any]


def learning_section(results: Results) -> Section:
    """Test error against the number of training images."""
    record = results.json(f"{LEARNING}/results.json")
    if record is None:
        return not_measured(results, LEARNING_TITLE, LEARNING, LEARNING, LEARNING_COMMANDS)
    cells = {(row["method"], row["num_images"]): row for row in record["rows"]}
    methods = list(dict.fromkeys(method for method, _ in cells))
    counts = sorted({count for _, count in cells})
    rows = [[_NAMES.get(m, m), *(_error(cells.get((m, n))) for n in counts)] for m in methods]
    seeds = listed(record["config"]["study"]["seeds"])
    tested = {row["num_test_images"] for row in record["rows"]}
    verdict = _learning_verdict(cells, counts)
    blocks = (
        *claim_block(results, LEARNING),
        *command_block(results, LEARNING, [record.get("command", LEARNING_COMMANDS[0])]),
        *facts_block(
            results, LEARNING, [f"seeds: {seeds}", f"{listed([f'{n:,}' for n in sorted(tested)])} test images"]
        ),
        *figure_block(results, f"{LEARNING}/learning_curves.png", "Test error against the number of training images"),
        paragraph("Test error in %, mean ± one standard deviation over the seeds, by number of training images:"),
        table(["", *(f"{n:,}" for n in counts)], rows),
        paragraph(verdict),
    )
    return Section(LEARNING_TITLE, blocks, verdict)


def _error(row: Row | None) -> str:
    return ABSENT if row is None else f"{100 * row['error_mean']:.1f} ± {100 * row['error_std']:.1f}"


def _lower(one: Row | None, other: Row | None) -> bool:
    """Whether an error is below another by more than both standard deviations."""
    if one is None or other is None:
        return False
    return bool(one["error_mean"] + one["error_std"] < other["error_mean"] - other["error_std"])


def _learning_verdict(cells: Mapping[tuple[str, int], Row], counts: Sequence[int]) -> str:
    texts = []
    bayes, logistic = "gaussian_naive_bayes", "logistic_regression"
    ahead = [n for n in counts if _lower(cells.get((bayes, n)), cells.get((logistic, n)))]
    behind = [n for n in counts if _lower(cells.get((logistic, n)), cells.get((bayes, n)))]
    if (bayes, counts[0]) in cells and (logistic, counts[0]) in cells:
        texts.append(f"Naive Bayes is ahead of logistic regression by more than the error bars at {_at(ahead)}")
        texts.append(f"behind it at {_at(behind)}")
    final = cells.get((bayes, counts[-1]))
    level = next((n for n in counts if (row := cells.get((bayes, n))) and not _lower(final, row)), None)
    if final is not None and level is not None and level < counts[-1]:
        texts.append(f"it does not improve any more, within the error bars, from {plural(level, 'image')} on")
    if ("cnnf", counts[0]) in cells and ("cnn", counts[0]) in cells:
        ours = [n for n in counts if _lower(cells.get(("cnnf", n)), cells.get(("cnn", n)))]
        theirs = [n for n in counts if _lower(cells.get(("cnn", n)), cells.get(("cnnf", n)))]
        texts.append(f"CNN-F is ahead of the CNN at {_at(ours)} and behind it at {_at(theirs)}")
    return f"{'; '.join(texts)}."


def _at(counts: Sequence[int]) -> str:
    return f"{listed([f'{n:,}' for n in counts])} images" if counts else "no number of images"


def likelihood_section(results: Results) -> Section:
    """Area under the ROC curve of several scores, for each set of other images."""
    folder = results.folder / LIKELIHOOD
    names = sorted(path.name for path in folder.glob("*.json") if path.name != "provenance.json")
    reports = [report for name in names if (report := results.json(f"{LIKELIHOOD}/{name}")) is not None]
    if not reports:
        return not_measured(results, LIKELIHOOD_TITLE, LIKELIHOOD, LIKELIHOOD, LIKELIHOOD_COMMANDS)
    scores = list(dict.fromkeys(score for report in reports for score in report["scores"]))
    rows = [[score, *(_auroc(report, score) for report in reports)] for score in scores]
    first = reports[0]
    images = f"{first['num_images']:,} images of {first['dataset']} {first['split']}"
    facts = [
        f"model: {first['model']}, one training; {images}; K' = {first['iterations']}; seed {first['seed']}",
        f"sigma, fitted by maximum likelihood: {first['sigma']:.2f} on a scale on which pixels go from -1 to 1",
    ]
    verdict = _likelihood_verdict(reports)
    blocks = (
        *command_block(results, LIKELIHOOD, LIKELIHOOD_COMMANDS),
        *facts_block(results, LIKELIHOOD, facts),
        paragraph(
            "Area under the ROC curve: 1 is perfect, 0.5 is chance, below 0.5 the *other* images get the higher "
            "score. `max softmax` is the usual baseline; `-residual` is minus |h - g(0)| / |h|. The data, and what "
            f"the scores use: [out_of_distribution]({FILES}/{LIKELIHOOD}/README.md)."
        ),
        table(["score", *(f"{r['ood_dataset']} ({r['num_ood_images']:,})" for r in reports)], rows),
        paragraph(f"**Is log p(h, y, z) a dependable score?** {verdict}"),
    )
    return Section(LIKELIHOOD_TITLE, blocks, verdict)


def _auroc(report: Mapping[str, Any], score: str) -> str:
    found = report["scores"].get(score)
    return ABSENT if found is None else f"{found['auroc']:.3f}"


def _likelihood_verdict(reports: Sequence[Mapping[str, Any]]) -> str:
    texts, dependable = [], True
    for report in reports:
        found, baseline = (report["scores"].get(name) for name in (_LIKELIHOOD_SCORE, _BASELINE_SCORE))
        if found is None or baseline is None:
            continue
        value, other = found["auroc"], baseline["auroc"]
        words = "above" if value > other else "below" if value < other else "equal to"
        chance = " and below chance" if value < _CHANCE else ""
        dependable &= value > other
        texts.append(f"{report['ood_dataset']}: {value:.3f}, {words} the baseline ({other:.3f}){chance}")
    if not texts:
        return f"{ABSENT}."
    return f"{'Yes, on these sets' if dependable else 'No'}: {'; '.join(texts)}."
