"""Version directories as TF Serving reads them: `BASE/1`, `BASE/2`, ...; each is there as a whole or not at all.

A new version is written to `BASE/.exporting-...`, which TF Serving ignores (its name is no number), brought to the
disk, and renamed. One export at a time holds the lock `BASE/.export.lock`; the kernel gives it back when the process
dies, so whatever temporary folder the next holder finds is left over from an export that was killed.
"""

import contextlib
import functools
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from cnnf_tf.utils.files import locked, to_disk

_TEMPORARY = ".exporting-"
_REPLACED = ".replaced-"
_LOCK = ".export.lock"


def existing_versions(base: str | os.PathLike[str]) -> list[int]:
    """The version numbers in a folder, ascending; none where there is no such folder."""
    path = pathlib.Path(base)
    if not path.is_dir():
        return []
    names = [entry.name for entry in path.iterdir() if entry.is_dir()]
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


@contextlib.contextmanager
def new_version(
    base: str | os.PathLike[str], *, version: int | None = None, overwrite: bool = False
) -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """Yields `(temporary, target)`; when the block ends well, `temporary` becomes `target` at once.

    When the block raises, nothing is left behind. Leftovers of killed exports are removed first.

    Args:
      base: folder of the versions; made if need be.
      version: number of the new version, >= 1; None for the highest plus one.
      overwrite: whether `version` may exist already; it is replaced only once the new one is complete.

    Raises:
      ValueError: `version` is not a positive integer, or `overwrite` without it.
      FileExistsError: the version exists and `overwrite` is not set.
      NotADirectoryError: `base` is a file.
      BlockingIOError: another export into `base` is running.
    """
    if version is None and overwrite:
        raise ValueError("overwrite wants the number of the version to replace, got none.")
    if version is not None and (isinstance(version, bool) or not isinstance(version, int) or version < 1):
        raise ValueError(f"version must be a positive integer, got {version!r}.")
    path = pathlib.Path(base)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{str(path)!r} is a file; wanted a folder for the versions.")
    path.mkdir(parents=True, exist_ok=True)
    with locked(path / _LOCK, waiting=functools.partial(_refuse_two, path)):
        _clean(path)
        number = version or max(existing_versions(path), default=0) + 1
        target = path / str(number)
        _refuse_existing(target, overwrite)
        temporary = pathlib.Path(tempfile.mkdtemp(prefix=f"{_TEMPORARY}{number}-", dir=path))
        try:
            temporary.chmod(path.stat().st_mode & 0o777)  # mkdtemp's 0700 would lock the server out
            yield temporary, target
            _publish(temporary, target, overwrite)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _refuse_existing(target: pathlib.Path, overwrite: bool) -> None:
    if target.exists() and not overwrite:
        others = ", ".join(map(str, existing_versions(target.parent)))
        raise FileExistsError(
            f"version {target.name} exists in {str(target.parent)!r} (versions there: {others}); give another number, "
            "none for the next free one, or ask for it to be overwritten."
        )


def _refuse_two(path: pathlib.Path) -> None:
    raise BlockingIOError(f"another export into {str(path)!r} is running; try again when it is done.")


def _clean(path: pathlib.Path) -> None:
    for entry in path.iterdir():
        if entry.name.startswith(_TEMPORARY):
            shutil.rmtree(entry)
        elif entry.name.startswith(_REPLACED):
            # Killed between the two renames of an overwrite: the old version goes back to its place.
            original = path / entry.name.removeprefix(_REPLACED)
            if original.exists():
                shutil.rmtree(entry)
            else:
                entry.rename(original)


def _publish(temporary: pathlib.Path, target: pathlib.Path, overwrite: bool) -> None:
    for folder, _, files in os.walk(temporary):
        for name in (*files, "."):
            to_disk(pathlib.Path(folder) / name)
    _refuse_existing(target, overwrite)  # it may have come from elsewhere meanwhile
    replaced = target.with_name(_REPLACED + target.name)
    if target.exists():
        target.rename(replaced)
    temporary.rename(target)
    to_disk(target.parent)
    shutil.rmtree(replaced, ignore_errors=True)
