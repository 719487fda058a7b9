"""Contrast, saturation, distortion, pixels and JPEG."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from cnnf_tf.data.corruptions.base import resampled
from cnnf_tf.data.corruptions.blur import smooth

# Of red, green and blue in the brightness of a colour, after ITU-R BT.709.
_GREY_WEIGHTS = np.array((0.2125, 0.7154, 0.0721))


def contrast(images: tf.Tensor, factor: float, keys: tf.Tensor) -> tf.Tensor:
    """Multiplies the distance of every value from its channel's mean in that image by `factor`."""
    del keys
    mean = tf.reduce_mean(images, axis=(1, 2), keepdims=True)
    return mean + factor * (images - mean)


def saturate(image: np.ndarray, strength: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Changes the saturation S of HSV: a factor, and what is added; grey is a red of saturation 0."""
    if image.shape[-1] == 1:
        return (saturate(np.repeat(image, 3, -1), strength, rng) @ _GREY_WEIGHTS)[..., np.newaxis]
    factor, added = strength
    value, low = image.max(-1, keepdims=True), image.min(-1, keepdims=True)
    old = (value - low) / np.where(value > 0, value, 1)
    new = np.clip(factor * old + added, 0, 1)
    # The distance of each colour from the value, as a share of the largest distance.
    shares = np.where(old > 0, (value - image) / np.where(old > 0, value - low, 1), (0, 1, 1))
    return value * (1 - new * shares)


def elastic_transform(image: np.ndarray, strength: tuple[float, float, float], rng: np.random.Generator) -> np.ndarray:
    """Shakes pixels about: the size of random shifts and their smoothness, and that of a random affine map, in pixels.

    The affine map moves three points around the middle. Shifts are uniform noise, smoothed by a Gaussian.
    """
    size, sigma, affine = strength
    height, width, channels = image.shape
    reach = min(height, width) // 3
    before = np.array([(height // 2, width // 2)] * 3) + reach * np.array([(1, 1), (-1, 1), (-1, -1)])  # row, column
    after = before + rng.uniform(-affine, affine, before.shape)
    ones = np.ones((3, 1))
    back = np.linalg.lstsq(np.hstack([after, ones]), before, rcond=None)[0]
    grid = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1).astype(np.float64)
    moved = resampled(image, grid @ back[:2] + back[2], mode="mirror")
    shifts = [size * smooth(rng.uniform(-1, 1, (height, width)), sigma, mode="reflect", truncate=3.0) for _ in "xy"]
    return resampled(moved, grid + np.stack(shifts[::-1], -1), mode="reflect")


def pixelate(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Reduces the image to a share of its height and width and enlarges it again, without interpolation."""
    del rng
    height, width = image.shape[:2]
    small = (max(1, int(width * share)), max(1, int(height * share)))
    picture = to_picture(image).resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.BOX)
    return from_picture(picture, image.shape)


def jpeg_compression(image: np.ndarray, quality: int, rng: np.random.Generator) -> np.ndarray:
    """Stores the image as a JPEG of the given quality, from 100 down."""
    del rng
    file = io.BytesIO()
    to_picture(image).save(file, "JPEG", quality=quality)
    return from_picture(Image.open(file), image.shape)


def to_picture(image: np.ndarray) -> Image.Image:
    """An image with 1 or 3 channels in [0, 1] as Pillow's, in 8 bits."""
    values = np.rint(255 * image).astype(np.uint8)
    return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)


def from_picture(picture: Image.Image, shape: tuple[int, ...]) -> np.ndarray:
    """The way back from `to_picture`."""
    return np.asarray(picture, np.float64).reshape(shape) / 255
