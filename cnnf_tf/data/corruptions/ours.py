"""Corruptions of our own: a dotted line, a blur, brightness and an occlusion, for images of any size.

Sizes in pixels are given for images of 28x28 and grow with the shorter side; smaller images are treated like those. In
images of less than 10 pixels severities of the occlusion coincide.
"""

import math

import numpy as np
import tensorflow as tf

from cnnf_tf.data.corruptions.base import uniform

_REFERENCE_SIDE = 28
_MOST_LINES = 3


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
    draws = uniform((_MOST_LINES, 4), keys)[:, :count, :, tf.newaxis, tf.newaxis]
    rows = tf.range(height, dtype=tf.float32)[:, tf.newaxis] - (0.25 + 0.5 * draws[:, :, 0]) * (height - 1)
    columns = tf.range(width, dtype=tf.float32) - (0.25 + 0.5 * draws[:, :, 1]) * (width - 1)
    angle = math.pi * draws[:, :, 2]
    along = columns * tf.cos(angle) + rows * tf.sin(angle)
    distance = tf.abs(rows * tf.cos(angle) - columns * tf.sin(angle)) / (scale * reach)
    line = tf.maximum(0.0, 1 + tf.math.log(tf.maximum(1 - distance, 1e-6)))
    dots = tf.math.floormod(along / (4 * scale) + draws[:, :, 3], 1.0) < 0.5
    lines = tf.reduce_max(tf.where(dots, line, 0.0), axis=1)
    return images + lines[..., tf.newaxis]


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


def brightness(images: tf.Tensor, amount: float, keys: tf.Tensor) -> tf.Tensor:
    """Adds `amount` to every value; ImageNet-C adds it to V of HSV, which is the same for grey images."""
    del keys
    return images + amount


def occlusion(images: tf.Tensor, side: float, keys: tf.Tensor) -> tf.Tensor:
    """Covers a square at a random place with grey (0.5); `side` is a share of the image's shorter side."""
    height, width = images.shape[1:3]
    pixels = max(1, round(side * min(height, width)))
    draws = uniform((2,), keys)

    def covered(size: int, draw: tf.Tensor) -> tf.Tensor:
        first = tf.floor(draw[:, tf.newaxis] * (size - pixels + 1))
        places = tf.range(size, dtype=tf.float32)
        return (places >= first) & (places < first + pixels)

    rows, columns = covered(height, draws[:, 0]), covered(width, draws[:, 1])
    return tf.where((rows[:, :, tf.newaxis] & columns[:, tf.newaxis])[..., tf.newaxis], 0.5, images)


def _scale(images: tf.Tensor) -> float:
    """Size of the images relative to 28x28, at least 1."""
    return max(1.0, min(images.shape[1:3]) / _REFERENCE_SIDE)
