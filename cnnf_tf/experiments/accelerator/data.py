"""Images for training without TensorFlow: one .npz file, and how to make it where TensorFlow Datasets is.

python -m cnnf_tf.experiments.accelerator.data cifar10 cifar10.npz
"""

import pathlib
import sys
from typing import Any, NamedTuple

import numpy as np


class Images(NamedTuple):
    """A data set with its classes."""

    train_images: np.ndarray
    """uint8 `[n, height, width, channels]`."""
    train_labels: np.ndarray
    """int32 `[n]`, from 0 to 9."""
    test_images: np.ndarray
    test_labels: np.ndarray


def load(path: pathlib.Path) -> Images:
    """Reads the file.

    Raises:
      ValueError: it lacks an array, or one has another shape or type than it must have.
    """
    with np.load(path) as arrays:
        missing = sorted(set(Images._fields) - set(arrays.files))
        if missing:
            raise ValueError(f"{path} must hold {', '.join(Images._fields)}; it lacks {', '.join(missing)}.")
        found = Images(*(arrays[name] for name in Images._fields))
    for images, labels, split in ((*found[:2], "train"), (*found[2:], "test")):
        if images.dtype != np.uint8 or images.ndim != 4 or labels.shape != (len(images),):
            raise ValueError(
                f"{path} must hold {split} images as uint8 [n, height, width, channels] with n labels, got "
                f"{images.dtype} {list(images.shape)} with labels {list(labels.shape)}."
            )
    return found._replace(
        train_labels=found.train_labels.astype(np.int32), test_labels=found.test_labels.astype(np.int32)
    )


def draw(rng: np.random.Generator, images: np.ndarray, labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Some images, each flipped or not and moved by up to an eighth of its side, with zeros where nothing was."""
    own = rng.choice(len(images), count, replace=count > len(images))
    height, width = images.shape[1:3]
    pad = height // 8
    padded = np.pad(images[own], ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    rows, columns = (rng.integers(0, 2 * pad + 1, count)[:, None] + np.arange(side) for side in (height, width))
    columns = np.where(rng.random(count)[:, None] < 0.5, columns, columns[:, ::-1])
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None]], labels[own]


def main(arguments: list[str]) -> None:
    """Writes the file of a data set that `cnnf_tf.data.load` knows."""
    name, path = arguments
    from cnnf_tf.data import load as load_data

    parts: list[np.ndarray] = []
    for split in ("train", "test"):
        batches = [(images.numpy(), labels.numpy()) for images, labels in load_data(name, split, batch_size=1000)]
        images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
        parts += [np.round(255 * images).astype(np.uint8), labels.astype(np.int32)]
    arrays: dict[str, Any] = dict(zip(Images._fields, parts, strict=True))
    np.savez_compressed(path, **arrays)
    sys.stdout.write(f"{path}: {len(parts[0])} images to train on, {len(parts[2])} to test on\n")


if __name__ == "__main__":
    main(sys.argv[1:])
