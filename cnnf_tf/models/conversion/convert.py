"""A Keras CNN taken apart into what `CNNF` is made of."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import keras

from cnnf_tf.layers import (
    AdaActivation,
    AdaPool2D,
    AdaReLU,
    FeedbackBatchNorm,
    FeedbackGraph,
    FeedbackKerasLayer,
    FeedbackLayer,
    FeedbackSequential,
    InstanceNorm,
)
from cnnf_tf.layers.composite import Sources
from cnnf_tf.models.conversion.keras_graph import KerasGraph, Node, read
from cnnf_tf.models.conversion.operations import as_layer
from cnnf_tf.models.conversion.preprocessing import leading_pixels, pixel_scale, pixels_of
from cnnf_tf.models.conversion.rules import NoConversionError, Stack, copy_layer, feedback_layers, take_weights
from cnnf_tf.models.pixels import Pixels


class Parts(NamedTuple):
    """What `CNNF` takes."""

    network: FeedbackGraph
    encoder: FeedbackSequential | None
    image_shape: tuple[Any, Any, int]
    pixels: Pixels


def convert(
    model: keras.Model,
    *,
    start: str | None = None,
    feedback_norm: bool = True,
    preprocessing: Any = None,
    frozen: bool = True,
    dtype: Any = None,
) -> Parts:
    """Takes a Keras CNN apart; for the arguments see `CNNF.from_keras`.

    Raises:
      ValueError: see `CNNF.from_keras`.
    """
    graph = read(model)
    if dtype is not None:
        model = _in_dtype(model, dtype)
        graph = read(model)
    image_shape = _image_shape(model)
    _check_output(model)
    pixels, bottom, encoder = pixels_of(preprocessing, image_shape[-1]), 0, None
    if start is not None:
        bottom = _cut(graph, start)
        encoder = _encoder(model, graph, bottom)
    if preprocessing is None and start is None:
        pixels, bottom = leading_pixels(graph, image_shape[-1])
    elif preprocessing is None:
        pixels = Pixels(scale=pixel_scale(graph))
    network = _network(graph, bottom, feedback_norm, model.dtype_policy if dtype is None else dtype)
    if not frozen:
        for layer in network.children():
            if isinstance(layer, FeedbackBatchNorm):
                layer.unfreeze()
    return Parts(network, encoder, image_shape, pixels)


def _network(graph: KerasGraph, bottom: int, feedback_norm: bool, dtype: Any) -> FeedbackGraph:
    """The layers above a value, or one error that names all that cannot go down."""
    layers: list[FeedbackLayer] = []
    sources: Sources = []
    shapes: list[tuple[Any, ...]] = []
    values = {bottom: 0}
    stacks: dict[int, Stack] = {}
    offending: dict[str, str] = {}
    for place in _above(graph, bottom):
        node = graph.nodes[place]
        try:
            stack = _stack(node, stacks, last=place + 1 == graph.output)
        except NoConversionError as error:
            offending[node.name] = f"{type(node.operation).__name__}: {error}"
            stack = []
        reads = tuple(values.get(value, 0) for value in node.inputs)
        if not stack:
            values[place + 1] = reads[0]
            continue
        for layer in stack:
            layers.append(layer)
            sources.append(reads)
            shapes.append(node.shape)
            reads = (len(layers),)
        values[place + 1] = len(layers)
    if offending:
        raise ValueError(_refusal(offending, graph, bottom))
    sources.append((values[graph.output],))
    if feedback_norm:
        layers, sources = _with_norms(layers, sources, shapes)
    _name_apart(layers)
    return FeedbackGraph(layers, sources, name="network", dtype=dtype)


def _stack(node: Node, stacks: dict[int, Stack], *, last: bool) -> Stack:
    """The feedback layers of a node; those with weights are made once for each Keras layer."""
    if id(node.operation) in stacks:
        return stacks[id(node.operation)]
    layer = as_layer(node)
    if last:
        layer = _without_softmax(layer)
        if layer is None:
            return []
    if isinstance(layer, keras.layers.Add) and len({tuple(read.shape) for read in node.call.input_tensors}) == 1:
        return [FeedbackLayer(name=layer.name, dtype=layer.dtype_policy)]
    stack = feedback_layers(layer)
    if node.output is not None:
        raise NoConversionError("it makes several tensors")
    if len(node.inputs) > 1 and not (stack and stack[0].merges):
        raise NoConversionError("it reads several tensors, and its conversion reads one")
    if getattr(layer, "weights", None):
        stacks[id(node.operation)] = stack
    return stack


def ends_in_softmax(model: keras.Model) -> bool:
    """Whether the last layer of a model makes probabilities, which `convert` leaves away."""
    graph = read(model)
    return _last_activation(as_layer(graph.nodes[graph.output - 1])) == "softmax"


def _last_activation(layer: Any) -> str | None:
    """Its name; None where a layer has none."""
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    activation = getattr(layer, "activation", None)
    return None if activation is None else keras.activations.serialize(activation)


def _without_softmax(layer: Any) -> Any:
    """The last layer without its softmax; None where it is nothing else."""
    kind = _last_activation(layer)
    if kind is None:
        return layer
    if kind not in ("linear", "softmax"):
        raise NoConversionError(f"the model must end in logits or their softmax, not in {kind!r}")
    if isinstance(layer, (keras.layers.Activation, keras.layers.Softmax)):
        return None
    return copy_layer(layer, activation=None, dtype=_whole(layer.dtype_policy))


def _whole(policy: Any) -> Any:
    """A policy of the logits: never half precision."""
    return policy.variable_dtype if policy.compute_dtype in ("float16", "bfloat16") else policy


def _with_norms(
    layers: list[FeedbackLayer], sources: Sources, shapes: list[tuple[Any, ...]]
) -> tuple[list[FeedbackLayer], Sources]:
    """Puts a norm that acts on what comes down on top of each block of convolution, activation and perhaps pool."""
    readers: dict[int, list[int]] = {}
    for reader, read_values in enumerate(sources):
        for value in read_values:
            readers.setdefault(value, []).append(reader)
    tops = set()
    for place, layer in enumerate(layers):
        if isinstance(layer, (AdaReLU, AdaActivation)) and len(shapes[place]) == 4:
            above = readers.get(place + 1, [])
            pooled = len(above) == 1 and above[0] < len(layers) and isinstance(layers[above[0]], AdaPool2D)
            tops.add(above[0] if pooled else place)
    new_layers: list[FeedbackLayer] = []
    new_sources: Sources = []
    values = {0: 0}
    for place, layer in enumerate(layers):
        new_sources.append(tuple(values[value] for value in sources[place]))
        new_layers.append(layer)
        if place in tops:
            new_sources.append((len(new_layers),))
            new_layers.append(InstanceNorm(up=False, name=f"{layer.name}_norm_down", dtype=layer.dtype_policy))
        values[place + 1] = len(new_layers)
    new_sources.append(tuple(values[value] for value in sources[-1]))
    return new_layers, new_sources


def _name_apart(layers: Iterable[FeedbackLayer]) -> None:
    """Numbers the names that several layers have, of layers used twice or of nested models."""
    seen: dict[str, FeedbackLayer] = {}
    for layer in layers:
        name, count = layer.name, 1
        while seen.get(name, layer) is not layer:
            count += 1
            name = f"{layer.name}_{count}"
        seen[name] = layer
        if name != layer.name:
            layer.name = name


def _above(graph: KerasGraph, bottom: int) -> list[int]:
    """Places of the nodes between a value and the output, bottom to top."""
    wanted, found = {graph.output}, []
    for place in range(graph.output - 1, -1, -1):
        if place + 1 in wanted and place + 1 != bottom:
            found.append(place)
            wanted |= set(graph.nodes[place].inputs)
    return found[::-1]


def _separates(graph: KerasGraph, bottom: int) -> bool:
    """Whether the output depends on the image through this value alone."""
    above = _above(graph, bottom)
    made = {bottom, *(place + 1 for place in above)}
    return bool(above) and all(value in made for place in above for value in graph.nodes[place].inputs)


def _cut(graph: KerasGraph, start: Any) -> int:
    allowed = {name: value for name, value in graph.ends.items() if value and _separates(graph, value)}
    if start not in graph.ends:
        raise ValueError(f"start must be the name of a layer, one of {list(allowed)}; got {start!r}.")
    if start not in allowed:
        raise ValueError(
            f"start={start!r} does not cut the model in two: the layers above it also read what was made below. "
            f"Possible are {list(allowed)}."
        )
    return allowed[start]


def _encoder(model: keras.Model, graph: KerasGraph, bottom: int) -> FeedbackSequential:
    """What lies below a value, as one Keras model of copies; the original is left as it was."""
    images = keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype)
    values: dict[int, Any] = {0: images}
    copies: dict[int, tuple[Any, Any]] = {}
    for place in _above(graph._replace(output=bottom), 0):
        node = graph.nodes[place]
        if id(node.operation) not in copies:
            copies[id(node.operation)] = node.operation, _clone(node.operation)
        _, copy = copies[id(node.operation)]
        values[place + 1] = node.again([values[value] for value in node.inputs], copy)
    front = keras.Model(images, values[bottom], name="encoder")
    for operation, copy in copies.values():
        if getattr(operation, "weights", None):
            take_weights(copy, operation)
    return FeedbackSequential([FeedbackKerasLayer(front, linear=False)], name="encoder", dtype=front.dtype_policy)


def _in_dtype(model: keras.Model, dtype: Any) -> keras.Model:
    """A copy of a model that computes in another dtype policy."""

    def clone(layer: Any) -> Any:
        if isinstance(layer, (keras.layers.Lambda, keras.layers.InputLayer)):
            return _clone(layer)
        return type(layer).from_config(layer.get_config() | {"dtype": dtype})

    copy = keras.models.clone_model(model, clone_function=clone, recursive=True)
    take_weights(copy, model)
    return copy


def _clone(layer: Any) -> Any:
    """A layer of its own; a Lambda stays the one it is, for Keras does not make functions from a configuration."""
    return layer if isinstance(layer, keras.layers.Lambda) else type(layer).from_config(layer.get_config())


def _image_shape(model: keras.Model) -> tuple[Any, Any, int]:
    shape = tuple(model.input_shape[1:])
    if len(shape) != 3 or shape[-1] is None:
        raise ValueError(
            f"from_keras wants a model of images [batch, height, width, channels], got inputs of shape "
            f"{model.input_shape}."
        )
    return shape


def _check_output(model: keras.Model) -> None:
    shape = model.output_shape
    if len(shape) != 2 or shape[-1] is None:
        raise ValueError(
            f"from_keras wants a model that ends in [batch, classes], got {shape} from {model.name!r}; of a backbone, "
            "add pooling and a Dense layer first."
        )


def _refusal(offending: dict[str, str], graph: KerasGraph, bottom: int) -> str:
    last = max(place for place, node in enumerate(graph.nodes) if node.name in offending)
    possible = [
        name for name, value in graph.ends.items() if value > last and value > bottom and _separates(graph, value)
    ]
    lines = [f"  {name} ({why})" for name, why in offending.items()]
    advice = "No start lies above them"
    if possible:
        advice = f"Use start={possible[0]!r}, which leaves them below the feedback"
    return (
        f"{len(offending)} of the model's layers cannot come down:\n" + "\n".join(lines) + f"\n{advice}; or tell how "
        "with cnnf_tf.models.register_conversion."
    )
