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
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import keras
import tensorflow as tf

KEPT = "_cnnf_tf_kept"
"""The attribute."""
_MOST = 32  # functions kept for a model, the latest


class _Kept:
    """What is kept with an object. In a class of its own, for Keras and TensorFlow not to look for layers in it."""

    def __init__(self) -> None:
        self.values: OrderedDict[Hashable, Any] = OrderedDict()


def kept(owner: Any, key: Sequence[Hashable], make: Callable[[], Any]) -> Any:
    """`make()`, made once for equal keys, kept with the owner and gone with it.

    Args:
      owner: whose attribute it becomes, unseen; an object that takes no attributes keeps nothing.
      key: hashable values. Those that are Keras layers, and an owner that is one, are equal for as long as they are the
        same and their `get_config()` says the same; weights may change.
      make: makes what is kept.
    """
    try:
        values = vars(owner).setdefault(KEPT, _Kept()).values
    except TypeError:  # no __dict__
        return make()
    whole = (*key, *map(_config, (owner, *key)))
    value = values.pop(whole) if whole in values else make()
    values[whole] = value
    while len(values) > _MOST:
        values.popitem(last=False)
    return value


def traced(function: Callable[..., Any], model: Any, *settings: Hashable) -> Callable[..., Any]:
    """`function(model, *settings, ...)` as a `tf.function` of tensors, the same for equal arguments; see `kept`.

    Args:
      function: a function of a module or class, not one made anew for each call.
      model: whose attribute the traced function becomes.
      *settings: constants of the graph. Numbers that change from call to call are better tensors.

    Returns:
      A function of tensors; those with axes may be of any size along the first one, and cause no further trace.
    """
    return kept(model, (function, *settings), lambda: by_shape(functools.partial(function, model, *settings)))


def _config(part: Any) -> str | None:
    if not isinstance(part, keras.layers.Layer):
        return None
    try:
        return json.dumps(part.get_config(), default=str, sort_keys=True)
    except NotImplementedError:  # a layer that cannot be saved
        return None


def by_shape(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of tensors as a `tf.function`, with one trace for all sizes of the first axis."""

    @functools.cache
    def of(*specs: tf.TensorSpec) -> Any:
        # A partial, as TensorFlow's warning of retracing takes all functions of one code for the same.
        return tf.function(functools.partial(function), input_signature=specs, autograph=False)

    def run(*values: Any) -> Any:
        tensors = [tf.convert_to_tensor(value) for value in values]
        return of(*(tf.TensorSpec(_any_batch(tensor.shape), tensor.dtype) for tensor in tensors))(*tensors)

    return run


def _any_batch(shape: tf.TensorShape) -> tf.TensorShape:
    return tf.TensorShape([None, *shape[1:]]) if shape.rank else shape
