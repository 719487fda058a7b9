"""Linear maps and their adjoints in PyTorch; names and meaning are those of the TensorFlow file.

Tensors are channels last here, as everywhere in this package. PyTorch wants channels first, so its ops are given a view
with the axes in that order, whose memory stays channels last: the layout that its kernels for CPUs and for tensor cores
like best. Nothing is copied on the way in or out.
"""

from collections.abc import Callable
from typing import Any

import keras
import torch
from torch import Tensor
from torch.nn import functional


def conv2d(features: Tensor, kernel: Tensor, strides: int, pad: int) -> Tensor:
    """2-D convolution, `[b, h, w, c]` with kernel `[kh, kw, c, filters]`, after `pad` zeros on every side."""
    return _last(functional.conv2d(_first(features), kernel.permute(3, 2, 0, 1), stride=strides, padding=pad))


def conv2d_adjoint(signal: Tensor, kernel: Tensor, strides: int, pad: int, input_shape: tuple[int, int, int]) -> Tensor:
    """Transpose of `conv2d`: `[b, h', w', filters]` to `[b, *input_shape]`."""
    sides = zip(input_shape, kernel.shape[:2], strict=False)
    left_over = [(side + 2 * pad - size) % strides for side, size in sides]
    weights = kernel.permute(3, 2, 0, 1)
    return _last(
        functional.conv_transpose2d(_first(signal), weights, stride=strides, padding=pad, output_padding=left_over)
    )


def matmul_adjoint(signal: Tensor, kernel: Tensor) -> Tensor:
    """Transpose of `features @ kernel`: `[b, units]` to `[b, inputs]`."""
    return signal @ kernel.T


def where_positive(values: Tensor, gate: Tensor) -> Tensor:
    """`values` where `gate > 0`, else 0."""
    return torch.where(gate > 0, values, 0)


def flip_where_negative(values: Tensor, signal: Tensor) -> Tensor:
    """`-values` where `signal < 0`, else `values`. Signals get no gradient."""
    return torch.where(signal < 0, -values, values)


def max_pool(features: Tensor, size: int) -> Tensor:
    """Maximum over non-overlapping `size x size` windows; rows and columns left over at the end are dropped."""
    return _last(functional.max_pool2d(_first(features), size))


def max_pool_adjoint(features: Tensor, pooled: Tensor, signal: Tensor, size: int) -> Tensor:
    """Puts each value of `signal` where `pooled = max_pool(features)` came from (the first maximum), zero elsewhere."""
    del pooled
    return _put(signal, _places(features, size), features.shape)


def adaptive_pool(features: Tensor, sign: Tensor | None, size: int) -> tuple[Tensor, Tensor]:
    """The unit of each window with the largest `features * upsample(sign)`, and a constant that is 1 at its place.

    A sign is 1, -1, or 0, which picks none; None is 1. Given the place pooling is linear, and its gradient `unpool`.
    """
    with torch.no_grad():
        places = _places(features if sign is None else times_upsampled(features, sign, size), size)
        picked = torch.ones_like(places, dtype=features.dtype) if sign is None else sign.abs()
        latent = _put(picked, places, features.shape)
    output = features.flatten(1, 2).gather(1, places.flatten(1, 2)).reshape(places.shape)
    return output if sign is None else output * picked, latent


def upsample(signal: Tensor, size: int, input_size: tuple[int, int]) -> Tensor:
    """Transpose of the sum over windows: repeats each value over its window; left-over rows and columns are zero."""
    batch, height, width, channels = signal.shape
    spread = signal[:, :, None, :, None, :].expand(-1, -1, size, -1, size, -1)
    spread = spread.reshape(batch, height * size, width * size, channels)
    left_over = input_size[0] - height * size, input_size[1] - width * size
    return functional.pad(spread, (0, 0, 0, left_over[1], 0, left_over[0])) if any(left_over) else spread


def unpool(signal: Tensor, latent: Tensor, size: int) -> Tensor:
    """Puts `signal` where `latent`, a constant with one 1 at the most in each window, points; zero elsewhere."""
    return times_upsampled(latent.detach(), signal, size)


def times_upsampled(features: Tensor, values: Tensor, size: int) -> Tensor:
    """`features * upsample(values)`, without the upsampled tensor where no rows or columns are left over."""
    batch, height, width, channels = values.shape
    if features.shape[1:3] != (height * size, width * size):
        return features * upsample(values, size, features.shape[1:3])
    windows = features.reshape(batch, height, size, width, size, channels)
    return (windows * values[:, :, None, :, None, :]).reshape(features.shape)


def sum_pool(features: Tensor, size: int) -> Tensor:
    """Sum over non-overlapping `size x size` windows; rows and columns left over at the end are dropped."""
    return _last(functional.avg_pool2d(_first(features), size, divisor_override=1))


def average_pool(features: Tensor, size: int) -> Tensor:
    """Mean over non-overlapping `size x size` windows; rows and columns left over at the end are dropped."""
    return _last(functional.avg_pool2d(_first(features), size))


def vector_jacobian_product(function: Callable[[Any], Tensor], point: Any, signal: Tensor) -> Any:
    """`signal` times the Jacobian of `function` at `point`, nested like the point; differentiable in turn."""
    if _rematerializes():
        return _recorded_product(function, point, signal)
    output, pull = torch.func.vjp(function, point)
    (below,) = pull(signal.to(output.dtype))
    return below


def _rematerializes() -> bool:
    """Whether hooks wait for tensors that are saved for gradients, as in `keras.remat`: `torch.func` refuses them."""
    if torch.compiler.is_compiling():
        return False
    try:
        with torch.autograd.graph.disable_saved_tensors_hooks("none are expected here"):
            return False
    except RuntimeError:
        return True


def _recorded_product(function: Callable[[Any], Tensor], point: Any, signal: Tensor) -> Any:
    """`vector_jacobian_product`, by the gradient that PyTorch records."""
    with torch.enable_grad():
        inputs = keras.tree.map_structure(
            lambda part: part.view_as(part) if part.requires_grad else part.detach().requires_grad_(), point
        )
        output = function(inputs)
        options = {"create_graph": True, "allow_unused": True, "materialize_grads": True}
        below = torch.autograd.grad(output, keras.tree.flatten(inputs), signal.to(output.dtype), **options)
    return keras.tree.pack_sequence_as(inputs, list(below))


def _first(features: Tensor) -> Tensor:
    """`[b, h, w, c]` seen as `[b, c, h, w]`."""
    return features.permute(0, 3, 1, 2)


def _last(features: Tensor) -> Tensor:
    """`[b, c, h, w]` seen as `[b, h, w, c]`, and laid out so."""
    return features.permute(0, 2, 3, 1).contiguous()


def _places(features: Tensor, size: int) -> Tensor:
    """Where each window's first maximum is, `[b, h', w', c]`: the row times the width, plus the column."""
    _, places = functional.max_pool2d(_first(features.detach()), size, return_indices=True)
    return _last(places)


def _put(values: Tensor, places: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Zeros of that shape, but for `values` at their `places`."""
    batch, height, width, channels = shape
    zeros = values.new_zeros(batch, height * width, channels)
    return zeros.scatter(1, places.flatten(1, 2), values.flatten(1, 2)).reshape(tuple(shape))
