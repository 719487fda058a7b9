"""A Keras model read as a flat list of operations, nested models laid open."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras


class Node(NamedTuple):
    """One application of one layer, or of an operation such as `x + y`, that makes one tensor."""

    name: str
    """Of the layer, preceded by those of the models around it: "backbone/conv1"."""
    operation: Any
    """The `keras.layers.Layer`, or the operation."""
    inputs: tuple[int, ...]
    """The values it reads: 0 is the model's input, i + 1 the output of node i."""
    call: Any
    """What Keras recorded of it: `arguments`, `input_tensors`, `outputs`."""
    shape: tuple[int | None, ...]
    """Of what it makes."""
    output: int | None
    """Which of its tensors this is, where it makes several; else None."""

    def again(self, inputs: Sequence[Any], operation: Any) -> Any:
        """Applies another operation as this one was applied, to other inputs."""
        new = {id(tensor): value for tensor, value in zip(self.call.input_tensors, inputs, strict=True)}
        arguments = self.call.arguments
        args, options = keras.tree.map_structure(lambda old: new.get(id(old), old), (arguments.args, arguments.kwargs))
        made = operation(*args, **options)
        return made if self.output is None else made[self.output]


class KerasGraph(NamedTuple):
    """A model with one input and one output."""

    nodes: list[Node]
    """Bottom to top: each reads only what was made before it."""
    output: int
    """The value that is the model's output."""
    ends: dict[str, int]
    """The value that each layer and each nested model makes, by name, bottom to top."""


def read(model: keras.Model) -> KerasGraph:
    """Reads a Functional or Sequential model.

    Raises:
      ValueError: another object; a model that is not built; one with several inputs or outputs.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"from_keras wants a Keras model, got {type(model).__name__}.")
    if not is_functional(model):
        raise ValueError(
            f"from_keras wants a Functional or Sequential model, got {type(model).__name__}, whose layers call each "
            "other in Python where nobody can follow them; write it with keras.Input and keras.Model(inputs, outputs)."
        )
    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError(f"{model.name!r} is not built; begin it with keras.Input(image_shape).")
    if (len(model.inputs), len(model.outputs)) != (1, 1):
        raise ValueError(
            f"from_keras wants a model with one input and one output, got {len(model.inputs)} and "
            f"{len(model.outputs)} in {model.name!r}."
        )
    nodes: list[Node] = []
    ends: dict[str, int] = {}
    (output,) = _walk(model, [0], nodes, ends, "")
    return KerasGraph(nodes, output, ends)


def is_functional(operation: Any) -> bool:
    """Whether it is a model made of layers that Keras itself can list in order."""
    if not isinstance(operation, keras.Model) or not type(operation).call.__module__.startswith("keras."):
        return False
    return isinstance(operation, keras.Sequential) or hasattr(operation, "operations")


def _walk(model: Any, inputs: list[int], nodes: list[Node], ends: dict[str, int], path: str) -> list[int]:
    """Adds the nodes of a model whose inputs are values that are there; returns the values of its outputs."""
    known: dict[int, int] = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}
    waiting = list(model.outputs)
    while waiting:
        if id(waiting[-1]) in known:
            waiting.pop()
            continue
        operation, index, _ = waiting[-1]._keras_history
        node = operation._inbound_nodes[index]
        missing = [read for read in node.input_tensors if id(read) not in known]
        if missing:
            waiting += missing
        else:
            _add(operation, node, known, nodes, ends, path)
    return [known[id(tensor)] for tensor in model.outputs]


def _add(operation: Any, node: Any, known: dict[int, int], nodes: list[Node], ends: dict[str, int], path: str) -> None:
    """Adds one application of an operation, or what is inside if that is a model."""
    reads = [known[id(tensor)] for tensor in node.input_tensors]
    name = path + operation.name
    if is_functional(operation):
        values = _walk(operation, reads, nodes, ends, f"{name}/")
    else:
        values = []
        for place, made in enumerate(node.outputs):
            output = place if len(node.outputs) > 1 else None
            nodes.append(Node(name, operation, tuple(reads), node, tuple(made.shape), output))
            values.append(len(nodes))
    known.update({id(made): value for made, value in zip(node.outputs, values, strict=True)})
    ends[name] = values[0]
