"""The norms that measure a perturbation: distance, projection, steepest ascent and uniform draws, each per image.

A perturbation delta has shape `[batch, height, width, channels]`; radii and distances are on the [0, 1] pixel scale, so
the l2 norm is over all pixels and channels of an image and grows with its size.
"""

import abc

import tensorflow as tf

_AXES = (1, 2, 3)


class Norm(abc.ABC):
    """A norm on perturbations; its instances are `LINF` and `L2`, its names are the keys of `NORMS`."""

    name: str

    @abc.abstractmethod
    def distance(self, delta: tf.Tensor) -> tf.Tensor:
        """The norm of each perturbation, `[batch]`."""

    @abc.abstractmethod
    def project(self, delta: tf.Tensor, radius: float) -> tf.Tensor:
        """The nearest perturbation in the ball of `radius`; what lies inside is returned as it is."""

    @abc.abstractmethod
    def steepest(self, gradient: tf.Tensor) -> tf.Tensor:
        """The direction of length 1 along which a loss of this gradient rises fastest; 0 where the gradient is 0."""

    @abc.abstractmethod
    def uniform(self, shape: tuple[int, ...], seed: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        """One draw from the unit ball, uniform, for one image of `shape`.

        Args:
          shape: `(height, width, channels)`.
          seed: `[2]`, for stateless random ops.
          dtype: of the result.
        """


class _LInf(Norm):
    """The largest absolute change of any pixel and channel."""

    name = "linf"

    def distance(self, delta: tf.Tensor) -> tf.Tensor:
        return tf.reduce_max(tf.abs(delta), _AXES)

    def project(self, delta: tf.Tensor, radius: float) -> tf.Tensor:
        return tf.clip_by_value(delta, -radius, radius)

    def steepest(self, gradient: tf.Tensor) -> tf.Tensor:
        return tf.sign(gradient)

    def uniform(self, shape: tuple[int, ...], seed: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, seed, -1, 1, dtype)


class _L2(Norm):
    """The Euclidean length of the change, over all pixels and channels."""

    name = "l2"

    def distance(self, delta: tf.Tensor) -> tf.Tensor:
        return tf.sqrt(tf.reduce_sum(tf.square(delta), _AXES))

    def project(self, delta: tf.Tensor, radius: float) -> tf.Tensor:
        length = _length(delta)
        return tf.where(length > radius, delta * (radius / tf.where(length > 0, length, 1)), delta)

    def steepest(self, gradient: tf.Tensor) -> tf.Tensor:
        # Scaled first: the squares of a small gradient can be 0 in float32.
        largest = tf.reduce_max(tf.abs(gradient), _AXES, keepdims=True)
        scaled = gradient / tf.where(largest > 0, largest, 1)
        length = _length(scaled)
        return scaled / tf.where(length > 0, length, 1)

    def uniform(self, shape: tuple[int, ...], seed: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        # The first n coordinates of a point uniform on the sphere of n + 2 dimensions are uniform in the ball of n.
        size = 1
        for side in shape:
            size *= side
        point = tf.random.stateless_normal([size + 2], seed, dtype=dtype)
        return tf.reshape(point[:size] / tf.norm(point), shape)


def _length(delta: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(tf.square(delta), _AXES, keepdims=True))


LINF: Norm = _LInf()
"""The largest absolute change of any pixel and channel."""
L2: Norm = _L2()
"""The Euclidean length of the change of the whole image."""
NORMS: dict[str, Norm] = {norm.name: norm for norm in (LINF, L2)}
"""The norms by name: "linf" and "l2"."""
