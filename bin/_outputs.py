"""Where results go: known to be writable before any work begins."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from _checks import BEFORE_MAIN, UsageError
from absl import flags

from cnnf_tf.utils.files import write_json, write_text

flags.disclaim_key_flags()  # they belong to the binary that calls


def define_output(
    what: str,
    *,
    name: str = "output",
    default: str | None = None,
    suffix: str | Callable[[], str] = "",
    replaces: bool = True,
) -> flags.FlagHolder:
    """Defines --output, or another flag that names what is written, and has it checked before `main` runs.

    Args:
      what: goes there, in the help text.
      name: of the flag.
      default: its value where it is not given.
      suffix: of the file, or what says it once flags are parsed; "", the default, is for a folder.
      replaces: whether a file that exists is replaced; if not, --overwrite is defined, which asks for it.
    """
    holder = flags.DEFINE_string(name, default, what)
    overwrite = None if replaces else flags.DEFINE_bool("overwrite", False, f"Replace --{name} if it exists.")

    def check() -> None:
        ending = suffix() if callable(suffix) else suffix
        if holder.value == "" and holder.default:
            raise UsageError(f"--{name} wants a {'file' if ending else 'folder'}, got nothing; by default {default}.")
        if not holder.value or "TF_CONFIG" in os.environ:  # of several machines the first alone writes
            return
        if ending:
            check_file(name, holder.value, ending, replaces or (overwrite is not None and overwrite.value))
        else:
            check_folder(name, holder.value)

    BEFORE_MAIN.append(check)
    return holder


class Output:
    """The folder that a flag names, known to be writable before any work begins; made with its first file.

    Args:
      flag: its name.
      folder: its value, or the default.

    Raises:
      UsageError: nothing can be written there.
    """

    def __init__(self, flag: str, folder: str | os.PathLike[str]):
        self.folder = pathlib.Path(folder)
        check_folder(flag, folder)

    def write(self, name: str, writer: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Calls `writer(path, *arguments, **options)` for a file of the folder, and says that it was written."""
        writer(self.folder / name, *arguments, **options)
        print(f"wrote {self.folder / name}")

    def json(self, name: str, value: Any) -> None:
        """Writes a JSON file."""
        self.write(name, write_json, value)

    def text(self, name: str, text: str) -> None:
        """Writes a text file."""
        self.write(name, write_text, text)

    def figures(self, stem: str, draw: Callable[..., list[pathlib.Path]], *arguments: Any, **options: Any) -> None:
        """Calls `draw(path without suffix, *arguments, **options)`, and says which files it wrote."""
        for path in draw(self.folder / stem, *arguments, **options):
            print(f"wrote {path}")


@contextlib.contextmanager
def writing_to(flag: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns an OSError raised inside into a UsageError that says that nothing can be written to the flag's path."""
    what = "file" if pathlib.Path(path).suffix in (".keras", ".md", ".nc", ".onnx", ".png", ".tflite") else "folder"
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"--{flag} wants a {what} that can be written, got {str(path)!r}: {error.strerror or error}."
        ) from error


def check_folder(flag: str, folder: str | os.PathLike[str]) -> None:
    """Raises UsageError unless files can be written to a folder, which need not exist yet."""
    with writing_to(flag, folder):
        _try(pathlib.Path(folder))


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
        _try(file.parent)


def _try(folder: pathlib.Path) -> None:
    """Writes to the folder, or to the nearest one above that exists; raises OSError where that cannot be."""
    place = folder.absolute()
    there = next(path for path in (place, *place.parents) if path.exists())
    with tempfile.TemporaryFile(dir=there):
        pass
