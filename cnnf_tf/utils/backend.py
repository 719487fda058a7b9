"""What must be settled before Keras and TensorFlow are imported: backend and kernels. Importing it imports neither."""

import importlib.util
import os
import pathlib
import sys
from typing import Any

_FILES = (pathlib.Path(__file__).parents[1] / "layers" / "kernels").glob("*.py")
BACKENDS = tuple(sorted({path.stem for path in _FILES} - {"__init__", "exported", "plain"}))
"""Those with a file of their own in `cnnf_tf.layers.kernels`."""


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


def need_tensorflow(part: str, why: str, *, as_backend: bool = True) -> None:
    """Raises ImportError, before anything else of this part is imported, where it cannot run.

    Args:
      part: who needs TensorFlow, as `"cnnf_tf.training"`.
      why: what it does with it, as `"trains under tf.distribute"`.
      as_backend: whether Keras must run on it, too.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(f"{part} needs TensorFlow (it {why}), which is not installed: pip install tensorflow.")
    import keras

    if as_backend and keras.backend.backend() != "tensorflow":
        raise ImportError(
            f"{part} needs Keras on TensorFlow (it {why}), and here Keras runs on {keras.backend.backend()}: unset "
            "KERAS_BACKEND, or set it to tensorflow, in a process for this part. Layers, models and zoo run on every "
            "backend, and files of one load on the others."
        )


def needs_tensorflow(part: str, why: str) -> type[Any]:
    """What stands in place of a class or function that `need_tensorflow` refuses: nothing is one of its instances.

    Calling it, or making a subclass of it, is the error.
    """

    class Absent:
        def __new__(cls, *_: Any, **__: Any) -> "Absent":
            need_tensorflow(part, why)
            return super().__new__(cls)

        def __init_subclass__(cls, **_: Any):
            need_tensorflow(part, why)

    Absent.__name__ = Absent.__qualname__ = part.rpartition(".")[-1]
    return Absent


def use_onednn() -> None:
    """Turns TensorFlow's oneDNN kernels on, unless the user set TF_ENABLE_ONEDNN_OPTS or TensorFlow is there already.

    TensorFlow does so by itself only where it sees VNNI, bfloat16 or AMX. On other processors with AVX-512, and with
    AVX2 only, its own convolutions take up to twice as long.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
