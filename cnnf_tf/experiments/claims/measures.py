"""What the study of the talk's claims measures: accuracy under attack, and how many iterations images need."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from cnnf_tf import data
from cnnf_tf.attacks import PGD, GradientPath, gradient_source, predictor, run_attack
from cnnf_tf.evaluation.accuracy import evaluate_passes
from cnnf_tf.models import CNNF
from cnnf_tf.utils.intervals import share_interval
from cnnf_tf.utils.traces import traced

_BATCH = 250

Measure = Callable[[CNNF], list[dict[str, Any]]]
"""What makes the cells of a job from its network."""


def batches(images: np.ndarray, labels: np.ndarray, batch_size: int = _BATCH) -> tf.data.Dataset:
    """Arrays as a data set of batches."""
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch_size)


def count_robust(
    model: CNNF,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    iterations: int,
    readout: str,
    epsilon: float,
    steps: int,
    seed: int,
    paths: Sequence[str],
) -> int:
    """Number of images classified correctly before and after PGD along every one of some gradient paths.

    Through the full unroll the attack follows the very logits that are scored: K' = `iterations` passes down, the same
    readout. Success is always judged by those, and an image counts only if it stands the attacks along all paths.

    Args:
      model: a CNN-F.
      images: float32 in [0, 1], `[images, height, width, channels]`.
      labels: integers `[images]`.
      iterations: K'.
      readout: "last" or "average".
      epsilon: l-inf, on the [0, 1] pixel scale.
      steps: of PGD, each of 2.5 * epsilon / steps, from a random start.
      seed: of the random start.
      paths: names of `GradientPath`, at least one; with K' = 0 there is one path whatever is given.
    """
    predict = predictor(model, iterations=iterations, readout=readout)
    attack = PGD(epsilon=epsilon, steps=steps)
    for path in paths if iterations else paths[:1]:
        if len(images):
            source = gradient_source(model, path, iterations=iterations, readout=readout)
            report = run_attack(attack, predict, batches(images, labels), seed=seed, surrogate=source)
            robust = report.clean_correct & (report.predictions == report.labels)
            images, labels = images[robust], labels[robust]
    return len(images)


def first_pass_adversaries(
    model: CNNF, images: np.ndarray, labels: np.ndarray, *, epsilon: float, steps: int, seed: int
) -> np.ndarray:
    """Images that PGD made against the first pass: broken where the plain CNN is, for feedback to repair.

    Args:
      model: a CNN-F.
      images: as in `count_robust`, also for the rest.
      labels: `[images]`.
      epsilon: 0 gives the images back.
      steps: of PGD.
      seed: of the random start.
    """
    first = gradient_source(model, GradientPath.FIRST_PASS)
    return run_attack(PGD(epsilon=epsilon, steps=steps), first, batches(images, labels), seed=seed).images


@dataclasses.dataclass(frozen=True)
class Settling:
    """How the labels of images move over the passes.

    Attributes:
      settled: `[images]`, the first pass from which on the label stays the same through pass K'.
      correct: bool `[K' + 1, images]`, whether each pass gets the label right.
      margin: `[images]`, the lead of the largest logit of the first pass over the second largest.
    """

    settled: np.ndarray
    correct: np.ndarray
    margin: np.ndarray

    def subset(self, chosen: np.ndarray) -> "Settling":
        """The same for some of the images."""
        return Settling(self.settled[chosen], self.correct[:, chosen], self.margin[chosen])

    def to_dict(self) -> dict[str, Any]:
        """Means and their standard errors, for JSON."""
        count = len(self.settled)
        right = self.settled[self.correct[-1]]
        return {
            "num_images": count,
            "settled_mean": float(self.settled.mean()),
            "settled_error": _standard_error(self.settled),
            "settled_mean_if_right": float(right.mean()) if len(right) else None,
            "settled_error_if_right": _standard_error(right) if len(right) else None,
            "never_moved": float(np.mean(self.settled == 0)),
            "accuracy": [float(share) for share in self.correct.mean(axis=1)],
        }


def settling(model: CNNF, images: np.ndarray, labels: np.ndarray, *, iterations: int) -> Settling:
    """Runs the loop for K' = `iterations` and watches the label of every image.

    Args:
      model: a CNN-F.
      images: float32 in [0, 1], `[images, height, width, channels]`.
      labels: integers `[images]`.
      iterations: K' >= 0.
    """
    run = traced(_logits, model, iterations)
    logits = np.concatenate([run(batch).numpy() for batch, _ in batches(images, labels)], axis=1)
    guesses = logits.argmax(-1)
    moved = guesses != guesses[-1]
    # The pass after the last one whose label differs from the final label.
    last_moved = np.where(moved.any(axis=0), len(guesses) - 1 - moved[::-1].argmax(axis=0), -1)
    ordered = np.sort(logits[0], axis=-1)
    return Settling(last_moved + 1, guesses == labels, ordered[:, -1] - ordered[:, -2])


def _logits(model: CNNF, iterations: int, images: tf.Tensor) -> tf.Tensor:
    return model.infer(images, iterations=iterations).logits


def accuracy_row(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean accuracy over cells that differ in the training seed only, with an error bar.

    Args:
      cells: each with "correct", and all with the same "num_images".

    Returns:
      accuracy, and low and high by the rule of `share_interval`, as shares in [0, 1].
    """
    correct, count = [cell["correct"] for cell in cells], cells[0]["num_images"]
    low, high = share_interval(correct, count)
    return {
        "num_images": count,
        "num_seeds": len(cells),
        "accuracy": round(float(np.mean(correct)) / count, 6),
        "low": round(low, 6),
        "high": round(high, 6),
        "bar": "95 % interval over images" + (", or standard deviation over seeds if wider" if len(cells) > 1 else ""),
    }


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def jobs(config: ConfigDict, data_dir: str | None) -> Iterator[tuple[str, str, int, Measure]]:
    """Every measurement: its name, the model and the seed of its network, and how it is made.

    Args:
      config: as in configs/fashion_mnist_study.py.
      data_dir: folder of prepared TFDS data; see `data.load`.

    Yields:
      The jobs, in an order that needs each network once.
    """
    parts = config.study
    images, labels = data.load_arrays(config.data.name, "test", data_dir=data_dir)

    def clean(iterations: int) -> Measure:
        def measure(model: CNNF) -> list[dict[str, Any]]:
            dataset = data.load(config.data.name, parts.clean_split, batch_size=_BATCH, data_dir=data_dir)
            result = evaluate_passes(model, dataset, iterations=iterations)
            common = {"epsilon": 0.0, "num_images": result.num_images}
            return [
                common | {"iterations": passes, "readout": readout, "correct": correct}
                for readout, counts in result.correct.items()
                for passes, correct in enumerate(counts)
            ]

        return measure

    def attacked(part: str, iterations: int, readout: str, epsilon: float) -> Measure:
        pictures, classes = images[: parts[part].num_images], labels[: parts[part].num_images]
        where: dict[str, Any] = {"iterations": iterations, "readout": readout, "epsilon": epsilon}

        def measure(model: CNNF) -> list[dict[str, Any]]:
            correct = count_robust(model, pictures, classes, **where, **parts.attack.to_dict())
            return [where | {"correct": correct, "num_images": len(pictures)}]

        return measure

    for name, options in parts.models.items():
        own = {part for part in ("epsilons", "trained", "tested", "needed") if name in parts[part].models}
        trained = options.iterations
        for seed in options.seeds:
            most = max(trained, parts.tested.max_iterations) if "tested" in own else trained
            grid: dict[tuple[str, ...], Measure] = {("clean",): clean(most)}
            for epsilon in parts.epsilons.epsilons if "epsilons" in own else ():
                for readout in parts.epsilons.readouts if trained else parts.epsilons.readouts[:1]:
                    grid["epsilons", readout, f"{epsilon:g}"] = attacked("epsilons", trained, readout, epsilon)
            for epsilon in parts.trained.epsilons if "trained" in own else ():
                grid["trained", f"{epsilon:g}"] = attacked("trained", trained, "last", epsilon)
            if seed == options.seeds[0]:
                for iterations in parts.tested.attacked_iterations if "tested" in own else ():
                    grid["tested", str(iterations)] = attacked("tested", iterations, "last", parts.tested.epsilon)
                if "needed" in own:
                    some = images[: parts.needed.num_images], labels[: parts.needed.num_images]
                    grid |= {("needed", *what): measure for what, measure in _needed(config, *some).items()}
            for (part, *what), measure in grid.items():
                yield "/".join([part, name, str(seed), *what]), name, seed, measure


def _needed(config: ConfigDict, images: np.ndarray, labels: np.ndarray) -> dict[tuple[str, ...], Measure]:
    """How long labels take to settle, by three kinds of difficulty."""
    needed, attack = config.study.needed, config.study.attack

    def settle(model: CNNF, pictures: np.ndarray) -> Settling:
        return settling(model, pictures, labels, iterations=needed.max_iterations)

    def cell(difficulty: str, level: float, found: Settling) -> dict[str, Any]:
        return {"difficulty": difficulty, "level": level, **found.to_dict()}

    def by_epsilon(epsilon: float) -> Measure:
        options = {"epsilon": epsilon, "steps": attack.steps, "seed": attack.seed}
        return lambda model: [
            cell("epsilon", epsilon, settle(model, first_pass_adversaries(model, images, labels, **options)))
        ]

    def by_severity(name: str) -> Measure:
        return lambda model: [
            cell(name, severity, settle(model, data.corrupt(images, name, severity, seed=attack.seed).numpy()))
            for severity in data.SEVERITIES
        ]

    def by_margin(model: CNNF) -> list[dict[str, Any]]:
        found = settle(model, images)
        bins = np.array_split(np.argsort(-found.margin), needed.margin_bins)
        return [cell("margin", number, found.subset(chosen)) for number, chosen in enumerate(bins, start=1)]

    jobs = {("epsilon", f"{epsilon:g}"): by_epsilon(epsilon) for epsilon in needed.epsilons}
    return jobs | {(name,): by_severity(name) for name in needed.corruptions} | {("margin",): by_margin}
