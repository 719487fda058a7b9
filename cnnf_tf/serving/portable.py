"""The graph that leaves TensorFlow: a model as a function of plain ops, with its weights as constants.

    inputs           images            [batch, height, width, channels] float32 in [0, 1]
                     iterations        int32 scalar >= 0, K; only where it is asked for
    outputs          logits            [batch, classes] float32, of the model's readout
                     probabilities     [batch, classes] float32, their softmax
                     self_consistency  [batch, 3] float32: label changed (0 or 1), latent flip rate, feature residual,
                                       each of the last iteration; -1 where there was none

For pixels out of range, or NaN, the outputs are NaN. With K fixed the iterations lie one after the other, without
control flow, as compilers for accelerators want it; with K as an input there is one loop.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from keras import ops
from tensorflow.python.framework import convert_to_constants  # no public name freezes without a file

from cnnf_tf.layers import kernels
from cnnf_tf.models import CNNF
from cnnf_tf.models.adaptive import AdaptiveResult, self_consistency
from cnnf_tf.models.batch_checks import nan_where_faulty
from cnnf_tf.models.networks import named_leaves
from cnnf_tf.models.unroll import check_iterations, first_pass, pack, step, unpack

OUTPUTS = ("logits", "probabilities", "self_consistency")
_REFUSED = re.compile(r"Grad(V\d)?$|Backprop(?!Input$)|^DepthwiseConv2dNativeBackprop")
"""Gradient kernels: no format has them, but for the transposed convolution."""
_CALLS = re.compile("PartitionedCall$")


class UnknownOpsError(ValueError):
    """What a converter raises: ops that its format does not have.

    Attributes:
      kinds: their types.
    """

    def __init__(self, kinds: Sequence[str]):
        super().__init__(f"no op for {', '.join(kinds)}")
        self.kinds = kinds


class Portable(NamedTuple):
    """What converters take."""

    function: Any
    """A `tf.function` of `specs` without variables; it gives a dictionary."""
    specs: Sequence[tf.TensorSpec]


def check_portable(model: CNNF) -> None:
    """Raises ValueError for a model that no graph of plain ops can be made of."""
    if None in model.image_shape:
        raise ValueError(
            f"the model takes images of any size ({model.image_shape}), and a file of this format wants one size, "
            "known beforehand; make the model with an image_shape of numbers, or export a SavedModel."
        )
    others = {f"{layer.name} ({layer.compute_dtype})" for layer in model._flatten_layers() if _other_dtype(layer)}
    if others:
        raise ValueError(
            "a file of this format computes in float32, and these layers do not: "
            f"{', '.join(sorted(others)[:5])}{', ...' if len(others) > 5 else ''}; give the weights to a model of "
            "float32, or export a SavedModel."
        )


def portable(model: CNNF, iterations: int | None, *, batch_size: int | None = None) -> Portable:
    """The model as a graph of plain ops.

    Args:
      model: of float32, for images of one size.
      iterations: K; None makes it an input.
      batch_size: of the images; None for any.

    Raises:
      ValueError: see `check_portable`; and a layer that comes down by an op that converters do not know, by name.
    """
    check_portable(model)
    specs = [tf.TensorSpec([batch_size, *model.image_shape], tf.float32, name="images")]
    if iterations is None:
        specs.append(tf.TensorSpec([], tf.int32, name="iterations"))
    else:
        check_iterations(iterations)
    eta = model.step_sizes()  # learned ones are constants from here on

    def predict(images: tf.Tensor, iterations: Any = iterations) -> dict[str, tf.Tensor]:
        state = first_pass(model.network, model.encode(images)).carried()

        def once(done: Any, total: tf.Tensor, measured: tf.Tensor, *carried: tf.Tensor) -> tuple[Any, ...]:
            before = unpack(state, carried)
            after, feedback = step(model.network, before, eta=eta, feedback_start=model.feedback_start)
            measured = tf.stack(self_consistency(model.network, before, after, feedback), axis=-1)
            return done + 1, total + after.logits, measured, *pack(after.carried())

        unknown = tf.stack([tf.fill(tf.shape(state.logits)[:1], -1.0)] * 3, axis=-1)
        carried: tuple[Any, ...] = (0, state.logits, unknown, *pack(state))
        if isinstance(iterations, int):
            for _ in range(iterations):
                carried = once(*carried)
        else:
            shapes = [tf.TensorShape([batch_size, *tensor.shape[1:]]) for tensor in carried[1:]]
            invariants = (tf.TensorShape([]), *shapes)
            carried = tf.while_loop(lambda done, *_: done < iterations, once, carried, invariants)
        done, total, measured, *packed = carried
        last, average = unpack(state, packed).logits, total / tf.cast(done + 1, total.dtype)
        logits = AdaptiveResult(last, average, done, *tf.unstack(measured, axis=-1)).logits(model.readout)
        found = dict(zip(OUTPUTS, (logits, ops.softmax(logits), measured), strict=True))
        return nan_where_faulty(found, images)

    try:
        with kernels.using("exported"):
            concrete = tf.function(predict, input_signature=specs, autograph=False).get_concrete_function()
    except NotImplementedError as error:
        raise ValueError(f"{layers_with(model, _REFUSED)} cannot leave TensorFlow: {error}.") from error
    return Portable(_frozen(model, concrete, specs), specs)


def _frozen(model: CNNF, concrete: Any, specs: Sequence[tf.TensorSpec]) -> Callable[..., dict[str, tf.Tensor]]:
    """The function with weights as constants, and without the names of gradients, which converters would look for."""
    try:
        frozen = convert_to_constants.convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    except ValueError as error:
        raise ValueError(
            f"{layers_with(model, _CALLS)} cannot leave TensorFlow: what runs there is compiled by XLA, as a "
            "convolution in groups is on a CPU."
        ) from error
    graph = frozen.graph.as_graph_def()
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        for node in nodes:
            node.attr.pop("_gradient_op_type", None)
    inputs, outputs = ([tensor.name for tensor in tensors] for tensors in (frozen.inputs, frozen.outputs))
    shapes = [tensor.shape for tensor in frozen.outputs]
    refused = sorted({kind for kind in _kinds(graph, outputs) if _REFUSED.search(kind)})
    if refused:
        raise ValueError(
            f"{layers_with(model, _REFUSED)} cannot leave TensorFlow: what comes down there is {', '.join(refused)}, "
            "which this format does not have."
        )

    def function(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        found = tf.graph_util.import_graph_def(graph, dict(zip(inputs, tensors, strict=True)), outputs, name="")
        for tensor, shape in zip(found, shapes, strict=True):
            tensor.set_shape(shape)
        return dict(zip(sorted(OUTPUTS), found, strict=True))

    return tf.function(function, input_signature=specs, autograph=False)


def _kinds(graph: Any, outputs: Sequence[str]) -> Iterator[str]:
    """The types of the ops that the outputs need, in the graph and in the functions that it calls."""
    bodies = {function.signature.name: function for function in graph.library.function}
    left = [({node.name: node for node in graph.node}, list(outputs))]
    while left:
        nodes, names = left.pop()
        seen: set[str] = set()
        while names:
            name = names.pop().lstrip("^").split(":")[0]
            if name in seen or name not in nodes:
                continue
            seen.add(name)
            node = nodes[name]
            yield node.op
            names.extend(node.input)
            for attribute in node.attr.values():
                body = bodies.pop(attribute.func.name, None)
                if body is not None:
                    left.append(({inner.name: inner for inner in body.node_def}, list(body.ret.values())))


def layers_with(model: CNNF, kinds: re.Pattern[str]) -> str:
    """Names the layers in whose own graph, up and down, such an op is, or that raise."""
    paths = [path.lstrip("/") for path, leaf in named_leaves(model.network) if _has(leaf, kinds)]
    return f"{'layer' if len(paths) == 1 else 'layers'} {', '.join(map(repr, paths)) or 'of this model'}"


def _has(leaf: Any, kinds: re.Pattern[str]) -> bool:
    shape = leaf.get_build_config()["input_shape"]
    specs = [tf.TensorSpec((None, *shape[1:])) for shape in (shape if leaf.merges else [shape])]

    def there_and_back(*features: tf.Tensor) -> Any:
        output, latent = leaf(list(features) if leaf.merges else features[0])
        return leaf.feedback(tf.zeros_like(output), latent)

    try:
        with kernels.using("exported"):
            graph = tf.function(there_and_back, autograph=False).get_concrete_function(*specs).graph
    except NotImplementedError:
        return True
    return any(kinds.search(op.type) for op in graph.get_operations())


def _other_dtype(layer: Any) -> bool:
    return layer.compute_dtype != "float32"
