"""`image_folder:PATH[:HxW[xC]]`: image files in `PATH/split/class/`, read through `tfds.folder_dataset.ImageFolder`."""

import functools
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from cnnf_tf.data.sources import base as sources
from cnnf_tf.data.sources import decoding, splits

PREFIX = "image_folder:"

_SUFFIX = re.compile(r":(\d+)x(\d+)(?:x(\d+))?$")
_LAYOUT = "PATH/split/class/*.png (or .jpg, .jpeg), such as PATH/train/cat/1.png"


class FolderSource(sources.Source):
    """Every sub-folder of PATH is a split, every folder in it a class; classes are numbered in alphabetical order.

    Height, width and channels come from the name (`:28x28x1`) or `image_size`; images of other sizes are then resized.
    What neither gives is that of the first image. If that one is grey, a colour image later on is an error rather than
    turned grey; if it is in colour, grey images are read as colour. Transparency is dropped.
    """

    def __init__(self, name: str, *, image_size: tuple[int, int] | None = None):
        """Lists the folder and, where the name leaves shape open, looks at the first image.

        Args:
          name: `image_folder:PATH`, optionally followed by `:HxW` or `:HxWxC` with C 1 or 3.
          image_size: Height and width to resize to; must agree with the name where that gives them too.

        Raises:
          FileNotFoundError: If there is no such folder.
          ValueError: If the name or the layout of the folder is wrong, or the first image cannot be decoded.
        """
        path, size, channels = _parse_name(name)
        if size and image_size and size != tuple(image_size):
            raise ValueError(f"image_size: {tuple(image_size)} contradicts the size {size} in the name {name!r}.")
        size = size or image_size
        builder = _open_builder(path)
        self._builder = builder
        counts = {split: info.num_examples for split, info in builder.info.splits.items() if info.num_examples}
        if not counts:
            raise ValueError(f"{path}: no images found; wanted {_LAYOUT}.")
        class_names = tuple(builder.info.features["label"].names)
        self._resize = size is not None
        self._refuse_colour = False
        self.info = sources.DatasetInfo(name, (None, None, 3), len(class_names), class_names, counts)
        if size is None or channels is None:
            first = self._first_image_shape()
            self._refuse_colour = channels is None and first[2] <= 2
            size = size or first[:2]
            channels = channels or (1 if first[2] <= 2 else 3)
        self.info = sources.DatasetInfo(name, (*size, channels), len(class_names), class_names, counts)

    def elements(self, ranges: Sequence[splits.SplitRange]) -> tf.data.Dataset:
        import tensorflow_datasets as tfds

        def to_element(example: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return {"image": example["image"], "label": example["label"], "where": example["image/filename"]}

        parts = []
        for part in ranges:
            dataset = self._builder.as_dataset(
                split=part.name,
                decoders={"image": tfds.decode.SkipDecoding()},
                read_config=tfds.ReadConfig(try_autocache=False),
            )
            parts.append(dataset.skip(part.start).take(part.count))
        return functools.reduce(lambda left, right: left.concatenate(right), parts).map(to_element)

    def decode_batch(self, elements: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return decoding.decode_batch(
            elements["image"],
            elements["where"],
            shape=self.info.image_shape,
            resize_to_shape=self._resize,
            refuse_colour=self._refuse_colour,
        )

    def _first_image_shape(self) -> tuple[int, int, int]:
        split = min(self.info.num_examples)
        element = next(iter(self.elements([splits.SplitRange(split, 0, 1)])))
        try:
            return tuple(decoding.decode(element["image"], 0).shape)
        except tf.errors.InvalidArgumentError as error:
            path = element["where"].numpy().decode()
            raise ValueError(f"{path}: cannot be decoded as PNG or JPEG ({error.message.splitlines()[0]}).") from None


def _parse_name(name: str) -> tuple[pathlib.Path, tuple[int, int] | None, int | None]:
    text = name.removeprefix(PREFIX)
    match = _SUFFIX.search(text)
    size: tuple[int, int] | None = None
    channels: int | None = None
    if match:
        text = text[: match.start()]
        size = (int(match[1]), int(match[2]))
        channels = int(match[3]) if match[3] else None
        if 0 in size or channels not in (None, 1, 3):
            raise ValueError(f"name: wanted a size HxW or HxWxC with H, W at least 1 and C 1 or 3, got {match[0]!r}.")
    if not text:
        raise ValueError(f"name: wanted image_folder:PATH[:HxW[xC]], got {name!r}.")
    return pathlib.Path(text).expanduser(), size, channels


def _open_builder(path: pathlib.Path) -> Any:
    if not path.is_dir():
        raise FileNotFoundError(f"image_folder: there is no folder {path}; wanted {_LAYOUT}.")
    if not any(os.scandir(path)):
        raise ValueError(f"{path}: the folder is empty; wanted {_LAYOUT}.")
    import tensorflow_datasets as tfds

    return tfds.folder_dataset.ImageFolder(str(path))
