"""`npy:PATH/KIND_SEVERITY`: published corruptions as arrays, `PATH/KIND.npy` of 5 x N images and `PATH/labels.npy`.

That is the layout of CIFAR-10-C and CIFAR-100-C: N images at severity 1, the same at severity 2, and so on.
"""

import os
import pathlib
import re
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from cnnf_tf.data.sources import base, decoding, splits

PREFIX = "npy:"
LABELS = "labels"
NUM_SEVERITIES = 5
SPLIT = "test"


def folder_of(name: str) -> pathlib.Path:
    """The folder of `npy:PATH`, which must be there."""
    path = name.removeprefix(PREFIX)
    folder = pathlib.Path(os.path.expanduser(path))
    if not path or not folder.is_dir():
        raise FileNotFoundError(
            f"{name}: there is no folder {str(folder)!r}; wanted one with KIND.npy files and {LABELS}.npy, like "
            "that of CIFAR-10-C."
        )
    return folder


def kinds_in(folder: pathlib.Path) -> list[str]:
    """The corruptions of a folder, sorted: the names of its arrays without that of the labels."""
    return sorted(path.stem for path in folder.glob("[!._]*.npy") if path.stem != LABELS)


def read(folder: pathlib.Path, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of a corruption, the images as a memory map.

    Returns:
      uint8 images `[5 N, height, width, channels]` and int64 labels `[5 N]`.

    Raises:
      FileNotFoundError: a file is missing.
      ValueError: what is in the files is something else.
    """
    images, labels = _array(folder / f"{kind}.npy"), _array(folder / f"{LABELS}.npy")
    wanted = "wanted uint8 images [5 N, height, width, 1 or 3], N of each severity one after the other"
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[-1] not in (1, 3):
        raise ValueError(f"{folder / kind}.npy: {wanted}, got {images.dtype} of shape {images.shape}.")
    if len(images) % NUM_SEVERITIES or images.size == 0:
        raise ValueError(f"{folder / kind}.npy: {wanted}, got {len(images)} images, no multiple of 5 above 0.")
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) not in (len(images), len(images) // 5):
        raise ValueError(
            f"{folder / LABELS}.npy: wanted {len(images)} integers for the images of {kind}.npy (or a fifth of them), "
            f"got {labels.dtype} of shape {labels.shape}."
        )
    labels = np.tile(labels, len(images) // len(labels)).astype(np.int64)
    if labels.min() < 0:
        raise ValueError(f"{folder / LABELS}.npy: wanted labels from 0, got {labels.min()}.")
    return images, labels


def _array(path: pathlib.Path) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file; wanted KIND.npy and {LABELS}.npy.") from None
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{path}: wanted an array that numpy.save wrote, got something unreadable ({error})."
        ) from None
    if not isinstance(found, np.ndarray):
        raise ValueError(f"{path}: wanted one array, got an archive of several.")
    return found


class NpySource(base.Source):
    """The images of one corruption and severity, in the split `test`.

    An optional `label.labels.txt` gives the class names, one per line; without it there are as many classes as the
    largest label tells, at least ten.
    """

    def __init__(self, name: str, *, image_size: tuple[int, int] | None = None):
        """Checks the arrays; reads no image."""
        place = re.fullmatch(rf"(.*)[/\\]([\w-]+)_([1-{NUM_SEVERITIES}])", name, re.DOTALL)
        if place is None or place[2] not in kinds_in(folder_of(place[1])):
            found = kinds_in(folder_of(place[1] if place else name))
            raise ValueError(
                f"name: wanted npy:PATH/KIND_SEVERITY with a severity from 1 to 5, one of the kinds {found}, got "
                f"{name!r}; `bin/corruption_robustness.py --premade=npy:PATH` takes all."
            )
        folder = folder_of(place[1])
        images, labels = read(folder, place[2])
        count = len(images) // NUM_SEVERITIES
        part = slice((int(place[3]) - 1) * count, int(place[3]) * count)
        self._images, self._labels, self._size = images[part], labels[part], image_size
        names_file = folder / "label.labels.txt"
        if names_file.is_file():
            class_names = tuple(names_file.read_text(encoding="utf-8-sig").split("\n"))
            class_names = tuple(line.strip() for line in class_names if line.strip())
        else:
            class_names = tuple(map(str, range(max(10, int(labels.max()) + 1))))
        shape = (*(image_size or images.shape[1:3]), images.shape[3])
        self.info = base.DatasetInfo(name, shape, len(class_names), class_names, {SPLIT: count})

    def elements_of(self, part: splits.SplitRange) -> tf.data.Dataset:
        rows = slice(part.start, part.stop)
        with tf.device("/CPU:0"):  # a copy on an accelerator would be of no use to tf.data
            return tf.data.Dataset.from_tensor_slices(
                {"image": np.array(self._images[rows]), "label": self._labels[rows].astype(np.int32)}
            )

    def decode_batch(self, elements: Mapping[str, tf.Tensor]) -> tf.Tensor:
        images = elements["image"]
        return images if self._size is None else decoding.resize(images, self._size)
