"""The norms that measure a perturbation: distance, projection, steepest ascent and uniform draws, each per image.

A perturbation delta has shape `[batch, height, width, channels]`; epsilons and distances are on the [0, 1] pixel scale,
so the l2 norm is over all pixels and channels of an image and grows with its size.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from cnnf_tf.attacks import programs
from cnnf_tf.layers.base import Tensor

_AXES = (1, 2, 3)


class Norm(NamedTuple):
    """A norm on perturbations; there are `LINF` and `L2`."""

    name: str
    """Its key in `NORMS`."""
    distance: Callable[[Tensor], Tensor]
    """The norm of each perturbation, `[batch]`."""
    project: Callable[[Tensor, float], Tensor]
    """The nearest perturbation in the ball of radius epsilon; what lies inside is returned as it is."""
    steepest: Callable[[Tensor], Tensor]
    """The direction of length 1 along which a loss of this gradient rises fastest; 0 where the gradient is 0."""
    uniform: Callable[[tuple[int, ...], Any, Any], Tensor]
    """From a shape `(height, width, channels)`, a seed `[2]` for stateless random ops, and a dtype: one draw from the
    unit ball, uniform, for one image."""


def _l2_project(delta: Tensor, epsilon: float) -> Tensor:
    length = _length(delta)
    return ops.where(length > epsilon, delta * (epsilon / ops.where(length > 0, length, 1)), delta)


def _l2_steepest(gradient: Tensor) -> Tensor:
    # Scaled first: the squares of a small gradient can be 0 in float32.
    largest = ops.amax(ops.abs(gradient), _AXES, keepdims=True)
    scaled = gradient / ops.where(largest > 0, largest, 1)
    length = _length(scaled)
    return scaled / ops.where(length > 0, length, 1)


def _l2_uniform(shape: tuple[int, ...], seed: Any, dtype: Any) -> Tensor:
    # The first n coordinates of a point uniform on the sphere of n + 2 dimensions are uniform in the ball of n.
    size = math.prod(shape)
    point = programs.normal(size + 2, seed, dtype)
    return ops.reshape(point[:size] / programs.length(point), shape)


def _length(delta: Tensor, *, keepdims: bool = True) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(delta), _AXES, keepdims=keepdims))


LINF = Norm(  # `amax`, as Keras' `max` refuses a batch of no images on PyTorch
    "linf",
    distance=lambda delta: ops.amax(ops.abs(delta), _AXES),
    project=lambda delta, epsilon: ops.clip(delta, -epsilon, epsilon),
    steepest=ops.sign,
    uniform=lambda shape, seed, dtype: programs.uniform(shape, seed, dtype),
)
"""The largest absolute change of any pixel and channel."""
L2 = Norm("l2", lambda delta: _length(delta, keepdims=False), _l2_project, _l2_steepest, _l2_uniform)
"""The Euclidean length of the change of the whole image, over all pixels and channels."""
NORMS = {norm.name: norm for norm in (LINF, L2)}
"""The norms by name: "linf" and "l2"."""
