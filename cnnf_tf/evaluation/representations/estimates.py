"""Numbers with their 95 % intervals: how far they would move had other images been drawn.

The bootstrap draws as many images as there are, with replacement (Efron 1979), and takes the middle 95 % of what comes
out. A resample is written as *multiplicities* w: how often each image was drawn. Where a number is made of pairs of
images, an image that was drawn twice makes a pair with itself, which is alike for certain and says nothing about the
representation. Such pairs are left out (Nili et al. 2014, doi:10.1371/journal.pcbi.1003553): the pair of image i and
another image j counts w_i w_j times, two draws of image i not at all.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnf_tf.utils.intervals import wilson_interval
from cnnf_tf.utils.tables import aligned
from cnnf_tf.utils.validation import integer, positive_int

LEAST_IMAGES = 10
"""Fewer images are not worth an interval: among their resamples are some of one or two different images."""

NO_INTERVAL = "; no interval where a resample had too few different images"
"""For the heading of a figure."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Numbers and their 95 % intervals, three arrays of one shape; `[passes]` unless said otherwise.

    Attributes:
      value: from all images.
      low: lower ends; NaN where a resample has no value.
      high: upper ends.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def __getitem__(self, place: Any) -> "Estimate":
        """A part of each array."""
        return Estimate(self.value[place], self.low[place], self.high[place])

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {field.name: getattr(self, field.name).tolist() for field in dataclasses.fields(self)}


def bootstrapped(value: np.ndarray, resampled: np.ndarray) -> Estimate:
    """An estimate with percentile intervals.

    Args:
      value: from all images.
      resampled: the same from each resample, `[resamples, *value.shape]`.
    """
    low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
    return Estimate(np.asarray(value), low, high)


def multiplicities(images: int, *, resamples: int = 200, seed: int = 0) -> np.ndarray:
    """How often each image is drawn in each resample, int64 `[resamples, images]`; each row sums to `images`.

    Raises:
      ValueError: fewer than `LEAST_IMAGES`, or arguments out of range.
    """
    integer("images", images, least=LEAST_IMAGES, note=" for an interval")
    draws = np.random.default_rng(integer("seed", seed)).multinomial(
        images, np.full(images, 1 / images), size=positive_int("resamples", resamples)
    )
    return draws.astype(np.int64)


def mean_over_images(values: Any, *, resamples: int = 200, seed: int = 0) -> Estimate:
    """Means over images.

    Args:
      values: `[..., images]`; differences of two measurements of one image make a paired interval.
      resamples: of the bootstrap.
      seed: of the bootstrap.

    Returns:
      Of the shape `[...]`.
    """
    array = np.asarray(values, np.float64)
    weights = multiplicities(array.shape[-1], resamples=resamples, seed=seed) / array.shape[-1]
    return bootstrapped(array.mean(-1), np.moveaxis(array @ weights.T, -1, 0))


def share_of_images(successes: Any) -> Estimate:
    """Shares of images with Wilson's intervals.

    Args:
      successes: bool `[..., images]`, at least one image.

    Returns:
      Of the shape `[...]`.

    Raises:
      ValueError: no image, or values that are no truth values.
    """
    array = np.asarray(successes)
    if array.dtype != bool or not array.ndim or not array.shape[-1]:
        raise ValueError(f"wanted truth values [..., images] of at least 1 image, got {array.dtype} {array.shape}.")
    count = array.shape[-1]
    found = [(hits / count, *wilson_interval(hits, count)) for hits in array.sum(-1).ravel().tolist()]
    return Estimate(*(np.reshape(column, array.shape[:-1]) for column in zip(*found, strict=True)))


def estimate_table(heading: str, rows: Mapping[str, Estimate], *, digits: int = 3) -> str:
    """A table: a row for each name, a column for each pass, and the interval of the last pass.

    Args:
      heading: of the first column.
      rows: `[passes]` each; where a row has fewer passes than another, it ends sooner.
      digits: behind the point.
    """
    columns = max(len(row.value) for row in rows.values())
    table = [(heading, *(f"pass {index}" for index in range(columns)), "95 % of the last")]
    for name, row in rows.items():
        cells = [f"{value:.{digits}f}" for value in (*row.value, row.low[-1], row.high[-1])]
        empty = [""] * (columns - len(row.value))
        interval = "none: too few images" if np.isnan(row.low[-1]) else f"[{cells[-2]}, {cells[-1]}]"
        table.append((name, *cells[:-2], *empty, interval))
    return aligned(table)
