"""Loading a saved model with errors that a person can act on."""

import os

import keras

from cnnf_tf.models.cnnf import CNNF


def load_model(path: str | os.PathLike[str]) -> CNNF:
    """Loads a `.keras` file that `CNNF.save`, `bin/train.py` or `bin/import_reference.py` wrote.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not a readable `.keras` file, or a model of another kind.
    """
    name = os.fspath(path)
    if not os.path.isfile(name):
        what = "is a folder" if os.path.isdir(name) else "does not exist"
        raise FileNotFoundError(
            f"model {name!r} {what}; wanted a .keras file, for example the best.keras in the workdir of bin/train.py."
        )
    try:
        model = keras.saving.load_model(name)
    except Exception as error:  # noqa: BLE001 - Keras, zip and HDF5 raise many kinds for a damaged file
        raise ValueError(f"model {name!r} is not a readable .keras file: {error}") from error
    if not isinstance(model, CNNF):
        raise ValueError(f"model {name!r} holds a {type(model).__name__}; wanted a CNNF.")
    return model
