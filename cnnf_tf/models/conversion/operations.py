"""Operations that stand in a model without a layer, such as `x + y` or `keras.ops.relu(x)`, as layers of Keras."""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers as kl

from cnnf_tf.models.conversion.keras_graph import Node
from cnnf_tf.models.conversion.rules import NoConversionError

_MERGES: dict[str, type] = {
    "Add": kl.Add,
    "Maximum": kl.Maximum,
    "Minimum": kl.Minimum,
    "Multiply": kl.Multiply,
    "Subtract": kl.Subtract,
}
_WITH_A_NUMBER: dict[str, Callable[[float, bool], tuple[float, float]]] = {
    "Add": lambda number, first: (1.0, number),
    "Multiply": lambda number, first: (number, 0.0),
    "Subtract": lambda number, first: (-1.0, number) if first else (1.0, -number),
}
"""From a number, and whether it stands first, to a scale and an offset."""
_ACTIVATIONS = {
    **{"HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "Relu": "relu", "Relu6": "relu6", "Selu": "selu"},
    **{"Sigmoid": "sigmoid", "Silu": "silu", "Softplus": "softplus", "Softsign": "softsign", "Tanh": "tanh"},
}


def as_layer(node: Node) -> Any:
    """The layer of Keras that does what a node does; that of the node where it has one.

    Raises:
      NoConversionError: no layer is known that does.
    """
    operation, kind = node.operation, type(node.operation).__name__
    if isinstance(operation, kl.Layer):
        return operation
    options = {"name": operation.name, "dtype": node.call.outputs[0].dtype}
    if kind == "Concatenate":
        return kl.Concatenate(axis=operation.axis, **options)
    if kind in _MERGES and len(node.inputs) == 2:
        return _MERGES[kind](**options)
    if kind in _WITH_A_NUMBER and len(node.inputs) == 1:
        arguments = node.call.arguments.args
        first = not isinstance(arguments[0], keras.KerasTensor)
        number = arguments[0 if first else 1]
        if isinstance(number, (int, float)):
            scale, offset = _WITH_A_NUMBER[kind](number, first)
            return kl.Rescaling(scale, offset, **options)
    if kind == "LeakyRelu":
        return kl.LeakyReLU(operation.negative_slope, **options)
    if kind in _ACTIVATIONS:
        return kl.Activation(_ACTIVATIONS[kind], **options)
    raise NoConversionError("this operation is not known as a layer")
