"""Loading a saved or a pretrained model, with errors that a person can act on."""

import hashlib
import os
import pathlib

import keras

from cnnf_tf.models.cnnf import CNNF
from cnnf_tf.zoo.pretrained import load_pretrained, pretrained_card

PRETRAINED_PREFIX = "pretrained:"
"""Before the name of a model that comes with the package, in place of a path."""


def load_model(path: str | os.PathLike[str]) -> CNNF:
    """Loads a `.keras` file that `CNNF.save`, `bin/train.py` or `bin/import_reference.py` wrote.

    Args:
      path: of the file; or "pretrained:NAME" for a model that comes with the package, see `load_pretrained`.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not a readable `.keras` file, or a model of another kind; for "pretrained:NAME" see `load_pretrained`.
    """
    name = os.fspath(path)
    if name.startswith(PRETRAINED_PREFIX):
        return load_pretrained(name.removeprefix(PRETRAINED_PREFIX))
    if not os.path.isfile(name):
        what = "is a folder" if os.path.isdir(name) else "does not exist"
        raise FileNotFoundError(
            f"model {name!r} {what}; wanted a .keras file, for example the best.keras in the workdir of bin/train.py, "
            f"or {PRETRAINED_PREFIX}NAME."
        )
    try:
        model = keras.saving.load_model(name)
    except Exception as error:  # noqa: BLE001 - Keras, zip and HDF5 raise many kinds for a damaged file
        raise ValueError(f"model {name!r} is not a readable .keras file: {error}") from error
    if not isinstance(model, CNNF):
        raise ValueError(f"model {name!r} holds a {type(model).__name__}; wanted a CNNF.")
    return model


def model_sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of the file with the weights that `load_model(path)` reads, in hexadecimal."""
    name = os.fspath(path)
    if name.startswith(PRETRAINED_PREFIX):
        return pretrained_card(name.removeprefix(PRETRAINED_PREFIX))["weights"]["sha256"]
    return hashlib.sha256(pathlib.Path(name).read_bytes()).hexdigest()
