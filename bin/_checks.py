"""What a command line must get right before any work starts; `_app` has them for the binaries."""

import contextlib
import fractions
import math
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import flags

MOST_ITERATIONS = 1000
_TOO_MANY = (
    f"at most {MOST_ITERATIONS} feedback passes can be run: each costs as much as two passes of the CNN, and "
    + ("labels and images settle within some ten")
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


# Numbers of feedback passes.


def limit_iterations(flag: str) -> None:
    """Has a flag, an integer or a list of them, refuse more than `MOST_ITERATIONS`."""

    def few(value: Any) -> bool:
        texts = value if isinstance(value, list) else [value]
        return not any(str(text).strip().isdecimal() and int(text) > MOST_ITERATIONS for text in texts)

    flags.register_validator(flag, few, _TOO_MANY)


def check_config(config: Mapping[str, Any], prefix: str = "config") -> None:
    """Raises UsageError for a number of feedback passes above `MOST_ITERATIONS`, anywhere in a configuration."""
    for name, value in config.items():
        if hasattr(value, "items"):
            check_config(value, f"{prefix}.{name}")
        elif isinstance(value, int) and value > MOST_ITERATIONS and name.endswith(("iterations", "horizon")):
            raise UsageError(f"--{prefix}.{name}={value}: {_TOO_MANY}.")


# Where results go.


@contextlib.contextmanager
def writing_to(flag: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns an OSError raised inside into a UsageError that says that nothing can be written to the flag's path."""
    what = "file" if pathlib.Path(path).suffix in (".keras", ".png") else "folder"
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"--{flag} wants a {what} that can be written, got {str(path)!r}: {error.strerror or error}."
        ) from error


def check_folder(flag: str, folder: str | os.PathLike[str]) -> None:
    """Raises UsageError unless files can be written to a folder, which need not exist yet."""
    with writing_to(flag, folder):
        place = pathlib.Path(folder).absolute()
        there = next(path for path in (place, *place.parents) if path.exists())
        with tempfile.TemporaryFile(dir=there):
            pass


def check_file(flag: str, path: str, suffix: str, replace: bool) -> None:
    """Raises UsageError unless a file of that ending can be written, over one that exists only with `replace`."""
    file = pathlib.Path(path)
    if file.suffix != suffix:
        raise UsageError(f"--{flag} must end in {suffix}, got {path!r}.")
    with writing_to(flag, path):
        if file.is_dir():
            raise IsADirectoryError("it is a folder")
        if file.exists() and not replace:
            raise UsageError(f"--{flag} {path!r} exists; give --overwrite to replace it.")
    check_folder(flag, file.parent)


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
