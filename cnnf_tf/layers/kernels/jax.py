"""Linear maps and their adjoints in JAX; names and meaning are those of the TensorFlow file.

XLA fuses what is element by element, so pooling over non-overlapping windows is a reshape to
`[b, h', size, w', size, c]` and a reduction, and an adjoint is what JAX derives or a broadcast of that kind.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

_LAYOUT = ("NHWC", "HWIO", "NHWC")


def conv2d(features: Array, kernel: Array, strides: int, pad: int) -> Array:
    """2-D convolution, `[b, h, w, c]` with kernel `[kh, kw, c, filters]`, after `pad` zeros on every side."""
    around = ((pad, pad), (pad, pad))
    return lax.conv_general_dilated(features, kernel, (strides, strides), around, dimension_numbers=_LAYOUT)


def conv2d_adjoint(signal: Array, kernel: Array, strides: int, pad: int, input_shape: tuple[int, int, int]) -> Array:
    """Transpose of `conv2d`: `[b, h', w', filters]` to `[b, *input_shape]`."""
    features = jax.ShapeDtypeStruct((signal.shape[0], *input_shape), signal.dtype)
    (result,) = jax.linear_transpose(lambda features: conv2d(features, kernel, strides, pad), features)(signal)
    return result


def matmul_adjoint(signal: Array, kernel: Array) -> Array:
    """Transpose of `features @ kernel`: `[b, units]` to `[b, inputs]`."""
    return signal @ kernel.T


def where_positive(values: Array, gate: Array) -> Array:
    """`values` where `gate > 0`, else 0."""
    return jnp.where(gate > 0, values, jnp.zeros_like(values))


def flip_where_negative(values: Array, signal: Array) -> Array:
    """`-values` where `signal < 0`, else `values`. Signals get no gradient."""
    return jnp.where(signal < 0, -values, values)


def max_pool(features: Array, size: int) -> Array:
    """Maximum over non-overlapping `size x size` windows; rows and columns left over at the end are dropped."""
    return jnp.max(_windows(features, size), axis=(2, 4))


def max_pool_adjoint(features: Array, pooled: Array, signal: Array, size: int) -> Array:
    """Puts each value of `signal` where `pooled = max_pool(features)` came from (the first maximum), zero elsewhere."""
    batch, height, width, channels = pooled.shape
    windows = _windows(features, size).transpose(0, 1, 3, 2, 4, 5)
    windows = windows.reshape(batch, height, width, size * size, channels)
    # Not where `windows == pooled`: XLA may compute the features twice, rounded differently, and then none is equal.
    first = jnp.argmax(windows, axis=3, keepdims=True)
    places = lax.broadcasted_iota(first.dtype, windows.shape, 3)
    put = jnp.where(places == first, signal[:, :, :, None], jnp.zeros((), signal.dtype))
    put = put.reshape(batch, height, width, size, size, channels).transpose(0, 1, 3, 2, 4, 5)
    return _with_left_over(put.reshape(batch, height * size, width * size, channels), features.shape[1:3])


def adaptive_pool(features: Array, sign: Array | None, size: int) -> tuple[Array, Array]:
    """The unit of each window with the largest `features * upsample(sign)`, and a constant that is 1 at its place.

    A sign is 1, -1, or 0, which picks none; None is 1. Given the place pooling is linear, and its gradient `unpool`.
    """
    signed = lax.stop_gradient(features if sign is None else times_upsampled(features, sign, size))
    pooled = max_pool(signed, size)
    picked = jnp.ones_like(pooled) if sign is None else jnp.abs(sign)
    latent = lax.stop_gradient(max_pool_adjoint(signed, pooled, picked, size))
    return sum_pool(features * latent, size), latent


def upsample(signal: Array, size: int, input_size: tuple[int, int]) -> Array:
    """Transpose of the sum over windows: repeats each value over its window; left-over rows and columns are zero."""
    batch, height, width, channels = signal.shape
    spread = jnp.broadcast_to(signal[:, :, None, :, None, :], (batch, height, size, width, size, channels))
    return _with_left_over(spread.reshape(batch, height * size, width * size, channels), input_size)


def unpool(signal: Array, latent: Array, size: int) -> Array:
    """Puts `signal` where `latent`, a constant with one 1 at the most in each window, points; zero elsewhere."""
    return times_upsampled(lax.stop_gradient(latent), signal, size)


def times_upsampled(features: Array, values: Array, size: int) -> Array:
    """`features * upsample(values)`."""
    return features * upsample(values, size, features.shape[1:3])


def sum_pool(features: Array, size: int) -> Array:
    """Sum over non-overlapping `size x size` windows; rows and columns left over at the end are dropped."""
    return jnp.sum(_windows(features, size), axis=(2, 4))


def average_pool(features: Array, size: int) -> Array:
    """Mean over non-overlapping `size x size` windows; rows and columns left over at the end are dropped."""
    return jnp.mean(_windows(features, size), axis=(2, 4))


def _windows(features: Array, size: int) -> Array:
    """`[b, h', size, w', size, c]`."""
    batch, height, width, channels = features.shape
    height, width = height // size, width // size
    kept = features[:, : height * size, : width * size]
    return kept.reshape(batch, height, size, width, size, channels)


def _with_left_over(windows: Array, input_size: tuple[int, int]) -> Array:
    """Zeros for the rows and columns that the windows leave over."""
    height, width = (whole - part for whole, part in zip(input_size, windows.shape[1:3], strict=True))
    return jnp.pad(windows, ((0, 0), (0, height), (0, width), (0, 0))) if height or width else windows


def vector_jacobian_product(function: Callable[[Any], Array], point: Any, signal: Array) -> Any:
    """`signal` times the Jacobian of `function` at `point`, nested like the point; differentiable in turn."""
    output, pull = jax.vjp(function, point)
    (below,) = pull(signal.astype(output.dtype))
    return below
