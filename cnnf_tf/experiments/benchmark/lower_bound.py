"""The floor: the bare convolutions and matrix products that a piece of work cannot do without.

They are found by walking the layers of the model, and timed alone: the same kernels on inputs of the same shapes and
dtype, called as often as the work calls them. With K iterations, a layer inside the loop needs

    inference       forward 1 + K        data gradient K                     (feedback is the data gradient)
    image gradient  forward 1 + 2K       data gradient 1 + 2K                (the gradient of feedback is a forward op)
    training        forward 1 + 2K       data gradient 1 + 2K    weight gradient 1 + 2K

and a layer of the encoder as much as with K = 0. Training needs no gradient of the images, so the lowest layer is
spared that one data gradient. Norms, rectifiers, pools, losses and the optimiser are not in the floor: they are what a
ratio above 1 is made of.
"""

import enum
import functools
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from cnnf_tf.layers import FeedbackConv2D, FeedbackDense
from cnnf_tf.models import CNNF, leaves


class Kind(str, enum.Enum):
    """Which of the three linear maps of a layer; the values are their names in reports."""

    FORWARD = "forward"
    DATA = "data gradient"
    WEIGHTS = "weight gradient"


class LinearOp(NamedTuple):
    """One convolution or matrix product; layers that are alike share it."""

    kind: Kind
    features: tuple[int, ...]
    """Shape of the input: `[batch, height, width, channels]`, or `[batch, inputs]` of a dense layer.

    Zeros around it that the kernel does not add by itself are part of it, as the layers lay them out.
    """
    kernel: tuple[int, ...]
    output: tuple[int, ...]
    strides: int
    """0 for a dense layer."""
    same: bool
    """Whether the kernel adds zeros around the input, so that the output has its size."""
    dtype: str


Work = Mapping[LinearOp, int]
"""How often each op is called."""
Inputs = Callable[[int, tuple[int, ...], str], tf.Tensor]
"""Random tensors by stream, shape and dtype."""


def work(model: CNNF, batch_size: int, *, iterations: int, gradient: str = "") -> Work:
    """What K iterations need.

    Args:
      model: a CNN-F.
      batch_size: images.
      iterations: K.
      gradient: "" for inference; "images" for the gradient of the readout's loss with respect to them, "weights" for
        that of the objective, the forward passes included.
    """
    found: Counter[LinearOp] = Counter()
    lowest = True
    for part, loops in ((model.encoder, 0), (model.network, iterations)):
        for layer in [] if part is None else leaves(part):
            if isinstance(layer, (FeedbackConv2D, FeedbackDense)):
                both = 1 + 2 * loops
                calls = {"": (1 + loops, loops, 0), "images": (both, both, 0), "weights": (both, both - lowest, both)}
                forward, lowest = _forward_op(layer, batch_size), False
                for kind, count in zip(Kind, calls[gradient], strict=True):
                    if count:
                        found[forward._replace(kind=kind)] += count
    return found


def combine(*parts: Work, times: int = 1) -> Work:
    """The sum of several pieces of work, each done `times` times."""
    return sum((Counter({op: times * count for op, count in part.items()}) for part in parts), Counter())


def _forward_op(layer: FeedbackConv2D | FeedbackDense, batch_size: int) -> LinearOp:
    sides = list(layer.input_spec.shape[1:])
    output = tuple(layer.output_shape_for((batch_size, *sides)))
    strides, same = 0, False
    if isinstance(layer, FeedbackConv2D):
        strides = layer.strides
        pad = (layer.kernel_size - 1) // 2 if layer.padding == "same" else 0
        same = strides == 1 and pad > 0
        if not same:
            sides[:2] = (side + 2 * pad for side in sides[:2])
    return LinearOp(
        Kind.FORWARD, (batch_size, *sides), tuple(layer.kernel.shape), output, strides, same, layer.compute_dtype
    )


def as_json(work: Work) -> list[dict[str, Any]]:
    """What `torch_floor.floor` takes: each op as a mapping, with its `count`."""
    return [{**op._asdict(), "kind": op.kind.value, "count": count} for op, count in work.items()]


def random_inputs(*, seed: int = 0) -> Inputs:
    """Standard normal numbers by stream, shape and dtype, made once: floors of the same network share them."""

    @functools.cache
    def inputs(stream: int, shape: tuple[int, ...], dtype: str) -> tf.Tensor:
        return tf.cast(tf.random.stateless_normal(shape, (seed, stream)), dtype)

    return inputs


def floor(work: Work, inputs: Inputs) -> Callable[[], Any]:
    """A function that does a piece of work once: one call from Python, one op after the other.

    Args:
      work: the ops and how often to call each.
      inputs: what to call them on.
    """
    ops = [(bare(op, inputs), count) for op, count in work.items()]
    # A partial, as TensorFlow's warning of retracing takes all functions of one code for the same.
    function = tf.function(functools.partial(_one_after_the_other, ops), autograph=False)
    return lambda: function().numpy()


def _one_after_the_other(ops: list[tuple[Callable[[], tf.Tensor], int]]) -> tf.Tensor:
    done: list[tf.Tensor] = []
    for call, count in ops:
        with tf.control_dependencies(done[-1:]):
            result = call()
            if count > 1:
                # The result is carried along, or else the graph optimiser would drop the work.
                _, result = tf.while_loop(
                    lambda calls, _, count=count: calls < count,
                    lambda calls, _, call=call: (calls + 1, call()),
                    (1, result),
                    parallel_iterations=1,
                )
            done.append(tf.cast(tf.reshape(result, [-1])[0], tf.float32))
    return tf.add_n(done)


def bare(op: LinearOp, inputs: Inputs) -> Callable[[], tf.Tensor]:
    """A function that runs the op once and returns its result."""
    features, kernel = inputs(1, op.features, op.dtype), inputs(2, op.kernel, op.dtype)
    signal = inputs(3, op.output, op.dtype)
    if len(op.features) == 2:
        left, right = {Kind.FORWARD: (features, kernel), Kind.DATA: (signal, kernel), Kind.WEIGHTS: (features, signal)}[
            op.kind
        ]
        turned = {"transpose_a": op.kind is Kind.WEIGHTS, "transpose_b": op.kind is Kind.DATA}
        return lambda: tf.linalg.matmul(left, right, **turned)
    layout = {"strides": [1, op.strides, op.strides, 1], "padding": "SAME" if op.same else "VALID"}
    return {
        Kind.FORWARD: lambda: tf.raw_ops.Conv2D(input=features, filter=kernel, **layout),
        Kind.DATA: lambda: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=op.features, filter=kernel, out_backprop=signal, **layout
        ),
        Kind.WEIGHTS: lambda: tf.raw_ops.Conv2DBackpropFilter(
            input=features, filter_sizes=op.kernel, out_backprop=signal, **layout
        ),
    }[op.kind]
