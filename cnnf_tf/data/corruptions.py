"""Common corruptions of images in five severities: noise, a dotted line, blur, brightness, contrast, occlusion.

    images = corrupt(images, "shot_noise", 3, seed=0)
    dataset = corrupted(dataset, "shot_noise", 3, seed=0)     # batches of (corrupted images, labels)
    dataset = noisy_pairs(dataset, ["shot_noise"], seed=0)    # to train a model that repairs

What happens to an image is a function of the image, the seed and the image's place in its data set: batch size, number
of threads and earlier calls do not matter. Equal seeds draw equally at every severity, so that severities can be
compared image by image.

Sources. ImageNet-C: D. Hendrycks and T. Dietterich, "Benchmarking neural network robustness to common corruptions and
perturbations", ICLR 2019, arXiv:1903.12261. MNIST-C: N. Mu and J. Gilmer, "MNIST-C: a robustness benchmark for
computer vision", 2019, arXiv:1906.02337. The strengths of the noises, brightness and contrast are those of ImageNet-C's
code (MNIST-C takes its noises from the same tables: shot noise at severity 5, impulse noise at 4). Those of the line,
the blur and the occlusion are our own: sizes in pixels are given for images of 28x28 and grow with the shorter side;
smaller images are treated like those. In images of less than 10 pixels severities of the occlusion coincide.
"""

import dataclasses
import functools
import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from cnnf_tf.utils.validation import one_of

SEVERITIES = (1, 2, 3, 4, 5)
"""The severities of every corruption, from slight to strong."""

_RANGE_TOLERANCE = 1e-3
_REFERENCE_SIDE = 28
_MOST_LINES = 3


@dataclasses.dataclass(frozen=True)
class Corruption:
    """One kind of corruption.

    Attributes:
      apply: `(images, strength, keys) -> images`; float32 `[batch, height, width, channels]` in [0, 1] with static
        sizes, a value of `strengths`, and int64 `[batch, 2]`, a seed for each image. The result may leave [0, 1].
      strengths: its parameter at severity 1 to 5.
      description: what it does and what the parameter is, in one sentence.
    """

    apply: Callable[[tf.Tensor, Any, tf.Tensor], tf.Tensor]
    strengths: tuple[Any, ...]
    description: str


CORRUPTIONS: dict[str, Corruption] = {}
"""The corruptions by name; the talk shows the first three."""

_Function = TypeVar("_Function", bound=Callable[[tf.Tensor, Any, tf.Tensor], tf.Tensor])


def _corruption(*strengths: Any) -> Callable[[_Function], _Function]:
    """Enters a function into `CORRUPTIONS` under its name; the first line of its docstring describes it."""

    def enter(apply: _Function) -> _Function:
        CORRUPTIONS[apply.__name__] = Corruption(apply, strengths, (apply.__doc__ or "").splitlines()[0])
        return apply

    return enter


@_corruption(60.0, 25.0, 12.0, 5.0, 3.0)
def shot_noise(images: tf.Tensor, photons: float, keys: tf.Tensor) -> tf.Tensor:
    """Poisson noise of the given number of photons in a white pixel.

    Each value x becomes n / photons with n ~ Poisson(photons x); mean x, variance x / photons.
    """

    def count(item: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        return tf.random.stateless_poisson(images.shape[1:], item[1], lam=photons * item[0], dtype=tf.float32)

    return _draw(images.shape[1:], (images, keys), count) / photons


@_corruption(0.08, 0.12, 0.18, 0.26, 0.38)
def gaussian_noise(images: tf.Tensor, deviation: float, keys: tf.Tensor) -> tf.Tensor:
    """Adds independent normal noise of the given standard deviation to every value."""
    shape = images.shape[1:]
    return images + deviation * _draw(shape, keys, lambda key: tf.random.stateless_normal(shape, key, alg="philox"))


@_corruption((1, 1.2), (1, 1.7), (1, 2.3), (2, 2.3), (3, 2.3))
def dotted_line(images: tf.Tensor, strength: tuple[int, float], keys: tf.Tensor) -> tf.Tensor:
    """White dotted lines at random places and angles: how many, and how far one reaches in pixels of 28.

    Each is straight and goes through a random point of the central half. As in MNIST-C a line fades as
    1 + log(1 - distance / reach) and is on for 2 pixels and off for 2; there it always runs from the left to the right
    border, and the dots have one size. Severity 3 has that size.
    """
    count, reach = strength
    height, width = images.shape[1:3]
    scale = _scale(images)
    # Centre (row and column as shares of the image), angle and phase, equal whatever the number of lines in use.
    draws = _uniform((_MOST_LINES, 4), keys)[:, :count, :, tf.newaxis, tf.newaxis]
    rows = tf.range(height, dtype=tf.float32)[:, tf.newaxis] - (0.25 + 0.5 * draws[:, :, 0]) * (height - 1)
    columns = tf.range(width, dtype=tf.float32) - (0.25 + 0.5 * draws[:, :, 1]) * (width - 1)
    angle = math.pi * draws[:, :, 2]
    along = columns * tf.cos(angle) + rows * tf.sin(angle)
    distance = tf.abs(rows * tf.cos(angle) - columns * tf.sin(angle)) / (scale * reach)
    line = tf.maximum(0.0, 1 + tf.math.log(tf.maximum(1 - distance, 1e-6)))
    dots = tf.math.floormod(along / (4 * scale) + draws[:, :, 3], 1.0) < 0.5
    lines = tf.reduce_max(tf.where(dots, line, 0.0), axis=1)
    return images + lines[..., tf.newaxis]


@_corruption(0.03, 0.06, 0.09, 0.17, 0.27)
def impulse_noise(images: tf.Tensor, amount: float, keys: tf.Tensor) -> tf.Tensor:
    """Salt and pepper: every value becomes 0 with probability `amount / 2` and 1 with probability `amount / 2`."""
    draws = _uniform(images.shape[1:], keys)
    peppered = tf.where(draws < amount / 2, 0.0, images)
    return tf.where(draws >= 1 - amount / 2, 1.0, peppered)


@_corruption(0.6, 0.9, 1.2, 1.8, 2.6)
def gaussian_blur(images: tf.Tensor, deviation: float, keys: tf.Tensor) -> tf.Tensor:
    """Smooths with a Gaussian of the given deviation in pixels of 28; beyond the border the image is mirrored."""
    del keys
    rows, columns = (blur_matrix(size, deviation * _scale(images)) for size in images.shape[1:3])
    return tf.einsum("ij,kl,bjlc->bikc", rows, columns, images)


def blur_matrix(size: int, deviation: float) -> np.ndarray:
    """What `gaussian_blur` multiplies each row or column of an image with.

    Args:
      size: pixels in a row or column.
      deviation: standard deviation of the Gaussian in pixels; it is cut off after 4 of them.

    Returns:
      float32 `[size, size]`; each row is the Gaussian around one pixel, mirrored at the borders, and sums to 1.
    """
    radius = math.ceil(4 * deviation)
    kernel = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / deviation))
    mirrored = np.pad(np.eye(size), ((radius, radius), (0, 0)), mode="symmetric")  # ... c b a | a b c | c b a ...
    shifted = (weight * mirrored[i : i + size] for i, weight in enumerate(kernel / kernel.sum()))
    return np.sum(list(shifted), axis=0).astype(np.float32)


@_corruption(0.1, 0.2, 0.3, 0.4, 0.5)
def brightness(images: tf.Tensor, amount: float, keys: tf.Tensor) -> tf.Tensor:
    """Adds `amount` to every value; ImageNet-C adds it to V of HSV, which is the same for grey images."""
    del keys
    return images + amount


@_corruption(0.4, 0.3, 0.2, 0.1, 0.05)
def contrast(images: tf.Tensor, factor: float, keys: tf.Tensor) -> tf.Tensor:
    """Multiplies the distance of every value from its channel's mean in that image by `factor`."""
    del keys
    mean = tf.reduce_mean(images, axis=(1, 2), keepdims=True)
    return mean + factor * (images - mean)


@_corruption(0.2, 0.3, 0.4, 0.5, 0.6)
def occlusion(images: tf.Tensor, side: float, keys: tf.Tensor) -> tf.Tensor:
    """Covers a square at a random place with grey (0.5); `side` is a share of the image's shorter side."""
    height, width = images.shape[1:3]
    pixels = max(1, round(side * min(height, width)))
    draws = _uniform((2,), keys)

    def covered(size: int, draw: tf.Tensor) -> tf.Tensor:
        first = tf.floor(draw[:, tf.newaxis] * (size - pixels + 1))
        places = tf.range(size, dtype=tf.float32)
        return (places >= first) & (places < first + pixels)

    rows, columns = covered(height, draws[:, 0]), covered(width, draws[:, 1])
    return tf.where((rows[:, :, tf.newaxis] & columns[:, tf.newaxis])[..., tf.newaxis], 0.5, images)


def corrupt(
    images: tf.Tensor, corruption: str, severity: int, *, seed: int, first_index: int | tf.Tensor = 0
) -> tf.Tensor:
    """Corrupts a batch of images.

    Args:
      images: floats in [0, 1], `[batch, height, width, channels]` with any number of channels; only the batch may be
        unknown while a graph is built.
      corruption: a name of `CORRUPTIONS`.
      severity: 1 (slight) to 5 (strong).
      seed: at least 0; equal seeds give equal images.
      first_index: place of the first image in its data set, at least 0. Image i draws with `(seed, first_index + i)`.

    Returns:
      Images of the same shape and dtype, in [0, 1].

    Raises:
      ValueError: images that are not a float batch of static size; an unknown corruption, severity or seed.
      tf.errors.InvalidArgumentError: pixels outside [0, 1].
    """
    kind, strength = _check(corruption, severity, seed)
    images = tf.convert_to_tensor(images)
    _check_spec(images.shape, images.dtype)
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
    dataset: tf.data.Dataset, corruption: str, severity: int, *, seed: int, keep_clean: bool = False
) -> tf.data.Dataset:
    """Corrupts the images of a data set.

    Every iteration over the result draws the same; where `dataset` repeats itself, each repetition draws anew.

    Args:
      dataset: batches of (images in [0, 1], labels), of any batch sizes.
      corruption: as in `corrupt`, like the next two.
      severity: 1 to 5.
      seed: at least 0.
      keep_clean: whether to put the clean images in the place of the labels, to train a restorer.

    Returns:
      Batches of (corrupted images, labels), or of (corrupted images, clean images).

    Raises:
      ValueError: a data set of something else; an unknown corruption, severity or seed.
    """
    _check(corruption, severity, seed)
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2 or not isinstance(spec[0], tf.TensorSpec):
        raise ValueError(f"corrupted wants a data set of (images, labels), got elements {spec}.")
    _check_spec(spec[0].shape, spec[0].dtype)

    def number(first: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, Any]:
        return first + tf.shape(batch[0], tf.int64)[0], (first, *batch)

    def apply(first: tf.Tensor, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        result = corrupt(images, corruption, severity, seed=seed, first_index=first)
        return result, images if keep_clean else labels

    # Only the counting is sequential.
    numbered = dataset.scan(tf.constant(0, tf.int64), number)
    return numbered.map(apply, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def noisy_pairs(
    dataset: tf.data.Dataset,
    corruptions: Sequence[str],
    severities: Sequence[int] = SEVERITIES,
    *,
    seed: int,
    clean_share: float = 0.1,
) -> tf.data.Dataset:
    """Pairs of corrupted and clean images, as `CNNF.fit` takes them.

    Args:
      dataset: batches of (images in [0, 1], labels).
      corruptions: names of `CORRUPTIONS`; each batch draws one of them and a severity, with equal chances.
      severities: from 1 to 5.
      seed: at least 0; the same seed gives the same batches, also after `skip`.
      clean_share: the share of batches left as they are, in [0, 1).

    Returns:
      Batches of `({"images": corrupted, "clean": images}, labels)`.

    Raises:
      ValueError: no or unknown corruptions or severities, or a share out of range.
    """
    ways = [(name, severity) for name in corruptions for severity in severities]
    if not ways or set(corruptions) - set(CORRUPTIONS) or set(severities) - set(SEVERITIES):
        raise ValueError(
            f"noisy_pairs wants corruptions among {sorted(CORRUPTIONS)} and severities among {SEVERITIES}, at least "
            f"one each, got {tuple(corruptions)} and {tuple(severities)}."
        )
    if not 0 <= clean_share < 1:
        raise ValueError(f"clean_share must be in [0, 1), got {clean_share!r}.")

    def pair(number: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        images, labels = batch
        first = number * 2**20  # of this batch in all images seen, so that no two batches draw alike
        branches = [functools.partial(corrupt, images, *way, seed=seed, first_index=first) for way in ways]
        draw = tf.random.stateless_uniform([2], tf.stack([tf.constant(seed, tf.int64), number]))
        chosen = tf.cast(tf.floor(draw[0] * len(ways)), tf.int32)
        noisy = tf.cond(draw[1] < clean_share, lambda: images, lambda: tf.switch_case(chosen, branches))
        return {"images": tf.ensure_shape(noisy, images.shape), "clean": images}, labels

    numbered = dataset.enumerate()
    return numbered.map(pair, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def _check(corruption: Any, severity: Any, seed: Any) -> tuple[Corruption, Any]:
    """The corruption and its strength, or ValueError."""
    kind = CORRUPTIONS[one_of("corruption", corruption, CORRUPTIONS)]
    if isinstance(severity, bool) or not isinstance(severity, numbers.Integral) or severity not in SEVERITIES:
        raise ValueError(f"severity must be an integer from 1 (slight) to 5 (strong), got {severity!r}.")
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or not 0 <= int(seed) < 2**63:
        raise ValueError(f"seed must be an integer in [0, 2**63), got {seed!r}.")
    return kind, kind.strengths[int(severity) - 1]


def _check_spec(shape: tf.TensorShape, dtype: tf.DType) -> None:
    if shape.rank != 4 or any(size is None or size < 1 for size in shape[1:]):
        raise ValueError(
            f"wanted images [batch, height, width, channels] of static sizes (only the batch may be unknown), got "
            f"shape {shape}; a single image needs a leading batch dimension, a grey one a trailing channel dimension."
        )
    if not dtype.is_floating:
        raise ValueError(f"wanted float images with pixels in [0, 1], got {dtype.name}; divide uint8 by 255 first.")


def _draw(shape: Any, keys: Any, draw: Callable[[Any], tf.Tensor]) -> tf.Tensor:
    """Draws `shape` float32 numbers for each key, or each tuple of a key and more: `[batch, *shape]`."""
    return tf.map_fn(draw, keys, fn_output_signature=tf.TensorSpec(shape, tf.float32))


def _uniform(shape: Any, keys: tf.Tensor) -> tf.Tensor:
    return _draw(shape, keys, lambda key: tf.random.stateless_uniform(shape, key, alg="philox"))


def _scale(images: tf.Tensor) -> float:
    """Size of the images relative to 28x28, at least 1."""
    return max(1.0, min(images.shape[1:3]) / _REFERENCE_SIDE)
