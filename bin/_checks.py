"""What a command line must get right before any work starts; `_app` has them for the binaries."""

import fractions
import importlib.util
import math
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

MOST_ITERATIONS = 1000
_TOO_MANY = (
    f"at most {MOST_ITERATIONS} feedback passes can be run: each costs as much as two passes of the CNN, and "
    "labels and images settle within some ten"
)


class UsageError(Exception):
    """The command line asks for something that cannot be: exit code 2."""


def require(*holders: flags.FlagHolder) -> None:
    """Raises UsageError naming every flag among `holders` that was not given."""
    missing = [f"--{holder.name}" for holder in holders if holder.value in (None, "")]
    if missing:
        raise UsageError(f"{', '.join(missing)} must be given; see --help for an example.")


def integers(flag: str, wanted: str = "integers such as 1,3,5") -> tuple[int, ...]:
    """The value of a list flag as integers; raises UsageError, which says what was wanted, otherwise."""
    texts: list[str] = flags.FLAGS[flag].value or []
    try:
        return tuple(int(text) for text in texts)
    except ValueError:
        raise UsageError(f"--{flag} wants {wanted}; got {','.join(texts)!r}.") from None


def pixel_length(flag: str, text: str) -> float:
    """A length on the [0, 1] pixel scale, from text such as 0.1 or 8/255; raises UsageError otherwise."""
    try:
        value = float(fractions.Fraction(text)) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise UsageError(
            f"--{flag} wants a number >= 0 or a fraction such as 8/255, on the [0, 1] pixel scale, got {text!r}."
        )
    return value


def need_extra(flag: str, package: str, extra: str) -> None:
    """Raises ImportError unless the package of an extra, which a flag needs, is installed."""
    if importlib.util.find_spec(package) is None:
        raise ImportError(
            f"{flag} needs the extra `{extra}`: pip install 'cnnf_tf[{extra}]'; no package {package} here."
        )


# Numbers of feedback passes.


BEFORE_MAIN: list[Callable[[], None]] = []
"""Checks that need nothing but the values of flags; `_app.run` makes them."""


def limit_iterations(flag: str) -> None:
    """Has a flag, an integer or a list of them, refuse more than `MOST_ITERATIONS`."""

    def few(value: Any) -> bool:
        texts = value if isinstance(value, list) else [value]
        return not any(str(text).strip().isdecimal() and int(text) > MOST_ITERATIONS for text in texts)

    flags.register_validator(flag, few, _TOO_MANY)


def check_config(config: Any, needed: Sequence[str], like: str) -> None:
    """Raises UsageError for a configuration without what it needs, or with more than `MOST_ITERATIONS` passes.

    Args:
      config: a `ConfigDict`, or None where none was given.
      needed: what it must hold, such as "study.models".
      like: a file that shows one.
    """
    missing = [name for name in needed if _lacks(config, name.split("."))]
    if config is not None and missing:
        raise UsageError(f"--config has no `{missing[0]}` in it; {like} shows one.")
    _few_passes(config or {}, "config")


def _lacks(config: Any, names: Sequence[str]) -> bool:
    return bool(names) and (names[0] not in (config or {}) or _lacks(config[names[0]], names[1:]))


def _few_passes(config: Any, prefix: str) -> None:
    for name, value in config.items():
        if hasattr(value, "items"):
            _few_passes(value, f"{prefix}.{name}")
        elif isinstance(value, int) and value > MOST_ITERATIONS and name.endswith(("iterations", "horizon")):
            raise UsageError(f"--{prefix}.{name}={value}: {_TOO_MANY}.")


# Whether what was given goes together.


def check_data(
    model: Any, flag: str, name: str, facts: Any, *, labelled: bool = True, flag_of_model: str = "model"
) -> None:
    """Raises UsageError unless a model takes the images of a data set and, if `labelled`, knows its classes.

    Args:
      model: a CNN-F.
      flag: that names the data.
      name: its value.
      facts: `cnnf_tf.data.info` of it.
      labelled: whether the labels mean anything to the work.
      flag_of_model: that names the model.
    """
    if not model.accepts(facts.image_shape):
        kind, _, path = name.partition(":")
        hint = f" image_folder:{path.split(':')[0]}:{_size(model.image_shape)} reads them so."
        raise UsageError(
            f"--{flag_of_model} wants images {_size(model.image_shape)} (height x width x channels), but those of "
            f"--{flag}={name} are {_size(facts.image_shape)}.{hint if kind == 'image_folder' else ''}"
        )
    if labelled and facts.num_classes != model.num_classes:
        raise UsageError(
            f"--{flag_of_model} and --{flag}={name} do not go together: {model.num_classes} classes against "
            f"{facts.num_classes}; labels would mean another thing to each."
        )


def check_models(model: Any, flag: str, name: str, other: Any) -> None:
    """Raises UsageError unless another model, of a flag, takes the images of the model and knows as many classes."""
    for what, attribute in (("images of the shape", "image_shape"), ("number of classes", "num_classes")):
        wanted, found = getattr(model, attribute), getattr(other, attribute)
        if found != wanted:
            raise UsageError(f"--{flag} wants the {what} that --model has, {wanted}; {name!r} has {found}.")


def _size(shape: Sequence[int | None]) -> str:
    return "x".join("any" if side is None else str(side) for side in shape)
