"""Corrupts batches of images and data sets."""

import numbers
from typing import Any

import tensorflow as tf

from cnnf_tf.data.corruptions.base import Corruption
from cnnf_tf.data.corruptions.sets import CORRUPTION_SETS
from cnnf_tf.utils.validation import one_of

_RANGE_TOLERANCE = 1e-3


def corrupt(
    images: tf.Tensor,
    corruption: str,
    severity: int,
    *,
    seed: int,
    strengths: str = "ours",
    first_index: int | tf.Tensor = 0,
) -> tf.Tensor:
    """Corrupts a batch of images.

    Args:
      images: floats in [0, 1], `[batch, height, width, channels]`, with 1 or 3 channels but for "ours", which takes any
        number; only the batch may be unknown while a graph is built. A set other than "ours" rounds them to 8 bits.
      corruption: a kind of that set.
      severity: 1 (slight) to 5 (strong); only 1 in "mnist_c", which has one strength of each kind.
      seed: at least 0; equal seeds give equal images.
      strengths: a set of `CORRUPTION_SETS`: "ours", "cifar10_c", "imagenet_c" or "mnist_c".
      first_index: place of the first image in its data set, at least 0. Image i draws with `(seed, first_index + i)`.

    Returns:
      Images of the same shape and dtype, in [0, 1].

    Raises:
      ValueError: images that are not a float batch of static size, or of a number of channels that the set does not
        take; an unknown set, corruption, severity or seed; "frost" without its pictures.
      tf.errors.InvalidArgumentError: pixels outside [0, 1].
    """
    kind, strength = find_corruption(corruption, severity, seed, strengths)
    images = tf.convert_to_tensor(images)
    _check_spec(kind, images.shape, images.dtype)
    low, high = tf.reduce_min(images), tf.reduce_max(images)
    in_range = (low >= -_RANGE_TOLERANCE) & (high <= 1 + _RANGE_TOLERANCE) | (tf.size(images) == 0)
    message = "corrupt wants pixels in [0, 1] (no NaN); got minimum and maximum:"
    with tf.control_dependencies([tf.debugging.Assert(in_range, [message, low, high])]):
        pixels = tf.clip_by_value(tf.cast(images, tf.float32), 0.0, 1.0)
    indices = tf.cast(first_index, tf.int64) + tf.range(tf.shape(images, tf.int64)[0])
    start = tf.stack([tf.constant(seed, tf.int64), tf.constant(0, tf.int64)])
    keys = tf.map_fn(lambda index: tf.random.experimental.stateless_fold_in(start, index, alg="philox"), indices)
    result = tf.clip_by_value(kind.apply(pixels, strength, keys), 0.0, 1.0)
    return tf.cast(tf.ensure_shape(result, images.shape), images.dtype)


def corrupted(
    dataset: tf.data.Dataset,
    corruption: str,
    severity: int,
    *,
    seed: int,
    strengths: str = "ours",
    keep_clean: bool = False,
) -> tf.data.Dataset:
    """Corrupts the images of a data set.

    Every iteration over the result draws the same; where `dataset` repeats itself, each repetition draws anew.

    Args:
      dataset: batches of (images in [0, 1], labels), of any batch sizes.
      corruption: as in `corrupt`, like the next three.
      severity: from 1.
      seed: at least 0.
      strengths: name of a set.
      keep_clean: whether to put the clean images in the place of the labels, to train a restorer.

    Returns:
      Batches of (corrupted images, labels), or of (corrupted images, clean images).

    Raises:
      ValueError: a data set of something else, or as `corrupt`.
    """
    kind, _ = find_corruption(corruption, severity, seed, strengths)
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2 or not isinstance(spec[0], tf.TensorSpec):
        raise ValueError(f"corrupted wants a data set of (images, labels), got elements {spec}.")
    _check_spec(kind, spec[0].shape, spec[0].dtype)

    def number(first: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, Any]:
        return first + tf.shape(batch[0], tf.int64)[0], (first, *batch)

    def apply(first: tf.Tensor, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        result = corrupt(images, corruption, severity, seed=seed, strengths=strengths, first_index=first)
        return result, images if keep_clean else labels

    # Only the counting is sequential.
    numbered = dataset.scan(tf.constant(0, tf.int64), number)
    return numbered.map(apply, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def find_corruption(corruption: Any, severity: Any, seed: Any, strengths: Any) -> tuple[Corruption, Any]:
    """The corruption and its strength, or ValueError; see `corrupt`."""
    kinds = CORRUPTION_SETS[one_of("strengths", strengths, CORRUPTION_SETS)]
    kind = kinds[one_of("corruption", corruption, kinds)]
    most = len(kind.strengths)
    if isinstance(severity, bool) or not isinstance(severity, numbers.Integral) or severity not in range(1, most + 1):
        wanted = f"an integer from 1 (slight) to {most} (strong)" if most > 1 else f"1, the only one of {strengths}"
        raise ValueError(f"severity must be {wanted}, got {severity!r}.")
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or not 0 <= int(seed) < 2**63:
        raise ValueError(f"seed must be an integer in [0, 2**63), got {seed!r}.")
    kind.needs()
    return kind, kind.strengths[int(severity) - 1]


def _check_spec(kind: Corruption, shape: tf.TensorShape, dtype: tf.DType) -> None:
    if shape.rank != 4 or any(size is None or size < 1 for size in shape[1:]):
        raise ValueError(
            f"wanted images [batch, height, width, channels] of static sizes (only the batch may be unknown), got "
            f"shape {shape}; a single image needs a leading batch dimension, a grey one a trailing channel dimension."
        )
    if kind.channels and shape[-1] not in kind.channels:
        raise ValueError(f"wanted images of {' or '.join(map(str, kind.channels))} channels, got shape {shape}.")
    if not dtype.is_floating:
        raise ValueError(f"wanted float images with pixels in [0, 1], got {dtype.name}; divide uint8 by 255 first.")
