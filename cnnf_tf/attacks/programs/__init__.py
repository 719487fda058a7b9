"""How an attack runs, by the backend that Keras runs on: `programs.loop` and all others are those of its file.

In TensorFlow an attack is one graph. In JAX and PyTorch it is a loop in Python, in the file `eager`, which also says
what each name means; their own files hold what else they need, or do in another way: JAX compiles the models.
"""

import importlib
from typing import Any

import keras

_own = importlib.import_module(f"{__name__}.{keras.backend.backend()}")
_shared = _own if keras.backend.backend() == "tensorflow" else importlib.import_module(f"{__name__}.eager")


def __getattr__(name: str) -> Any:
    return getattr(_own if hasattr(_own, name) else _shared, name)
