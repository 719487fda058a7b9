"""Keras' backend: chosen before Keras is imported, and refused in a sentence where it cannot run. Imports no Keras."""

import importlib.util
import os
import sys

BACKENDS = ("jax", "tensorflow")
"""Those with kernels in `cnnf_tf.layers.kernels`."""


def choose_backend(default: str = "tensorflow") -> None:
    """Sets KERAS_BACKEND to the default where it is not set, and checks it unless Keras is there already.

    Raises:
      ImportError: cnnf_tf does not run on that backend, or its package is not installed.
    """
    name = os.environ.get("KERAS_BACKEND") or default
    if "keras" in sys.modules:
        return
    os.environ["KERAS_BACKEND"] = name
    if name not in BACKENDS:
        raise ImportError(
            f"KERAS_BACKEND is {name!r}, and cnnf_tf runs on the Keras backends {', '.join(BACKENDS)}; set it to one "
            "of them, or unset it for tensorflow."
        )
    if importlib.util.find_spec(name) is None:
        raise ImportError(
            f"KERAS_BACKEND is {name!r}, but the package {name} is not installed: pip install {name}, or set "
            f"KERAS_BACKEND to another of {', '.join(BACKENDS)}."
        )
