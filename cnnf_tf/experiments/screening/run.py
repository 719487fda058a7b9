"""Trains and measures one recipe, and the table of all that were."""

import dataclasses
import json
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnf_tf.experiments.screening import images as images_lib
from cnnf_tf.experiments.screening import measures, training
from cnnf_tf.experiments.screening.loop import Model
from cnnf_tf.experiments.screening.recipes import RECIPES, STANDARD_EPSILONS, Recipe


@dataclasses.dataclass(frozen=True)
class Budget:
    """What every recipe gets; recorded with each result.

    Attributes:
      epochs: of a recipe of length 1.
      batch_size: images in a step.
      train_images: the first so many of the training set.
      test_images: for accuracy and restoration, the first so many.
      attacked_images: the first so many of the test set.
      attack_steps: of PGD.
      seed: of everything.
    """

    epochs: int
    batch_size: int
    train_images: int
    test_images: int
    attacked_images: int
    attack_steps: int
    seed: int


def run(
    recipe: Recipe, budget: Budget, data: str, report: Callable[[str], None]
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Trains and measures.

    Args:
      recipe: what to train.
      budget: how much of it.
      data: folder of the IDX files.
      report: called with lines to print.

    Returns:
      The record for JSON, and the weights.
    """
    images, labels = images_lib.load(data, "train")
    images, labels = images[: budget.train_images], labels[: budget.train_images]
    model = Model(recipe, images.shape[1:], budget.seed)
    started = time.monotonic()
    times, last = [started], {}

    def progress(epoch: int, means: dict[str, float]) -> None:
        times.append(time.monotonic())
        last.update(means)
        values = ", ".join(f"{name} {value:.4f}" for name, value in means.items())
        report(f"{recipe.name}: epoch {epoch}, {times[-1] - times[-2]:.1f} s, {values}")

    epochs = max(1, round(budget.epochs * recipe.length))
    weights = training.train(
        model,
        recipe,
        jnp.asarray(images),
        jnp.asarray(labels),
        epochs=epochs,
        batch_size=budget.batch_size,
        seed=budget.seed,
        progress=progress,
    )
    trained = time.monotonic()
    record = {
        "recipe": recipe.to_dict(),
        "budget": dataclasses.asdict(budget),
        "epochs": epochs,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "training_means_of_last_epoch": {name: round(value, 4) for name, value in last.items()},
        "seconds_of_epochs": [round(after - before, 2) for before, after in zip(times, times[1:], strict=False)],
        **_measured(model, recipe, weights, budget, data, report),
    }
    record["seconds_training"] = round(trained - started, 1)
    record["seconds_measuring"] = round(time.monotonic() - trained, 1)
    return record, [np.asarray(weight) for weight in weights]


def _measured(
    model: Model, recipe: Recipe, weights: Any, budget: Budget, data: str, report: Callable[[str], None]
) -> dict[str, Any]:
    images, labels = images_lib.load(data, "t10k")
    images, labels = images[: budget.test_images], labels[: budget.test_images]
    clean = measures.by_pass(model, recipe, weights, images, labels)
    report(f"{recipe.name}: clean {clean}")
    result = {"clean": clean, "corruptions": {}, "restoration": {}, "attacks": {}}
    for name, corrupted in measures.corrupted_images(images, budget.seed).items():
        result["corruptions"][name] = measures.by_pass(model, recipe, weights, corrupted, labels)
        if not recipe.encoder_blocks:
            result["restoration"][name] = measures.restoration(model, recipe, weights, corrupted, images)
    for iterations in recipe.attacked_iterations:
        found = measures.under_attack(
            model,
            recipe,
            weights,
            images[: budget.attacked_images],
            labels[: budget.attacked_images],
            iterations=iterations,
            epsilons=STANDARD_EPSILONS,
            steps=budget.attack_steps,
            chunk=min(1000, budget.attacked_images),
            seed=budget.seed,
        )
        result["attacks"][str(iterations)] = found
        report(f"{recipe.name}: K' = {iterations} under attack {[min(each.values()) for each in found.values()]}")
    return result


def table(folder: pathlib.Path) -> str:
    """Markdown of all results in a folder, in the order of the recipes."""
    order = {recipe.name: place for place, recipe in enumerate(RECIPES)}
    records = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    records.sort(key=lambda record: order.get(record["recipe"]["name"], len(order)))
    header = ["recipe", "K'", "clean", *(f"e = {epsilon:g}" for epsilon in STANDARD_EPSILONS), "unroll alone, 0.03"]
    header += ["shot", "Gaussian", "line", "clean, K' = 10", "PSNR of h / g(0): shot, Gaussian, line", "minutes"]
    rows = [row for record in records if "attacks" in record for row in _rows(record)]
    lines = [header, ["---"] * len(header), *rows]
    said = [f"- `{record['recipe']['name']}`: {record['recipe']['prediction']}" for record in records]
    failed = [f"- `{record['recipe']['name']}`: {record['failed']}" for record in records if "failed" in record]
    budgets = {json.dumps(record["budget"], sort_keys=True) for record in records if "budget" in record}
    parts = [
        "Budget: " + "; ".join(sorted(budgets)) + ".",
        "\n".join("| " + " | ".join(line) + " |" for line in lines),
        "Predicted before the runs:\n\n" + "\n".join(said),
    ]
    return "\n\n".join(parts + (["Failed:\n\n" + "\n".join(failed)] if failed else [])) + "\n"


def _rows(record: dict[str, Any]) -> list[list[str]]:
    """A row for each K' under attack."""
    recipe = record["recipe"]
    readout = recipe["readout"]
    rows: list[list[str]] = []
    for key, found in record["attacks"].items():
        first, iterations = not rows, int(key)
        row = [f"`{recipe['name']}`" if first else "", key, f"{record['clean'][readout][iterations]:.2f}"]
        row += [f"{min(each.values()):.1f}" for each in found.values()]
        unroll = [value for name, value in found["0.03"].items() if name.startswith("full_unroll")]
        row.append(f"{min(unroll):.1f}" if unroll else "")
        row += [f"{accuracies[readout][iterations]:.1f}" for accuracies in record["corruptions"].values()]
        row.append(f"{record['clean'][readout][10]:.2f}" if first else "")
        row.append(_psnr(record["restoration"]) if first else "")
        row.append(f"{record['seconds_training'] / 60:.1f}" if first else "")
        rows.append(row)
    return rows


def _psnr(restoration: dict[str, Any]) -> str:
    return ", ".join(
        f"{max(each['features']):.1f} / {max(each['reconstruction']):.1f}" for each in restoration.values()
    )
