"""Section: accuracy under corruptions, CNN-F against the CNN. From `results.json` of bin/corruption_robustness.py."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnf_tf.experiments.results.markdown import paragraph, table
from cnnf_tf.experiments.results.numbers import ABSENT, Share, compare, listed, percent, plural, spread
from cnnf_tf.experiments.results.results import Results
from cnnf_tf.experiments.results.section import (
    Section,
    command_block,
    facts_block,
    figure_block,
    not_measured,
    training_fact,
    verdicts,
)

TITLE = "Robustness to corruptions"
FOLDER = "corruption_robustness"
COMMANDS = (
    "python bin/corruption_robustness.py --model=runs/standard/best.keras --baseline=runs/standard_cnn/best.keras "
    "--output=runs/corruption_robustness",
)

Record = Mapping[str, Any]


def section(results: Results) -> Section:
    """The section, whatever has been measured."""
    runs = [run for run in results.runs(FOLDER) if run.json("results.json") is not None]
    records = [record for run in runs if (record := run.json("results.json")) is not None]
    complete = [record for record in records if "errors_in_percent" in record]
    if not complete:
        return not_measured(results, TITLE, FOLDER, FOLDER, COMMANDS)
    config, model = complete[0]["config"], complete[0]["models"]["model"]
    readout, trained, last = model["readout"], model["trained_iterations"], config["iterations"]["model"]
    shown = sorted({0, min(trained, last), last})
    facts = [
        training_fact(f"{model['file']} (K = {trained}) against {complete[0]['models']['baseline']['file']}", runs),
        f"images: {complete[0]['num_images']:,} of {config['dataset']} {config['split']}, severities "
        f"{listed(config['severities'])}, seed {config['seed']}; readout {readout}",
    ]
    found = _against_plain(complete, readout, trained)
    verdict = f"CNN-F, K' = {min(trained, last)}, against the CNN under corruption: {verdicts(found)}."
    mce = _mce(complete, readout, shown)
    blocks = (
        *command_block(results, FOLDER, COMMANDS),
        *facts_block(results, FOLDER, facts),
        *figure_block(
            results,
            f"{runs[0].folder.relative_to(results.folder).as_posix()}/corruption_robustness.png",
            "Accuracy against severity",
        ),
        paragraph(
            "Accuracy in %, means over the severities, and in the last columns the error in % of the CNN's, summed "
            "over the severities (CE; below 100 is better than the CNN). The last row is the mean over the "
            "corruptions (mCE, Hendrycks and Dietterich 2019):"
        ),
        _table(complete, readout, shown),
        paragraph(f"**{verdict[:-1]}** (intervals as if the severities had one set of images). {mce}"),
    )
    return Section(TITLE, blocks, f"{verdict} {mce}")


def _mean_share(records: Sequence[Record], role: str, corruption: str, readout: str, index: int) -> Share | None:
    """Mean accuracy over the severities; its images are counted once, as the severities corrupt the same ones."""
    values: list[float | None] = []
    counts = []
    for record in records:
        cells = [cell for cell in record["cells"] if (cell["model"], cell["corruption"]) == (role, corruption)]
        shares = [cell["correct"][readout][index] / cell["num_images"] for cell in cells]
        values.append(sum(shares) / len(shares) if shares else None)
        counts += [cell["num_images"] for cell in cells[:1]]
    return Share.of(values, counts)


def _against_plain(records: Sequence[Record], readout: str, index: int) -> list[tuple[str, Any]]:
    index = min(index, records[0]["config"]["iterations"]["model"])
    found = []
    for corruption in records[0]["config"]["corruptions"]:
        ours = _mean_share(records, "model", corruption, readout, index)
        plain = _mean_share(records, "baseline", corruption, "last", -1)
        if ours is not None and plain is not None:
            found.append((_words(corruption), compare(ours, plain)))
    return found


def _errors(records: Sequence[Record], readout: str, index: int, corruption: str = "") -> str:
    rows = [record["errors_in_percent"][readout][index] for record in records]
    return spread([row["mce_of_corruptions"][corruption] if corruption else row["mce"] for row in rows], 1)


def _table(records: Sequence[Record], readout: str, shown: Sequence[int]) -> str:
    header = ["corruption", "CNN", *(f"CNN-F, K' = {k}" for k in shown), *(f"CE, K' = {k}" for k in shown)]
    rows = []
    for corruption in ("none", *records[0]["config"]["corruptions"]):
        plain = _mean_share(records, "baseline", corruption, "last", -1)
        ours = [_mean_share(records, "model", corruption, readout, k) for k in shown]
        errors = [ABSENT if corruption == "none" else _errors(records, readout, k, corruption) for k in shown]
        rows.append([_words(corruption), *map(percent, [plain, *ours]), *errors])
    rows.append(["**mean (mCE)**", *[""] * (1 + len(shown)), *(f"**{_errors(records, readout, k)}**" for k in shown)])
    return table(header, rows)


def _mce(records: Sequence[Record], readout: str, shown: Sequence[int]) -> str:
    texts = listed([f"{_errors(records, readout, k)} after {plural(k, 'iteration')}" for k in shown])
    return f"Mean corruption error, in % of that of the CNN: {texts}."


def _words(name: str) -> str:
    return {"none": "none (clean)"}.get(name, name.replace("_", " ").replace("gaussian", "Gaussian"))
