"""Section: the talk's sanity check, CNN-F repairs distorted images. From `restoration.json` of bin/restore.py."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cnnf_tf.experiments.results.markdown import paragraph, table
from cnnf_tf.experiments.results.numbers import ABSENT, listed, plural, spread
from cnnf_tf.experiments.results.results import Results, Run
from cnnf_tf.experiments.results.section import (
    Section,
    claim_block,
    command_block,
    facts_block,
    figure_block,
    not_measured,
    training_fact,
)

TITLE = "1. Repair of distorted images"
FOLDER = "restoration"
COMMANDS = (
    "python bin/train.py --config=configs/fashion_mnist_restore.py --workdir=runs/restore",
    "python bin/restore.py --model=runs/restore/last.keras --severity=3 --iterations=1,2,5,10 --denoiser_epochs=3 "
    "--output=runs/restore/restoration",
)
CORRUPTIONS = ("shot_noise", "gaussian_noise", "dotted_line")
"""Those of the slide, in its order; others follow."""

_MEASURES = (("psnr", 1), ("ssim", 3))

Quality = Mapping[str, float]
Report = Mapping[str, Any]
Pick = Callable[[Mapping[str, Any]], Quality | None]
"""From what is known about one corruption to the quality of one row of the table; None where it is not there."""


def section(results: Results) -> Section:
    """The section, whatever has been measured."""
    runs = [run for run in results.runs(FOLDER) if run.json("restoration.json") is not None]
    if not runs:
        return not_measured(results, TITLE, "restoration", FOLDER, COMMANDS)
    reports = [report for run in runs if (report := run.json("restoration.json")) is not None]
    known = [name for report in reports for name in report["scores"]]
    names = list(dict.fromkeys([*CORRUPTIONS, *known]))
    findings = [_finding(reports, name) for name in names if name in known]
    lacking = [_words(name) for name in names if name not in known]
    if lacking:
        findings.append(f"{_capital(listed(lacking))}: not measured yet.")
    blocks = [
        *claim_block(results, "restoration"),
        *command_block(results, FOLDER, COMMANDS),
        *facts_block(results, FOLDER, _facts(runs, reports)),
        *figure_block(results, f"{runs[0].folder.relative_to(results.folder).as_posix()}/all.png", TITLE[3:]),
        paragraph(
            "PSNR in dB and SSIM against the clean images. The restored image is read off in two ways: g(0), what an "
            "iteration reconstructs, or h, the features after it. **Bold** is above the corrupted input in that "
            "measure."
        ),
        _table(reports, names),
        paragraph(f"**Is it above the corrupted input in both PSNR and SSIM?** {' '.join(findings)}"),
    ]
    return Section(TITLE, tuple(blocks), _summary(reports, names))


def _rows(reports: Sequence[Report], names: Sequence[str]) -> Iterator[tuple[str, Pick]]:
    """The table's rows: the corrupted input, the baselines, each reading after each iteration."""
    scores = [report["scores"][name] for report in reports for name in names if name in report["scores"]]
    yield "corrupted", lambda score: score["corrupted"]
    for baseline in dict.fromkeys(name for score in scores for name in score["baselines"]):

        def pick(score: Mapping[str, Any], baseline: str = baseline) -> Quality | None:
            return score["baselines"].get(baseline)

        yield baseline, pick
    yield from _readings(scores)


def _readings(scores: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Pick]]:
    steps = sorted({step for score in scores for step in score["iterations"]})
    for reading in dict.fromkeys(name for score in scores for name in score["restored"]):
        for step in steps:

            def pick(score: Mapping[str, Any], reading: str = reading, step: int = step) -> Quality | None:
                if step not in score["iterations"] or reading not in score["restored"]:
                    return None
                return score["restored"][reading][score["iterations"].index(step)]

            yield f"{reading}, iteration {step}", pick


def _table(reports: Sequence[Report], names: Sequence[str]) -> str:
    header = ["", *(f"{_words(name)}, {measure.upper()}" for name in names for measure, _ in _MEASURES)]
    rows = []
    for label, pick in _rows(reports, names):
        cells = [label]
        for name in names:
            scores = [report["scores"].get(name) for report in reports]
            for measure, digits in _MEASURES:
                found = [None if score is None else (pick(score) or {}).get(measure) for score in scores]
                text = spread(found, digits)
                better = text != ABSENT and all(
                    value > score["corrupted"][measure] for value, score in zip(found, scores, strict=True)
                )
                cells.append(f"**{text}**" if better and label != "corrupted" else text)
        rows.append(cells)
    return table(header, rows)


def _above(reports: Sequence[Report], name: str, other: str = "") -> list[str]:
    """Readings above the corrupted input, or another row, in both measures and for every seed."""
    scores = [report["scores"][name] for report in reports if name in report["scores"]]
    rows = dict(_rows(reports, [name]))
    against = rows.get(other or "corrupted", lambda score: None)
    found = []
    for label, pick in _readings(scores):
        pairs = [(pick(score), against(score)) for score in scores]
        if all(ours and theirs and all(ours[key] > theirs[key] for key, _ in _MEASURES) for ours, theirs in pairs):
            found.append(label)
    return found


def _finding(reports: Sequence[Report], name: str) -> str:
    above = _above(reports, name)
    if not above:
        return f"{_capital(_words(name))}: **no**, neither reading after any of these iterations."
    baselines = dict.fromkeys(key for report in reports for key in report["scores"].get(name, {}).get("baselines", {}))
    beaten = [baseline for baseline in baselines if _above(reports, name, baseline)]
    kept = [baseline for baseline in baselines if baseline not in beaten]
    text = f"{_capital(_words(name))}: **yes**, {_grouped(above)}"
    if beaten:
        text += f"; one of its readings is also above the {listed(beaten)} in both"
    if kept:
        text += f"; none is above the {listed(kept)} in both"
    return f"{text}."


def _grouped(labels: Sequence[str]) -> str:
    """`g after iteration 1 and 2, h after iteration 1`, from `g, iteration 1` and so on."""
    steps: dict[str, list[str]] = {}
    for label in labels:
        reading, _, step = label.partition(", iteration ")
        steps.setdefault(reading, []).append(step)
    return ", ".join(f"{reading} after iteration {listed(found)}" for reading, found in steps.items())


def _summary(reports: Sequence[Report], names: Sequence[str]) -> str:
    known = [name for name in names if any(name in report["scores"] for report in reports)]
    repaired = [_words(name) for name in known if _above(reports, name)]
    left = [_words(name) for name in known if not _above(reports, name)]
    what = "above the corrupted ones in both PSNR and SSIM"
    if not repaired:
        return f"Restored images are not {what} for {listed(left)}."
    return f"Restored images are {what} for {listed(repaired)}{f', but not for {listed(left)}' if left else ''}."


def _facts(runs: Sequence[Run], reports: Sequence[Report]) -> list[str]:
    first = reports[0]
    counts = sorted({score["num_images"] for report in reports for score in report["scores"].values()})
    denoiser = first.get("denoiser_epochs")
    return [
        training_fact(f"CNN-F, K = {first['trained_iterations']}, eta = {first['step_size']:g}", runs),
        f"images: {listed([f'{count:,}' for count in counts])} of {first['dataset']} {first['split']}, corrupted at "
        f"severity {first['severity']}, seed {first['seed']}",
        "denoising autoencoder: "
        + (f"trained for {plural(denoiser, 'epoch')} on each corruption by itself" if denoiser else "none was trained"),
    ]


def _words(name: str) -> str:
    words = name.replace("_", " ")
    return words.replace("gaussian", "Gaussian")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
