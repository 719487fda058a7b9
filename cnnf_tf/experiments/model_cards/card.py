"""Model cards: what a packaged model is, how it was trained, what it scores, and where it should not be trusted.

A card is JSON, card.json of the preset, with the keys

    name         of the model, and `preset`, what `CNNF.from_preset` is given
    license      for the hub
    description  the network, in words
    data         name and split of the data set
    training     config, seed, command, commit, versions, hardware, hours, ...; null where nobody recorded it
    metrics      what `measure` found, on the packaged weights
    measured     versions and hardware of the measurements
    limits       where not to trust the model, in a person's words

What the model is and has, class names among it, stands in config.json and metadata.json of the preset.

After M. Mitchell et al., "Model cards for model reporting", FAT* 2019. `page.py` makes a page of it.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.evaluation.accuracy import evaluate_passes
from cnnf_tf.evaluation.restoration.quality import check_model, check_size, evaluate_restoration
from cnnf_tf.evaluation.restoration.restorers import median_filter
from cnnf_tf.evaluation.robustness.attack_specs import baseline_suite
from cnnf_tf.evaluation.robustness.report import RobustnessReport
from cnnf_tf.evaluation.robustness.run import evaluate_robustness
from cnnf_tf.models import CNNF

LICENSE = "mit"
"""Of the packaged models: that of the package."""
FIRST_IMAGES = 500
"""So many of the first test images are attacked, and scored a second time by a test of the packaged file."""
ATTACK_STEPS = 40
CORRUPTIONS = ("shot_noise", "gaussian_noise", "dotted_line")
"""Those of the talk."""
SEVERITY = 3


def measure(
    model: CNNF,
    dataset: tf.data.Dataset,
    *,
    epsilon: float | None = None,
    restoration: bool = False,
    seed: int = 0,
    batch_size: int = 250,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Scores a model for its card, at its own K.

    Args:
      model: as a user loads it.
      dataset: (image in [0, 1], label) one by one, as a rule the whole test split.
      epsilon: radius of the l-inf ball, on the [0, 1] pixel scale, in which PGD-40 attacks the first 500 images,
        through the first pass and through the full unroll, each readout by itself; None for no attack.
      restoration: whether to score PSNR and SSIM of restored images, for the corruptions of the talk at severity 3.
      seed: of attacks and corruptions.
      batch_size: images at a time.
      progress: called with a line before each piece of work.

    Returns:
      For JSON: `clean` (all images) and `first_images`, both as `PassAccuracy.to_dict` has them; `robustness` and
      `restoration` where they were asked for.

    Raises:
      ValueError: images that do not fit the model, none at all, a bad epsilon, or, for `restoration`, a model whose h
        is not the image, or images of less than 11x11 pixels.
    """
    say = progress or (lambda line: None)
    first = dataset.take(FIRST_IMAGES)
    if restoration:  # before any work
        check_model(model)
        check_size(model.image_shape)
    attack_specs = [] if epsilon is None else baseline_suite(epsilon=epsilon, steps=ATTACK_STEPS, spsa_images=0)
    say("clean accuracy")
    metrics: dict[str, Any] = {
        "clean": evaluate_passes(model, dataset.batch(batch_size), iterations=model.iterations).to_dict(),
        "first_images": evaluate_passes(model, first.batch(batch_size), iterations=model.iterations).to_dict(),
    }
    if epsilon is not None:
        images, labels = (np.stack(part) for part in zip(*first.as_numpy_iterator(), strict=True))
        found = evaluate_robustness(
            model,
            images,
            labels,
            attack_specs=attack_specs,
            epsilon=epsilon,
            seed=seed,
            batch_size=batch_size,
            progress=say,
        )
        metrics["robustness"] = _short(found)
    if restoration:
        metrics["restoration"] = {}
        for corruption in CORRUPTIONS:
            say(f"restoration, {corruption}")
            metrics["restoration"][corruption] = evaluate_restoration(
                model,
                dataset.batch(batch_size),
                corruption=corruption,
                severity=SEVERITY,
                seed=seed,
                baselines={"median 3x3": median_filter},
            ).to_dict()
    return metrics


def training_facts(
    config: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    sessions: Sequence[Mapping[str, Any]],
    *,
    name: str,
    which: str,
) -> dict[str, Any]:
    """What a card says about the training.

    Args:
      config: `config.json` of the workdir.
      history: the lines of its `metrics.jsonl`.
      sessions: the entries of its `run.json`; empty where it has none. The first one speaks for the run; starts with
        another commit, hardware or library versions are listed under `resumed`.
      name: of the model; `--workdir=runs/NAME` stands for the folder of the run, see `public_command`.
      which: of the run's models, "best" or "last".
    """
    facts: dict[str, Any] = {"config": dict(config), "which": which, "seed": config.get("seed")}
    kept = ("commit", "dirty", "versions", "hardware")
    records = [{key: session.get(key) for key in kept} for session in sessions] or [dict.fromkeys(kept)]
    first = sessions[0] if sessions else {}
    command = first.get("command")
    seconds = [entry["seconds"] for entry in history if "seconds" in entry]
    last = history[-1] if history else {}
    return facts | {
        "command": None if command is None else public_command(command, name=name),
        **records[0],
        "started": first.get("started"),
        "starts": len(sessions) if first.get("started") else None,
        "resumed": [record for record in records[1:] if record != records[0]],
        "epochs": last.get("epoch"),
        "steps": last.get("step"),
        "hours": round(sum(seconds) / 3600, 2) if seconds else None,
    }


def public_command(command: str, *, name: str) -> str:
    """A command of bin/train.py as another person would give it.

    The folder of the run becomes runs/NAME, --data_dir is left out, and the program is bin/train.py wherever it was:
    none of the three changes the model.
    """
    words = iter(shlex.split(command))
    found: list[str] = []
    for word in words:
        flag, equals, _ = word.partition("=")
        if flag.lstrip("-") in ("workdir", "data_dir") and flag.startswith("-"):
            if not equals:
                next(words, None)
            if flag.endswith("workdir"):
                found.append(f"--workdir=runs/{name}")
        else:
            found.append("bin/train.py" if word.endswith("bin/train.py") else word)
    return shlex.join(found)


def make_card(
    name: str,
    *,
    data: Mapping[str, Any],
    training: Mapping[str, Any],
    metrics: Mapping[str, Any] | None = None,
    measured: Mapping[str, Any] | None = None,
    limits: str = "",
) -> dict[str, Any]:
    """Puts a card together; see the head of this module."""
    network = training["config"]["model"]
    options = ", ".join(f"{key} {value}" for key, value in sorted(network["network"].items()))
    return {
        "name": name,
        "preset": name,
        "license": LICENSE,
        "description": f"Network `{network['name']}` ({options}).",
        "data": dict(data),
        "training": dict(training),
        "metrics": dict(metrics or {}),
        "measured": dict(measured or {}),
        "limits": limits or None,
    }


def _short(report: RobustnessReport) -> dict[str, Any]:
    """A robustness table without what is the same in every row."""
    whole = report.to_dict()
    kept = ("attack", "gradient_path", "readout", "num_images", "robust_accuracy", "interval_95")
    failed = {name: [check for check in found if not check["passed"]] for name, found in whole["checks"].items()}
    head = ("epsilon", "epsilon_unit", "seed", "iterations", "num_images")
    return {name: whole[name] for name in head} | {
        "settings": whole["scores"][0]["settings"],
        "clean_accuracy": whole["clean_accuracy"],
        "scores": [{key: score[key] for key in kept} for score in whole["scores"]],
        "minimum": whole["minimum"],
        "failed_checks": failed,
    }
