"""How an attack runs, by the backend that Keras runs on: `programs.loop` and all others are those of its file.

In TensorFlow an attack is one graph; in JAX and PyTorch it is a loop in Python, in which JAX compiles the models. What
each name means the file `eager` says.
"""

import importlib
from typing import Any

import keras

_own = importlib.import_module(f"{__name__}.{keras.backend.backend()}")


def __getattr__(name: str) -> Any:
    return getattr(_own, name)
