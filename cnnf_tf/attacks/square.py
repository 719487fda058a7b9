"""Square: random search with square windows, which needs no gradient (arXiv:1912.00049)."""

import abc
import math
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.attacks.base import Attack, Found
from cnnf_tf.attacks.problem import Problem
from cnnf_tf.attacks.programs.tensorflow import any_batch, put_rows, row_numbers
from cnnf_tf.utils.validation import positive_int

_SHARE = 0.8  # of the image, which a window covers at first; it halves after so many steps:
_HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
_BLOCK = 100  # steps whose random numbers are drawn at once
_TINY = 1e-12


class Square(Attack):
    """Square Attack (Andriushchenko et al., arXiv:1912.00049): random search on the value of the loss alone.

    A step changes a square window of the best image so far, at a random place, and keeps the change if the loss rises.
    The windows shrink from 0.8 of the image by a schedule of the number of steps, which is the paper's for 10,000
    queries, whatever the budget.

    * linf: each channel of the window goes to one end of [x - epsilon, x + epsilon], at random; if that changes
      nothing, to the other. It starts from vertical stripes of such ends.
    * l2: a window gets the part of the perturbation in another one, which is set to 0, and what epsilon leaves over,
      in the form of two peaks of opposite sign. It starts from a chequer of such peaks.

    Args:
      epsilon: radius of the ball, on the [0, 1] pixel scale.
      queries: how often each image may go through the surrogate; 5,000 in AutoAttack.
      norm: "linf" or "l2".
      loss: "margin" (theirs), "cross_entropy" or "dlr".
      early_stop: see `Attack`.

    Raises:
      ValueError: an argument out of its range.
    """

    def __init__(
        self,
        *,
        epsilon: float,
        queries: int = 5000,
        norm: str = "linf",
        loss: str = "margin",
        early_stop: bool = True,
    ):
        super().__init__(epsilon=epsilon, norm=norm, loss=loss, early_stop=early_stop)
        self.queries = positive_int("queries", queries)

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"queries": self.queries}

    def search(self, problem: Problem, working: tf.Tensor) -> Found:
        images = problem.images
        moves = _MOVES[self.norm.name](tuple(images.shape[1:]), images.dtype, self.epsilon)

        def query(step: Any, rows: Any, images: Any, losses: Any, numbers: Any, queries: Any) -> Any:
            work, best = problem.rows(rows), tf.gather(images, rows)
            numbers = tf.cond(
                step % _BLOCK == 0,
                lambda: put_rows(numbers, rows, _uniform(work, [1, step], (_BLOCK, moves.step_numbers))),
                lambda: numbers,
            )
            stage = tf.reduce_sum(tf.cast(step - 1 > tf.constant(_HALVED_AFTER), tf.int32))
            points = tf.cond(
                step == 0,
                lambda: moves.start(work.images, _uniform(work, [0], moves.start_numbers)),
                lambda: moves.step(work.images, best, tf.gather(numbers[:, step % _BLOCK], rows), stage),
            )
            points = self.clip(points, work.images)
            values, broken = work.evaluate(points, thorough=self.early_stop, gradient=False)
            values, latest = tf.cast(values, losses.dtype), tf.gather(losses, rows)
            better = values > latest
            losses = put_rows(losses, rows, tf.where(better, values, latest))
            queries = tf.tensor_scatter_nd_add(queries, rows[:, None], tf.ones_like(rows))
            if self.early_stop:
                broken = work.check(points) if broken is None else broken
                better = tf.logical_or(better, broken)
                standing = tf.logical_not(broken)
            images = put_rows(images, rows, tf.where(better[:, None, None, None], points, best))
            rows = tf.boolean_mask(rows, standing) if self.early_stop else rows
            return step + 1, rows, images, losses, numbers, queries

        start = (
            tf.constant(0),
            row_numbers(working),
            images,
            tf.fill(tf.shape(problem.labels), images.dtype.min),
            tf.zeros([tf.shape(problem.labels)[0], _BLOCK, moves.step_numbers]),
            tf.zeros_like(problem.labels),
        )
        found = tf.while_loop(
            lambda step, rows, *rest: tf.size(rows) > 0,
            query,
            start,
            shape_invariants=tuple(map(any_batch, start)),
            parallel_iterations=1,
            maximum_iterations=self.queries,
        )
        return Found(images=found[2], losses=tf.zeros([0]), queries=found[5])


class _Moves(abc.ABC):
    """How perturbations of images of one shape start and change; `numbers` are uniform in [0, 1), for each image.

    Windows have the same side for all images of a step, and each image its own place for them.
    """

    start_numbers: tuple[int, ...]
    """Shape of the random numbers for a start."""
    step_numbers: int
    """How many a step takes."""

    def __init__(self, shape: tuple[int, int, int], dtype: tf.DType, epsilon: float):
        self.height, self.width, self.channels = shape
        self.dtype, self.epsilon = dtype, epsilon
        shares = _SHARE / 2.0 ** np.arange(len(_HALVED_AFTER) + 1)
        sides = [self.allowed_side(round(math.sqrt(share * self.height * self.width))) for share in shares]
        self.sides = [min(side, self.height, self.width) for side in sides]

    @abc.abstractmethod
    def allowed_side(self, side: int) -> int:
        """The side of a window that is taken for this one."""

    @abc.abstractmethod
    def start(self, images: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        """The first points, not yet clipped."""

    @abc.abstractmethod
    def step(self, images: tf.Tensor, best: tf.Tensor, numbers: tf.Tensor, stage: tf.Tensor) -> tf.Tensor:
        """The next points, not yet clipped; `stage` says how often the windows have been halved."""

    def corners(self, numbers: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
        """First row and first column of a window for each image, int32 `[batch, 2]`, from numbers of that shape."""
        places = tf.cast(tf.stack([self.height, self.width]) - side + 1, tf.float32)
        return tf.cast(numbers * places, tf.int32)

    def window(self, corners: tf.Tensor, side: tf.Tensor) -> tf.Tensor:
        """bool `[batch, height, width, 1]`."""
        rows, columns = tf.range(self.height) - corners[:, :1], tf.range(self.width) - corners[:, 1:]
        in_rows, in_columns = ((part >= 0) & (part < side) for part in (rows, columns))
        return in_rows[:, :, None, None] & in_columns[:, None, :, None]

    def signs(self, numbers: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.where(numbers < 0.5, -1, 1), self.dtype)


class _Ends(_Moves):
    """linf: windows at the ends of the ball."""

    def __init__(self, shape: tuple[int, int, int], dtype: tf.DType, epsilon: float):
        super().__init__(shape, dtype, epsilon)
        self.start_numbers = (1, self.width, self.channels)
        self.step_numbers = 2 + self.channels  # a corner, signs

    def allowed_side(self, side: int) -> int:
        return max(side, 1)

    def start(self, images: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        return images + self.epsilon * self.signs(numbers)

    def step(self, images: tf.Tensor, best: tf.Tensor, numbers: tf.Tensor, stage: tf.Tensor) -> tf.Tensor:
        side = tf.constant(self.sides)[stage]
        window = self.window(self.corners(numbers[:, :2], side), side)
        end = self.epsilon * self.signs(numbers[:, None, None, 2:])
        points, others = (tf.where(window, tf.clip_by_value(images + way, 0, 1), best) for way in (end, -end))
        change = tf.reduce_max(tf.abs(points - best), (1, 2, 3), keepdims=True)
        return tf.where(change > 1e-3 * self.epsilon, points, others)


class _Peaks(_Moves):
    """l2: windows with two peaks of opposite sign."""

    def __init__(self, shape: tuple[int, int, int], dtype: tf.DType, epsilon: float):
        super().__init__(shape, dtype, epsilon)
        self.tile = max(min(self.height, self.width) // 5, 1)
        self.start_numbers = (self.height // self.tile, self.width // self.tile, self.channels + 1)
        self.step_numbers = 5 + self.channels  # two corners, a turn, signs
        largest = max(self.sides)
        padded = [np.pad(_peaks(side), [[0, largest - side]] * 2) for side in self.sides]
        self.peaks = np.stack([padded, np.swapaxes(padded, 1, 2)], 1)  # [stages, turned or not, side, side]

    def allowed_side(self, side: int) -> int:
        return max(side, 3) // 2 * 2 + 1

    def start(self, images: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        down, across, _ = self.start_numbers
        numbers = numbers[:, :, None, :, None, :]  # [batch, down, 1, across, 1, signs and a turn]
        peaks = tf.constant(_peaks(self.tile), self.dtype)[:, None, :, None]
        peaks = tf.where(numbers[..., :1] < 0.5, peaks, tf.transpose(peaks, [2, 1, 0, 3]))
        delta = tf.reshape(
            peaks * self.signs(numbers[..., 1:]), [-1, down * self.tile, across * self.tile, self.channels]
        )
        margins = [(whole - part * self.tile) for whole, part in ((self.height, down), (self.width, across))]
        delta = tf.pad(delta, [[0, 0], *([margin // 2, margin - margin // 2] for margin in margins), [0, 0]])
        return images + self.epsilon * delta / (_length(delta, (1, 2, 3)) + _TINY)

    def step(self, images: tf.Tensor, best: tf.Tensor, numbers: tf.Tensor, stage: tf.Tensor) -> tf.Tensor:
        side = tf.constant(self.sides)[stage]
        corners, other_corners = (self.corners(part, side) for part in (numbers[:, :2], numbers[:, 2:4]))
        window, other = self.window(corners, side), self.window(other_corners, side)
        delta, none = best - images, tf.zeros([], self.dtype)
        within, within_both = tf.where(window, delta, none), tf.where(window | other, delta, none)
        # What epsilon leaves over, shared among the channels, and what is in the two windows.
        left = tf.maximum(self.epsilon**2 - tf.reduce_sum(tf.square(delta), (1, 2, 3), keepdims=True), 0)
        length = tf.sqrt(left / self.channels + tf.reduce_sum(tf.square(within_both), (1, 2), keepdims=True))
        peaks = self.placed(stage, numbers[:, 4], corners) * self.signs(numbers[:, None, None, 5:])
        peaks += within / (_length(within, (1, 2)) + _TINY)
        peaks *= length / (_length(peaks, (1, 2)) + _TINY)
        delta = tf.where(window, peaks, delta - tf.where(other, delta, none))
        return images + self.epsilon * delta / (_length(delta, (1, 2, 3)) + _TINY)

    def placed(self, stage: tf.Tensor, turns: tf.Tensor, corners: tf.Tensor) -> tf.Tensor:
        """The peaks in the window of each image, `[batch, height, width, 1]`, 0 outside."""
        peaks = tf.gather(tf.constant(self.peaks, self.dtype)[stage], tf.cast(turns >= 0.5, tf.int32))
        rows, columns = tf.range(self.height) - corners[:, :1], tf.range(self.width) - corners[:, 1:]
        size = self.peaks.shape[-1]
        by_rows, by_columns = (tf.one_hot(part, size, dtype=self.dtype) for part in (rows, columns))
        return tf.matmul(by_rows @ peaks, by_columns, transpose_b=True)[..., None]


_MOVES: dict[str, type[_Moves]] = {"linf": _Ends, "l2": _Peaks}


def _peaks(side: int) -> np.ndarray:
    """Two peaks of opposite sign, one above the other, `[side, side]`, of length 1 (the paper's eta, section 3.4)."""

    def peak(height: int, width: int) -> np.ndarray:
        rows, columns = np.abs(np.arange(height) - height // 2), np.abs(np.arange(width) - width // 2)
        rings = np.maximum(rows[:, None], columns)
        heights = np.cumsum(1 / np.arange(max(height, width) // 2 + 1, 0, -1) ** 2)[::-1]
        return heights[rings] / np.linalg.norm(heights[rings])

    upper, lower = peak(side // 2, side) if side > 1 else np.zeros((0, side)), peak(side - side // 2, side)
    peaks = np.concatenate([upper, -lower])
    return peaks / np.linalg.norm(peaks)


def _uniform(problem: Problem, stream: list[tf.Tensor | int], shape: tuple[int, ...]) -> tf.Tensor:
    def draw(seed: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, seed)

    return problem.draw(stream, draw, tf.TensorSpec(shape))


def _length(delta: tf.Tensor, axes: tuple[int, ...]) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(tf.square(delta), axes, keepdims=True))
