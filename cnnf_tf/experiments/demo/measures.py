"""What the demo measures: repair of corrupted images, PGD on CNN-F beside the CNN, accuracy of every pass, fine-tuning.

Small numbers of images, so that all of it takes a minute or two on a CPU; `bin/restore.py`, `bin/evaluate.py
--robustness` and `bin/train.py` do the same at full size. `page.py` writes the results down.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnnf_tf.attacks import AttackReport, GradientPath, predictor, run_attack
from cnnf_tf.data import corrupt, noisy_pairs
from cnnf_tf.evaluation.accuracy import PassAccuracy
from cnnf_tf.evaluation.restoration.quality import RestorationQuality, evaluate_restoration, restore
from cnnf_tf.evaluation.restoration.restorers import median_filter
from cnnf_tf.evaluation.robustness.attack_specs import AttackSpec, baseline_suite
from cnnf_tf.models import CNNF
from cnnf_tf.models.step_sizes import apart
from cnnf_tf.utils.intervals import wilson_interval
from cnnf_tf.utils.validation import positive_int

CORRUPTIONS = ("shot_noise", "gaussian_noise", "dotted_line")
"""The three of the talk."""
SHOWN = "features"
"""What counts as restored, an entry of `restoration.RESTORED`: h after an iteration."""

Progress = Callable[[int], Any]


@dataclasses.dataclass(frozen=True)
class RestorationDemo:
    """Images of one corruption before and after feedback."""

    quality: RestorationQuality  # PSNR and SSIM over all scored images
    clean: np.ndarray  # the images shown, `[n, height, width, channels]` in [0, 1]
    noisy: np.ndarray  # the same, corrupted
    restored: np.ndarray  # h after each of `quality.iterations`, `[iterations, n, height, width, channels]`
    eta: float  # step of h

    @property
    def best(self) -> tuple[int, float]:
        """Of the iterations that with the highest PSNR, and how many dB it is above the corrupted images."""
        scores = [found.psnr for found in self.quality.restored[SHOWN]]
        best = int(np.argmax(scores))
        return self.quality.iterations[best], scores[best] - self.quality.corrupted.psnr


@dataclasses.dataclass(frozen=True)
class Attacked:
    """What PGD left of one model."""

    iterations: int  # K of the model
    readout: str  # what the attack aims at and is judged by, "last" or "average"
    images: np.ndarray  # the clean images, `[n, height, width, channels]` in [0, 1]
    reports: dict[str, AttackReport]  # for each gradient path, what the attack did

    @property
    def clean_correct(self) -> np.ndarray:
        """Bools over the images: classified correctly without an attack."""
        return next(iter(self.reports.values())).clean_correct

    @property
    def robust(self) -> np.ndarray:
        """Bools over the images: correct before and after the attack, along every path."""
        survived = [report.clean_correct & (report.predictions == report.labels) for report in self.reports.values()]
        return np.all(survived, axis=0)

    def to_dict(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        count, robust = len(self.images), int(self.robust.sum())
        return {
            "iterations": self.iterations,
            "readout": self.readout,
            "num_images": count,
            "clean_accuracy": float(np.mean(self.clean_correct)),
            "by_gradient_path": {path: report.robust_accuracy for path, report in self.reports.items()},
            "stands_every_path": robust / count,
            "interval_95": wilson_interval(robust, count),
        }


@dataclasses.dataclass(frozen=True)
class AttackComparison:
    """A CNN-F and a CNN that were trained alike, under the same attack."""

    name: str  # how they were trained
    epsilon: float  # of the l-inf ball, on the [0, 1] pixel scale
    cnnf: Attacked  # what is left of the CNN-F
    cnn: Attacked  # what is left of the CNN


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """A few steps of training, and the same held-out images before and after."""

    corruption: str  # of all images, those trained on and those held out
    severity: int  # of the corruption
    batch_size: int  # images in a step
    losses: list[float]  # of each step, on its own batch, before the step changes the weights
    num_images: int  # held out
    before: dict[str, float]  # what `CNNF.evaluate` reports on the held-out images
    after: dict[str, float]  # the same after the last step


@dataclasses.dataclass(frozen=True)
class Demo:
    """All that a demo found, and with what."""

    models: Mapping[str, str]  # name or path of the model in each role
    dataset: str  # name of the data
    split: str  # of the data
    class_names: Sequence[str]  # of the data
    seed: int  # of corruptions, attacks and the order of the training images
    attack_steps: int  # of PGD
    repairs: list[RestorationDemo]  # one for each corruption
    comparisons: list[AttackComparison]  # one for each way to train
    passes: dict[str, PassAccuracy]  # for each way to train, the CNN-F's accuracy after every pass
    tuning: FineTuning  # of the CNN-F trained clean

    def to_dict(self) -> dict[str, Any]:
        """The numbers, without the images, for JSON."""
        return {
            "models": dict(self.models),
            "dataset": self.dataset,
            "split": self.split,
            "seed": self.seed,
            "repair": {repair.quality.corruption: repair.quality.to_dict() for repair in self.repairs},
            "attack": {
                "name": f"PGD-{self.attack_steps}",
                "norm": "linf",
                "step_size": "2.5 * epsilon / steps",
                "pairs": {
                    comparison.name: {
                        "epsilon": comparison.epsilon,
                        "cnnf": comparison.cnnf.to_dict(),
                        "cnn": comparison.cnn.to_dict(),
                    }
                    for comparison in self.comparisons
                },
            },
            "accuracy_of_every_pass": {name: found.to_dict() for name, found in self.passes.items()},
            "fine_tuning": dataclasses.asdict(self.tuning),
        }


def repair(
    model: CNNF,
    dataset: tf.data.Dataset,
    *,
    corruption: str,
    severity: int,
    seed: int,
    iterations: Sequence[int],
    num_shown: int,
    progress: Progress | None = None,
) -> RestorationDemo:
    """Corrupts images, lets the feedback repair them, and scores both.

    Args:
      model: a model whose h is the image.
      dataset: batches of (clean images in [0, 1], labels).
      corruption: see `evaluate_restoration`, also for the rest.
      num_shown: how many images to keep as pictures, of different classes.
      progress: called with the number of images after each batch.
    """
    quality = evaluate_restoration(
        model,
        dataset,
        corruption=corruption,
        severity=severity,
        seed=seed,
        iterations=iterations,
        baselines={"median filter 3x3": median_filter},
        progress=progress,
    )
    clean = tf.stack(_first_of_classes(dataset, num_shown))
    noisy = corrupt(clean, corruption, severity, seed=seed)
    restored = restore(model, noisy, iterations=iterations, restored=SHOWN)
    eta = float(apart(model.step_sizes())[0])
    return RestorationDemo(quality, clean.numpy(), noisy.numpy(), restored.numpy(), eta)


def paths(model: CNNF, *, epsilon: float, steps: int) -> list[AttackSpec]:
    """PGD along the first pass and along the full unroll; for a plain CNN, whose paths are one, that one."""
    attack_specs = baseline_suite(epsilon=epsilon, steps=steps, spsa_images=0)
    return [spec for spec in attack_specs if model.iterations or spec.path == GradientPath.FULL_UNROLL.value]


def attack(
    model: CNNF,
    dataset: tf.data.Dataset,
    *,
    epsilon: float,
    steps: int,
    seed: int,
    progress: Progress | None = None,
) -> Attacked:
    """PGD along all `paths`, on the readout that judges it.

    Args:
      model: run with its own K and readout.
      dataset: batches of (images in [0, 1], integer labels).
      epsilon: l-inf, on the [0, 1] pixel scale.
      steps: of 2.5 epsilon / steps, after a random start.
      seed: of the random start.
      progress: called with the number of images after each batch of each path.
    """
    reports = {
        spec.path: run_attack(
            spec.attack,
            predictor(model),
            dataset,
            seed=seed,
            progress=None if progress is None else lambda count, _: progress(count),
            **(spec.functions(model, model.iterations, model.readout) or {}),
        )
        for spec in paths(model, epsilon=epsilon, steps=steps)
    }
    images = np.concatenate([images.numpy() for images, _ in dataset])
    return Attacked(model.iterations, model.readout, images, reports)


def fine_tune(
    model: CNNF,
    train: tf.data.Dataset,
    held_out: tf.data.Dataset,
    *,
    steps: int,
    corruption: str = "gaussian_noise",
    severity: int = 4,
    learning_rate: float = 1e-3,
    seed: int,
    progress: Progress | None = None,
) -> FineTuning:
    """Trains a model on corrupted images for some steps of Adam, with `CNNF.fit`; the model changes.

    Args:
      model: which.
      train: batches of (clean images in [0, 1], labels), at least `steps` of them.
      held_out: the same, to score before and after.
      steps: at least 1.
      corruption: see `data.CORRUPTIONS`.
      severity: 1 to 5.
      learning_rate: of Adam.
      seed: of the corruption.
      progress: called with 1 after each step.

    Raises:
      ValueError: no steps, or as `data.noisy_pairs`.
    """
    positive_int("steps", steps)

    def noisy(dataset: tf.data.Dataset, seed: int) -> tf.data.Dataset:
        return noisy_pairs(dataset, (corruption,), (severity,), seed=seed, clean_share=0.0)

    pairs, scored = noisy(train, seed), noisy(held_out, seed + 1)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate))
    before = model.evaluate(scored, verbose=0, return_dict=True)
    losses: list[float] = []

    def after_step(batch: int, logs: Mapping[str, Any]) -> None:
        del batch
        losses.append(float(logs["loss"]))
        if progress is not None:
            progress(1)

    watch = keras.callbacks.LambdaCallback(  # the loss of each step by itself, not the mean since the epoch began
        on_train_batch_begin=lambda batch, logs: model.reset_metrics(), on_train_batch_end=after_step
    )
    model.fit(pairs.take(steps), epochs=1, shuffle=False, verbose=0, callbacks=[watch])
    return FineTuning(
        corruption=corruption,
        severity=severity,
        batch_size=int(next(iter(train))[1].shape[0]),
        losses=losses,
        num_images=sum(int(labels.shape[0]) for _, labels in held_out),
        before=before,
        after=model.evaluate(scored, verbose=0, return_dict=True),
    )


def _first_of_classes(dataset: tf.data.Dataset, count: int) -> list[tf.Tensor]:
    """The first image of each of the first classes to appear; of fewer classes where there are not so many."""
    found: dict[int, tf.Tensor] = {}
    for image, label in dataset.unbatch():
        found.setdefault(int(label), image)
        if len(found) == count:
            break
    return list(found.values())
