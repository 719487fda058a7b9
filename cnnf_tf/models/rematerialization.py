"""Memory for time: a gradient that runs a function once more, instead of keeping what it computed on its way.

`keras.remat` alone saves little in TensorFlow. It puts the second run into the one graph of the training step, whose
executor runs whatever it can: iterations run again before it is their turn, zeros stand in for gradients that nobody
sends, and room for sums of gradients is taken before the first pass. So here the function and its gradient are calls
that TensorFlow does not inline: a call starts when all it is given is there, and leaves nothing but its results.

XLA inlines them nevertheless, finds that the second run is the first, and keeps everything: no loss, but no gain.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras

from cnnf_tf.layers.base import Tensor
from cnnf_tf.models.tracing import Function

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    from cnnf_tf.models.tracing import as_call


def rematerialized(function: Function) -> Function:
    """`function`, whose gradient runs it once more. Only floats, given or returned, have gradients.

    In TensorFlow's eager execution it is `function` as it is.
    """
    return _sealed(function) if keras.backend.backend() == "tensorflow" else keras.remat(function)


def _sealed(function: Function) -> Function:
    forward = as_call(function)

    @functools.cache  # not to trace it again for every call of the function
    def backward_to(*references: Any) -> Callable[..., tuple[list[tf.Tensor], list[tf.Tensor]]]:
        variables = [reference.deref() for reference in references]

        @as_call
        def backward(tensors: list[tf.Tensor], upstream: list[tf.Tensor]) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
            sources = _floats(tensors, tensors)
            with tf.GradientTape() as tape:
                tape.watch(sources)
                results = function(*tensors)
            targets = _floats(results, results)
            return tape.gradient(targets, (sources, variables), upstream, unconnected_gradients="zero")

        return backward

    @tf.custom_gradient
    def call(*tensors: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., Any]]:
        results = forward(*tensors)

        def gradient(*upstream: tf.Tensor, variables: Sequence[tf.Variable] = ()) -> tuple[list[Any], list[tf.Tensor]]:
            backward = backward_to(*(variable.ref() for variable in variables))
            of_floats, of_variables = backward(list(tensors), _floats(upstream, results))
            left = iter(of_floats)
            return [next(left) if tensor.dtype.is_floating else None for tensor in tensors], of_variables

        return results, gradient

    return lambda *tensors: function(*tensors) if tf.executing_eagerly() else call(*tensors)


def _floats(values: Sequence[Any], tensors: Sequence[Tensor]) -> list[Any]:
    """The values at the places where the tensors are floats."""
    return [value for value, tensor in zip(values, tensors, strict=True) if tensor.dtype.is_floating]
