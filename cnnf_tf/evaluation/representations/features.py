"""What every analysis asks of activations: one row for each image, finite, and not all the same."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

Activations: TypeAlias = Mapping[str, np.ndarray]
"""By name, activations over time, `[passes, images, ...]`; pass 0 is the plain CNN. Read one at a time."""


class LazyMapping(Mapping[str, np.ndarray]):
    """Calls a function for each value that is asked for, and keeps none."""

    def __init__(self, functions: Mapping[str, Callable[[], np.ndarray]]):
        self._functions = functions

    def __getitem__(self, name: str) -> np.ndarray:
        return self._functions[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)


def image_features(name: str, values: Any, *, least: int = 2) -> np.ndarray:
    """The features of one pass as float64 `[images, features]`.

    Args:
      name: of the activations, for messages.
      values: numbers or truth values, `[images, ...]`.
      least: fewest images that will do.

    Raises:
      ValueError: too few images, no feature, no real numbers, values that are not finite, or the same ones for every
        image.
    """
    array = np.asarray(values)
    if array.ndim < 2 or len(array) < least or not array.size:
        raise ValueError(f"{name}: wanted features [images, ...] of at least {least} images, got shape {array.shape}.")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: wanted features that are real numbers or truth values, got {array.dtype}.")
    rows = array.reshape(len(array), -1).astype(np.float64)
    if not np.isfinite(rows).all():
        raise ValueError(f"{name}: wanted finite features; {np.sum(~np.isfinite(rows))} of {rows.size} are not.")
    if (rows == rows[0]).all():
        raise ValueError(
            f"{name}: the features are constant, the same for all {len(rows)} images; nothing varies: "
            "leave it out with --layers."
        )
    return rows


def every_pass(activations: Activations) -> Iterator[tuple[str, int, np.ndarray]]:
    """Name, pass and activations `[images, ...]` of each pass of each name.

    Raises:
      ValueError: nothing there, fewer than three dimensions, no pass, or other numbers of images than before.
    """
    if not activations:
        raise ValueError("there are no activations to analyse; wanted at least one name.")
    images = None
    for name, values in activations.items():
        array = np.asarray(values)
        if array.ndim < 3 or not len(array):
            raise ValueError(f"{name}: wanted activations [passes, images, ...], got shape {array.shape}.")
        images = array.shape[1] if images is None else images
        if array.shape[1] != images:
            raise ValueError(f"{name}: wanted the {images} images of the activations before it, got {array.shape[1]}.")
        for index, one in enumerate(array):
            yield name, index, one


def class_labels(labels: Any, images: int) -> np.ndarray:
    """The labels as int64 `[images]`.

    Raises:
      ValueError: none, as many as there are not images, or no integers >= 0.
    """
    if labels is None:
        raise ValueError("labels are wanted here, and these activations have none.")
    array = np.asarray(labels)
    if array.shape != (images,) or array.dtype.kind not in "iu" or (array < 0).any():
        raise ValueError(
            f"labels: wanted {images} integers >= 0, one for each image, got {array.dtype} {array.shape}: {array}."
        )
    return array.astype(np.int64)


def image_mask(chosen: Any, images: int) -> np.ndarray:
    """Which images to look at, bool `[images]`; ValueError for anything else."""
    array = np.asarray(chosen)
    if array.shape != (images,) or array.dtype != bool:
        raise ValueError(f"wanted a truth value for each of {images} images, got {array.dtype} {array.shape}.")
    return array
