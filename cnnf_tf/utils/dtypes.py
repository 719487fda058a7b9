"""Keras' dtype policy for a while: it is global, so whoever sets it must put it back."""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers made inside have this policy: "float32", "float64", "mixed_bfloat16", "mixed_float16", ..."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
