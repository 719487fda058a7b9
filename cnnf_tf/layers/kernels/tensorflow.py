"""Linear maps and their adjoints as TensorFlow's native kernels.

Given the latents the network is linear, and the signal that comes down is a vector-Jacobian product. So each adjoint
here is the gradient kernel of its forward op: exact, fast, and differentiable in turn. `keras.ops` has no such kernels,
so the layers speak to this file, or to its sister for another backend.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

_LEAST = {tf.float16: 2.0**-24, tf.bfloat16: 2.0**-126, tf.float32: 2.0**-126, tf.float64: 2.0**-1022}


def conv2d(features: tf.Tensor, kernel: tf.Tensor, strides: int, pad: int) -> tf.Tensor:
    """2-D convolution, `[b, h, w, c]` with kernel `[kh, kw, c, filters]`, after `pad` zeros on every side.

    With strides the zeros are laid out in memory: oneDNN has no gradients of a convolution with explicit padding, and
    TensorFlow's own take up to twenty times as long, in half precision more.
    """
    if _same(kernel, strides, pad):
        return tf.nn.conv2d(features, kernel, strides=strides, padding="SAME")
    if pad:
        features = tf.pad(features, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
    return tf.nn.conv2d(features, kernel, strides=strides, padding="VALID")


def conv2d_adjoint(
    signal: tf.Tensor, kernel: tf.Tensor, strides: int, pad: int, input_shape: tuple[int, int, int]
) -> tf.Tensor:
    """Transpose of `conv2d`: `[b, h', w', filters]` to `[b, *input_shape]`."""
    height, width, channels = input_shape
    same = _same(kernel, strides, pad)
    around = 0 if same else 2 * pad
    shape = tf.stack([tf.shape(signal)[0], height + around, width + around, channels])
    result = tf.nn.conv2d_transpose(signal, kernel, shape, strides=strides, padding="SAME" if same else "VALID")
    if around:
        result = result[:, pad : pad + height, pad : pad + width]
    result.set_shape([signal.shape[0], *input_shape])
    return result


def _same(kernel: tf.Tensor, strides: int, pad: int) -> bool:
    """Whether these zeros are those of TensorFlow's "SAME"."""
    return strides == 1 and tuple(kernel.shape[:2]) == (2 * pad + 1,) * 2


def matmul_adjoint(signal: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Transpose of `features @ kernel`: `[b, units]` to `[b, inputs]`."""
    return tf.linalg.matmul(signal, kernel, transpose_b=True)


def where_positive(values: tf.Tensor, gate: tf.Tensor) -> tf.Tensor:
    """`values` where `gate > 0`, else 0, in one pass over memory: the gradient kernel of the rectifier."""
    return tf.raw_ops.ReluGrad(gradients=values, features=gate)


def flip_where_negative(values: tf.Tensor, signal: tf.Tensor) -> tf.Tensor:
    """`-values` where `signal < 0`, else `values`: the gradient kernel of a leaky rectifier of slope -1.

    The kernel flips where signal <= 0. Zeros are lifted over that by the smallest number that is not flushed to zero,
    which carries no other number over it. Signals get no gradient.
    """
    lifted = tf.stop_gradient(signal) + tf.constant(_LEAST[signal.dtype], signal.dtype)
    return tf.raw_ops.LeakyReluGrad(gradients=values, features=lifted, alpha=-1.0)


def max_pool(features: tf.Tensor, size: int) -> tf.Tensor:
    """Maximum over non-overlapping `size x size` windows; rows and columns left over at the end are dropped."""
    return tf.nn.max_pool2d(features, size, size, "VALID")


def max_pool_adjoint(features: tf.Tensor, pooled: tf.Tensor, signal: tf.Tensor, size: int) -> tf.Tensor:
    """Puts each value of `signal` where `pooled = max_pool(features)` came from (the first maximum), zero elsewhere."""
    window = [1, size, size, 1]
    return tf.raw_ops.MaxPoolGrad(
        orig_input=features, orig_output=pooled, grad=signal, ksize=window, strides=window, padding="VALID"
    )


def adaptive_pool(features: tf.Tensor, sign: tf.Tensor | None, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The unit of each window with the largest `features * upsample(sign)`, and a constant that is 1 at its place.

    A sign is 1, -1, or 0, which picks none; None is 1. Given the place pooling is linear, and its gradient `unpool`.
    """

    @tf.custom_gradient
    def pool(features: tf.Tensor) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable[..., tf.Tensor]]:
        signed = features if sign is None else times_upsampled(features, sign, size)
        pooled = max_pool(signed, size)
        picked = tf.ones_like(pooled) if sign is None else tf.abs(sign)
        latent = max_pool_adjoint(signed, pooled, picked, size)
        output = pooled if sign is None else sign * pooled
        return (output, latent), lambda upstream, _: unpool(upstream, latent, size)

    output, latent = pool(features)
    return output, tf.stop_gradient(latent)


def upsample(signal: tf.Tensor, size: int, input_size: tuple[int, int]) -> tf.Tensor:
    """Transpose of the sum over windows: repeats each value over its window; left-over rows and columns are zero.

    Its gradient is the native average pool, which is much faster than what automatic differentiation would derive.
    """

    @tf.custom_gradient
    def repeat(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return sum_pool(upstream, size)

        _, height, width, channels = values.shape
        shape = tf.stack([tf.shape(values)[0], height, size, width, size, channels])
        spread = tf.broadcast_to(values[:, :, None, :, None, :], shape)
        result = tf.reshape(spread, [-1, height * size, width * size, channels])
        left_over = input_size[0] - height * size, input_size[1] - width * size
        if any(left_over):
            result = tf.pad(result, [[0, 0], [0, left_over[0]], [0, left_over[1]], [0, 0]])
        return result, gradient

    return repeat(signal)


def unpool(signal: tf.Tensor, latent: tf.Tensor, size: int) -> tf.Tensor:
    """Puts `signal` where `latent`, a constant with one 1 at the most in each window, points; zero elsewhere."""

    @tf.custom_gradient
    def put(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return sum_pool(upstream * latent, size)

        return times_upsampled(latent, values, size), gradient

    return put(signal)


def times_upsampled(features: tf.Tensor, values: tf.Tensor, size: int) -> tf.Tensor:
    """`features * upsample(values)`, without the upsampled tensor where no rows or columns are left over."""
    _, height, width, channels = values.shape
    if features.shape[1:3] != (height * size, width * size):
        return features * upsample(values, size, tuple(features.shape[1:3]))
    windows = tf.reshape(features, [-1, height, size, width, size, channels])
    return tf.reshape(windows * values[:, :, None, :, None, :], tf.shape(features))


def sum_pool(features: tf.Tensor, size: int) -> tf.Tensor:
    """Sum over non-overlapping `size x size` windows; rows and columns left over at the end are dropped."""
    return average_pool(features, size) * tf.cast(size * size, features.dtype)


def average_pool(features: tf.Tensor, size: int) -> tf.Tensor:
    """Mean over non-overlapping `size x size` windows; rows and columns left over at the end are dropped."""
    return tf.nn.avg_pool2d(features, size, size, "VALID")


def vector_jacobian_product(function: Callable[[Any], tf.Tensor], point: Any, signal: tf.Tensor) -> Any:
    """`signal` times the Jacobian of `function` at `point`, nested like the point; differentiable in turn."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(point)
        output = function(point)
    return tape.gradient(output, point, tf.cast(signal, output.dtype), unconnected_gradients="zero")
