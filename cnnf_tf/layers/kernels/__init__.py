"""Linear maps and their adjoints, by the backend that Keras runs on: one name, one file for each backend.

`kernels.conv2d` and all others are looked up when they are called for: in the backend's file, or in another for as long
as `using` says. The names, and what they mean, are those of the TensorFlow file.
"""

import contextlib
import contextvars
import importlib
import types
from collections.abc import Iterator
from typing import Any

import keras

from cnnf_tf.utils.backend import BACKENDS

if keras.backend.backend() not in BACKENDS:
    raise ImportError(
        f"cnnf_tf runs on the Keras backends {', '.join(BACKENDS)}, got {keras.backend.backend()!r}; set "
        "KERAS_BACKEND before Keras is first imported."
    )
_own = importlib.import_module(f"{__name__}.{keras.backend.backend()}")
_used: contextvars.ContextVar[types.ModuleType] = contextvars.ContextVar("kernels", default=_own)


def __getattr__(name: str) -> Any:
    return getattr(_used.get(), name)


@contextlib.contextmanager
def using(name: str) -> Iterator[None]:
    """In its block, and in this thread alone, layers call the kernels of the file of that name.

    `using("plain")` is for tracing a graph that leaves its backend.
    """
    token = _used.set(importlib.import_module(f"{__name__}.{name}"))
    try:
        yield
    finally:
        _used.reset(token)
