"""What every corruption is, and what the files of their kinds share."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import ndimage

Apply = Callable[[tf.Tensor, Any, tf.Tensor], tf.Tensor]
ApplyToImage = Callable[[np.ndarray, Any, np.random.Generator], np.ndarray]

GREY_WEIGHTS = (0.299, 0.587, 0.114)
"""Of red, green and blue in the brightness of a colour, after ITU-R BT.601."""


@dataclasses.dataclass(frozen=True)
class Corruption:
    """One kind of corruption.

    Attributes:
      apply: `(images, strength, keys) -> images`; float32 `[batch, height, width, channels]` in [0, 1] with static
        sizes, a value of `strengths`, and int64 `[batch, 2]`, a seed for each image. The result may leave [0, 1].
      strengths: its parameter at severity 1, 2, ...; as many as there are severities.
      description: what it does and what the parameter is, in one sentence.
      extra: whether its set keeps it out of the benchmark, to develop on.
      channels: the numbers of channels that it takes; empty for any.
      needs: raises ValueError where something outside of the package is missing.
    """

    apply: Apply
    strengths: tuple[Any, ...]
    description: str
    extra: bool = False
    channels: tuple[int, ...] = ()
    needs: Callable[[], object] = lambda: None


def description_of(function: Callable[..., Any]) -> str:
    """The first line of a function's docstring."""
    return (function.__doc__ or "").splitlines()[0]


def each_image(function: ApplyToImage) -> Apply:
    """The `apply` of a corruption in NumPy: float64 `[height, width, channels]`, strength and random numbers in."""

    def apply(images: tf.Tensor, strength: Any, keys: tf.Tensor) -> tf.Tensor:
        def corrupt(values: np.ndarray, seeds: np.ndarray) -> np.ndarray:
            result = np.empty_like(values)
            for index, (value, seed) in enumerate(zip(values, seeds.astype(np.uint64), strict=True)):
                result[index] = function(value.astype(np.float64), strength, np.random.default_rng(seed))
            return result

        found = tf.numpy_function(corrupt, (images, keys), tf.float32, stateful=False)
        return tf.ensure_shape(found, images.shape)

    return apply


def eight_bit(apply: Apply) -> Apply:
    """The same on images of 8 bits, as in the published sets, whose results are rounded down to 8 bits again."""

    def rounded(images: tf.Tensor, strength: Any, keys: tf.Tensor) -> tf.Tensor:
        result = apply(tf.round(255 * images) / 255, strength, keys)
        return tf.floor(255 * tf.clip_by_value(result, 0.0, 1.0) + 1e-3) / 255

    return rounded


def draw(shape: Any, keys: Any, one: Callable[[Any], tf.Tensor]) -> tf.Tensor:
    """Draws `shape` float32 numbers for each key, or each tuple of a key and more: `[batch, *shape]`."""
    return tf.map_fn(one, keys, fn_output_signature=tf.TensorSpec(shape, tf.float32))


def uniform(shape: Any, keys: tf.Tensor) -> tf.Tensor:
    """`draw` from [0, 1)."""
    return draw(shape, keys, lambda key: tf.random.stateless_uniform(shape, key, alg="philox"))


def normal(shape: Any, keys: tf.Tensor) -> tf.Tensor:
    """`draw` from the standard normal distribution."""
    return draw(shape, keys, lambda key: tf.random.stateless_normal(shape, key, alg="philox"))


def resampled(image: np.ndarray, places: np.ndarray, *, mode: str) -> np.ndarray:
    """The image at places `[height, width, (row, column)]`, bilinearly; `mode` is SciPy's for beyond the border."""
    places = np.moveaxis(places, -1, 0)
    channels = [ndimage.map_coordinates(channel, places, order=1, mode=mode) for channel in np.moveaxis(image, -1, 0)]
    return np.stack(channels, -1)


def grey(image: np.ndarray) -> np.ndarray:
    """The brightness `[height, width]` of an image with 1 or 3 channels."""
    return image[..., 0] if image.shape[-1] == 1 else image @ np.array(GREY_WEIGHTS)
