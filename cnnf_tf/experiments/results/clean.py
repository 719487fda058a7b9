"""Sections: clean accuracy of standard training pass by pass, and the loop that keeps it when it runs on."""

from collections.abc import Sequence

from cnnf_tf.experiments.results.markdown import paragraph, table
from cnnf_tf.experiments.results.numbers import ABSENT, Share, compare, listed, percent, plural, spread
from cnnf_tf.experiments.results.results import Results, Run
from cnnf_tf.experiments.results.section import Section, command_block, facts_block, not_measured, training_fact
from cnnf_tf.experiments.results.study import COMMANDS as STUDY_COMMANDS
from cnnf_tf.experiments.results.study import FOLDER as STUDY
from cnnf_tf.experiments.results.study import Study

CLEAN_TITLE = "Clean accuracy of standard training"
CLEAN = "standard"
CLEAN_COMMANDS = (
    "python bin/train.py --config=configs/fashion_mnist_standard.py --workdir=runs/standard",
    "python bin/evaluate.py --model=runs/standard/best.keras --iterations=10",
    "python bin/train.py --config=configs/fashion_mnist_standard.py:cnn --workdir=runs/standard_cnn",
    "python bin/evaluate.py --model=runs/standard_cnn/best.keras",
)
STABLE_TITLE = "A loop that keeps its accuracy"
STABLE = "stable"
STABLE_COMMANDS = (
    "python bin/train.py --config=configs/fashion_mnist_stable.py --workdir=runs/stable",
    "python bin/evaluate.py --model=runs/stable/best.keras --iterations=10",
)

_SHOWN = (0, 1, 2, 3, 5, 7, 10)  # columns, as far as the loop was run


def clean_section(results: Results) -> Section:
    """CNN-F and the plain CNN, trained for the same epochs."""
    networks = {"CNN-F": _scored(results, f"{CLEAN}/cnnf"), "CNN": _scored(results, f"{CLEAN}/cnn")}
    if not any(networks.values()):
        return not_measured(results, CLEAN_TITLE, CLEAN, CLEAN, CLEAN_COMMANDS)
    facts = [_facts(label, runs) for label, runs in networks.items() if runs]
    verdict = _clean_verdict(networks)
    blocks = (
        *command_block(results, CLEAN, CLEAN_COMMANDS),
        *facts_block(results, CLEAN, facts),
        paragraph("Accuracy in % on the test images, stopped after pass 0 (the plain CNN inside), 1, ..., K':"),
        _accuracy_table(networks),
        paragraph(f"**CNN-F against the CNN.** {verdict}"),
    )
    return Section(CLEAN_TITLE, blocks, verdict)


def clean_table(results: Results) -> str:
    """The table of the section, for the README; empty if nothing was measured."""
    networks = {"CNN-F": _scored(results, f"{CLEAN}/cnnf"), "CNN": _scored(results, f"{CLEAN}/cnn")}
    return _accuracy_table(networks) if any(networks.values()) else ""


def stable_section(results: Results) -> Section:
    """The network of the study that was trained to run on."""
    study = Study.read(results)
    models = [] if study is None else [model for model in study.options["models"] if study.horizon(model)]
    if study is None or not models:
        return not_measured(results, STABLE_TITLE, STABLE, STABLE, STABLE_COMMANDS)
    rows, verdicts = [], []
    seeds = sorted({seed for model in models for seed in study.seeds("clean", model)})
    for model in models:
        for readout in ("last", "average"):
            found = {k: study.clean(model, iterations=k, readout=readout) for k in _SHOWN}
            rows.append([study.label(model), readout, *(percent(share, 2) for share in found.values())])
            known = {k: share for k, share in found.items() if share is not None}
            if known:
                best, last = max(known, key=lambda k: known[k].mean), max(known)
                difference = compare(known[last], known[best]).words()
                verdicts.append(f"readout {readout}, K' = {last} against the best (K' = {best}): {difference}")
    verdict = f"{study.label(models[0])}: {'; '.join(verdicts)}." if len(models) == 1 else f"{'; '.join(verdicts)}."
    blocks = (
        *command_block(results, STUDY, STUDY_COMMANDS),
        *facts_block(results, STUDY, [f"training seeds: {listed(seeds)}", *study.facts(results, "clean", models)]),
        paragraph(
            "How a CNN-F that was trained on K passes only fares when it runs on is in the section before. The "
            "step size is not the reason: in exploratory runs, which were not kept, eta = 0 in the test made no "
            "difference, as the latents are chosen by the *signs* of what comes down, whatever eta is. What helps "
            "is to train what happens later: each training step lets the loop run on without gradients and "
            "supervises one pass anywhere up to the horizon (`training_horizon`; configs/fashion_mnist_stable.py). "
            "What stopping early saves then: [serving.md](serving.md#what-stopping-early-saves). Clean accuracy in "
            "%:"
        ),
        table(["network", "readout", *(f"K' = {k}" for k in _SHOWN)], rows),
        paragraph(f"**From the best K' to the last.** {verdict} {_reconstruction(results)}"),
    )
    return Section(STABLE_TITLE, blocks, verdict)


def _scored(results: Results, path: str) -> list[Run]:
    return [run for run in results.runs(path) if run.accuracy is not None]


def _facts(label: str, runs: Sequence[Run]) -> str:
    report = runs[0].accuracy or {}
    name = f"{label}, K = {report['trained_iterations']}"
    return (
        f"{training_fact(name, runs)}; {plural(report['num_images'], 'image')} of {report['dataset']} {report['split']}"
    )


def _at(runs: Sequence[Run], readout: str, iterations: int) -> Share | None:
    reports = [run.accuracy for run in runs if run.accuracy is not None]
    if not reports or any(len(report["accuracy"][readout]) <= iterations for report in reports):
        return None
    values = [report["accuracy"][readout][iterations] for report in reports]
    return Share.of(values, [report["num_images"] for report in reports])


def _accuracy_table(networks: dict[str, list[Run]]) -> str:
    passes = max(len((run.accuracy or {})["accuracy"]["last"]) for runs in networks.values() for run in runs)
    shown = [k for k in _SHOWN if k < passes]
    rows = []
    for label, runs in networks.items():
        trained = (runs[0].accuracy or {})["trained_iterations"] if runs else 0
        for readout in ("last", "average") if trained else ("last",):
            if runs:
                cells = [percent(share, 2) if (share := _at(runs, readout, k)) else "" for k in shown]
                rows.append([f"{label}, K = {trained}", readout if trained else "", *cells])
    return table(["trained with", "readout", *(f"K' = {k}" for k in shown)], rows)


def _clean_verdict(networks: dict[str, list[Run]]) -> str:
    runs = networks["CNN-F"]
    if not runs:
        return ABSENT
    report = runs[0].accuracy or {}
    trained, last = report["trained_iterations"], report["iterations"]
    own, plain, end = _at(runs, "last", trained), _at(networks["CNN"], "last", 0), _at(runs, "last", last)
    texts = []
    if own is not None and plain is not None:
        texts.append(f"On clean images CNN-F with K = {trained} is {compare(own, plain).words()} compared with the CNN")
    if own is not None and end is not None and last > trained:
        texts.append(f"run for K' = {last}, it is {compare(end, own).words()} compared with K' = {trained}")
    return f"{'; '.join(texts)}."


def _reconstruction(results: Results) -> str:
    """Whether g(0) settles, from accuracy.json of the network, where that was measured."""
    reports = [run.accuracy for run in _scored(results, STABLE) if run.accuracy is not None]
    errors = [report["reconstruction_error"] for report in reports if report["reconstruction_error"]]
    if not errors:
        return ""
    first, last = [error[0] for error in errors], [error[-1] for error in errors]
    grows = all(after > before for before, after in zip(first, last, strict=True))
    words = "It is not a fixed point: the error of g(0) still grows" if grows else "The error of g(0) does not grow"
    return (
        f"{words}, from {spread(first, 2)} at K' = 1 to {spread(last, 2)} at K' = {len(errors[0])} (mean squared, "
        "on the network's [-1, 1] scale)."
    )
