"""The weights of a model as arrays by name, and back."""

import collections
import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from keras.src.models import Functional  # what `keras.Model` makes of tensors; it has no public name

from cnnf_tf.layers.composite import FeedbackComposite
from cnnf_tf.layers.wrapper import KerasWrapper

_AUTOMATIC = re.compile(r"^variable_\d+$")
"""What Keras calls a weight that was given no name: a number that counts those of the process."""
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""Where a word of a class name begins."""


class _Place(NamedTuple):
    """A layer, where it is, and whether a configuration gives all layers from the top down to it their names."""

    path: str
    layer: Any
    named: bool


def named_variables(model: Any) -> dict[str, Any]:
    """Each weight under the names of the layers around it, such as "network/tap3/ada_relu3/bias".

    Keras' own `variable.path` will not do: it is another one after a model was loaded from a file. So is the name of a
    layer that a layer makes for itself; those go by their classes, "encoder/block/conv2d_1". Of equal names the second
    is numbered, "network/fc/kernel_2", in the order of the layers. A layer at several places has its
    weights once. Learned step sizes are "eta_logits"; batch-norm statistics are weights, states of random seeds are
    not.

    Raises:
      ValueError: weights outside of encoder, network and step sizes, or a layer that keeps more than weights.
    """
    found: dict[str, Any] = {}
    for place in _walk_model(model):
        path, layer, _ = place
        if hasattr(layer, "save_assets"):
            raise ValueError(
                f"the layer {path!r} ({type(layer).__name__}) keeps a vocabulary or the like beside its weights, which "
                "a preset has no place for."
            )
        inside = {id(variable) for below in _below(place) for variable in below.layer.weights}
        for variable in layer.weights:
            if id(variable) not in inside:
                _add(found, f"{path}/{_AUTOMATIC.sub('variable', variable.name)}", variable)
    if model.eta_logits is not None:
        found[model.eta_logits.name] = model.eta_logits
    known = {id(variable) for variable in found.values()}
    rest = [variable.path for variable in model.weights if id(variable) not in known]
    if rest:
        raise ValueError(f"a preset holds the weights of encoder, network and step sizes; the model has also {rest}.")
    return found


def exact_arrays(model: Any) -> dict[str, np.ndarray]:
    """The weights by name, every bit of them; bfloat16, which NumPy's files do not know, as float32.

    Raises:
      ValueError: weights that are not finite.
    """
    arrays = {}
    for key, variable in named_variables(model).items():
        array = np.asarray(keras.ops.convert_to_numpy(variable))
        arrays[key] = array.astype(np.float32) if array.dtype.name == "bfloat16" else array
    check_finite(arrays)
    return arrays


def halved(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], float]:
    """The arrays with floats in float16, and the largest rounding, relative to the largest number of its array.

    Raises:
      ValueError: numbers that float16 cannot hold.
    """
    halves, rounding = dict(arrays), 0.0
    for key, array in arrays.items():
        if not np.issubdtype(array.dtype, np.floating) or not array.size:
            continue
        exact: np.ndarray = array.astype(np.float64)
        with np.errstate(over="ignore"):
            half = halves[key] = exact.astype(np.float16)
        bad, largest = int(np.sum(~np.isfinite(half))), float(np.max(np.abs(exact)))
        if bad:
            raise ValueError(
                f"{bad} of the {half.size} weights {key!r} are not finite in float16, which ends at 65504; the largest "
                f"magnitude is {largest:g}. Save them without dtype='float16'."
            )
        rounding = max(rounding, float(np.max(np.abs(exact - half))) / (largest or 1.0))
    return halves, float(f"{rounding:.3g}")


def check_finite(arrays: Mapping[str, np.ndarray]) -> None:
    """Raises ValueError for a NaN or an infinity, or for what is no number."""
    for key, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise ValueError(f"the weights {key!r} are no numbers but {array.dtype}.")
        bad = array.size - int(np.sum(np.isfinite(array)))
        if bad:
            raise ValueError(f"{bad} of the {array.size} weights {key!r} are not finite.")


def check_fit(model: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Raises ValueError unless the arrays have the names, the shapes and the kind of numbers of the model's weights."""
    wanted = {key: _form(variable.shape, variable.dtype) for key, variable in named_variables(model).items()}
    found = {key: _form(array.shape, array.dtype) for key, array in arrays.items()}
    wrong = [key for key in sorted({**wanted, **found}) if wanted.get(key) != found.get(key)]
    if wrong:
        phrases = [f"{key}: wanted {wanted.get(key, 'nothing')}, got {found.get(key, 'nothing')}" for key in wrong[:5]]
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ValueError(f"the weights do not fit the model ({'; '.join(phrases)}{more}).")


def assign(model: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Gives the model the weights of arrays that fit it, in its own dtypes.

    Raises:
      ValueError: numbers that those dtypes cannot hold.
    """
    for key, variable in named_variables(model).items():
        value = keras.ops.cast(arrays[key], variable.dtype)
        if "float" in str(variable.dtype) and not bool(keras.ops.all(keras.ops.isfinite(value))):
            raise ValueError(f"the weights {key!r}, in {arrays[key].dtype}, are not finite in {variable.dtype}.")
        variable.assign(value)
    for _, layer, _ in _walk_model(model):
        if hasattr(layer, "finalize_state"):  # `keras.layers.Normalization` keeps what it makes of its weights
            layer.finalize_state()


def with_own_steps(model: Any, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays with the step sizes that the model starts from, if it learns any, in place of learned ones."""
    kept = {key: array for key, array in arrays.items() if key != "eta_logits"}
    steps = model.eta_logits
    return kept if steps is None else kept | {steps.name: np.asarray(keras.ops.convert_to_numpy(steps))}


def check_alike(model: Any, loaded: Any) -> None:
    """Raises ValueError where a model with all weights of another does not predict its very bytes of some images.

    One image is tried, of 64 pixels a side where a model takes any size, or of 256 where that is too small. A model
    that differs from itself, by noise, is not compared.
    """
    for size in (64, 256):
        shape = [side or size for side in model.image_shape]
        images = np.random.default_rng(0).random((1, *shape)).astype(np.float32)
        try:
            wanted = _bytes(model, images)
        except Exception as error:  # noqa: BLE001 - layers refuse a size in their own ways
            if None in model.image_shape:
                continue
            raise ValueError(f"it cannot be run on images {tuple(shape)}: {error}") from error
        if _bytes(loaded, images) != wanted == _bytes(model, images):
            kept = ("save_own_variables", "load_own_variables")
            own = sorted(
                f"{place.path} ({type(place.layer).__name__})"
                for place in _walk_model(model)
                if any(getattr(type(place.layer), name) is not getattr(keras.layers.Layer, name) for name in kept)
            )
            raise ValueError(
                "with all its weights it predicts something else than the model. A layer keeps state that is no "
                "weight, or that it made of weights that changed since (call finalize_state of a Normalization): "
                f"{', '.join(own) or 'none says so'}."
            )
        return


def _bytes(model: Any, images: np.ndarray) -> bytes:
    logits = np.asarray(keras.ops.convert_to_numpy(model(images)))
    return np.where(np.isnan(logits), np.array(np.nan, logits.dtype), logits).tobytes()


def _form(shape: Any, dtype: Any) -> str:
    """Shape and kind of numbers for people: "(3, 3, 1, 16)", or "(4,) of integers"."""
    name = str(dtype)
    return f"{tuple(shape)}" + ("" if "float" in name else " of booleans" if "bool" in name else " of integers")


def _add(found: dict[str, Any], name: str, variable: Any) -> None:
    key, count = name, 1
    while found.get(key, variable) is not variable:
        count += 1
        key = f"{name}_{count}"
    found[key] = variable


def _walk_model(model: Any) -> Iterator[_Place]:
    for part in ("encoder", "network"):
        if getattr(model, part) is not None:
            yield from _walk(_Place(part, getattr(model, part), True))


def _walk(place: _Place) -> Iterator[_Place]:
    """A layer and all inside."""
    yield place
    for below in _below(place):
        yield from _walk(below)


def _below(place: _Place) -> list[_Place]:
    """The layers right inside; what wraps a layer of Keras has its path."""
    path, layer, named = place
    if isinstance(layer, KerasWrapper):
        return [_Place(path, layer.layer, named)]
    composite = isinstance(layer, FeedbackComposite)
    inside = layer.children() if composite else layer._flatten_layers(False, False)  # noqa: SLF001
    ours = composite and type(layer).__module__.startswith("cnnf_tf.")
    known = None if ours or type(layer) in (Functional, keras.Sequential) else _names_inside(layer)
    found, counts = [], collections.Counter[str]()
    for child in inside:
        if named and (known is None or child.name in known) and _keeps_name(child):
            found.append(_Place(f"{path}/{child.name}", child, True))
            continue
        name = _WORD.sub("_", type(child).__name__).lower()
        found.append(_Place(f"{path}/{name}_{counts[name]}".removesuffix("_0"), child, False))
        counts[name] += 1
    return found


def _names_inside(layer: Any) -> set[str]:
    """The names of layers that the configuration of the layer around them has: those of what it was given."""

    def collect(config: Any) -> Iterator[str]:
        if isinstance(config, dict):
            yield from [config["name"]] if isinstance(config.get("name"), str) else []
            config = list(config.values())
        for part in config if isinstance(config, (list, tuple)) else []:
            yield from collect(part)

    with contextlib.suppress(NotImplementedError):  # such a layer cannot be saved at all
        return set(collect(list(layer.get_config().values())))
    return set()


def _keeps_name(layer: Any) -> bool:
    """Whether its configuration has its name; that of a class without `name` or `kwargs` in its `__init__` has not."""
    if type(layer).__module__.startswith(("cnnf_tf.", "keras.")):
        return True
    with contextlib.suppress(NotImplementedError):  # such a layer cannot be saved at all
        return layer.get_config().get("name") == layer.name
    return False
