"""Trained models: those that come with the package, presets, and `.keras` files, all through one door.

The models of the package are presets (see `cnnf_tf.models.presets`), a folder each in cnnf_tf/zoo/presets, with weights
in float16. bin/package_model.py writes them.
"""

import hashlib
import os
import pathlib
import zipfile

import keras

from cnnf_tf.models.cnnf import CNNF
from cnnf_tf.models.presets import packaged_names, preset_info
from cnnf_tf.models.presets.hub import PREFIX as HUB_PREFIX
from cnnf_tf.models.presets.reading import PRETRAINED_PREFIX, WEIGHTS, packaged


def pretrained_names() -> list[str]:
    """The names that `load_pretrained` takes, sorted: those of `CNNF.presets`."""
    return packaged_names()


def load_pretrained(name: str) -> CNNF:
    """A model that comes with the package: `CNNF.from_preset` of one of `pretrained_names()`, in float32.

    Raises:
      ValueError: no such name, or damaged files.
    """
    return CNNF.from_preset(PRETRAINED_PREFIX + packaged(name))


def load_model(path: str | os.PathLike[str]) -> CNNF:
    """Loads a model from wherever it is.

    Args:
      path: of a `.keras` file that `CNNF.save`, `bin/train.py` or `bin/import_reference.py` wrote; of a preset, a
        folder; "hf://USER/MODEL[@REVISION]"; or "pretrained:NAME" for a model that comes with the package.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not a readable `.keras` file, or a model of another kind; for presets see `CNNF.from_preset`.
    """
    preset, name = _as_preset(path), os.fspath(path)
    inside = sorted(file.name for file in preset.glob("*.keras")) if isinstance(preset, pathlib.Path) else []
    if inside:
        raise ValueError(f"model {name!r} is a folder with {', '.join(inside)} in it; name the file.")
    if preset is not None:
        return CNNF.from_preset(preset)
    if not os.path.isfile(name):
        raise FileNotFoundError(
            f"model {name!r} does not exist; wanted a .keras file, for example the best.keras in the workdir of "
            f"bin/train.py, the folder of a preset, {HUB_PREFIX}USER/MODEL, or {PRETRAINED_PREFIX}NAME."
        )
    try:
        if not zipfile.is_zipfile(name):
            raise ValueError("it is no zip archive, or one that was cut short; write or copy it again.")
        model = keras.saving.load_model(name)
    except Exception as error:  # noqa: BLE001 - Keras, zip and HDF5 raise many kinds for a damaged file
        raise ValueError(f"model {name!r} is not a readable .keras file: {error}") from error
    if not isinstance(model, CNNF):
        raise ValueError(
            f"model {name!r} holds a {type(model).__name__}; wanted a CNNF. A CNN of Keras becomes one by "
            "CNNF.from_keras, or bin/convert.py."
        )
    return model


def class_names(path: str | os.PathLike[str]) -> list[str]:
    """Those that come with the model that `load_model(path)` reads; none with a `.keras` file, or if nobody said."""
    preset = _as_preset(path)
    return [] if preset is None else preset_info(preset)["class_names"] or []


def model_sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of the file with the weights that `load_model(path)` reads, in hexadecimal."""
    preset = _as_preset(path)
    if preset is not None:
        return preset_info(preset)["files"][WEIGHTS]
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def _as_preset(path: str | os.PathLike[str]) -> str | pathlib.Path | None:
    """What `CNNF.from_preset` takes, of what `load_model` takes; None for a file."""
    name = os.fspath(path)
    if name.startswith((PRETRAINED_PREFIX, HUB_PREFIX)):
        return name
    return pathlib.Path(name) if os.path.isdir(name) else None
