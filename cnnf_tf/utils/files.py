"""Writing files so that a killed process never leaves half of one, and one process at a time."""

import contextlib
import json
import math
import os
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import filelock


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a temporary path with the same suffix; on success it becomes `path` at once, on failure it is removed."""
    target = pathlib.Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        to_disk(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def plainly_named(folder: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a path to an existing folder that TensorFlow can load from and save to: itself, or a link for the while.

    TensorFlow takes the path of a SavedModel for a pattern, and it wants it in UTF-8.
    """
    if not re.search(r"[\[*?\\\ud800-\udfff]", os.fspath(folder)):
        yield pathlib.Path(folder)
        return
    with tempfile.TemporaryDirectory() as place:
        link = pathlib.Path(place) / "folder"
        link.symlink_to(pathlib.Path(folder).absolute(), target_is_directory=True)
        yield link


def text_of(path: str | os.PathLike[str]) -> str:
    """A path or name as text that is the same in every locale; bytes that are not UTF-8 stay surrogates."""
    return os.fspath(path).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def to_disk(path: str | os.PathLike[str]) -> None:
    """Has the system bring a file, or the names in a folder, to the disk. Windows keeps no folder open for that."""
    if os.name == "nt" and os.path.isdir(path):
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)  # Windows: only what is open for writing
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(path: str | os.PathLike[str], *, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds the lock that is this file, which stays; the system gives the lock back when the process dies.

    Args:
      path: of the file; made if need be.
      waiting: called once where another holds the lock, before waiting for it; it may raise instead. None raises.

    Raises:
      BlockingIOError: another holds the lock, without `waiting`.
    """
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if waiting is None:
            raise BlockingIOError(f"another process holds the lock {os.fspath(path)!r}.") from None
        waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file atomically, in UTF-8; names of files that are none stay as they are."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes JSON atomically, indented, with a final newline.

    Numbers that are not finite, such as the PSNR of equal images, become null: JSON has no word for them.
    """
    write_text(path, json.dumps(_finite(value), indent=2, sort_keys=False, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
