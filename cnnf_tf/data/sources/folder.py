"""`image_folder:PATH[:HxW[xC]]`: image files in `PATH/split/class/`, read through `tfds.folder_dataset.ImageFolder`."""

import os
import pathlib
import re
from collections.abc import Mapping

import tensorflow as tf

from cnnf_tf.data.sources import base, decoding, splits

PREFIX = "image_folder:"

_SIZE = r"(?P<size>:(?P<height>\d+)x(?P<width>\d+)(x(?P<channels>\d+))?)"
_NAME = re.compile(rf"{PREFIX}(?P<path>.*?){_SIZE}?", re.DOTALL)
_LAYOUT = "PATH/split/class/*.png (or .jpg, .jpeg), such as PATH/train/cat/1.png"


class FolderSource(base.Source):
    """Every sub-folder of PATH is a split, every folder in it a class; classes are numbered in alphabetical order.

    Height, width and channels come from the name (`:28x28x1`) or `image_size`; images of other sizes are then resized.
    What neither gives is that of the first image. If that one is grey, a colour image later on is an error rather than
    turned grey; if it is in colour, grey images are read as colour. Transparency is dropped.
    """

    def __init__(self, name: str, *, image_size: tuple[int, int] | None = None):
        """Lists the folder and, where the name leaves shape open, looks at the first image.

        Where both the name and `image_size` give a size, they must agree.
        """
        match = _NAME.fullmatch(name)
        if match is None or not match["path"]:
            raise ValueError(f"name: wanted image_folder:PATH[:HxW[xC]], got {name!r}.")
        path = pathlib.Path(match["path"]).expanduser()
        size = (int(match["height"]), int(match["width"])) if match["size"] else None
        channels = int(match["channels"]) if match["channels"] else None
        if (size and 0 in size) or channels not in (None, 1, 3):
            wanted = "a size HxW or HxWxC with H, W at least 1 and C 1 or 3"
            raise ValueError(f"name: wanted {wanted}, got {match['size']!r}.")
        if size and image_size and size != tuple(image_size):
            raise ValueError(f"image_size: {tuple(image_size)} contradicts the size {size} in the name {name!r}.")
        size = size or image_size
        if not path.is_dir():
            raise FileNotFoundError(f"image_folder: there is no folder {path}; wanted {_LAYOUT}.")
        if not any(os.scandir(path)):
            raise ValueError(f"{path}: the folder is empty; wanted {_LAYOUT}.")
        import tensorflow_datasets as tfds

        self._builder = tfds.folder_dataset.ImageFolder(str(path))
        splits_found = self._builder.info.splits.items()
        counts = {split: info.num_examples for split, info in splits_found if info.num_examples}
        if not counts:
            raise ValueError(f"{path}: no images found; wanted {_LAYOUT}.")
        class_names = tuple(self._builder.info.features["label"].names)
        self._resize = size is not None
        self._refuse_colour = False
        if size is None or channels is None:
            first = self._first_image_shape(min(counts))
            self._refuse_colour = channels is None and first[2] <= 2
            size = size or first[:2]
            channels = channels or (1 if first[2] <= 2 else 3)
        self.info = base.DatasetInfo(name, (*size, channels), len(class_names), class_names, counts)

    def elements_of(self, part: splits.SplitRange) -> tf.data.Dataset:
        import tensorflow_datasets as tfds

        dataset = self._builder.as_dataset(
            split=part.name,
            decoders={"image": tfds.decode.SkipDecoding()},
            read_config=tfds.ReadConfig(try_autocache=False),
        )
        keys = {"image": "image", "label": "label", "where": "image/filename"}
        part_of_split = dataset.skip(part.start).take(part.count)
        return part_of_split.map(lambda example: {name: example[key] for name, key in keys.items()})

    def decode_batch(self, elements: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return decoding.decode_batch(
            elements["image"],
            elements["where"],
            shape=self.info.image_shape,
            resize_to_shape=self._resize,
            refuse_colour=self._refuse_colour,
        )

    def _first_image_shape(self, split: str) -> tuple[int, int, int]:
        element = next(iter(self.elements_of(splits.SplitRange(split, 0, 1))))
        try:
            return tuple(decoding.decode(element["image"], 0).shape)
        except tf.errors.InvalidArgumentError as error:
            path = element["where"].numpy().decode()
            raise ValueError(f"{path}: cannot be decoded as PNG or JPEG ({error.message.splitlines()[0]}).") from None
