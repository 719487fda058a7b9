"""Keras' dtype policy for a while: it is global, so whoever sets it must put it back."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras


@contextlib.contextmanager
def dtype_policy(policy: Any) -> Iterator[None]:
    """Layers made inside have this policy: "float32", "float64", "mixed_bfloat16", ..., or one of Keras' objects."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
