"""Runs the attacks of a robustness table and the checks of it: which jobs, and what their facts come to."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.attacks import PGD, AttackReport, GradientPath, attack_job, predictor
from cnnf_tf.evaluation.robustness import sanity_checks as checks
from cnnf_tf.evaluation.robustness.attack_specs import AttackSpec
from cnnf_tf.evaluation.robustness.report import RobustnessReport, Score
from cnnf_tf.evaluation.robustness.sanity_checks import SanityCheck
from cnnf_tf.models import CNNF, READOUTS
from cnnf_tf.models.unroll import check_iterations
from cnnf_tf.utils.batches import SECONDS, BatchRunner, Facts, Job
from cnnf_tf.utils.traces import traced

_BATCH = 250


class RobustnessEvaluation:
    """Every attack against every readout, and the checks of the evaluation, as jobs for a `BatchRunner`.

    Args:
      model: a CNN-F.
      images: float32 in [0, 1], `[images, height, width, channels]`.
      labels: integers, `[images]`.
      attack_specs: the attacks; see `attack_specs.py`. No two may have both name and path in common.
      epsilon: of the checks' own attacks and for the report, on the [0, 1] pixel scale.
      seed: of every attack.
      iterations: K'; None for the model's own.
      readouts: some of "last" and "average"; with K' = 0 they are the same and only the first is run.
      check_images: the checks run on the first so many images; 0 for no checks.
      check_steps: of the checks' own attacks.
      batch_size: images at a time.
      norm: "linf" or "l2", of the checks' own attacks and for the report.

    Raises:
      ValueError: no images, images and labels of different number, no attack_specs, or a bad setting.
    """

    def __init__(
        self,
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
        norm: str = "linf",
    ):
        images, labels = np.asarray(images), np.asarray(labels)
        if len(images) == 0 or len(images) != len(labels):
            raise ValueError(f"wanted as many labels as images and at least one, got {len(images)} and {len(labels)}.")
        if not attack_specs or not readouts:
            raise ValueError("wanted at least one attack and one readout, got none.")
        self._iterations = model.iterations if iterations is None else check_iterations(iterations)
        self._readouts = readouts if self._iterations else readouts[:1]
        self._epsilon, self._seed, self._norm, self._check_images = epsilon, seed, norm, check_images
        self._rows: dict[str, tuple[AttackSpec, str]] = {}
        self.jobs: list[Job] = []
        """What is to be done."""
        for readout in self._readouts:
            predict = predictor(model, iterations=self._iterations, readout=readout)
            self.jobs.append(_clean_job(predict, _batches(images, labels, batch_size), _clean_name(readout)))
            for spec in attack_specs:
                functions = spec.functions(model, self._iterations, readout)
                if functions is None:
                    continue
                name = f"{spec.name}, {spec.path}, readout {readout}"
                if name in self._rows:
                    raise ValueError(f"wanted attacks of different names and paths, got two {name!r}.")
                count = min(len(images), spec.num_images or len(images))
                dataset = _batches(images[:count], labels[:count], batch_size)
                options = {"seed": seed, "name": name, "keep_images": False, **functions}
                self.jobs.append(attack_job(spec.attack, predict, dataset, **options))
                self._rows[name] = spec, readout
            if check_images:
                few = _batches(images[:check_images], labels[:check_images], batch_size)
                name = _checks_name(readout)
                how: dict[str, Any] = {"epsilon": epsilon, "norm": norm, "steps": check_steps, "seed": seed}
                self.jobs += _check_jobs(predict, few, name=name, **how)

    def report(self, facts: Mapping[str, Facts]) -> RobustnessReport:
        """What the facts of all jobs, by name, come to."""
        scores = [_score(spec, readout, facts[name]) for name, (spec, readout) in self._rows.items()]
        found = {
            readout: _checks(
                facts, _checks_name(readout), [score for score in scores if score.readout == readout], self._norm
            )
            for readout in self._readouts
            if self._check_images
        }
        clean = {readout: facts[_clean_name(readout)]["correct"] for readout in self._readouts}
        return RobustnessReport(self._iterations, self._epsilon, self._seed, clean, scores, found, self._norm)


def evaluate_robustness(
    model: CNNF,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    progress: Callable[[str], None] = lambda line: None,
    runner: BatchRunner = BatchRunner(),  # noqa: B008 - frozen
    **settings: Any,
) -> RobustnessReport:
    """Runs every attack against every readout, then the checks of the evaluation.

    Args:
      model: a CNN-F.
      images: see `RobustnessEvaluation`, also for errors.
      labels: integers, `[images]`.
      progress: called with a line about each job before it runs.
      runner: how the batches are shared out: `BatchRunner(strategy=...)` for several devices.
      **settings: attack_specs, epsilon, seed and more of `RobustnessEvaluation`.
    """
    evaluation = RobustnessEvaluation(model, images, labels, **settings)
    facts = {}
    for job in evaluation.jobs:
        progress(job.name)
        facts[job.name] = runner.run(job)
    return evaluation.report(facts)


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
    norm: str = "linf",
    runner: BatchRunner = BatchRunner(),  # noqa: B008 - frozen
) -> list[SanityCheck]:
    """The checks of `sanity_checks.py` on a model, with PGD through the full unroll, and on the scores it was given.

    Args:
      model: a CNN-F.
      images: see `RobustnessEvaluation`, also for the rest; all of these images are used.
      labels: `[images]`.
      scores: rows over the same images and more, of this readout.
      epsilon: radius of the ball.
      steps: of PGD.
      seed: of PGD.
      iterations: K'.
      readout: "last" or "average".
      batch_size: images at a time.
      norm: of PGD.
      runner: how the batches are shared out.
    """
    predict, name = predictor(model, iterations=iterations, readout=readout), _checks_name(readout)
    dataset = _batches(images, labels, batch_size)
    jobs = _check_jobs(predict, dataset, epsilon=epsilon, norm=norm, steps=steps, seed=seed, name=name)
    return _checks({job.name: runner.run(job) for job in jobs}, name, scores, norm)


def _batches(images: np.ndarray, labels: np.ndarray, batch_size: int) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((images, tf.cast(labels, tf.int32))).batch(batch_size)


def _clean_name(readout: str) -> str:
    return f"none (clean), readout {readout}"


def _checks_name(readout: str) -> str:
    return f"checks, readout {readout}"


def _clean_job(predict: Any, dataset: tf.data.Dataset, name: str) -> Job:
    logits = traced(predict.function, *predict.settings)

    def work(images: tf.Tensor, labels: tf.Tensor, indices: tf.Tensor) -> dict[str, tf.Tensor]:
        del indices
        return {"correct": tf.argmax(logits(images), -1, output_type=tf.int32) == labels}

    return Job(name, dataset, work)


def _check_jobs(
    predict: Any, dataset: tf.data.Dataset, *, epsilon: float, norm: str, steps: int, seed: int, name: str
) -> list[Job]:
    """What the checks of a model look at; see `_checks`."""

    def outputs(images: tf.Tensor, labels: tf.Tensor, indices: tf.Tensor) -> dict[str, tf.Tensor]:
        del labels, indices
        return {"logits": tf.cast(predict(images), tf.float32)}

    gradient = traced(_gradient, *predict.settings)

    def gradients(images: tf.Tensor, labels: tf.Tensor, indices: tf.Tensor) -> dict[str, tf.Tensor]:
        del indices
        return {"gradients": gradient(images, labels)}

    work = {"outputs": outputs, "outputs again": outputs, "gradients": gradients}
    jobs = [Job(f"{name}: {what}", dataset, function) for what, function in work.items()]
    if epsilon == 0:
        return jobs
    unbounded = _diameter(norm, dataset.element_spec[0].shape[1:].num_elements())
    pgd = {
        "the loss": PGD(epsilon=epsilon, steps=steps, norm=norm, early_stop=False),
        "as it is": PGD(epsilon=epsilon, steps=steps, norm=norm),
        "twice the radius": PGD(epsilon=min(unbounded, 2 * epsilon), steps=steps, norm=norm),
        "twice the steps": PGD(epsilon=epsilon, steps=2 * steps, norm=norm),
        "unbounded": PGD(epsilon=unbounded, steps=steps, norm=norm),
    }
    options: dict[str, Any] = {"seed": seed, "keep_images": False}
    return jobs + [
        attack_job(attack, predict, dataset, name=f"{name}: {what}", **options) for what, attack in pgd.items()
    ]


def _gradient(model: CNNF, iterations: int, readout: str, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    predict = predictor(model, iterations=iterations, readout=readout)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        loss = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, predict(images)))
    return tape.gradient(loss, images)


def _diameter(norm: str, size: int) -> float:
    """From one corner of the cube of all images, of so many numbers each, to the opposite one."""
    return 1.0 if norm == "linf" else float(np.sqrt(size))


def _checks(facts: Mapping[str, Facts], name: str, scores: Sequence[Score], norm: str) -> list[SanityCheck]:
    """What the facts of `_check_jobs` of that name, and rows over the same images, say about the evaluation."""
    own = {key.removeprefix(f"{name}: "): found for key, found in facts.items() if key.startswith(f"{name}: ")}
    logits = own["outputs"]["logits"]
    found = [
        checks.logits_not_probabilities(logits),
        checks.outputs_repeat(logits, own["outputs again"]["logits"]),
        checks.gradients_inform(own["gradients"]["gradients"]),
    ]
    if "as it is" not in own:
        return found
    base = ~own["as it is"]["success"]
    radius = _diameter(norm, own["gradients"]["gradients"][0].size)
    found.append(checks.loss_rises(AttackReport.from_facts(own["the loss"]).losses))
    found += [
        checks.stronger_is_stronger(what, base, ~own[what]["success"])
        for what in ("twice the radius", "twice the steps")
    ]
    return [*found, checks.unbounded_breaks(~own["unbounded"]["success"], radius), *_compare(scores)]


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


def _score(spec: AttackSpec, readout: str, facts: Facts) -> Score:
    report = AttackReport.from_facts(facts)
    survived = report.clean_correct & (report.predictions == report.labels)
    repeated = ("num_images", "robust_accuracy", "success_rate")
    details = {name: value for name, value in report.to_dict().items() if name not in repeated}
    details = {"settings": spec.attack.settings(), **details}
    seconds = float(facts[SECONDS].sum())
    return Score(spec.name, spec.path, spec.black_box, readout, survived, details, seconds)
