"""Windows that slide over images, in any size, stride and padding, for layers that look at what is in a window."""

from typing import Any

from keras import ops

from cnnf_tf.layers import kernels
from cnnf_tf.layers.base import Tensor

PADDINGS = ("same", "valid")


def output_size(size: int | None, window: int, stride: int, padding: str) -> int | None:
    """How many windows there are along a side of `size` pixels; None where that is not known."""
    return None if size is None else max(_count(size, window, stride, padding), 0)


def unfold(features: Tensor, window: tuple[int, int], strides: tuple[int, int], padding: str) -> Tensor:
    """The pixels of every window, `[b, h, w, c]` to `[b, h', w', window height * window width, c]`, row by row.

    "same" is Keras' padding, with zeros around the image. Height and width may be known only at run time.
    """
    sizes = ops.shape(features)[1:3]
    counts = [_count(*side, padding) for side in zip(sizes, window, strides, strict=True)]
    if padding == "same":
        pads = [_same_pads(*side) for side in zip(sizes, counts, window, strides, strict=True)]
        features = ops.pad(features, [(0, 0), *pads, (0, 0)])
    (rows, columns), (down, right) = counts, strides
    pixels = [
        features[:, row : row + (rows - 1) * down + 1 : down, column : column + (columns - 1) * right + 1 : right]
        for row in range(window[0])
        for column in range(window[1])
    ]
    return ops.stack(pixels, axis=3)


def fold(pixels: Tensor, like: Tensor, window: tuple[int, int], strides: tuple[int, int], padding: str) -> Tensor:
    """The transpose of `unfold`: sums up what came for each pixel; `like` has the shape of the images."""

    def linear(features: Tensor) -> Tensor:
        return unfold(features, window, strides, padding)

    return kernels.vector_jacobian_product(linear, like, pixels)


def first_maximum(values: Tensor, axis: int) -> Tensor:
    """Ones where the first of the largest values along an axis is, zeros elsewhere; 0 and -0 are one number."""
    largest = ops.cast(values == ops.max(values, axis=axis, keepdims=True), "int32")
    return ops.one_hot(ops.argmax(largest, axis=axis), ops.shape(values)[axis], axis=axis, dtype=values.dtype)


def _count(size: Any, window: int, stride: int, padding: str) -> Any:
    """`output_size` where `size` may be a tensor."""
    return (size + stride - 1) // stride if padding == "same" else (size - window) // stride + 1


def _same_pads(size: Any, count: Any, window: int, stride: int) -> tuple[Any, Any]:
    total = (count - 1) * stride + window - size
    total = max(total, 0) if isinstance(total, int) else ops.maximum(total, 0)
    return total // 2, total - total // 2
