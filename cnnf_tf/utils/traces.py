"""Traced functions, kept with the model that they are of, so that nothing is traced twice for the same shapes.

    def scores(model, iterations, images, labels):        # a function of a module: it is always the same one
        ...

    score = traced(scores, model, 5)                      # the same `tf.function` whenever these are the same
    score(images, labels)                                 # one trace for batches of any size

An evaluation of many data sets, or the same one called again, then waits for TensorFlow once.
"""

import functools
import json
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import keras
import numpy as np

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

KEPT = "_cnnf_tf_kept"
"""The attribute in which an object holds what is kept."""
_MOST = 32  # functions kept with an object, the latest
_KNOWN = ("cnnf_tf", "keras")  # packages of layers that are all that their `get_config()` says


class _Kept:
    """What is kept with an object. In a class of its own, for Keras and TensorFlow not to look for layers in it."""

    def __init__(self) -> None:
        self.values: OrderedDict[Hashable, Any] = OrderedDict()


def kept(owner: Any, key: Hashable, make: Callable[[], Any]) -> Any:
    """`make()`, made once for equal keys, kept with the owner as an attribute unseen, and gone with it."""
    values = vars(owner).setdefault(KEPT, _Kept()).values
    value = values.pop(key) if key in values else make()
    values[key] = value
    while len(values) > _MOST:
        values.popitem(last=False)
    return value


def described(model: Any) -> str | None:
    """What a trace of a model depends on, besides its weights; None where that cannot be known.

    It is known of layers of this package and of Keras. Another's layer, or subclass of `CNNF`, may do anything.
    """
    if not isinstance(model, keras.layers.Layer):
        return None
    for layer in model._flatten_layers():  # noqa: SLF001 - `layers` are those on top
        if isinstance(layer, keras.layers.Lambda) or type(layer).__module__.split(".")[0] not in _KNOWN:
            return None
    return json.dumps(model.get_config(), default=lambda value: np.asarray(value).tolist())


def traced(function: Callable[..., Any], model: Any, *settings: Hashable) -> Callable[..., Any]:
    """`function(model, *settings, ...)` as a `tf.function` of tensors, kept with the model if it is `described`.

    Args:
      function: a function of a module or class, not one made anew for each call.
      model: whose attribute the traced function becomes.
      *settings: constants of the graph: values that never change. Numbers that change from call to call are better
        tensors.

    Returns:
      A function of tensors; those with axes may be of any size along the first one, and cause no further trace.
    """
    make = functools.partial(by_shape, functools.partial(function, model, *settings))
    state = described(model)
    return make() if state is None else kept(model, (function, settings, state), make)


def by_shape(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of tensors as a `tf.function`, with one trace for all sizes of the first axis."""

    @functools.cache
    def of(*specs: "tf.TensorSpec") -> Any:
        # A partial, as TensorFlow's warning of retracing takes all functions of one code for the same.
        return tf.function(functools.partial(function), input_signature=specs, autograph=False)

    def run(*values: Any) -> Any:
        tensors = [tf.convert_to_tensor(value) for value in values]
        return of(*(tf.TensorSpec(_any_batch(tensor.shape), tensor.dtype) for tensor in tensors))(*tensors)

    return run


def _any_batch(shape: "tf.TensorShape") -> "tf.TensorShape":
    return tf.TensorShape([None, *shape[1:]]) if shape.rank else shape
