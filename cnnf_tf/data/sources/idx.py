"""`idx:PATH`: a folder with IDX files in MNIST layout, read without TensorFlow Datasets."""

import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from cnnf_tf.data.sources import base as sources
from cnnf_tf.data.sources import decoding, splits
from cnnf_tf.data.sources import idx_files as idx

PREFIX = "idx:"


class IdxSource(sources.Source):
    """The splits `train` (files `train-*`) and `test` (files `t10k-*`); one of the two may be missing.

    The files have the official names, with or without `.gz`. An optional `label.labels.txt` gives the class names, one
    per line, and with them the number of classes (at most 256); without it there are ten, called "0" to "9".
    """

    def __init__(self, name: str, *, image_size: tuple[int, int] | None = None):
        """Reads the headers of the files.

        Args:
          name: `idx:PATH`.
          image_size: Height and width to resize to, or None for the size in the files.

        Raises:
          FileNotFoundError: If the folder or its files are missing.
          ValueError: If a header is not sound.
        """
        path = name.removeprefix(PREFIX)
        if not path:
            raise ValueError(f"name: wanted idx:PATH with the folder of the IDX files, got {name!r}.")
        self._folder = pathlib.Path(path).expanduser()
        if not self._folder.is_dir():
            raise FileNotFoundError(f"{name}: there is no folder {self._folder}; wanted one with IDX files.")
        shapes = self._image_file_shapes()
        height, width = image_size or next(iter(shapes.values()))[1:]
        self._size = image_size
        class_names = self._read_class_names()
        counts = {split: shape[0] for split, shape in shapes.items()}
        self.info = sources.DatasetInfo(name, (height, width, 1), len(class_names), class_names, counts)

    def elements_of(self, part: splits.SplitRange) -> tf.data.Dataset:
        images, labels = idx.read_split(self._folder, part.name, self.info.num_classes)
        rows = slice(part.start, part.stop)
        with tf.device("/CPU:0"):  # a copy on an accelerator would be of no use to tf.data
            return tf.data.Dataset.from_tensor_slices(
                {"image": images[rows, ..., np.newaxis], "label": labels[rows].astype(np.int32)}
            )

    def decode_batch(self, elements: Mapping[str, tf.Tensor]) -> tf.Tensor:
        images = elements["image"]
        return images if self._size is None else decoding.resize(images, self._size)

    def _image_file_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        for split, (images, labels) in idx.FILE_STEMS.items():
            path = idx.find_file(self._folder, images)
            if path is not None and idx.find_file(self._folder, labels) is not None:
                shapes[split] = idx.read_shape(path, dimensions=3)
        if not shapes:
            names = " and ".join(f"{stem}.gz" for stem in idx.FILE_STEMS["train"])
            raise FileNotFoundError(
                f"{self._folder}: no IDX files of MNIST layout are here; wanted {names}, or t10k-*."
            )
        if len({shape[1:] for shape in shapes.values()}) > 1:
            raise ValueError(f"{self._folder}: wanted train and test images of one size, got {shapes}.")
        return shapes

    def _read_class_names(self) -> tuple[str, ...]:
        path = self._folder / "label.labels.txt"  # the name TFDS gives this file
        if not path.is_file():
            return tuple("0123456789")
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
        if not 1 <= len(names) <= 256:
            raise ValueError(f"{path}: wanted 1 to 256 class names, one per line, got {len(names)}.")
        return names
