"""The norms that measure a perturbation: distance, projection, steepest ascent and uniform draws, each per image.

A perturbation delta has shape `[batch, height, width, channels]`; epsilons and distances are on the [0, 1] pixel scale,
so the l2 norm is over all pixels and channels of an image and grows with its size.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

_AXES = (1, 2, 3)


class Norm(NamedTuple):
    """A norm on perturbations; there are `LINF` and `L2`."""

    name: str
    """Its key in `NORMS`."""
    distance: Callable[[tf.Tensor], tf.Tensor]
    """The norm of each perturbation, `[batch]`."""
    project: Callable[[tf.Tensor, float], tf.Tensor]
    """The nearest perturbation in the ball of radius epsilon; what lies inside is returned as it is."""
    steepest: Callable[[tf.Tensor], tf.Tensor]
    """The direction of length 1 along which a loss of this gradient rises fastest; 0 where the gradient is 0."""
    uniform: Callable[[tuple[int, ...], tf.Tensor, tf.DType], tf.Tensor]
    """From a shape `(height, width, channels)`, a seed `[2]` for stateless random ops, and a dtype: one draw from the
    unit ball, uniform, for one image."""


def _l2_project(delta: tf.Tensor, epsilon: float) -> tf.Tensor:
    length = _length(delta)
    return tf.where(length > epsilon, delta * (epsilon / tf.where(length > 0, length, 1)), delta)


def _l2_steepest(gradient: tf.Tensor) -> tf.Tensor:
    # Scaled first: the squares of a small gradient can be 0 in float32.
    largest = tf.reduce_max(tf.abs(gradient), _AXES, keepdims=True)
    scaled = gradient / tf.where(largest > 0, largest, 1)
    length = _length(scaled)
    return scaled / tf.where(length > 0, length, 1)


def _l2_uniform(shape: tuple[int, ...], seed: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    # The first n coordinates of a point uniform on the sphere of n + 2 dimensions are uniform in the ball of n.
    size = math.prod(shape)
    point = tf.random.stateless_normal([size + 2], seed, dtype=dtype)
    return tf.reshape(point[:size] / tf.norm(point), shape)


def _length(delta: tf.Tensor, *, keepdims: bool = True) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(tf.square(delta), _AXES, keepdims=keepdims))


LINF = Norm(
    "linf",
    distance=lambda delta: tf.reduce_max(tf.abs(delta), _AXES),
    project=lambda delta, epsilon: tf.clip_by_value(delta, -epsilon, epsilon),
    steepest=tf.sign,
    uniform=lambda shape, seed, dtype: tf.random.stateless_uniform(shape, seed, -1, 1, dtype),
)
"""The largest absolute change of any pixel and channel."""
L2 = Norm("l2", lambda delta: _length(delta, keepdims=False), _l2_project, _l2_steepest, _l2_uniform)
"""The Euclidean length of the change of the whole image, over all pixels and channels."""
NORMS = {norm.name: norm for norm in (LINF, L2)}
"""The norms by name: "linf" and "l2"."""
