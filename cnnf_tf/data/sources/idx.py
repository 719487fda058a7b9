"""`idx:PATH`, a folder of IDX files in MNIST layout: a checked reader, a writer, and the gzip header of the originals.

An IDX file of unsigned bytes is a 4-byte big-endian magic number (0x0801 for labels, 0x0803 for images), one 4-byte
big-endian size per dimension, and then the bytes, last dimension fastest (http://yann.lecun.com/exdb/mnist/).

Every error is a ValueError or FileNotFoundError that names the file, what was wanted and what came.
"""

import contextlib
import gzip
import math
import os
import pathlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.data.sources import base, decoding, splits

PREFIX = "idx:"

# Official file names without ".gz": {split: (images, labels)}.
FILE_STEMS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}

_MAGIC_UBYTE = 0x0800  # plus the number of dimensions
_GZIP_MAGIC = b"\x1f\x8b"


def spellings(name: str) -> tuple[str, str]:
    """The official name of a file, and that of copies which have a dot in it: `train-images.idx3-ubyte`."""
    return name, name.replace("-idx", ".idx")


def find_file(folder: str | os.PathLike[str], stem: str) -> pathlib.Path | None:
    """Path of the file `stem` in `folder`, with `.gz` if it has that, and with a dot before `idx`; None for no file."""
    paths = (pathlib.Path(folder) / f"{name}{end}" for name in spellings(stem) for end in (".gz", ""))
    return next(filter(pathlib.Path.is_file, paths), None)


def read_images(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads an image file, gzip-compressed or not.

    Args:
      path: The IDX file.

    Returns:
      uint8 array of shape `[count, height, width]`, values 0 to 255.

    Raises:
      ValueError: If the file is damaged, not an IDX image file, or its size is not what its header says.
      OSError: If it cannot be read.
    """
    return _read(path, dimensions=3)


def read_labels(path: str | os.PathLike[str], num_classes: int = 10) -> np.ndarray:
    """Reads a label file; arguments, result `[count]` and errors as in `read_images`.

    A label that is not in [0, num_classes) is a ValueError too.
    """
    labels = _read(path, dimensions=1)
    if labels.max() >= num_classes:
        index = int(np.argmax(labels >= num_classes))
        raise ValueError(f"{path}: wanted labels in [0, {num_classes}), got {labels[index]} at index {index}.")
    return labels


def read_split(folder: str | os.PathLike[str], split: str, num_classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Reads the images and labels of one split of a folder in MNIST layout.

    Args:
      folder: Folder with the official file names, each with or without `.gz`, or with a dot before `idx`.
      split: `train` or `test`.
      num_classes: Labels must be in [0, num_classes).

    Returns:
      uint8 images `[count, height, width]` and uint8 labels `[count]`.

    Raises:
      FileNotFoundError: If a file is missing.
      ValueError: If a file is not sound, or there are more images than labels or the other way round.
    """
    paths = []
    for stem in FILE_STEMS[split]:
        path = find_file(folder, stem)
        if path is None:
            names = " ".join(f"{name}.gz" for pair in FILE_STEMS.values() for name in pair)
            raise FileNotFoundError(f"no {stem}.gz (or {stem}) in {folder}; wanted the IDX files {names}.")
        paths.append(path)
    images, labels = read_images(paths[0]), read_labels(paths[1], num_classes)
    if len(images) != len(labels):
        raise ValueError(
            f"{paths[1]}: wanted {len(images)} labels, one per image of {paths[0].name}, got {len(labels)}."
        )
    return images, labels


def read_shape(path: str | os.PathLike[str], dimensions: int) -> tuple[int, ...]:
    """Sizes `[count]` or `[count, height, width]` from the header alone; the bytes after it are not looked at."""
    with _opened(path) as file:
        return _read_header(path, file, dimensions)


def encode(array: np.ndarray) -> bytes:
    """The uncompressed IDX file of a uint8 array with 1 (labels) or 3 (images) dimensions; the readers' inverse."""
    if array.dtype != np.uint8 or array.ndim not in (1, 3):
        raise ValueError(f"wanted a uint8 array with 1 or 3 dimensions, got {array.dtype} with {array.ndim}.")
    return struct.pack(f">I{array.ndim}I", _MAGIC_UBYTE + array.ndim, *array.shape) + array.tobytes()


def restore_gzip_header(data: bytes, name: str, mtime: int) -> bytes:
    """Puts the original name and time back into a gzip file that was stripped of them.

    Distributors strip both to make packages reproducible, which changes the checksum but not the compressed stream.

    Args:
      data: Bytes of the gzip file.
      name: Name of the file inside, such as `train-images-idx3-ubyte`.
      mtime: Its modification time in seconds since 1970.

    Returns:
      The bytes with the header restored, or `data` itself where its header already holds optional fields.

    Raises:
      ValueError: If `data` is not a gzip file.
    """
    if len(data) < 18 or data[:3] != _GZIP_MAGIC + b"\x08":
        raise ValueError(f"{name}: wanted a gzip file, got {len(data)} bytes that start with {data[:3]!r}.")
    if data[3] != 0:
        return data
    return data[:3] + b"\x08" + struct.pack("<I", mtime) + data[8:10] + name.encode() + b"\0" + data[10:]


class IdxSource(base.Source):
    """The splits `train` (files `train-*`) and `test` (files `t10k-*`); one of the two may be missing.

    The files have the official names, with or without `.gz`, or with a dot (`t10k-images.idx3-ubyte`). An optional
    `label.labels.txt` gives the class names, one per line, and with them the number of classes (at most 256); without
    it there are ten, called "0" to "9".
    """

    def __init__(self, name: str, *, image_size: tuple[int, int] | None = None):
        """Reads the headers of the files."""
        path = name.removeprefix(PREFIX)
        if not path:
            raise ValueError(f"name: wanted idx:PATH with the folder of the IDX files, got {name!r}.")
        self._folder = pathlib.Path(os.path.expanduser(path))
        if not self._folder.is_dir():
            raise FileNotFoundError(f"{name}: there is no folder {self._folder}; wanted one with IDX files.")
        self._size = image_size
        class_names = tuple("0123456789")
        names_file = self._folder / "label.labels.txt"  # the name TFDS gives this file
        if names_file.is_file():
            lines = names_file.read_text(encoding="utf-8-sig").splitlines()
            class_names = tuple(line.strip() for line in lines if line.strip())
            if not 1 <= len(class_names) <= 256:
                raise ValueError(f"{names_file}: wanted 1 to 256 class names, one per line, got {len(class_names)}.")
        shapes: dict[str, tuple[int, ...]] = {}
        for split, (images, labels) in FILE_STEMS.items():
            file = find_file(self._folder, images)
            if file is not None and find_file(self._folder, labels) is not None:
                shapes[split] = read_shape(file, dimensions=3)
        if not shapes:
            names = " and ".join(f"{stem}.gz" for stem in FILE_STEMS["train"])
            raise FileNotFoundError(
                f"{self._folder}: no IDX files of MNIST layout are here; wanted {names}, or t10k-*."
            )
        if len({shape[1:] for shape in shapes.values()}) > 1:
            raise ValueError(f"{self._folder}: wanted train and test images of one size, got {shapes}.")
        height, width = image_size or next(iter(shapes.values()))[1:]
        counts = {split: shape[0] for split, shape in shapes.items()}
        self.info = base.DatasetInfo(name, (height, width, 1), len(class_names), class_names, counts)

    def elements_of(self, part: splits.SplitRange) -> tf.data.Dataset:
        images, labels = read_split(self._folder, part.name, self.info.num_classes)
        rows = slice(part.start, part.stop)
        with tf.device("/CPU:0"):  # a copy on an accelerator would be of no use to tf.data
            return tf.data.Dataset.from_tensor_slices(
                {"image": images[rows, ..., np.newaxis], "label": labels[rows].astype(np.int32)}
            )

    def decode_batch(self, elements: Mapping[str, tf.Tensor]) -> tf.Tensor:
        images = elements["image"]
        return images if self._size is None else decoding.resize(images, self._size)


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """The file as it is without compression; damage found while the block reads it is a ValueError."""
    with open(path, "rb") as file:
        compressed = file.read(2) == _GZIP_MAGIC
    try:
        with gzip.open(path, "rb") if compressed else open(path, "rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{path}: wanted a complete gzip file, got {os.path.getsize(path):,} bytes that are cut short or damaged "
            f"({error}); fetch the file again."
        ) from None


def _read_header(path: str | os.PathLike[str], file: Any, dimensions: int) -> tuple[int, ...]:
    kind = "label" if dimensions == 1 else "image"
    length = 4 + 4 * dimensions
    data = file.read(length)
    if len(data) < length:
        raise ValueError(f"{path}: wanted an IDX {kind} file with a header of {length} bytes, got {len(data)} bytes.")
    magic, *shape = struct.unpack(f">I{dimensions}I", data)
    if magic != _MAGIC_UBYTE + dimensions:
        raise ValueError(
            f"{path}: wanted an IDX {kind} file (magic number 0x{_MAGIC_UBYTE + dimensions:08x}), got 0x{magic:08x}."
        )
    if 0 in shape:
        raise ValueError(f"{path}: wanted at least one {kind}, got sizes {shape} in the header.")
    return tuple(shape)


def _read(path: str | os.PathLike[str], dimensions: int) -> np.ndarray:
    with _opened(path) as file:
        shape = _read_header(path, file, dimensions)
        data = file.read()
    if len(data) != math.prod(shape):
        sizes = " x ".join(str(size) for size in shape)
        raise ValueError(
            f"{path}: the header says {sizes} = {math.prod(shape):,} bytes, but {len(data):,} bytes follow it."
        )
    return np.frombuffer(data, np.uint8).reshape(shape)
