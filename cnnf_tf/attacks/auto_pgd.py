"""Auto-PGD: projected gradient ascent that sets its own step size (Croce and Hein, arXiv:2003.01690, section 4)."""

from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.attacks.gradient import PGD
from cnnf_tf.attacks.iterative import Ascent, Slots
from cnnf_tf.attacks.problem import Problem
from cnnf_tf.utils.validation import positive_int

_MOMENTUM = 0.75  # alpha of equation 2: the share of the gradient step; the rest repeats the step before
_RISES = 0.75  # rho of condition 1: the share of steps that must raise the loss


class APGD(PGD):
    """Auto-PGD (Croce and Hein, arXiv:2003.01690, algorithm 1).

    Each image has its own step size, `2 epsilon` at the start. At checkpoints, which come closer and closer, it is
    halved, and the search goes on from the best point so far, if the loss rose in fewer than 3 of 4 steps since the
    last checkpoint, or if neither it nor the best loss has changed since. A step has momentum:

        z <- clip(x_k + step_size * d),   x_{k+1} <- clip(x_k + 0.75 (z - x_k) + 0.25 (x_k - x_{k-1}))

    It starts at a random point on the border of the ball. Where the gradients go through another function than
    `predict`, images that this function gets wrong are shown to `predict` at every step.

    Args:
      epsilon: radius of the ball, on the [0, 1] pixel scale.
      steps: number of steps in each start; 100 in the paper.
      norm: "linf" or "l2".
      loss: "cross_entropy", "dlr" or "margin".
      targets: how many wrong classes the loss leads to, one after the other and the likeliest first; any wrong class is
        success. At most all of them count. 0 is the untargeted loss.
      restarts: starts, for each of the targets if there are any.
      samples: gradients of each step that are averaged, for models that are random (EOT).
      early_stop: see `Attack`.

    Raises:
      ValueError: an argument out of its range.
    """

    thorough = True

    def __init__(
        self,
        *,
        epsilon: float,
        steps: int = 100,
        norm: str = "linf",
        loss: str = "cross_entropy",
        targets: int = 0,
        restarts: int = 1,
        samples: int = 1,
        early_stop: bool = True,
    ):
        super().__init__(
            epsilon=epsilon, steps=steps, norm=norm, loss=loss, restarts=restarts, early_stop=early_stop, step_size=0.0
        )
        self.step_size = 2 * self.epsilon
        self.targets = 0 if targets == 0 else positive_int("targets", targets)
        self.samples = positive_int("samples", samples)

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"targets": self.targets, "samples": self.samples}

    def check_classes(self, num_classes: int, *, targeted: bool) -> None:
        super().check_classes(num_classes, targeted=targeted or self.targets > 0)

    def aims(self, problem: Problem) -> tf.Tensor | None:
        if not self.targets:
            return None
        if problem.targets is not None or problem.objective is not None:
            raise ValueError(f"with targets={self.targets} any wrong class is success, and the loss is of logits.")
        return tf.repeat(problem.rivals()[:, : self.targets], self.restarts, axis=1)

    def start(self, problem: Problem, restart: tf.Tensor) -> tf.Tensor:
        delta = super().start(problem, restart) - problem.images
        length = self.norm.distance(delta)[:, None, None, None]
        return problem.images + delta * (self.epsilon / tf.where(length > 0, length, 1))

    def ascent(
        self, problem: Problem, iterates: tf.Tensor, restart: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None, tf.Tensor]:
        losses, success, gradient = super().ascent(problem, iterates, restart, step)
        if self.samples == 1:
            return losses, success, gradient
        _, gradient = tf.while_loop(
            lambda number, total: number < self.samples,
            lambda number, total: (number + 1, total + super(APGD, self).ascent(problem, iterates, restart, step)[2]),
            (tf.constant(1), gradient),
            parallel_iterations=1,
        )
        return losses, success, gradient / self.samples

    def slots(self, images: tf.Tensor) -> Slots:
        each = tf.zeros_like(images[:, 0, 0, 0])
        lowest = tf.fill(tf.shape(each), each.dtype.min)
        # The point before; the best point, its gradient and loss; the loss before, rises of it; and at the last
        # checkpoint the best loss, and whether the step was halved (1, not 0, at the start); the step size.
        step_sizes = tf.fill(tf.shape(each), tf.convert_to_tensor(self.step_size, each.dtype))
        return images, images, images, lowest, lowest, each, lowest, tf.ones_like(each), step_sizes

    def move(self, ascent: Ascent, slots: Slots, step: tf.Tensor, step_size: tf.Tensor) -> tuple[tf.Tensor, Slots]:
        del step_size
        images, iterates, losses, gradient = ascent
        before, best, best_gradient, highest, latest, rises, checked, halved, step_sizes = slots
        before = tf.where(step == 0, iterates, before)
        higher = losses > highest
        best = tf.where(_wide(higher), iterates, best)
        best_gradient = tf.where(_wide(higher), gradient, best_gradient)
        highest = tf.where(higher, losses, highest)
        rises = tf.where(step == 0, tf.zeros_like(rises), rises + tf.cast(losses > latest, rises.dtype))

        window = tf.constant(_windows(self.steps), losses.dtype)[step]
        at_checkpoint = window > 0
        stuck = (halved == 0) & (checked >= highest)
        halve = at_checkpoint & (stuck | (rises <= _RISES * window))
        checked = tf.where(at_checkpoint | (step == 0), highest, checked)
        halved = tf.where(at_checkpoint, tf.cast(halve, halved.dtype), halved)
        rises = tf.where(at_checkpoint, tf.zeros_like(rises), rises)
        step_sizes = tf.where(halve, step_sizes / 2, step_sizes)
        iterates = tf.where(_wide(halve), best, iterates)
        gradient = tf.where(_wide(halve), best_gradient, gradient)

        ahead = self.clip(iterates + _wide(step_sizes) * self.norm.steepest(gradient), images)
        share = tf.where(step == 0, tf.ones([], losses.dtype), tf.constant(_MOMENTUM, losses.dtype))
        moved = iterates + share * (ahead - iterates) + (1 - share) * (iterates - before)
        return moved, (iterates, best, best_gradient, highest, losses, rises, checked, halved, step_sizes)


def _wide(values: tf.Tensor) -> tf.Tensor:
    """One number for each image, to go with images."""
    return values[:, None, None, None]


def _windows(steps: int) -> np.ndarray:
    """For each step how many steps its checkpoint looks back on; 0 where there is no checkpoint.

    They are 0.22 of all steps long, then each 0.03 shorter than the one before, down to 0.06.
    """
    shortest, shorter = max(int(0.06 * steps), 1), max(int(0.03 * steps), 1)
    window = max(int(0.22 * steps), 1)
    windows, checkpoint = np.zeros(steps), window
    while checkpoint < steps:
        windows[checkpoint] = window
        window = max(window - shorter, shortest)
        checkpoint += window
    return windows
