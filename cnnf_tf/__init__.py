"""CNN-F: convolutional networks with recurrent generative feedback, in Keras.

"Neural networks with recurrent generative feedback", Huang et al., NeurIPS 2020 (arXiv:2007.09200).
"""

import importlib as _importlib
import os as _os
from typing import Any as _Any

from cnnf_tf.version import __version__

_os.environ.setdefault("KERAS_BACKEND", "tensorflow")

_MODULES = ("data", "layers", "models")
_NAMES = ("CNNF", "Trajectory", "load_pretrained", "pretrained_names")  # of cnnf_tf.models

__all__ = ["__version__", *_MODULES, *_NAMES]  # noqa: PLE0604


def __getattr__(name: str) -> _Any:
    """Loads a public name on first use (PEP 562)."""
    if name in _MODULES:
        return _importlib.import_module(f"cnnf_tf.{name}")
    if name in _NAMES:
        return getattr(_importlib.import_module("cnnf_tf.models"), name)
    raise AttributeError(f"module 'cnnf_tf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
