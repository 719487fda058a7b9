"""Presets, written: the whole folder or nothing, and equal models give equal bytes."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from cnnf_tf.models.presets import page, reading, variables
from cnnf_tf.utils.archives import write_npz
from cnnf_tf.utils.files import to_disk, write_json, write_text
from cnnf_tf.utils.validation import number
from cnnf_tf.version import __version__

_LEFT_OUT = ("build_config", "compile_config")
"""Of the configuration: how it was trained, and shapes that its layers find out by themselves."""


def save_preset(
    model: Any,
    folder: str | os.PathLike[str],
    *,
    class_names: Sequence[str] | None = None,
    tolerance: float | None = None,
    card: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    overwrite: bool = False,
) -> None:
    """Writes this model to a folder, from which `CNNF.from_preset` gets one that predicts the same bytes.

    Written are the files of `models.presets`. The same model gives the same bytes: there is no date in them. The folder
    appears at once, and a save that fails or is killed leaves what was there.

    Args:
      model: a CNNF, compiled or not; how it was compiled is left out.
      folder: new, empty or, with `overwrite`, a preset.
      class_names: of the labels, in order.
      tolerance: >= 0, of the adaptive loop that suits the model, see `models.infer_adaptive`; for its users to read.
      card: what there is to say, for JSON: `license` ("mit", ...), `limits` (where not to trust it), `data` (`name`,
        `split`), `front_matter` (more keys for the hub), and whatever you like. card.json holds it, README.md is made
        of it.
      dtype: "float16" halves the file and rounds the weights; None keeps every bit.
      overwrite: whether a preset in the folder is replaced.

    Raises:
      FileExistsError: a folder with a preset in it, without `overwrite`; or with anything else; or the current one.
      ValueError: weights that are not finite (in float16), or a model that nobody could load: with a Lambda layer, a
        layer that is not registered with Keras, or one that keeps more than weights (seen on an image that both must
        predict alike); bad `class_names`, `tolerance` or `card`.
    """
    target = pathlib.Path(folder)
    _check_folder(target, overwrite)
    if dtype not in (None, "float16"):
        raise ValueError(f"dtype must be 'float16', or None for every bit; got {dtype!r}.")
    card = _checked_card(card)
    told = {
        "num_classes": model.num_classes,
        "class_names": _checked_names(class_names, model.num_classes),
        "tolerance": None if tolerance is None else number("tolerance", tolerance),
    }
    exact = variables.exact_arrays(model)
    arrays, rounding = variables.halved(exact) if dtype == "float16" else (exact, 0.0)
    try:
        config = json.dumps(_without(keras.saving.serialize_keras_object(model), _LEFT_OUT), indent=2) + "\n"
        loaded = reading.build(json.loads(config))
        variables.check_fit(loaded, exact)
        variables.assign(loaded, exact)
        variables.check_alike(model, loaded)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the model cannot be saved as a preset, for nobody could load it: {error}") from error

    with _replacing(target) as temporary:
        write_text(temporary / reading.CONFIG, config)
        write_npz(temporary / reading.WEIGHTS, arrays, compress=True)
        if card:
            write_json(temporary / reading.CARD, card)
        contents = {path.name: path.read_bytes() for path in temporary.iterdir()}
        metadata = {
            "format": reading.FORMAT,
            "cnnf_tf_version": __version__,
            "keras_version": keras.__version__,
            "parameter_count": model.count_params(),
            **told,
            "weights": {
                "bytes": len(contents[reading.WEIGHTS]),
                "dtype": ", ".join(sorted({str(array.dtype) for array in arrays.values()})),
                "largest_rounding": rounding,
            },
            "files": {name: hashlib.sha256(contents[name]).hexdigest() for name in reading.CHECKED if name in contents},
        }
        write_json(temporary / reading.METADATA, metadata)
        info = reading.info_of(reading.Preset(target.resolve().name, metadata, json.loads(config), card, {}))
        write_text(temporary / reading.PAGE, page.head(info))


def _check_folder(target: pathlib.Path, overwrite: bool) -> None:
    """Raises `FileExistsError` unless the folder is new, empty, or a preset that may be overwritten."""
    if not target.exists():
        return
    if not target.is_dir():
        raise FileExistsError(f"a preset is a folder, and {os.fspath(target)!r} is a file.")
    found = sorted(path.name for path in target.iterdir())
    others = [name for name in found if name not in reading.FILES]
    if others or (found and reading.METADATA not in found):
        raise FileExistsError(
            f"the folder {os.fspath(target)!r} holds what is no part of a preset, {', '.join((others or found)[:5])}; "
            "name another one."
        )
    if target.resolve() == pathlib.Path.cwd():
        raise FileExistsError(
            f"{os.fspath(target)!r} is the current folder, which a preset cannot take the place of; name one in it."
        )
    if found and not overwrite:
        raise FileExistsError(f"there is a preset in {os.fspath(target)!r}; overwrite=True replaces it.")


def _checked_card(card: Any) -> dict[str, Any]:
    """The card as it will come from its file."""
    try:
        if card is not None and not isinstance(card, Mapping):
            raise TypeError(f"a {type(card).__name__} is no mapping")
        text = json.dumps(dict(card or {}), ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"card must go into JSON as an object: {error}.") from error
    found = json.loads(text)
    page.check_card(found)
    return found


def _checked_names(class_names: Sequence[str] | None, count: int) -> list[str] | None:
    if class_names is None:
        return None
    names = list(class_names)
    if isinstance(class_names, str) or len(names) != count or not all(map(_is_text, names)):
        raise ValueError(f"class_names must be {count} strings, one for each class, got {class_names!r}.")
    return names


def _is_text(value: Any) -> bool:
    """Whether it is a string that a file can hold; half of a surrogate pair is not."""
    return isinstance(value, str) and value == value.encode(errors="ignore").decode()


def _without(config: Any, keys: Sequence[str]) -> Any:
    """A nested configuration without some keys."""
    if isinstance(config, dict):
        return {key: _without(value, keys) for key, value in config.items() if key not in keys}
    return [_without(value, keys) for value in config] if isinstance(config, (list, tuple)) else config


@contextlib.contextmanager
def _replacing(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a folder beside the target, which takes its place at once; what stood there is whole until then.

    Two names cannot be exchanged at once: between two system calls what stood there is beside it, as `.NAME.old`.
    """
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(f".{target.name}.old")
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as place:
        temporary = pathlib.Path(place) / target.name
        temporary.mkdir()
        yield temporary
        to_disk(temporary)
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        try:
            temporary.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
        to_disk(target.parent)
        shutil.rmtree(old, ignore_errors=True)
