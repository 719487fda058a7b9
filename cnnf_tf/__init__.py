"""CNN-F: convolutional networks with recurrent generative feedback, in Keras and TensorFlow.

"Neural networks with recurrent generative feedback", Huang et al., NeurIPS 2020 (arXiv:2007.09200).
"""

import os as _os

_os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras as _keras  # noqa: E402

if _keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"cnnf_tf wants Keras on the TensorFlow backend, got {_keras.backend.backend()!r}; set "
        "KERAS_BACKEND=tensorflow before Keras is first imported."
    )

from cnnf_tf import data, layers, models  # noqa: E402
from cnnf_tf.models import CNNF, Trajectory, load_pretrained, pretrained_names  # noqa: E402
from cnnf_tf.version import __version__  # noqa: E402

__all__ = [
    "CNNF",
    "Trajectory",
    "__version__",
    "data",
    "layers",
    "load_pretrained",
    "models",
    "pretrained_names",
]
