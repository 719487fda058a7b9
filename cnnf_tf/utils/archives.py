"""NumPy archives: arrays by name in one file, written atomically, and read so that damage is noticed."""

import io
import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from cnnf_tf.utils.files import atomic_path

# Whatever zipfile and NumPy raise on a file with any of its bytes changed; MemoryError where it claims a huge array.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, Any], *, compress: bool = False) -> None:
    """Writes arrays by name as a NumPy archive, atomically."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        (np.savez_compressed if compress else np.savez)(file, **arrays)


def read_npz(file: str | os.PathLike[str] | IO[bytes]) -> dict[str, np.ndarray]:
    """Reads what `write_npz` wrote; a file that is damaged, in whatever way, raises ValueError."""
    try:
        with zipfile.ZipFile(file) as archive:  # not np.load, which compares checksums only where it reads to the end
            contents = {name.removesuffix(".npy"): io.BytesIO(archive.read(name)) for name in archive.namelist()}
        return {name: np.lib.format.read_array(content, allow_pickle=False) for name, content in contents.items()}
    except _DAMAGE as error:
        raise ValueError(f"{error}") from error
