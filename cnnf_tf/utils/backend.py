"""What must be settled before Keras and TensorFlow are imported: the backend, and the kernels. Imports neither."""

import importlib.util
import os
import pathlib
import sys

_KERNELS = pathlib.Path(__file__).parents[1] / "layers" / "kernels"
BACKENDS = tuple(sorted(path.stem for path in _KERNELS.glob("*.py") if path.stem not in ("__init__", "plain")))
"""Those with a file of kernels in `cnnf_tf.layers.kernels`."""


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


def use_onednn() -> None:
    """Turns TensorFlow's oneDNN kernels on, unless the user set TF_ENABLE_ONEDNN_OPTS or TensorFlow is there already.

    TensorFlow does so by itself only where it sees VNNI, bfloat16 or AMX. On other processors with AVX-512, and with
    AVX2 only, its own convolutions take up to twice as long.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
