"""What a training step minimises: `cnnf_tf.models.objective`, on plain, corrupted or adversarial images.

An `Objective` first prepares the images, outside of all gradients (this is where an attack runs), then scores them.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf
from ml_collections import ConfigDict

from cnnf_tf.attacks import PGD, GradientPath, gradient_source, predictor
from cnnf_tf.models import CNNF, READOUTS, Scored, batch_losses
from cnnf_tf.utils.validation import number


class Prepared(NamedTuple):
    """Images for one step."""

    images: tf.Tensor  # what the model is shown, `[batch, height, width, channels]` in [0, 1]
    clean: tf.Tensor | None  # their clean versions, where they have one


class Objective:
    """The objective of standard training, and of training on pairs `{"images", "clean"}` (see `data.noisy_pairs`).

    Args:
      model: the model to train.
      plain: whether to run it as the plain CNN, K = 0, whatever its own K.
    """

    clean_weight: float | None = None

    def __init__(self, model: CNNF, *, plain: bool = False):
        self.model = model
        self._infer = functools.partial(model.infer, iterations=0) if plain else model.infer
        self._horizon = 0 if plain else model.training_horizon

    def prepare(
        self, images: tf.Tensor | Mapping[str, tf.Tensor], labels: tf.Tensor, *, seed: tf.Tensor, indices: tf.Tensor
    ) -> Prepared:
        """Makes the images of a step; nothing here is to be differentiated.

        Args:
          images: a batch as the data pipeline gives it.
          labels: class ids, `[batch]`.
          seed: integer scalar, another one for every step.
          indices: integers `[batch]`: the place of each image in the global batch. Its random numbers depend on the
            seed and this place only, so that they are the same however many replicas share the batch.
        """
        del labels, seed, indices
        if isinstance(images, Mapping):
            return Prepared(images["images"], images["clean"])
        return Prepared(images, None)

    def score(self, prepared: Prepared, labels: tf.Tensor, *, step: tf.Tensor | None) -> Scored:
        """Runs the model on prepared images.

        Args:
          prepared: from `prepare`.
          labels: class ids, `[batch]`.
          step: number of the training step; None when nothing is trained.
        """

        def cross_entropy(logits: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))

        training = step is not None
        return batch_losses(
            self._infer,
            prepared.images,
            cross_entropy,
            reconstruction_weight=self.model.reconstruction_weight,
            clean=prepared.clean,
            clean_weight=self.clean_weight,
            training=training,
            burn_in=self.model.burn_in_iterations(step) if training and self._horizon else None,
        )

    def report(self, scored: Scored, labels: tf.Tensor) -> dict[str, tf.Tensor]:
        """Batch means to log: losses, and accuracies of the images seen."""
        losses, logits = scored.losses, scored.seen.logits
        values = {
            "loss": losses.total,
            "accuracy": _accuracy(READOUTS[self.model.readout](logits), labels),
            "first_pass_accuracy": _accuracy(logits[0], labels),
            "last_pass_accuracy": _accuracy(logits[-1], labels),
            "first_pass_loss": losses.passes[0],
            "last_pass_loss": losses.passes[-1],
            "reconstruction_loss": losses.reconstruction,
        }
        if scored.clean is not None:
            values["clean_accuracy"] = _accuracy(READOUTS[self.model.readout](scored.clean.logits), labels)
        return values


class AdversarialObjective(Objective):
    """The authors' adversarial training (Madry et al., arXiv:1706.06083, with the reconstruction term of CNN-F).

    Every step attacks its images by PGD and trains on clean and adversarial ones together; reconstructions of
    adversarial images are compared with the *clean* images.

    Args:
      model: the model to train.
      epsilon: radius of the l-inf ball, on the [0, 1] pixel scale.
      steps: steps of PGD; 1 is the fast single-step attack (Wong et al., arXiv:2001.03994).
      step_size: on the same scale.
      gradient_path: "first_pass" (the authors' choice, and cheaper) or "full_unroll".
      clean_weight: a >= 0, of the cross-entropy of the clean images.
      plain: see `Objective`.

    Raises:
      ValueError: an argument out of its range.
    """

    clean_weight: float

    def __init__(
        self,
        model: CNNF,
        *,
        epsilon: float,
        steps: int,
        step_size: float,
        gradient_path: GradientPath | str = GradientPath.FIRST_PASS,
        clean_weight: float,
        plain: bool = False,
    ):
        super().__init__(model, plain=plain)
        self.clean_weight = number("clean_weight", clean_weight)
        attack = PGD(epsilon=epsilon, steps=steps, step_size=step_size, early_stop=False)
        self._attack = attack.bind(predictor(model), surrogate=gradient_source(model, gradient_path))

    def prepare(self, images: Any, labels: tf.Tensor, *, seed: tf.Tensor, indices: tf.Tensor) -> Prepared:
        return Prepared(self._attack.perturb(images, labels, seed=seed, indices=indices), images)


class Change(NamedTuple):
    """A change of the objective, made by a `Curriculum`."""

    record: dict[str, Any]  # what to write beside the metrics of the evaluation, by name
    message: str


class Curriculum:
    """Which objective each step of a training minimises: plain ones first, then with feedback; subclasses know more.

    Where feedback joins in later, that is written beside the metrics of the evaluation that ends the steps it falls
    into, as `feedback`: the `step` from which on training runs `iterations`.

    Args:
      model: the model to train.
      config: see `training.run`.
      total_steps: of the training; the first `train.feedback_from` of them, if it is there, run K = 0.

    Raises:
      ValueError: as `build_objective`.
    """

    def __init__(self, model: CNNF, config: ConfigDict, *, total_steps: int):
        self._build = functools.cache(functools.partial(build_objective, model, config))
        self._build(plain=False, guarded=False)  # raises for bad options, before any work
        self._iterations = model.iterations
        has_feedback = model.iterations or model.training_horizon
        self._plain_steps = math.ceil(config.train.get("feedback_from", 0.0) * total_steps) if has_feedback else 0

    def at(self, step: int) -> Objective:
        """The objective of the step after so many steps."""
        return self._build(plain=self.is_plain(step), guarded=False)

    def is_plain(self, step: int) -> bool:
        """Whether the step after so many steps runs no feedback yet."""
        return step < self._plain_steps

    def evaluated(self, steps: range, validation: Mapping[str, float]) -> Change | None:
        """Told of every evaluation; returns what changes now, or changed in the steps since the last evaluation.

        Args:
          steps: those since the last evaluation; `steps.stop` are done.
          validation: metrics of the validation split, the same on all workers; without feedback if the last of the
            steps was.
        """
        del validation
        if not self.feedback_joined(steps):
            return None
        start = self._plain_steps
        record = {"feedback": {"step": start, "iterations": self._iterations}}
        return Change(record, f"step {start}: training goes on with feedback, K = {self._iterations}.")

    def feedback_joined(self, steps: range) -> bool:
        """Whether feedback began in these steps, after others without."""
        return self._plain_steps > 0 and self._plain_steps in steps

    @property
    def state(self) -> dict[str, float]:
        """Numbers for a checkpoint: with them `restore` makes another one of the same arguments go on as this one."""
        return {}

    def restore(self, state: Mapping[str, float]) -> None:
        """Takes the numbers of a checkpoint, others among them."""


def build_objective(model: CNNF, config: ConfigDict, *, plain: bool = False, guarded: bool = False) -> Objective:
    """The objective that a configuration asks for.

    Args:
      model: the model to train.
      config: see `training.run`; with a block `adversarial` it is adversarial training.
      plain: run the plain CNN, K = 0; attacks go through the first pass then.
      guarded: attack with `adversarial.guard_steps` steps, whose length follows from the epsilon.

    Raises:
      ValueError: an argument of the attack out of its range.
    """
    if "adversarial" not in config:
        return Objective(model, plain=plain)
    attack = config.adversarial
    return AdversarialObjective(
        model,
        epsilon=attack.epsilon,
        steps=attack.guard_steps if guarded else attack.steps,
        step_size=2.5 * attack.epsilon / attack.guard_steps if guarded else attack.step_size,
        gradient_path=GradientPath.FIRST_PASS if plain else attack.gradient_path,
        clean_weight=attack.clean_weight,
        plain=plain,
    )


def _accuracy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(tf.argmax(logits, -1, output_type=labels.dtype) == labels, tf.float32))
