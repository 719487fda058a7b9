"""The training and test step of a `CNNF`, by the backend that Keras runs on: one class, one file for each.

The objective, metrics and checks are `KerasTraining`'s. A file here says what Keras' own loops want of a step, how the
gradient is taken, where each batch is checked, and what only a backend knows: see `base.BaseSteps`.
"""

import importlib
from typing import Any

import keras

Steps: Any = importlib.import_module(f"{__name__}.{keras.backend.backend()}").Steps

__all__ = ["Steps"]
