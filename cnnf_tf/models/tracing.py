"""One trace for all iterations, where no gradient is wanted.

TensorFlow traces what Python runs, so a loop of K iterations makes a graph K times as large, which takes K times as
long to build, to optimise and to start. A function that is traced once and called K times, but not inlined, does not,
and it runs as fast with no more memory. Not so with a gradient: for it TensorFlow returns from each call all that the
gradient might look at, about twice of what it does. Iterations that a tape watches therefore stay in the one graph. A
`tf.while_loop` is no better there: at K = 10 it starts in about half of the time, but each gradient then takes 0 to 8 %
longer, so that 100 gradients lose what was saved, and compiled by XLA it takes five times as long or more.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras

from cnnf_tf.layers.base import Tensor

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    from tensorflow.python.eager.record import could_possibly_record  # no public name says whether a tape is watching

    as_call = functools.partial(tf.function, autograph=False, experimental_attributes={"_noinline": True})
    """Makes a function one that TensorFlow traces once, calls, and does not inline. XLA inlines it nevertheless."""

elif keras.backend.backend() == "jax":
    import jax
elif keras.backend.backend() == "torch":
    import torch

Function = Callable[..., list[Tensor]]
"""From tensors to tensors."""


def traced_once(function: Function) -> Function:
    """`function` as calls of one trace. As it is in eager execution, where a tape watches, and outside TensorFlow."""
    if keras.backend.backend() != "tensorflow" or tf.executing_eagerly() or could_possibly_record():
        return function
    return as_call(function)


def has_values(tensor: Any) -> bool:
    """Whether one can look at what is in a tensor now: in eager execution, not while something traces or compiles."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return bool(tf.executing_eagerly())
    if backend == "jax":
        return not isinstance(tensor, jax.core.Tracer)
    return not torch.compiler.is_compiling() and getattr(tensor, "device", torch.device("cpu")).type != "meta"
