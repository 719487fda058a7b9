"""An attack that needs no gradient: SPSA."""

from typing import Any

import tensorflow as tf

from cnnf_tf.attacks import attack_arguments
from cnnf_tf.attacks.iterative import Ascent, IterativeAttack, Slots
from cnnf_tf.attacks.problem import Problem
from cnnf_tf.utils.validation import positive_int

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


class SPSA(IterativeAttack):
    """Simultaneous perturbation stochastic approximation in an l-inf ball (Uesato et al., arXiv:1802.05666).

    The gradient is estimated from values of the loss alone, with random signs v of the shape of the image,

        gradient ~ mean over samples of (loss(x + delta v) - loss(x - delta v)) / (2 delta) * v

    and handed to Adam (beta 0.9 and 0.999), as there: its averages carry the estimate from step to step. After each
    step x is clipped to the ball and to [0, 1]; so are, to [0, 1], the two points asked about, as a model takes nothing
    else. A step asks the surrogate `2 * samples + 1` times.

    Args:
      epsilon: radius of the ball, on the [0, 1] pixel scale.
      steps: number of steps in each restart.
      samples: random directions per step.
      delta: how far to go along each, on the [0, 1] pixel scale, above 0.
      step_size: Adam's, on the same scale; None for `2.5 * epsilon / steps`.
      loss: "margin" (theirs), "cross_entropy" or "dlr".
      random_start: whether to start from a uniform draw from the ball.
      restarts: number of starts, at least 1.
      chunk_size: directions that go through the surrogate at once; memory is that of `2 * chunk_size * batch` images.
      early_stop: see `Attack`.

    Raises:
      ValueError: an argument out of its range.
    """

    random_steps = True

    def __init__(
        self,
        *,
        epsilon: float,
        steps: int,
        samples: int = 128,
        delta: float = 0.01,
        step_size: float | None = None,
        loss: str = "margin",
        random_start: bool = True,
        restarts: int = 1,
        chunk_size: int = 8,
        early_stop: bool = True,
    ):
        options: dict[str, Any] = {
            "random_start": random_start,
            "restarts": restarts,
            "early_stop": early_stop,
        }
        super().__init__(epsilon=epsilon, steps=steps, step_size=step_size, loss=loss, **options)
        self.samples = positive_int("samples", samples)
        self.delta = attack_arguments.non_negative("delta", delta)
        if self.delta == 0:
            raise ValueError("delta must be above 0, got 0: the two points would be the same.")
        self.chunk_size = positive_int("chunk_size", chunk_size)
        self.queries_per_step = 2 * self.samples + 1

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"samples": self.samples, "delta": self.delta}

    def ascent(
        self, problem: Problem, iterates: tf.Tensor, restart: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor | None, tf.Tensor]:
        losses, success = problem.evaluate(iterates, gradient=False)
        size = max(size for size in range(1, self.chunk_size + 1) if self.samples % size == 0)
        shape, dtype = (size, *iterates.shape[1:]), iterates.dtype
        everyone = tf.repeat(tf.range(tf.shape(iterates)[0]), 2 * size)
        asked = problem.rows(everyone)

        def signs(seed: tf.Tensor) -> tf.Tensor:
            return tf.cast(2 * tf.random.stateless_uniform(shape, seed, 0, 2, tf.int32) - 1, dtype)

        def chunk(number: Any, total: Any) -> Any:
            directions = problem.draw([restart, step, number], signs, tf.TensorSpec(shape, dtype))
            centre = iterates[:, None]
            points = tf.concat([centre + self.delta * directions, centre - self.delta * directions], 1)
            points = tf.clip_by_value(tf.reshape(points, [-1, *iterates.shape[1:]]), 0, 1)
            values = tf.reshape(asked.evaluate(points, gradient=False)[0], [-1, 2, size])
            slopes = tf.cast(values[:, 0] - values[:, 1], dtype) / (2 * self.delta)
            return number + 1, total + tf.einsum("ns,nshwc->nhwc", slopes, directions)

        chunks = self.samples // size
        start = (tf.constant(0), tf.zeros_like(iterates))
        shapes = (tf.TensorShape([]), iterates.shape)
        _, total = tf.while_loop(
            lambda number, total: number < chunks, chunk, start, shape_invariants=shapes, parallel_iterations=1
        )
        return losses, success, total / self.samples

    def slots(self, images: tf.Tensor) -> Slots:
        return tf.zeros_like(images), tf.zeros_like(images)

    def move(self, ascent: Ascent, slots: Slots, step: tf.Tensor, step_size: tf.Tensor) -> tuple[tf.Tensor, Slots]:
        mean = _BETA1 * slots[0] + (1 - _BETA1) * ascent.gradient
        square = _BETA2 * slots[1] + (1 - _BETA2) * tf.square(ascent.gradient)
        done = tf.cast(step + 1, mean.dtype)
        corrected = mean / (1 - _BETA1**done)
        length = tf.sqrt(square / (1 - _BETA2**done))
        return ascent.iterates + step_size * corrected / (length + _EPSILON), (mean, square)
