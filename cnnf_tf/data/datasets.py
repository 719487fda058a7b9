"""`load` and `info`: from a name to a `tf.data.Dataset`, or to the facts about it."""

import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from cnnf_tf.data import pipeline
from cnnf_tf.data.augmentation import Augmentation
from cnnf_tf.data.sources import folder, idx, npy, splits
from cnnf_tf.data.sources.base import DatasetInfo, Source
from cnnf_tf.data.sources.tfds import TfdsSource

# To add a kind: subclass `Source` in a file of its own and give its prefix a line here.
_KINDS: dict[str, Callable[..., Source]] = {
    idx.PREFIX: idx.IdxSource,
    folder.PREFIX: folder.FolderSource,
    npy.PREFIX: npy.NpySource,
}

# Images are kept in memory, as uint8, up to this size unless `cache` says otherwise.
MEMORY_LIMIT_BYTES = 2**30


def load(
    name: str,
    split: str,
    *,
    batch_size: int | None = None,
    shuffle_seed: int | None = None,
    shuffle_buffer: int = 16_384,
    repeat: bool = False,
    augment: Augmentation | None = None,
    augment_seed: int | None = None,
    drop_remainder: bool = False,
    limit: int | None = None,
    image_size: tuple[int, int] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    cache: bool | None = None,
    skip_bad: bool = False,
) -> tf.data.Dataset:
    """Loads images and labels; never downloads anything.

    Args:
      name: One of
        * a prepared TFDS name: `fashion_mnist`, `mnist`, `cifar10`, `cifar10_jpeg`, ...; with its configuration where
          there are several: `cifar10_corrupted/fog_1`;
        * `idx:PATH`, a folder with the four IDX files of MNIST layout (splits `train` and `test`; class names from an
          optional file `label.labels.txt`);
        * `image_folder:PATH`, files `PATH/split/class/*.png` or of other kinds (`image_files.SUFFIXES`);
          `image_folder:PATH:HxW` or `:HxWxC` also resizes, or converts to C = 1 or 3 channels;
        * `npy:PATH/KIND_SEVERITY`, one severity from 1 to 5 of `PATH/KIND.npy`, as CIFAR-10-C is published (split
          `test`); see `premade_corruptions`.
      split: Split, slice or sum: `train`, `train[:1000]`, `test[50%:]`, `train[:100]+test`.
      batch_size: Images per batch, at least 1, or None for single images.
      shuffle_seed: None keeps the order of the source. A number in [0, 2**63) shuffles; each epoch gets another order,
        the same sequence of orders for the same seed. Without `repeat` it also depends on `tf.random.set_seed`.
      shuffle_buffer: Number of encoded examples to shuffle among, at least 1; only where images are not in memory
        (images in memory are shuffled as a whole).
      repeat: Whether to go on without end. Batches are then all full and cross the border of two epochs. With images
        in memory every iteration starts at epoch 0.
      augment: Random crops and flips, drawn anew for each example and epoch, or None.
      augment_seed: Seed of `augment` in [0, 2**63); None takes `shuffle_seed`, else 0.
      drop_remainder: Whether to leave out a last batch that is not full; needs `batch_size`.
      limit: Use only the first `limit` examples of the split (in source order), or None for all.
      image_size: Height and width to resize to (bilinear, antialiased), or None for the images' own size.
      data_dir: Folder of prepared TFDS data sets; None for the environment variable CNNF_TF_DATA_DIR, else TFDS's own
        default.
      cache: Whether to read all images into memory now (uint8), rather than during each epoch; None does so up to
        1 GiB. Bad images are then found, and named, at once; else when their turn comes.
      skip_bad: Whether to go on without the files of an image folder that cannot be read, and warn how many they are;
        costs reading all of its files once more. Splits and slices count what is left.

    Returns:
      Dataset of (image, label): float32 in [0, 1] of shape `[height, width, channels]` and int32 in [0, num_classes)
      of shape `[]`, with a leading batch axis if `batch_size` is given. Its iterators can be checkpointed.

    Raises:
      ValueError: If an argument, the name or the split is wrong, or the data are not sound.
      FileNotFoundError: If the data set is not there; the message says how to prepare it.
    """
    for label, value, least in (
        ("batch_size", batch_size, 1),
        ("limit", limit, 1),
        ("shuffle_buffer", shuffle_buffer, 1),
        ("shuffle_seed", shuffle_seed, 0),
        ("augment_seed", augment_seed, 0),
    ):
        optional = value is None and label != "shuffle_buffer"
        if not optional and (type(value) is not int or not least <= value < 2**63):
            raise ValueError(f"{label}: wanted a whole number, at least {least} and below 2**63, got {value!r}.")
    if augment is not None and not isinstance(augment, Augmentation):
        raise ValueError(f"augment: wanted an Augmentation or None, got {augment!r}.")
    augmentation = augment or Augmentation()
    if drop_remainder and batch_size is None:
        raise ValueError("drop_remainder: it needs a batch_size, got none.")

    source = _open(name, image_size, data_dir, skip_bad=skip_bad)
    ranges = _limit(splits.parse_split(split, source.info.num_examples), limit)
    count = sum(part.count for part in ranges)
    height, width, channels = source.info.image_shape
    if height is None or width is None:
        raise ValueError(f"image_size: the images of {name} differ in size; give (height, width) to resize them to.")
    if augmentation.crop_padding >= min(height, width):
        raise ValueError(
            f"crop_padding: wanted less than the smaller side of the {height}x{width} images, got "
            f"{augmentation.crop_padding}; some crops would be empty."
        )
    if drop_remainder and not repeat and batch_size is not None and batch_size > count:
        raise ValueError(
            f"batch_size: {batch_size} is more than the {count} examples of {split!r}, so that drop_remainder would "
            "leave no batch."
        )
    in_memory = count * height * width * channels <= MEMORY_LIMIT_BYTES if cache is None else cache
    if in_memory:
        images, labels = source.read_all(ranges)
        wrong = (labels < 0) | (labels >= source.info.num_classes)
        if wrong.any():
            index = int(wrong.argmax())
            raise ValueError(
                f"{name}: wanted labels in [0, {source.info.num_classes}), got {labels[index]} at example {index} of "
                f"{split!r}."
            )
        items, read = pipeline.from_memory(images, labels, shuffle_seed, repeat)
    else:
        elements = source.elements(ranges)
        if shuffle_seed is not None:
            elements = elements.shuffle(min(shuffle_buffer, count), seed=shuffle_seed)
        items = elements.repeat() if repeat else elements
        read = pipeline.decoder(source.decode_batch, source.info.num_classes)
    return pipeline.batches(
        items,
        read,
        count,
        batch_size=batch_size,
        repeat=repeat,
        augmentation=augmentation,
        augment_seed=shuffle_seed or 0 if augment_seed is None else augment_seed,
        drop_remainder=drop_remainder,
    )


def info(
    name: str,
    *,
    image_size: tuple[int, int] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    skip_bad: bool = False,
) -> DatasetInfo:
    """Looks up the facts about a data set, reading no more images than it must; for the arguments see `load`.

    Returns:
      The facts. `image_shape` is that of the resized images; a TFDS data set that is known but not prepared is
      described without examples.

    Raises:
      ValueError: If an argument or the name is wrong, or the data are not sound.
      FileNotFoundError: If a folder is not there.
    """
    return _open(name, image_size, data_dir, must_be_prepared=False, skip_bad=skip_bad).info


def load_arrays(
    name: str, split: str, *, data_dir: str | os.PathLike[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """A whole split, which must fit into memory, in its order; for the arguments and errors see `load`.

    Returns:
      Images `[n, height, width, channels]`, float32 in [0, 1], and labels `[n]`, int32.
    """
    images, labels = zip(*load(name, split, batch_size=1000, data_dir=data_dir).as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _open(
    name: str,
    size: Sequence[int] | None,
    data_dir: str | os.PathLike[str] | None,
    *,
    must_be_prepared: bool = True,
    skip_bad: bool,
) -> Source:
    if size is not None:
        if not isinstance(size, Sequence) or len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
            raise ValueError(f"image_size: wanted (height, width) in pixels, both at least 1, got {size!r}.")
        size = size[0], size[1]
    if skip_bad and not str(name).startswith(folder.PREFIX):
        raise ValueError(f"skip_bad: wanted {folder.PREFIX}PATH, whose files may be bad one by one, got {name!r}.")
    for prefix, kind in _KINDS.items():
        if str(name).startswith(prefix):
            return kind(name, image_size=size, **({"skip_bad": True} if skip_bad else {}))
    return TfdsSource(name, image_size=size, data_dir=data_dir, must_be_prepared=must_be_prepared)


def _limit(ranges: Sequence[splits.SplitRange], limit: int | None) -> list[splits.SplitRange]:
    """The ranges, cut after `limit` examples."""
    kept = []
    left = sum(part.count for part in ranges) if limit is None else limit
    for part in ranges:
        if left > 0:
            kept.append(splits.SplitRange(part.name, part.start, min(part.stop, part.start + left)))
            left -= part.count
    return kept
