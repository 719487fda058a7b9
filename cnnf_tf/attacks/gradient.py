"""Attacks that follow the gradient with respect to the image: PGD and, as PGD with one step, FGSM."""

from typing import Any

import keras

from cnnf_tf.attacks import programs
from cnnf_tf.attacks.iterative import Ascent, IterativeAttack, Slots
from cnnf_tf.attacks.problem import Problem
from cnnf_tf.layers.base import Tensor


class PGD(IterativeAttack):
    """Projected gradient ascent (Madry et al., arXiv:1706.06083).

        x <- clip(x + step_size * d),   d = sign(gradient) for linf, gradient / |gradient| for l2

    with `clip` onto the ball around the clean image and onto [0, 1]. An image whose gradient is zero does not move.

    Args:
      epsilon: radius of the ball, on the [0, 1] pixel scale.
      steps: number of steps in each restart.
      step_size: on the same scale, in the same norm; None for `2.5 * epsilon / steps`.
      norm: "linf" or "l2".
      random_start: whether to start from a uniform draw from the ball rather than from the clean image.
      restarts: number of starts, at least 1; more than 1 needs a random start.
      loss: "cross_entropy", "margin" or "dlr".
      schedule: multipliers of `step_size`: a function of the fraction of steps done, in [0, 1), or a sequence with a
        number for each step; None for 1.
      early_stop: see `Attack`.

    Raises:
      ValueError: an argument out of its range.
    """

    def ascent(
        self, problem: Problem, iterates: Tensor, restart: Tensor, step: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        del restart, step
        losses, success, gradient = programs.value_and_gradient(
            lambda images: problem.evaluate(images, thorough=self.thorough), iterates
        )
        if gradient is None:
            raise ValueError(
                "no gradient reaches the images: the surrogate or objective must be made of differentiable ops of its "
                f"images in {keras.backend.backend()}; use SPSA for one that is not."
            )
        return losses, success, gradient

    def move(self, ascent: Ascent, slots: Slots, step: Tensor, step_size: Tensor) -> tuple[Tensor, Slots]:
        del step
        return ascent.iterates + step_size * self.norm.steepest(ascent.gradient), slots


class FGSM(PGD):
    """The fast gradient sign method (Goodfellow et al., arXiv:1412.6572): one step of length `epsilon`.

    Args:
      epsilon: on the [0, 1] pixel scale.
      norm: "linf"; "l2" makes it the fast gradient method.
      loss: "cross_entropy", "margin" or "dlr".
      early_stop: see `Attack`.
    """

    def __init__(self, *, epsilon: float, norm: str = "linf", loss: str = "cross_entropy", early_stop: bool = True):
        options: dict[str, Any] = {"norm": norm, "loss": loss, "early_stop": early_stop}
        super().__init__(epsilon=epsilon, steps=1, step_size=epsilon, random_start=False, **options)
