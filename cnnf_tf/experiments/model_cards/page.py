"""The page of a packaged model: its card, `model_card`, in Markdown."""

import json
import os
import pathlib
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cnnf_tf.utils.files import write_text
from cnnf_tf.utils.intervals import wilson_interval
from cnnf_tf.zoo.pretrained import Card, Folder, pretrained_card, pretrained_names

_UNKNOWN = "not recorded"
_ESCAPED_BAR = r"\|"  # a bare one would end the cell, even inside of code


def write_pages(pages: str | os.PathLike[str], *, folder: Folder = None) -> list[pathlib.Path]:
    """Writes NAME.md for every card, and returns the paths.

    Args:
      pages: folder of the pages.
      folder: of the cards; None for those of the package.
    """
    paths = []
    for name in pretrained_names(folder=folder):
        paths.append(pathlib.Path(pages) / f"{name}.md")
        write_text(paths[-1], model_page(pretrained_card(name, folder=folder)))
    return paths


def model_page(card: Card) -> str:
    """The page; equal cards give equal pages."""
    name, training = card["name"], card["training"]
    parts = [
        f"# {name}",
        f"<!-- Made from cnnf_tf/zoo/weights/{name}.json by `python bin/package_model.py --pages_only`. -->",
        _summary(card),
        f'```python\nimport cnnf_tf\n\nmodel = cnnf_tf.load_pretrained("{name}")\n```',
        f"In every binary: `--model=pretrained:{name}`.",
        "## Limits",
        card["limits"] or "None were stated.",
        *_accuracy(card),
        *_robustness(card),
        *_restoration(card),
        *_measured(card),
        "## Training",
        _training(card),
        "The configuration, as `config.json` of the run has it:",
        f"```json\n{json.dumps(training['config'], indent=2)}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _summary(card: Card) -> str:
    model, weights = card["model"], card["weights"]
    network = ", ".join(f"{key} {value}" for key, value in sorted(model["network"].items()))
    size = " x ".join(map(str, model["image_shape"]))
    iterations = model["iterations"]
    kind = f"CNN-F, K = {iterations}, eta = {model['step_size']:g}" if iterations else "Plain CNN (K = 0)"
    return _wrapped(
        f"{kind}, readout `{model['readout']}`, for `{card['data']['name']}` ({size}, "
        f"{model['network']['num_classes']} classes). Network `{model['name']}` ({network}): {card['parameters']:,} "
        f"parameters, {weights['bytes'] / 1e6:.1f} MB of {weights['dtype']} in the package, float32 once loaded. "
        f"Labels: {', '.join(f'{index} {label}' for index, label in enumerate(card['data']['class_names']))}."
    )


def _accuracy(card: Card) -> list[str]:
    clean = card["metrics"].get("clean")
    if not clean:
        return []
    rows = [("pass", *(f"readout {readout}" for readout in clean["correct"]))]
    for index in range(len(clean["cross_entropy"])):
        cells = [_share(counts[index], clean["num_images"]) for counts in clean["correct"].values()]
        rows.append((_pass_name(index), *cells))
    text = f"On {clean['num_images']:,} images, `{card['data']['name']}` `{card['data']['split']}`:"
    return ["## Accuracy", text, _table(rows), _command(card, "evaluate")]


def _robustness(card: Card) -> list[str]:
    found = card["metrics"].get("robustness")
    if not found:
        return []
    readouts, images = list(found["minimum"]), found["num_images"]
    rows = [("attack", "gradients through", *(f"readout {readout}" for readout in readouts))]
    rows.append(("none", "", *(_share(round(found["clean_accuracy"][name] * images), images) for name in readouts)))
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for score in found["scores"]:
        standing = round(score["robust_accuracy"] * score["num_images"])
        row = cells.setdefault((score["threat"], score["gradient_path"]), {})
        row[score["readout"]] = _share(standing, score["num_images"])
    rows += [(*attack, *(row.get(name, "") for name in readouts)) for attack, row in cells.items()]
    worst = [f"**{_share(round(found['minimum'][name] * images), images)}**" for name in readouts]
    rows.append(("**stands all of them**", "", *worst))
    text = _wrapped(
        f"The first {images} test images, l-inf radius {found['radius']:g} on the [0, 1] pixel scale, step size "
        f"{found['settings']['step_size']:g}, one random start, seed {found['seed']}; each readout is attacked by "
        "itself."
    )
    warnings = [
        f"- readout {readout}, {finding['check']}: {finding['evidence']}. Likely cause: {finding['cause']}."
        for readout, findings in found["failed_checks"].items()
        for finding in findings
    ]
    checks = "Checks of this evaluation that failed:\n\n" + "\n".join(warnings) if warnings else ""
    command = _command(
        card,
        "evaluate",
        f"--robustness={found['radius']:g}",
        f"--attacked_images={images}",
        "--spsa_images=0",
        "--noadaptive",
    )
    return ["## Robustness", text, _table(rows), checks or "Every check of the evaluation itself passed.", command]


def _restoration(card: Card) -> list[str]:
    scores = card["metrics"].get("restoration")
    if not scores:
        return []
    columns = {name.replace("_", " "): _qualities(found) for name, found in scores.items()}
    rows = [("image", *columns)]
    rows += [(label, *(column[label] for column in columns.values())) for label in next(iter(columns.values()))]
    some = next(iter(scores.values()))
    text = _wrapped(
        f"PSNR in dB and SSIM against the clean images, {some['num_images']:,} test images, severity "
        f"{some['severity']}, seed {some['seed']}:"
    )
    command = _command(card, "restore", f"--severity={some['severity']}", "--score_images=0")
    return ["## Restoration", text, _table(rows), command]


def _qualities(found: Mapping[str, Any]) -> dict[str, str]:
    named = {"corrupted": found["corrupted"], **found["baselines"]}
    for kind, label in (("reconstruction", "g(0)"), ("features", "h")):
        pairs = zip(found["iterations"], found["restored"][kind], strict=True)
        named |= {f"{label}, iteration {iteration}": quality for iteration, quality in pairs}
    return {label: f"{quality['psnr']:.2f}, {quality['ssim']:.3f}" for label, quality in named.items()}


def _measured(card: Card) -> list[str]:
    measured = card["measured"]
    if not measured:
        return []
    where = f"{_versions(measured['versions'])}; {_hardware(measured['hardware'])}"
    return [_wrapped(f"Measured on the packaged weights, brackets are 95 % (Wilson) intervals. {where}.")]


def _training(card: Card) -> str:
    facts, config = card["training"], card["training"]["config"]
    commit = facts["commit"] and f"`{facts['commit']}`" + (" with local changes" if facts["dirty"] else "")
    length = [f"{facts[unit]:,} {unit}" for unit in ("epochs", "steps") if facts[unit]]
    hours = facts["hours"] and f"{facts['hours']:g} hours, evaluations not counted"
    starts = facts["starts"] and f"{facts['starts']}" + (
        f"; with other versions, hardware or commit: {json.dumps(facts['resumed'])}" if facts["resumed"] else ""
    )
    splits = config.get("data", {})
    rows = [
        ("", ""),
        ("command", facts["command"] and f"`{facts['command']}`"),
        ("data", f"`{splits.get('name')}` `{splits.get('train_split')}`, held out: `{splits.get('validation_split')}`"),
        ("weights", f"`{facts['which']}.keras` of the run"),
        ("seed", facts["seed"]),
        ("commit", commit),
        ("versions", facts["versions"] and _versions(facts["versions"])),
        ("hardware", facts["hardware"] and _hardware(facts["hardware"])),
        ("length", ", ".join(length)),
        ("time", hours),
        ("started", facts["started"]),
        ("starts", starts),
    ]
    return _table([rows[0], *((label, _UNKNOWN if value in (None, "") else str(value)) for label, value in rows[1:])])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _hardware(hardware: Mapping[str, Any]) -> str:
    gpus = ", ".join(hardware["gpus"]) or "no GPU"
    replicas = f", {hardware['replicas']} replicas" if hardware.get("replicas", 1) > 1 else ""
    return f"{hardware['cores']} cores of {hardware['cpu']}, {gpus}{replicas}"


def _pass_name(index: int) -> str:
    return "0 (plain CNN)" if index == 0 else str(index)


def _share(count: int, total: int) -> str:
    low, high = wilson_interval(count, total)
    return f"{100 * count / total:.2f} % [{100 * low:.1f}, {100 * high:.1f}]"


def _command(card: Card, binary: str, *arguments: str) -> str:
    words = [f"--model=pretrained:{card['name']}"]
    for key, flag, default in (("name", "dataset", "fashion_mnist"), ("split", "split", "test")):
        if card["data"][key] != default:
            words.append(f"--{flag}={card['data'][key]}")
    return f"```sh\n{shlex.join(['python', f'bin/{binary}.py', *words, *arguments])}\n```"


def _table(rows: Iterable[Sequence[str]]) -> str:
    head, *others = rows
    lines = [head, ["---"] * len(head), *others]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', _ESCAPED_BAR) for cell in line)} |" for line in lines)
