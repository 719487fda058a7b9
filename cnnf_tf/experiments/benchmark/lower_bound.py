"""The floor by TensorFlow: the ops of `linear_ops`, timed alone.

They are the same kernels on inputs of the same shapes and dtype, called as often as the work calls them.
"""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from cnnf_tf.experiments.benchmark.linear_ops import Kind, LinearOp, Work

Inputs = Callable[[int, tuple[int, ...], str], tf.Tensor]
"""Random tensors by stream, shape and dtype."""


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
