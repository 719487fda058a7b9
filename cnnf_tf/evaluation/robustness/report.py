"""Robustness tables: one model, several attacks, both readouts, the minimum, and checks of the evaluation itself."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.attacks import PGD, GradientPath, predictor, run_attack
from cnnf_tf.evaluation.robustness import sanity_checks as checks
from cnnf_tf.evaluation.robustness.attack_specs import AttackSpec
from cnnf_tf.evaluation.robustness.sanity_checks import SanityCheck
from cnnf_tf.models import CNNF, READOUTS
from cnnf_tf.models.unroll import check_iterations
from cnnf_tf.utils.intervals import wilson_interval
from cnnf_tf.utils.tables import aligned

_BATCH = 250


@dataclasses.dataclass(frozen=True)
class Score:
    """What one attack left of a model under one readout.

    Attributes:
      attack_name: of the attack.
      path: a `GradientPath` name, or "transfer".
      black_box: whether the attack did without gradients of the model.
      readout: "last" or "average".
      survived: bools over the first images of the set: classified correctly before and after the attack.
      report: the attack's settings and means, for JSON.
      seconds: it took.
    """

    attack_name: str
    path: str
    black_box: bool
    readout: str
    survived: np.ndarray
    report: dict[str, Any]
    seconds: float

    @property
    def accuracy(self) -> float:
        """Robust accuracy, a share in [0, 1]."""
        return float(np.mean(self.survived))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "attack": self.attack_name,
            "gradient_path": self.path,
            "black_box": self.black_box,
            "readout": self.readout,
            "num_images": len(self.survived),
            "robust_accuracy": self.accuracy,
            "interval_95": wilson_interval(int(self.survived.sum()), len(self.survived)),
            "seconds": round(self.seconds, 2),
            **self.report,
        }


@dataclasses.dataclass(frozen=True)
class RobustnessReport:
    """A robustness table.

    Attributes:
      iterations: K' the model was run with.
      epsilon: on the [0, 1] pixel scale.
      seed: of every attack.
      clean: for each readout, bools over the images: classified correctly without an attack.
      scores: a row for each attack and readout.
      sanity_checks: for each readout, the checks of the evaluation.
    """

    iterations: int
    epsilon: float
    seed: int
    clean: dict[str, np.ndarray]
    scores: list[Score]
    sanity_checks: dict[str, list[SanityCheck]]

    def robust(self, readout: str) -> np.ndarray:
        """Bools over the images: correct, and no attack of the table broke it."""
        robust = self.clean[readout].copy()
        for score in self.scores:
            if score.readout == readout:
                robust[: len(score.survived)] &= score.survived
        return robust

    def minimum(self, readout: str) -> float:
        """The headline: the share of images that stand every attack; at most the smallest row over all images."""
        return float(np.mean(self.robust(readout)))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "iterations": self.iterations,
            "epsilon": self.epsilon,
            "epsilon_unit": "l-inf, pixels in [0, 1]",
            "seed": self.seed,
            "num_images": len(next(iter(self.clean.values()))),
            "clean_accuracy": {readout: float(np.mean(correct)) for readout, correct in self.clean.items()},
            "minimum": {readout: self.minimum(readout) for readout in self.clean},
            "scores": [score.to_dict() for score in self.scores],
            "checks": {name: [check.to_dict() for check in found] for name, found in self.sanity_checks.items()},
        }

    def table(self) -> str:
        """The table, and under it the checks of each readout."""
        readouts = list(self.clean)
        images = len(self.clean[readouts[0]])
        rows = [("attack", "gradient path", "images", *(f"accuracy ({readout})" for readout in readouts))]
        clean = [_percent(self.clean[readout]) for readout in readouts]
        rows.append(("none (clean)", "-", str(images), *clean))
        by_row: dict[tuple[str, str], dict[str, Score]] = {}
        for score in self.scores:
            by_row.setdefault((score.attack_name, score.path), {})[score.readout] = score
        for (name, path), found in by_row.items():
            cells = [_percent(found[readout].survived) if readout in found else "-" for readout in readouts]
            rows.append((name, path, str(len(next(iter(found.values())).survived)), *cells))
        worst = [_percent(self.robust(readout)) for readout in readouts]
        rows.append(("MINIMUM (stands every attack)", "all", str(images), *worst))
        lines = [aligned(rows)]
        for readout, sanity_checks in self.sanity_checks.items():
            lines += ["", f"checks of this evaluation, readout {readout}:", *(check.text() for check in sanity_checks)]
        return "\n".join(lines)


def evaluate_robustness(
    model: CNNF,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    attack_specs: Sequence[AttackSpec],
    epsilon: float,
    seed: int,
    iterations: int | None = None,
    readouts: Sequence[str] = tuple(READOUTS),
    check_images: int = 100,
    check_steps: int = 40,
    batch_size: int = _BATCH,
    progress: Callable[[str], None] = lambda line: None,
) -> RobustnessReport:
    """Runs every attack against every readout, then the checks of the evaluation.

    Args:
      model: a CNN-F.
      images: float32 in [0, 1], `[images, height, width, channels]`.
      labels: integers, `[images]`.
      attack_specs: the attacks; see `attack_specs.py`.
      epsilon: of the checks' own attacks and for the report, l-inf on the [0, 1] pixel scale.
      seed: of every attack.
      iterations: K'; None for the model's own.
      readouts: some of "last" and "average"; with K' = 0 they are the same and only the first is run.
      check_images: the checks run on the first so many images; 0 for no checks.
      check_steps: of the checks' own attacks.
      batch_size: images at a time.
      progress: called with a line about each row before it runs.

    Raises:
      ValueError: no images, images and labels of different number, no attack_specs, or a bad setting.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if len(images) == 0 or len(images) != len(labels):
        raise ValueError(f"wanted as many labels as images and at least one, got {len(images)} and {len(labels)}.")
    if not attack_specs or not readouts:
        raise ValueError("wanted at least one attack and one readout, got none.")
    iterations = model.iterations if iterations is None else check_iterations(iterations)
    if iterations == 0:
        readouts = readouts[:1]
    clean, scores, sanity_checks = {}, [], {}
    for readout in readouts:
        predict = predictor(model, iterations=iterations, readout=readout)
        clean[readout] = _correct(predict, images, labels, batch_size)
        for spec in attack_specs:
            functions = spec.functions(model, iterations, readout)
            if functions is None:
                continue
            progress(f"{spec.name}, {spec.path}, readout {readout}")
            count = min(len(images), spec.num_images or len(images))
            dataset = tf.data.Dataset.from_tensor_slices((images[:count], labels[:count])).batch(batch_size)
            scores.append(_score(spec, predict, dataset, readout, seed, functions))
        if check_images:
            progress(f"checks, readout {readout}")
            rows = [score for score in scores if score.readout == readout]
            sanity_checks[readout] = run_sanity_checks(
                model,
                images[:check_images],
                labels[:check_images],
                scores=rows,
                epsilon=epsilon,
                steps=check_steps,
                seed=seed,
                iterations=iterations,
                readout=readout,
                batch_size=batch_size,
            )
    return RobustnessReport(iterations, epsilon, seed, clean, scores, sanity_checks)


def run_sanity_checks(
    model: CNNF,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    scores: Sequence[Score],
    epsilon: float,
    steps: int,
    seed: int,
    iterations: int,
    readout: str,
    batch_size: int = _BATCH,
) -> list[SanityCheck]:
    """The checks of `sanity_checks.py` on a model, with PGD through the full unroll, and on the scores it was given.

    Args:
      model: a CNN-F.
      images: see `evaluate_robustness`, also for the rest; all of these images are used.
      labels: `[images]`.
      scores: rows over the same images and more, of this readout.
      epsilon: radius of the ball.
      steps: of PGD.
      seed: of PGD.
      iterations: K'.
      readout: "last" or "average".
      batch_size: images at a time.
    """
    predict = predictor(model, iterations=iterations, readout=readout)
    batch, classes = tf.constant(images), tf.constant(labels, tf.int32)
    first, second = predict(batch).numpy(), predict(batch).numpy()
    found = [
        checks.logits_not_probabilities(first),
        checks.outputs_repeat(first, second),
        checks.gradients_inform(_gradients(predict, images, labels, batch_size)),
    ]
    if epsilon == 0:
        return found
    whole = PGD(epsilon=epsilon, steps=steps, early_stop=False)
    found.append(checks.loss_rises(whole(predict, batch, classes, seed=seed).losses.numpy()))

    def robust(epsilon: float, steps: int) -> np.ndarray:
        return ~PGD(epsilon=epsilon, steps=steps)(predict, batch, classes, seed=seed).success.numpy()

    base = robust(epsilon, steps)
    found += [
        checks.stronger_is_stronger("twice the radius", base, robust(min(1.0, 2 * epsilon), steps)),
        checks.stronger_is_stronger("twice the steps", base, robust(epsilon, 2 * steps)),
        checks.unbounded_breaks(robust(1.0, steps)),
    ]
    return found + _compare(scores)


def _compare(scores: Sequence[Score]) -> list[SanityCheck]:
    """What the rows of a table say about each other, on the images each pair shares."""
    white = [score for score in scores if not score.black_box and score.path != GradientPath.FIRST_PASS.value]
    found = []
    for black in (score for score in scores if score.black_box):
        shared = [score.survived[: len(black.survived)] for score in white]
        shared = [survived for survived in shared if len(survived) == len(black.survived)]
        if shared:
            name = f"{black.attack_name} ({black.path})"
            found.append(checks.white_box_beats_black_box(name, np.all(shared, axis=0), black.survived))
    for first in (score for score in scores if score.path == GradientPath.FIRST_PASS.value):
        same = [s for s in scores if s.attack_name == first.attack_name and s.path == GradientPath.FULL_UNROLL.value]
        if same and not first.black_box:
            found.append(checks.first_pass_is_not_enough(first.survived, same[0].survived))
    return found


def _score(
    spec: AttackSpec, predict: Any, dataset: tf.data.Dataset, readout: str, seed: int, functions: dict[str, Any]
) -> Score:
    start = time.perf_counter()
    report = run_attack(spec.attack, predict, dataset, seed=seed, **functions)
    survived = report.clean_correct & (report.predictions == report.labels)
    repeated = ("num_images", "robust_accuracy", "success_rate")
    details = {name: value for name, value in report.to_dict().items() if name not in repeated}
    details = {"settings": spec.attack.settings(), **details}
    return Score(
        spec.name,
        spec.path,
        spec.black_box,
        readout,
        survived,
        details,
        time.perf_counter() - start,
    )


def _correct(predict: Any, images: np.ndarray, labels: np.ndarray, batch_size: int) -> np.ndarray:
    traced = tf.function(predict, reduce_retracing=True)
    parts = [traced(images[i : i + batch_size]).numpy().argmax(-1) for i in range(0, len(images), batch_size)]
    return np.concatenate(parts) == labels


def _gradients(predict: Any, images: np.ndarray, labels: np.ndarray, batch_size: int) -> np.ndarray:
    @tf.function(reduce_retracing=True)
    def gradient(batch: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(batch)
            loss = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(classes, predict(batch)))
        return tape.gradient(loss, batch)

    batches = tf.data.Dataset.from_tensor_slices((images, tf.cast(labels, tf.int32))).batch(batch_size)
    return np.concatenate([gradient(*batch).numpy() for batch in batches])


def _percent(flags: np.ndarray) -> str:
    low, high = wilson_interval(int(flags.sum()), len(flags))
    return f"{100 * float(np.mean(flags)):.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
