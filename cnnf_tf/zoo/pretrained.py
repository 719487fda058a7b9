"""Trained models that come with the package: `load_pretrained("fashion_mnist_standard")`.

A model is two files in cnnf_tf/zoo/weights/: NAME.json, its card (how it is built, how it was trained, what it scores),
and NAME.npz, its weights in float16. The models there are, are the cards there are. bin/package_model.py writes both.
`load_model` loads them too, and `.keras` files of your own, with errors that a person can act on.
"""

import difflib
import hashlib
import importlib.resources
import io
import json
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from cnnf_tf.models.cnnf import CNNF
from cnnf_tf.models.networks import named_leaves
from cnnf_tf.utils.archives import read_npz, write_npz
from cnnf_tf.utils.dtypes import dtype_policy

Card = dict[str, Any]
"""What a card holds; `model` and `weights` are read here, the rest is for people (see `evaluation.model_card`)."""
PRETRAINED_PREFIX = "pretrained:"
"""Before the name of a model that comes with the package, in place of a path."""
Folder = str | os.PathLike[str] | None
"""Folder of the cards; None for those of the package."""

_REMEDY = (
    "Install cnnf_tf again (in a checkout: `git checkout -- cnnf_tf/zoo/weights`), or write the model anew with "
    "bin/package_model.py."
)


def pretrained_names(*, folder: Folder = None) -> list[str]:
    """The names that `load_pretrained` takes, sorted."""
    place = _place(folder)
    files = [entry.name for entry in place.iterdir()] if place.is_dir() else []
    return sorted(file.removesuffix(".json") for file in files if file.endswith(".json") and file[0] != ".")


def pretrained_card(name: str, *, folder: Folder = None) -> Card:
    """The card of a model: its configuration, training, scores and limits.

    Raises:
      ValueError: no such name (the message lists those there are), or a damaged card.
    """
    names = pretrained_names(folder=folder)
    if name not in names:
        close = difflib.get_close_matches(str(name), names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise ValueError(f"there is no pretrained model {name!r}{hint} There are: {', '.join(names) or 'none'}.")
    try:
        card = json.loads((_place(folder) / f"{name}.json").read_text(encoding="utf-8"))
        if not (isinstance(card["model"], dict) and isinstance(card["weights"]["sha256"], str)):
            raise ValueError("a value of the wrong kind")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"the card of the pretrained model {name!r} is damaged ({type(error).__name__}: {error}). {_REMEDY}"
        ) from error
    return card


def load_pretrained(name: str, *, folder: Folder = None) -> CNNF:
    """Builds a model that comes with the package and fills in its weights.

    Args:
      name: one of `pretrained_names()`.
      folder: where to look instead.

    Returns:
      A `CNNF` in float32, whatever the global dtype policy is; uncompiled.

    Raises:
      ValueError: no such name, a damaged card or weights file, or weights that do not fit the model.
      FileNotFoundError: the weights file is not there.
    """
    card = pretrained_card(name, folder=folder)
    arrays = _read_weights(name, card, folder)
    try:
        with dtype_policy("float32"):
            model = CNNF.from_name(**card["model"])
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(
            f"the card of the pretrained model {name!r} does not describe a model of this version of cnnf_tf: {error}"
        ) from error
    variables = named_variables(model)
    wanted = {key: tuple(variable.shape) for key, variable in variables.items()}
    found = {key: array.shape for key, array in arrays.items()}
    wrong = [key for key in sorted({**wanted, **found}) if wanted.get(key) != found.get(key)]
    if wrong:
        phrases = [f"{key}: wanted {wanted.get(key, 'nothing')}, got {found.get(key, 'nothing')}" for key in wrong]
        raise ValueError(f"the weights of the pretrained model {name!r} do not fit it ({'; '.join(phrases)}).")
    for key, variable in variables.items():
        variable.assign(arrays[key].astype(np.float32))
    return model


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


def model_sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of the file with the weights that `load_model(path)` reads, in hexadecimal."""
    name = os.fspath(path)
    if name.startswith(PRETRAINED_PREFIX):
        return pretrained_card(name.removeprefix(PRETRAINED_PREFIX))["weights"]["sha256"]
    return hashlib.sha256(pathlib.Path(name).read_bytes()).hexdigest()


def model_arguments(model: CNNF, *, name: str, network: Mapping[str, Any]) -> dict[str, Any]:
    """What `CNNF.from_name` builds this model from, every default written out; goes into JSON.

    Args:
      model: built from `NETWORKS[name]`.
      name: of its network.
      network: arguments of the network's function; `num_classes` is added.
    """
    left_out = ("name", "trainable", "dtype", "network", "encoder")
    options = {key: value for key, value in model.get_config().items() if key not in left_out}
    return {"name": name, "network": dict(network) | {"num_classes": model.num_classes}} | options


def write_weights(model: CNNF, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Writes the weights in float16, atomically.

    Returns:
      For the card: the `sha256` of the file, its `bytes`, the `dtype`, and `largest_rounding`: over all arrays, the
      largest change of a weight relative to the largest weight of its array.

    Raises:
      ValueError: a weight that is not finite in float16.
    """
    halves, rounding = {}, 0.0
    for key, variable in named_variables(model).items():
        exact = np.asarray(variable.numpy(), np.float64)
        with np.errstate(over="ignore"):
            half = halves[key] = exact.astype(np.float16)
        bad = int(np.sum(~np.isfinite(half)))
        largest = float(np.max(np.abs(exact)))
        if bad:
            raise ValueError(
                f"{bad} of the {half.size} weights {key!r} are not finite in float16, which ends at 65504; the largest "
                f"magnitude is {largest:g}. Such a model cannot be packaged."
            )
        rounding = max(rounding, float(np.max(np.abs(exact - half))) / (largest or 1.0))
    write_npz(path, halves, compress=True)
    data = pathlib.Path(path).read_bytes()
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "dtype": "float16",
        "largest_rounding": float(f"{rounding:.3g}"),
    }


def named_variables(model: CNNF) -> dict[str, Any]:
    """Each weight under the names of the layers around it, such as "network/tap3/ada_relu3/bias".

    Keras' own `variable.path` will not do: it is another one after a model was loaded from a file.
    """
    found: dict[str, Any] = {}

    for part in ("encoder", "network"):
        layer = getattr(model, part)
        for path, leaf in [] if layer is None else named_leaves(layer, part):
            for variable in leaf.weights:
                key = f"{path}/{variable.name}"
                if key in found:
                    raise ValueError(
                        f"two weights of the model have the name {key!r}; give its layers different names."
                    )
                found[key] = variable
    return found if model.eta_logits is None else found | {model.eta_logits.name: model.eta_logits}


def _read_weights(name: str, card: Card, folder: Folder) -> dict[str, np.ndarray]:
    """The arrays of the weights file, once its checksum is right."""
    path = _place(folder) / f"{name}.npz"
    if not path.is_file():
        raise FileNotFoundError(f"the weights of the pretrained model {name!r} are missing: wanted {path}. {_REMEDY}")
    data = path.read_bytes()
    digest, wanted = hashlib.sha256(data).hexdigest(), card["weights"]["sha256"]
    if digest != wanted:
        raise ValueError(
            f"the weights of the pretrained model {name!r} are damaged: {path} has the sha256 {digest[:12]}..., the "
            f"card says {wanted[:12]}... {_REMEDY}"
        )
    try:
        return read_npz(io.BytesIO(data))
    except ValueError as error:
        raise ValueError(f"{path} is not a readable .npz file ({error}). {_REMEDY}") from error


def _place(folder: Folder) -> Any:
    """The folder, as a path or, inside of a zipped package, what behaves like one."""
    return importlib.resources.files("cnnf_tf.zoo") / "weights" if folder is None else pathlib.Path(folder)
