"""Linear maps and their adjoints in `keras.ops` alone; names and meaning are those of the TensorFlow file.

For a backend that has no file, and for graphs that leave their backend: converters know these ops and refuse gradient
kernels, so an adjoint here is written out. No tensor has more than four axes, since few runtimes work with more.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

Tensor = Any


def conv2d(features: Tensor, kernel: Tensor, strides: int, pad: int) -> Tensor:
    """2-D convolution, `[b, h, w, c]` with kernel `[kh, kw, c, filters]`, after `pad` zeros on every side."""
    if pad:
        features = ops.pad(features, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    return ops.conv(features, kernel, strides, "valid", data_format="channels_last")


def conv2d_adjoint(signal: Tensor, kernel: Tensor, strides: int, pad: int, input_shape: tuple[int, int, int]) -> Tensor:
    """Transpose of `conv2d`: `[b, h', w', filters]` to `[b, *input_shape]`."""
    height, width, _ = input_shape
    result = ops.conv_transpose(signal, kernel, strides, "valid", output_padding=0, data_format="channels_last")
    return placed(result, (-pad, -pad), (height, width))


def matmul_adjoint(signal: Tensor, kernel: Tensor) -> Tensor:
    """Transpose of `features @ kernel`: `[b, units]` to `[b, inputs]`."""
    return ops.matmul(signal, ops.transpose(kernel))


def where_positive(values: Tensor, gate: Tensor) -> Tensor:
    """`values` where `gate > 0`, else 0."""
    return ops.where(gate > 0, values, ops.zeros_like(values))


def flip_where_negative(values: Tensor, signal: Tensor) -> Tensor:
    """`-values` where `signal < 0`, else `values`. Signals get no gradient."""
    return ops.where(signal < 0, -values, values)


def max_pool(features: Tensor, size: int) -> Tensor:
    """Maximum over non-overlapping `size x size` windows; rows and columns left over at the end are dropped."""
    return functools.reduce(ops.maximum, units_of(features, (size, size)))


def max_pool_adjoint(features: Tensor, pooled: Tensor, signal: Tensor, size: int) -> Tensor:
    """Puts each value of `signal` where `pooled = max_pool(features)` came from (the first maximum), zero elsewhere."""
    units = units_of(features, (size, size))
    # Not where a unit equals `pooled`: a compiler may compute the features twice, rounded differently.
    largest, place = units[0], ops.zeros_like(pooled)
    for i, unit in enumerate(units[1:], start=1):
        place = ops.where(unit > largest, ops.full_like(place, i), place)
        largest = ops.maximum(largest, unit)
    nowhere = ops.zeros_like(signal)
    put = [ops.where(place == i, signal, nowhere) for i in range(size * size)]
    return placed(joined(put, (size, size)), (0, 0), features.shape[1:3])


def adaptive_pool(features: Tensor, sign: Tensor | None, size: int) -> tuple[Tensor, Tensor]:
    """The unit of each window with the largest `features * upsample(sign)`, and a constant that is 1 at its place.

    A sign is 1, -1, or 0, which picks none; None is 1. Given the place pooling is linear, and its gradient `unpool`.
    """
    signed = ops.stop_gradient(features if sign is None else times_upsampled(features, sign, size))
    pooled = max_pool(signed, size)
    picked = ops.ones_like(pooled) if sign is None else ops.abs(sign)
    latent = ops.stop_gradient(max_pool_adjoint(signed, pooled, picked, size))
    return sum_pool(features * latent, size), latent


def upsample(signal: Tensor, size: int, input_size: tuple[int, int]) -> Tensor:
    """Transpose of the sum over windows: repeats each value over its window; left-over rows and columns are zero."""
    return placed(joined([signal] * (size * size), (size, size)), (0, 0), input_size)


def unpool(signal: Tensor, latent: Tensor, size: int) -> Tensor:
    """Puts `signal` where `latent`, a constant with one 1 at the most in each window, points; zero elsewhere."""
    return times_upsampled(ops.stop_gradient(latent), signal, size)


def times_upsampled(features: Tensor, values: Tensor, size: int) -> Tensor:
    """`features * upsample(values)`."""
    return features * upsample(values, size, features.shape[1:3])


def sum_pool(features: Tensor, size: int) -> Tensor:
    """Sum over non-overlapping `size x size` windows; rows and columns left over at the end are dropped."""
    return average_pool(features, size) * (size * size)


def average_pool(features: Tensor, size: int) -> Tensor:
    """Mean over non-overlapping `size x size` windows; rows and columns left over at the end are dropped."""
    return ops.average_pool(features, size, size, "valid", data_format="channels_last")


def vector_jacobian_product(function: Callable[[Any], Tensor], point: Any, signal: Tensor) -> Any:
    """`signal` times the Jacobian of `function` at `point`, nested like the point: what `keras.ops` cannot say.

    Raises:
      NotImplementedError: always.
    """
    raise NotImplementedError(
        f"keras.ops has no gradients, and a layer that comes down as one wants them (at {point!r}); such layers run on "
        "the backends that have kernels of their own."
    )


def units_of(features: Tensor, size: tuple[int, int]) -> list[Tensor]:
    """The first units of all windows, `[b, h', w', c]`, their second ones, ..., row by row."""
    height, width = (side // window * window for side, window in zip(features.shape[1:3], size, strict=True))
    return [features[:, i : height : size[0], j : width : size[1]] for i in range(size[0]) for j in range(size[1])]


def joined(units: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """The inverse of `units_of`, without the rows and columns that were left over."""
    _, height, width, channels = units[0].shape
    rows = [ops.concatenate(units[i : i + size[1]], axis=3) for i in range(0, len(units), size[1])]
    lines = ops.concatenate([ops.reshape(row, (-1, height, width * size[1] * channels)) for row in rows], axis=2)
    return ops.reshape(lines, (-1, height * size[0], width * size[1], channels))


def placed(features: Tensor, at: tuple[int, int], sizes: tuple[int, int]) -> Tensor:
    """An image of the given sizes with features at a row and a column, which may be negative, and zeros elsewhere."""
    before = [max(start, 0) for start in at]
    cuts = [max(-start, 0) for start in at]
    sides = zip(features.shape[1:3], cuts, sizes, before, strict=True)
    found = [min(side - cut, size - start) for side, cut, size, start in sides]
    after = [size - start - side for size, start, side in zip(sizes, before, found, strict=True)]
    if tuple(found) != tuple(features.shape[1:3]):
        features = features[:, cuts[0] : cuts[0] + found[0], cuts[1] : cuts[1] + found[1]]
    if any(before + after):
        features = ops.pad(features, ((0, 0), (before[0], after[0]), (before[1], after[1]), (0, 0)))
    return features
