"""The plain kernels for a TensorFlow graph that leaves TensorFlow, with vector-Jacobian products that converters know.

TensorFlow's gradients end in kernels such as `AvgPoolGrad`, which ONNX and LiteRT have not. So the ops that converted
Keras layers are made of have a second gradient here, of ordinary ops; an op without one keeps TensorFlow's own, and if
that is a gradient kernel, the converter says so.
"""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import ops, tree

from cnnf_tf.layers.kernels.plain import (
    adaptive_pool,
    average_pool,
    conv2d,
    conv2d_adjoint,
    flip_where_negative,
    joined,
    matmul_adjoint,
    max_pool,
    max_pool_adjoint,
    placed,
    sum_pool,
    times_upsampled,
    unpool,
    upsample,
    where_positive,
)

__all__ = [
    "adaptive_pool",
    "average_pool",
    "conv2d",
    "conv2d_adjoint",
    "flip_where_negative",
    "matmul_adjoint",
    "max_pool",
    "max_pool_adjoint",
    "sum_pool",
    "times_upsampled",
    "unpool",
    "upsample",
    "vector_jacobian_product",
    "where_positive",
]

_GRADIENTS: dict[str, str] = {}
"""From the type of an op to the name under which its second gradient is registered."""


def vector_jacobian_product(function: Callable[[Any], tf.Tensor], point: Any, signal: tf.Tensor) -> Any:
    """`signal` times the Jacobian of `function` at `point`, nested like the point. In graphs only."""
    points = [tf.identity(tensor) for tensor in tree.flatten(point)]
    with tf.compat.v1.get_default_graph().gradient_override_map(_GRADIENTS):
        output = function(tree.pack_sequence_as(point, points))
    found = tf.gradients(output, points, tf.cast(signal, output.dtype), unconnected_gradients="zero")
    return tree.pack_sequence_as(point, found)


def _gradient_of(*kinds: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(gradient: Callable[..., Any]) -> Callable[..., Any]:
        for kind in kinds:
            _GRADIENTS[kind] = f"cnnf_tf_{kind}"
            tf.RegisterGradient(_GRADIENTS[kind])(gradient)
        return gradient

    return register


@_gradient_of("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign")
def _activation(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    return upstream * _SLOPES[op.type](op.inputs[0], op.outputs[0], op)


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_SLOPES: dict[str, Callable[[tf.Tensor, tf.Tensor, tf.Operation], tf.Tensor]] = {
    "Relu": lambda x, y, op: tf.cast(x > 0, x.dtype),
    "Relu6": lambda x, y, op: tf.cast((x > 0) & (x < 6), x.dtype),
    "LeakyRelu": lambda x, y, op: tf.where(x > 0, tf.ones_like(x), tf.fill(tf.shape(x), op.get_attr("alpha"))),
    "Elu": lambda x, y, op: tf.where(x < 0, y + 1, tf.ones_like(x)),
    "Selu": lambda x, y, op: tf.where(x < 0, y + _SELU_SCALE * _SELU_ALPHA, _SELU_SCALE * tf.ones_like(x)),
    "Sigmoid": lambda x, y, op: y * (1 - y),
    "Tanh": lambda x, y, op: 1 - y * y,
    "Softplus": lambda x, y, op: tf.sigmoid(x),
    "Softsign": lambda x, y, op: 1 / tf.square(1 + tf.abs(x)),
}


@_gradient_of("BiasAdd")
def _bias(op: tf.Operation, upstream: tf.Tensor) -> list[Any]:
    del op
    return [upstream, None]


@_gradient_of("Conv2D")
def _conv2d(op: tf.Operation, upstream: tf.Tensor) -> list[Any]:
    features, kernel = op.inputs
    if kernel.shape[2] != features.shape[3]:
        raise NotImplementedError("a convolution in groups has no transposed op that converters know")
    strides, dilations, pads, sizes = _geometry(op, kernel.shape[:2])
    full = [
        (n - 1) * s + (k - 1) * d + 1
        for n, s, k, d in zip(upstream.shape[1:3], strides, kernel.shape[:2], dilations, strict=True)
    ]
    shape = tf.stack([tf.shape(upstream)[0], *full, kernel.shape[2]])
    below = tf.nn.conv2d_transpose(upstream, kernel, shape, strides, "VALID", dilations=dilations)
    below.set_shape([None, *full, kernel.shape[2]])
    return [placed(below, (-pads[0], -pads[1]), sizes), None]


@_gradient_of("DepthwiseConv2dNative")
def _depthwise(op: tf.Operation, upstream: tf.Tensor) -> list[Any]:
    return [_depthwise_adjoint(upstream, op.inputs[1], *_geometry(op, op.inputs[1].shape[:2])), None]


@_gradient_of("AvgPool")
def _average_pool(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    window, channels = op.get_attr("ksize")[1:3], upstream.shape[3]
    strides, dilations, pads, sizes = _geometry(op, window)
    counts = [
        [min(i * s - pad + k, size) - max(i * s - pad, 0) for i in range(n)]
        for n, s, pad, k, size in zip(upstream.shape[1:3], strides, pads, window, sizes, strict=True)
    ]
    rows, columns = counts
    share = tf.constant([[[[1 / (row * column)] for column in columns] for row in rows]], upstream.dtype)
    ones = tf.ones((*window, channels, 1), upstream.dtype)
    return _depthwise_adjoint(upstream * share, ones, strides, dilations, pads, sizes)


@_gradient_of("Mean", "Sum")
def _reduction(op: tf.Operation, upstream: tf.Tensor) -> list[Any]:
    shape = op.inputs[0].shape
    axes = {int(axis) % shape.rank for axis in tf.get_static_value(op.inputs[1]).reshape(-1)}
    kept = [1 if axis in axes else size for axis, size in enumerate(shape)]
    if 0 in axes or None in shape[1:]:
        raise NotImplementedError("a sum over the batch, or over sizes that are not known")
    count = math.prod(shape[axis] for axis in axes) if op.type == "Mean" else 1
    return [tf.reshape(upstream / count, [-1, *kept[1:]]) * tf.ones([1, *shape[1:]], upstream.dtype), None]


@_gradient_of("StridedSlice")
def _strided_slice(op: tf.Operation, upstream: tf.Tensor) -> list[Any]:
    shape, rank = op.inputs[0].shape, op.inputs[0].shape.rank
    begin, end, steps = ([*tf.get_static_value(tensor)] for tensor in op.inputs[1:])
    for axis in range(len(begin)):
        begin[axis] = None if op.get_attr("begin_mask") >> axis & 1 else begin[axis]
        end[axis] = None if op.get_attr("end_mask") >> axis & 1 else end[axis]
    taken = [slice(*part).indices(size or 0) for *part, size in zip(begin, end, steps, shape, strict=False)]
    whole = all(
        part == (0, size or 0, 1)
        for axis, (part, size) in enumerate(zip(taken, shape, strict=False))
        if axis not in (1, 2)
    )
    masks = any(op.get_attr(f"{name}_mask") for name in ("ellipsis", "new_axis", "shrink_axis"))
    if rank != 4 or masks or not whole or min(steps) < 1:
        raise NotImplementedError("a slice of something else than rows and columns has no gradient for converters")
    (top, _, down), (left, _, right) = (*taken, *[(0, size, 1) for size in shape[len(taken) :]])[1:3]
    return [placed(_spread(upstream, (int(down), int(right))), (int(top), int(left)), tuple(shape[1:3])), *[None] * 3]


def _geometry(op: tf.Operation, window: Any) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], Any]:
    """Strides, dilations, zeros above and to the left, and the sizes of the image."""
    if op.get_attr("data_format") != b"NHWC" or op.get_attr("padding") not in (b"SAME", b"VALID"):
        raise NotImplementedError("channels must be last, and the padding SAME or VALID")
    strides = tuple(op.get_attr("strides")[1:3])
    dilations = (1, 1) if op.type == "AvgPool" else tuple(op.get_attr("dilations")[1:3])
    sizes, pads = tuple(op.inputs[0].shape[1:3]), (0, 0)
    if op.get_attr("padding") == b"SAME":
        ends = [
            (math.ceil(n / s) - 1) * s + (k - 1) * d + 1
            for n, s, k, d in zip(sizes, strides, window, dilations, strict=True)
        ]
        pads = tuple(max(end - size, 0) // 2 for end, size in zip(ends, sizes, strict=True))
    return strides, dilations, pads, sizes


def _depthwise_adjoint(signal: Any, kernel: Any, strides: Any, dilations: Any, pads: Any, sizes: Any) -> tf.Tensor:
    """Each channel by itself: the signal with zeros between, and around, its values meets the kernel turned round."""
    height, width, channels, multiplier = kernel.shape
    turned = tf.reshape(kernel[::-1, ::-1], (height, width, channels * multiplier, 1))
    reach = (height - 1) * dilations[0], (width - 1) * dilations[1]
    spread = tf.pad(_spread(signal, strides), [[0, 0], [reach[0]] * 2, [reach[1]] * 2, [0, 0]])
    below = tf.nn.depthwise_conv2d(spread, turned, [1] * 4, "VALID", dilations=dilations)
    if multiplier > 1:
        parts = [below[..., i::multiplier] for i in range(multiplier)]
        below = tf.add_n(parts)
    return placed(below, (-pads[0], -pads[1]), sizes)


def _spread(signal: tf.Tensor, strides: tuple[int, int]) -> tf.Tensor:
    """The signal with `stride - 1` zeros between its values."""
    if tuple(strides) == (1, 1):
        return signal
    units = [signal, *[ops.zeros_like(signal)] * (math.prod(strides) - 1)]
    height, width = ((size - 1) * stride + 1 for size, stride in zip(signal.shape[1:3], strides, strict=True))
    return joined(units, strides)[:, :height, :width]
