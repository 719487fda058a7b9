"""Presets, found and checked: nothing is built of one that is damaged, foreign or newer than this code."""

import contextlib
import difflib
import hashlib
import importlib.resources
import io
import json
import math
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from cnnf_tf.models.presets import hub, variables
from cnnf_tf.models.presets.page import summary
from cnnf_tf.utils.archives import read_npz

FORMAT = 1
"""Of the folders that this code writes, and the newest that it reads."""
CONFIG, WEIGHTS, METADATA, CARD, PAGE = "config.json", "model.weights.npz", "metadata.json", "card.json", "README.md"
FILES = (CONFIG, WEIGHTS, METADATA, CARD, PAGE)
CHECKED = (CONFIG, WEIGHTS, CARD)
"""Those whose SHA-256 is in metadata.json. A page may be edited."""
PACKAGED = importlib.resources.files("cnnf_tf") / "zoo" / "presets"
"""The presets of the package, a folder each."""
PRETRAINED_PREFIX = "pretrained:"
"""Before the name of a preset of the package, where a folder could have the same name."""
_PARTS = ("network", "encoder", "dtype")
"""What options cannot replace; the dtype policies are those of the layers."""


_UNSAFE = {
    "SavedModel": "names a program outside of it (a {layer} layer), which is not run: it could do anything to this "
    "machine. Build the model with the layers of that program",
    "vocabulary file": "names a vocabulary outside of it (a {layer} layer), which is not read: it could be any file of "
    "this machine. Give the layer a list",
    "": "holds Python code (a {layer} layer), which is not run: code of a preset could do anything to this machine. "
    "Make a registered Keras layer of it",
}
"""By a part of what Keras says: what is not done unless it is told to trust, why, and what helps."""
_METADATA: dict[str, Any] = {
    **{"cnnf_tf_version": str, "parameter_count": int, "num_classes": int, "weights": dict, "files": dict},
    **{"class_names": (list, type(None)), "tolerance": (int, float, type(None))},
}
"""What metadata.json must hold, and of which kind."""


class Preset(NamedTuple):
    """A preset whose files are whole."""

    name: str
    metadata: dict[str, Any]
    config: dict[str, Any]
    """Of the model, as `keras.saving.serialize_keras_object` makes it."""
    card: dict[str, Any]
    arrays: dict[str, np.ndarray]
    """The weights by name; none where they were not asked for."""


class PresetError(ValueError):
    """A preset that cannot be loaded, and why."""


def packaged_names() -> list[str]:
    """The names of the presets that come with the package, sorted."""
    if not PACKAGED.is_dir():
        return []
    return sorted(entry.name for entry in PACKAGED.iterdir() if (entry / METADATA).is_file())


class PackagedPresets:
    """A property of a class: by name, what comes with the package, in the form of keras-hub."""

    def __get__(self, instance: Any, owner: Any = None) -> dict[str, dict[str, Any]]:
        del instance, owner
        found = {name: preset_info(PRETRAINED_PREFIX + name) for name in packaged_names()}
        return {
            name: {"metadata": {"description": summary(info), "params": info["parameter_count"]}}
            for name, info in found.items()
        }


def preset_info(preset: str | os.PathLike[str]) -> dict[str, Any]:
    """What a preset carries, without its weights, which are neither read nor fetched.

    Args:
      preset: see `CNNF.from_preset`.

    Returns:
      `class_names` and `tolerance` (None where nobody said), `num_classes`, `parameter_count`, the versions, `format`,
      `weights` and `files` of metadata.json; `iterations`, `eta`, `learn_eta`, `readout`, `image_shape`, `pixel_mean`,
      `pixel_scale`, `bgr` and `dtype` of the model, whose images are in `pixel_range`, [0, 1]; its `name`, and `card`,
      what its makers say.

    Raises:
      See `CNNF.from_preset`.
    """
    return info_of(read(preset, weights=False))


def info_of(preset: Preset) -> dict[str, Any]:
    """What `preset_info` says of it."""
    options = preset.config["config"]
    dtype = options.get("dtype")
    kept = ("iterations", "eta", "learn_eta", "readout", "image_shape", "pixel_mean", "pixel_scale", "bgr")
    return {
        "name": preset.card.get("name", preset.name),
        **preset.metadata,
        **{name: options.get(name) for name in kept},
        "dtype": dtype["config"]["name"] if isinstance(dtype, dict) else dtype,
        "pixel_range": [0, 1],
        "card": preset.card,
    }


def load_preset(cls: Any, preset: str | os.PathLike[str], *, load_weights: bool = True, **options: Any) -> Any:
    """Builds the model of a preset; see `CNNF.from_preset`.

    Args:
      cls: `CNNF`, or a class made of it, that the model must be of.
      preset: see `CNNF.from_preset`, also for the rest.
      load_weights: whether the model gets the weights of the preset.
      **options: in place of those of the preset.
    """
    found = read(preset, cls, weights=load_weights)
    allowed = sorted(name for name in found.config["config"] if name not in _PARTS)
    unknown = [name for name in options if name not in allowed]
    if unknown:
        raise ValueError(f"from_preset can replace {', '.join(allowed)} of the model, got {', '.join(unknown)}.")
    if "eta" in options:
        options = {"learn_eta": False} | options
    try:
        model = build(found.config | {"config": found.config["config"] | options})
    except ValueError as error:
        if options and _can_be_built(found.config):
            given = ", ".join(f"{name}={value!r}" for name, value in options.items())
            raise ValueError(
                f"the preset {os.fspath(preset)!r} cannot be had with {given}: {_reason(error.__cause__)}"
            ) from error
        raise _wrong(preset, f"cannot be loaded: {error}") from error
    try:
        if found.metadata["num_classes"] != model.num_classes:
            told = found.metadata["num_classes"]
            raise ValueError(f"its {METADATA} says {told} classes, its model has {model.num_classes}")
        if load_weights:
            keep = "eta" not in options and model.learn_eta == found.config["config"].get("learn_eta")
            arrays = found.arrays if keep else variables.with_own_steps(model, found.arrays)
            variables.check_fit(model, arrays)
            variables.assign(model, arrays)
    except ValueError as error:
        raise _wrong(preset, f"cannot be loaded: {error}") from error
    return model


def build(config: dict[str, Any]) -> Any:
    """The model of a configuration; raises ValueError where it cannot be had, or not without code of its author."""
    try:
        return keras.saving.deserialize_keras_object(config, safe_mode=True)
    except Exception as error:  # noqa: BLE001 - layers check their arguments in their own ways
        text = str(error)
        if "safe_mode" in text:
            layer = (re.findall(r"(?:serialization of a `|<class '[\w.]*?)(\w+)(?:`|'> could not be)", text) or ["?"])[
                -1
            ]
            unsafe = next(told for part, told in _UNSAFE.items() if part in text)
            raise ValueError(
                f"its config.json {unsafe.format(layer=layer)}; or, if you trust its makers, call "
                "keras.config.enable_unsafe_deserialization() first."
            ) from error
        raise ValueError(
            f"its config.json does not describe a model of this version of cnnf_tf and Keras: {_reason(error)}"
        ) from error


def _reason(error: Any) -> str:
    """Keras wraps an error once for each layer around, with the whole configuration each time."""
    return str(error).rpartition("Exception encountered: ")[2].partition(" Full object config:")[0]


def _can_be_built(config: dict[str, Any]) -> bool:
    with contextlib.suppress(ValueError):
        build(config)
        return True
    return False


def read(preset: str | os.PathLike[str], cls: Any = None, *, weights: bool = True) -> Preset:
    """Finds a preset and checks its files.

    Args:
      preset: see `CNNF.from_preset`.
      cls: the class that it must hold, or one made of it; None for CNNF.
      weights: whether the weights are read, too.

    Raises:
      See `CNNF.from_preset`.
    """
    wanted = [file for file in CHECKED if weights or file != WEIGHTS]
    place, links = _locate(preset, [METADATA, *wanted])

    def content(file: str) -> bytes:
        return _content(preset, place, file, links=links)

    if not (place / METADATA).is_file():
        _refuse_foreign(preset, _json(preset, CONFIG, content(CONFIG)), cls)
        raise _wrong(preset, f"has no {METADATA}: no folder that CNNF.save_to_preset wrote, or not all of it")
    metadata = _json(preset, METADATA, content(METADATA))
    if not all(isinstance(metadata.get(key), kind) for key, kind in _METADATA.items()):
        _refuse_foreign(preset, _json(preset, CONFIG, content(CONFIG)), cls)
        raise _wrong(preset, f"has a {METADATA} that is damaged or not of cnnf_tf")
    if not isinstance(metadata.get("format"), int) or not 1 <= metadata["format"] <= FORMAT:
        raise _wrong(
            preset,
            f"is of the format {metadata.get('format')!r}, written by cnnf_tf {metadata['cnnf_tf_version']}; this "
            f"version reads formats up to {FORMAT}: install a newer cnnf_tf",
        )
    names, tolerance = metadata["class_names"], metadata["tolerance"]
    if names is not None and (
        len(names) != metadata["num_classes"] or not all(isinstance(name, str) for name in names)
    ):
        raise _wrong(preset, f"has a {METADATA} whose class_names are not {metadata['num_classes']} strings: {names!r}")
    if tolerance is not None and not 0 <= tolerance < math.inf:
        raise _wrong(preset, f"has a {METADATA} whose tolerance is {tolerance!r}; wanted a number >= 0")
    files = metadata["files"]
    strange = sorted(file for file in files if file not in CHECKED)
    if strange or not {CONFIG, WEIGHTS} <= files.keys():
        raise _wrong(preset, f"lists the files {sorted(files)} in its {METADATA}; wanted {', '.join(CHECKED)} alone")
    contents = {file: content(file) for file in wanted if file in files}
    for file, data in contents.items():
        digest = hashlib.sha256(data).hexdigest()
        if digest != files[file]:
            raise _wrong(
                preset,
                f"is damaged: its {file} has the sha256 {digest[:12]}..., {METADATA} says {str(files[file])[:12]}...",
            )
    config = _json(preset, CONFIG, contents[CONFIG])
    _refuse_foreign(preset, config, cls)
    card = _json(preset, CARD, contents[CARD]) if CARD in contents else {}
    try:
        arrays = read_npz(io.BytesIO(contents[WEIGHTS])) if weights else {}
        variables.check_finite(arrays)
    except ValueError as error:
        raise _wrong(preset, f"cannot be used, its {WEIGHTS}: {error}") from error
    return Preset(_name(preset), metadata, config, card, arrays)


def packaged(name: str) -> str:
    """The name, if the package has a preset of that name; ValueError, with the names there are, otherwise."""
    if name not in packaged_names():
        raise ValueError(f"there is no pretrained model {name!r}{_known(name)}")
    return name


def _locate(preset: Any, files: Sequence[str]) -> tuple[Any, bool]:
    """The folder, fetched if need be, and whether its files may be links to elsewhere.

    They may in the package, as Bazel lays it out, and in the hub's cache. Others' folders could point anywhere.
    """
    if isinstance(preset, str):
        if preset.startswith(hub.PREFIX):
            return hub.download(preset, files), True
        if preset.startswith(PRETRAINED_PREFIX):
            return PACKAGED / packaged(preset.removeprefix(PRETRAINED_PREFIX)), True
        if preset in packaged_names():
            if os.path.isdir(preset):
                raise ValueError(
                    f"{preset!r} is a folder here and the name of a preset of the package; say "
                    f"{os.path.join(os.curdir, preset)!r} or {PRETRAINED_PREFIX + preset!r}."
                )
            return PACKAGED / preset, True
    elif not isinstance(preset, os.PathLike):
        raise ValueError(f"a preset is a name, a folder or {hub.PREFIX}USER/MODEL[@REVISION], got {preset!r}.")
    folder = pathlib.Path(preset)
    if folder.is_dir():
        return folder, False
    hint = _known(os.fspath(preset))
    if folder.is_file():
        hint = "; it is a file, and cnnf_tf.load_model reads .keras files."
    elif (left := folder.with_name(f".{folder.name}.old")).is_dir():
        hint = f"; {os.fspath(left)!r} is what it held before a save that was killed: rename it."
    raise ValueError(
        f"there is no preset {os.fspath(preset)!r}: wanted the name of one that comes with the package, a folder that "
        f"CNNF.save_to_preset wrote, or {hub.PREFIX}USER/MODEL[@REVISION]{hint}"
    )


def _known(name: str) -> str:
    names = packaged_names()
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"{hint} There are: {', '.join(names) or 'none'}."


def _content(preset: Any, place: Any, file: str, *, links: bool) -> bytes:
    path = place / file
    if not path.is_file():
        if file == CONFIG:
            raise _wrong(preset, f"has no {CONFIG}: no folder that CNNF.save_to_preset wrote, or not all of it")
        raise _wrong(preset, f"lacks its {file}")
    if not links and not path.resolve().is_relative_to(place.resolve()):
        raise _wrong(
            preset, f"has a {file} that is a link to {str(path.resolve())!r}, out of the folder; copy the file"
        )
    return path.read_bytes()


def _json(preset: Any, file: str, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
        if not isinstance(found, dict):
            raise ValueError(f"wanted an object, got {type(found).__name__}")
    except (ValueError, RecursionError) as error:
        raise _wrong(preset, f"has a {file} that is no JSON of a preset ({error})") from error
    return found


def _refuse_foreign(preset: Any, config: dict[str, Any], cls: Any) -> None:
    """Raises `PresetError` that says what a configuration is of, if it is not of a CNNF."""
    wanted = cls or keras.saving.get_registered_object("cnnf_tf>CNNF")
    registered = str(config.get("registered_name") or "")
    known = keras.saving.get_registered_object(registered) if registered else None
    if isinstance(known, type) and issubclass(known, wanted) and isinstance(config.get("config"), dict):
        return
    held = f"a {registered or config.get('class_name')}"
    advice = "A CNN of Keras becomes one by CNNF.from_keras"
    if registered.startswith("keras_hub>"):
        advice = "keras_hub.models reads it; its CNNs become one by CNNF.from_keras"
    elif registered and known is None and "network" in (config.get("config") or ()):
        advice = (
            f"No class of that name is registered: if it is made of {wanted.__name__}, import its module first "
            f"(where it was saved, {config.get('module') or 'the main program'})"
        )
    elif not registered and "class_name" not in config:
        library = "transformers" if "model_type" in config else "timm" if "architecture" in config else ""
        held = f"a model of {library}" if library else "nothing that Keras serialised"
    raise _wrong(preset, f"is foreign: its {CONFIG} holds {held}; wanted a {wanted.__name__}. {advice}")


def _name(preset: str | os.PathLike[str]) -> str:
    text = os.fspath(preset)
    if isinstance(preset, str) and text.startswith(PRETRAINED_PREFIX):
        return text.removeprefix(PRETRAINED_PREFIX)
    if text.startswith(hub.PREFIX):
        return text.removeprefix(hub.PREFIX).partition("@")[0].rpartition("/")[2]
    return pathlib.Path(text).resolve().name


def _wrong(preset: Any, what: str) -> PresetError:
    remedy = ""
    if isinstance(preset, str) and preset.removeprefix(PRETRAINED_PREFIX) in packaged_names():
        remedy = " Install cnnf_tf again (in a checkout: `git checkout -- cnnf_tf/zoo/presets`)."
    return PresetError(f"the preset {os.fspath(preset)!r} {what.removesuffix('.')}.{remedy}")
