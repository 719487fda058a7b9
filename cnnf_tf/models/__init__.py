"""The loop, the Keras model around it, the paper's networks, pretrained models, the objective, the authors' weights."""

import importlib as _importlib
from typing import Any as _Any

_MODULES = {
    "adaptive": ("AdaptiveResult", "adaptive_unroll", "check_tolerance", "infer_adaptive"),
    "cnnf": ("CNNF",),
    "loading": ("load_model", "model_sha256"),
    "networks": ("NETWORKS", "Network", "fashion_cnn", "wide_resnet"),
    "objective": ("Losses", "Scored", "batch_losses", "reconstruction_loss", "trajectory_losses"),
    "pretrained": ("load_pretrained", "pretrained_card", "pretrained_names"),
    "traversal": ("leaves",),
    "unroll": ("READOUTS", "Feedback", "State", "Trajectory", "feedback_pass", "first_pass", "step"),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}

# A name that is also its module's: importing the module would put the module here.
from cnnf_tf.models.unroll import unroll  # noqa: E402, F401

__all__ = sorted([*_PLACES, "unroll"])  # noqa: PLE0605


def __getattr__(name: str) -> _Any:
    """Loads a public name on first use (PEP 562): not every backend has every module."""
    if name not in _PLACES:
        raise AttributeError(f"module 'cnnf_tf.models' has no attribute {name!r}")
    return getattr(_importlib.import_module(f"cnnf_tf.models.{_PLACES[name]}"), name)
