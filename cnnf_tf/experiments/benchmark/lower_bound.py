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


def inference_work(model: CNNF, batch_size: int, *, iterations: int) -> Work:
    """What K iterations need; `iterations` is K."""
    work: Counter[LinearOp] = Counter()
    for forward, loops in _layers(model, batch_size, iterations):
        _add(work, forward, {Kind.FORWARD: 1 + loops, Kind.DATA: loops})
    return work


def image_gradient_work(model: CNNF, batch_size: int, *, iterations: int) -> Work:
    """What the gradient of the readout's loss with respect to the images needs, the forward passes included."""
    work: Counter[LinearOp] = Counter()
    for forward, loops in _layers(model, batch_size, iterations):
        _add(work, forward, {Kind.FORWARD: 1 + 2 * loops, Kind.DATA: 1 + 2 * loops})
    return work


def training_work(model: CNNF, batch_size: int, *, iterations: int) -> Work:
    """What the objective and its gradient with respect to the weights need."""
    work: Counter[LinearOp] = Counter()
    for position, (forward, loops) in enumerate(_layers(model, batch_size, iterations)):
        spared = 1 if position == 0 else 0
        calls = 1 + 2 * loops
        _add(work, forward, {Kind.FORWARD: calls, Kind.DATA: calls - spared, Kind.WEIGHTS: calls})
    return work


def together(*parts: Work, times: int = 1) -> Work:
    """The sum of several pieces of work, each done `times` times."""
    work: Counter[LinearOp] = Counter()
    for part in parts:
        for op, count in part.items():
            work[op] += times * count
    return work


def _layers(model: CNNF, batch_size: int, iterations: int) -> list[tuple[LinearOp, int]]:
    """The forward op of every linear layer, bottom to top, and how many iterations run through the layer."""
    found = []
    for part, loops in ((model.encoder, 0), (model.network, iterations)):
        for layer in [] if part is None else leaves(part):
            if isinstance(layer, (FeedbackConv2D, FeedbackDense)):
                found.append((_forward_op(layer, batch_size), loops))
    return found


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


def _add(work: Counter[LinearOp], forward: LinearOp, calls: Mapping[Kind, int]) -> None:
    for kind, count in calls.items():
        if count:
            work[forward._replace(kind=kind)] += count


class Inputs:
    """Random tensors by shape and dtype, made once: floors of the same network share them.

    Args:
      seed: of the numbers.
    """

    def __init__(self, *, seed: int = 0):
        self._seed = seed
        self._made: dict[tuple[int, tuple[int, ...], str], tf.Tensor] = {}

    def __call__(self, stream: int, shape: tuple[int, ...], dtype: str) -> tf.Tensor:
        """Standard normal numbers; equal arguments give the same tensor."""
        key = (stream, shape, dtype)
        if key not in self._made:
            self._made[key] = tf.cast(tf.random.stateless_normal(shape, (self._seed, stream)), dtype)
        return self._made[key]


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
        products = {
            Kind.FORWARD: lambda: tf.linalg.matmul(features, kernel),
            Kind.DATA: lambda: tf.linalg.matmul(signal, kernel, transpose_b=True),
            Kind.WEIGHTS: lambda: tf.linalg.matmul(features, signal, transpose_a=True),
        }
        return products[op.kind]
    padding = "SAME" if op.same else "VALID"
    convolutions = {
        Kind.FORWARD: lambda: tf.nn.conv2d(features, kernel, op.strides, padding),
        Kind.DATA: lambda: tf.nn.conv2d_transpose(signal, kernel, op.features, op.strides, padding),
        Kind.WEIGHTS: lambda: tf.raw_ops.Conv2DBackpropFilter(
            input=features,
            filter_sizes=op.kernel,
            out_backprop=signal,
            strides=[1, op.strides, op.strides, 1],
            padding=padding,
        ),
    }
    return convolutions[op.kind]
