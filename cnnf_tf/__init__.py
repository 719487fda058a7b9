"""CNN-F: convolutional networks with recurrent generative feedback, in Keras and TensorFlow.

"Neural networks with recurrent generative feedback", Huang et al., NeurIPS 2020 (arXiv:2007.09200).

Importing this package loads neither Keras nor TensorFlow: its public names are loaded when they are first used, and its
classes are made known to Keras as soon as Keras itself is there, so that `keras.saving.load_model` finds them.
"""

import importlib
from typing import TYPE_CHECKING, Any

import wrapt

from cnnf_tf.utils.backend import choose_backend, use_onednn
from cnnf_tf.version import __version__

if TYPE_CHECKING:
    from cnnf_tf import attacks, data, evaluation, generative, layers, models, serving, training, utils, zoo
    from cnnf_tf.models import CNNF, Trajectory
    from cnnf_tf.zoo import load_model, load_pretrained, pretrained_names

choose_backend()
use_onednn()

_ROOMS = ("attacks", "data", "evaluation", "generative", "layers", "models", "serving", "training", "utils", "zoo")
_ROOM_OF = {
    "CNNF": "models",
    "Trajectory": "models",
    "load_model": "zoo",
    "load_pretrained": "zoo",
    "pretrained_names": "zoo",
}

__all__ = [
    "CNNF",
    "Trajectory",
    "__version__",
    "attacks",
    "data",
    "evaluation",
    "generative",
    "layers",
    "load_model",
    "load_pretrained",
    "models",
    "pretrained_names",
    "serving",
    "training",
    "utils",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _ROOM_OF:
        return getattr(importlib.import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


@wrapt.when_imported("keras")
def _register_layers(keras: Any) -> None:
    """Makes the layers known to Keras; a .keras file names its classes, not the modules to import for them."""
    del keras
    importlib.import_module(f"{__name__}.layers")


@wrapt.when_imported(f"{__name__}.layers")
def _register_models(layers: Any) -> None:
    """Then the models. Not in one step: Keras may be imported by the layers themselves, which come first then."""
    del layers
    importlib.import_module(f"{__name__}.models")
