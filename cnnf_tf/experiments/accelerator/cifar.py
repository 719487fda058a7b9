"""Adversarial training of one network for so many minutes, as a CNN and as a CNN-F in turns, and attacks on both.

Both have the same seconds, compilation aside, and the same recipe but for K: PGD of a few steps through the first pass,
Adam with one cycle of the learning rate, images flipped and moved, averaged weights. The cycle follows the seconds: how
many steps they hold is measured. A checkpoint and a point of the learning curve are written as training goes; the same
command goes on from them.
"""

import concurrent.futures
import dataclasses
import pathlib
import time
from typing import Any

import jax
import numpy as np

from cnnf_tf.experiments.accelerator import data as data_lib
from cnnf_tf.experiments.accelerator import programs
from cnnf_tf.experiments.accelerator.plan import Scale
from cnnf_tf.experiments.accelerator.record import Record, one_line
from cnnf_tf.experiments.benchmark.setups import BenchmarkNetwork
from cnnf_tf.experiments.screening import measures, training
from cnnf_tf.experiments.screening.loop import Model
from cnnf_tf.experiments.screening.recipes import Recipe
from cnnf_tf.utils.files import atomic_path

NETWORK_OPTIONS: dict[str, dict[str, Any]] = {"wide_resnet": {"head_batch_norm": True}}
"""Further options of a network that is trained: without batch norm this one stays at chance for hundreds of steps."""
RECIPE: dict[str, Any] = {"attack_steps": 3, "attack_path": "first_pass", "learning_rate": 1e-3, "ema": 0.999}
ATTACKS = (("first_pass", "cross_entropy"), ("full_unroll", "cross_entropy"))
_SHARE = 0.6  # of the time after compilation that is training; the rest is for attacks
_CHECKPOINT_SECONDS = 15


def recipes(setup: BenchmarkNetwork) -> dict[str, Recipe]:
    """The two that are compared."""
    options = {**dict(setup.options), **NETWORK_OPTIONS.get(setup.network, {})}
    cnnf = programs.recipe_of(setup, options=options, **RECIPE)
    return {"cnn": dataclasses.replace(cnnf, iterations=0), "cnnf": cnnf}


class _Run:
    """One training: what changes is `training`, `seconds` and the row."""

    def __init__(self, name: str, recipe: Recipe, images: data_lib.Images, scale: Scale, record: Record):
        self.name, self.recipe, self.record, self.scale = name, recipe, record, scale
        self.images, self.model = images, Model(recipe, images.train_images.shape[1:], 0)
        self.batch_size = scale.trained.batch_size
        self.training = training.start(self.model.initial())
        self.row: dict[str, Any] = {"recipe": recipe.to_dict(), "curve": [], "planned_seconds": None}
        self.row |= {key: value for key, value in record.rows.get(name, {}).items() if key != "error"}
        self.path = record.path.with_name(f"{name}.npz")
        self.seconds, self.written = 0.0, time.time()
        if name not in record.rows:
            self.path.unlink(missing_ok=True)  # what another machine trained
        if self.path.exists():
            with np.load(self.path) as arrays:
                leaves = [arrays[f"{place:03d}"] for place in range(len(arrays.files) - 1)]
                self.seconds = float(arrays["seconds"])
            self.training = jax.tree.unflatten(jax.tree.structure(self.training), leaves)
        step = int(self.training.step)
        self.row["curve"] = [point for point in self.row["curve"] if point["step"] <= step]

    def lowered(self) -> Any:
        """The program of one go, traced."""
        epoch = training.epoch_function(self.model, self.recipe, self.recipe.iterations, self.batch_size)
        return epoch.lower(*self._arguments(1.0))

    def prepare(self, compiled: Any) -> None:
        """Runs one go for nothing, to see how long it takes."""
        self.program = compiled
        for _ in range(2):
            started = time.time()
            jax.block_until_ready(self.program(*self._arguments(1.0)))
            self.duration = time.time() - started

    def _arguments(self, steps: float) -> tuple[Any, ...]:
        step = int(self.training.step)
        rng, key = np.random.default_rng(step), jax.random.fold_in(jax.random.key(0), step)
        count = self.scale.steps * self.batch_size
        images, labels = data_lib.draw(rng, *self.images[:2], count)
        return self.training, training.numbers_of(self.recipe, steps), images, labels, key

    def left(self) -> float:
        """Seconds of training."""
        return self.row["planned_seconds"] - self.seconds

    def go(self) -> None:
        """Some updates, and a point of the curve."""
        started = time.time()
        goes = max(1.0, self.left() / self.duration)
        found = self.program(*self._arguments(int(self.training.step) + goes * self.scale.steps))
        self.training, means = jax.block_until_ready(found)
        self.duration = time.time() - started
        self.seconds += self.duration
        point = {"seconds": round(self.seconds, 2), "step": int(self.training.step)}
        point |= {name: round(float(value), 4) for name, value in means.items()}
        if not np.isfinite(point["loss"]):
            raise FloatingPointError(f"the loss is {point['loss']} at step {point['step']}")
        self.row["curve"].append(point)
        if time.time() - self.written > _CHECKPOINT_SECONDS or self.left() <= 0:
            self.save()

    def save(self) -> None:
        """Checkpoint and row."""
        leaves = {f"{place:03d}": leaf for place, leaf in enumerate(jax.tree.leaves(self.training))}
        with atomic_path(self.path) as path:
            np.savez(path, seconds=self.seconds, **leaves)
        steps = int(self.training.step)
        images = round(steps * self.batch_size / self.seconds, 1)
        self.row |= {"seconds": round(self.seconds, 1), "steps": steps, "images_per_second": images}
        self.record.add(self.name, self.row)
        self.written = time.time()

    def score(self, steps: int) -> None:
        """Accuracy of every pass on clean images, for `steps` 0, or what PGD of so many steps leaves."""
        found = self.row.setdefault("accuracy", {})
        key = f"pgd_{steps}" if steps else "clean"
        if key in found:
            return
        count = self.scale.attacked_images if steps else self.scale.test_images
        images, labels = (array[:count] for array in self.images[2:])
        if not steps:
            found[key] = measures.by_pass(self.model, self.recipe, self.training.average, images, labels)
        else:
            found[key] = measures.under_attack(
                self.model,
                self.recipe,
                self.training.average,
                images,
                labels,
                iterations=self.recipe.iterations,
                epsilons=[self.recipe.epsilon],
                steps=steps,
                chunk=min(250, len(images)),
                seed=0,
                attacks=ATTACKS,
            )
        self.record.add(self.name, self.row)


def run(scale: Scale, record: Record, path: pathlib.Path | None) -> None:
    """Trains and attacks both.

    Args:
      scale: how much.
      record: a row for each of them; without images the reason.
      path: of the images, see `data`; None for none.
    """
    record.measured_on(**programs.machine())
    if path is None:
        record.write(reason="no images were given")
        return
    images = data_lib.load(path)
    runs = [_Run(name, recipe, images, scale, record) for name, recipe in recipes(scale.trained).items()]
    unfinished = [each for each in runs if each.row["planned_seconds"] is None or each.left() > 0]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = [pool.submit(each.lowered().compile) for each in unfinished]
    for each, compiled in zip(unfinished, waiting, strict=True):
        each.prepare(compiled.result())
    share = min(scale.train_seconds, max(0.0, _SHARE * record.left() / max(1, len(unfinished))))
    for each in unfinished:
        planned = each.row["planned_seconds"]
        each.row["planned_seconds"] = round(each.seconds + (share if planned is None else min(share, each.left())), 1)
    while unfinished:
        each = min(unfinished, key=lambda each: each.seconds)
        try:
            each.go()
        except FloatingPointError as error:
            record.add(each.name, each.row | {"error": one_line(error)})
            runs.remove(each)
        if each not in runs or each.left() <= 0:
            unfinished.remove(each)
    for steps in (0, *scale.attack_steps):
        for each in runs:
            each.score(steps)
