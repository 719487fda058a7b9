"""Images in [0, 1] at the border, and the range that a network has inside."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from keras import ops

from cnnf_tf.layers.base import Tensor

Numbers = float | Sequence[float]
"""One for all channels, or one for each: red, green, blue."""


class Pixels(NamedTuple):
    """Images in [0, 1] enter the network as `(image - mean) / scale`."""

    mean: Numbers = 0.0
    scale: Numbers = 1.0
    bgr: bool = False
    """Whether the network wants the channels the other way round: blue, green, red."""

    @classmethod
    def checked(cls, mean: Any, scale: Any, bgr: bool, *, channels: int) -> "Pixels":
        """Raises ValueError for numbers that are not one, or one for each channel, and for a scale that is not > 0."""
        scales = _check_channels("pixel_scale", scale, channels, positive=True)
        return cls(_check_channels("pixel_mean", mean, channels), scales, bool(bgr))

    def to_network(self, images: Tensor) -> Tensor:
        """Images in [0, 1], `[batch, height, width, channels]`, in the network's range."""
        images = (images - _per_channel(self.mean, images.dtype)) / _per_channel(self.scale, images.dtype)
        return images[..., ::-1] if self.bgr else images

    def from_network(self, features: Tensor) -> Tensor:
        """The inverse of `to_network` in float32, clipped to [0, 1]."""
        pixels = ops.cast(features[..., ::-1] if self.bgr else features, "float32")
        return ops.clip(pixels * _per_channel(self.scale, "float32") + _per_channel(self.mean, "float32"), 0.0, 1.0)


def check_image_shape(image_shape: Sequence[Any]) -> tuple[Any, Any, int]:
    """`(height, width, channels)` as a tuple, height and width perhaps None, else raises ValueError."""
    shape = tuple(image_shape)
    sizes = [size for size in shape[:2] if size is not None] + list(shape[2:])
    if len(shape) != 3 or any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in sizes):
        raise ValueError(
            f"image_shape must be (height, width, channels) of positive integers, height and width perhaps None, got "
            f"{image_shape!r}."
        )
    return shape


def fit_pixels(sketch: Tensor, images: Tensor) -> Tensor:
    """Scales and shifts each sketch to the least-squares fit of its image; `[batch, h, w, c]`, clipped to [0, 1]."""
    axes = (1, 2, 3)
    sketch, images = ops.cast(sketch, "float32"), ops.cast(images, "float32")
    centred = sketch - ops.mean(sketch, axis=axes, keepdims=True)
    mean = ops.mean(images, axis=axes, keepdims=True)
    covariance = ops.mean(centred * (images - mean), axis=axes, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=axes, keepdims=True)
    return ops.clip(mean + centred * covariance / (variance + 1e-12), 0.0, 1.0)


def _check_channels(name: str, value: Any, channels: int, *, positive: bool = False) -> float | list[float]:
    """A number, or a list of one for each channel."""
    numbers = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(numbers) not in ({channels} if isinstance(value, (list, tuple)) else {1}):
        raise ValueError(f"{name} must be a number or {channels} of them, one for each channel, got {value!r}.")
    if positive and min(numbers) <= 0:
        raise ValueError(f"{name} must be > 0, got {value!r}.")
    return [float(number) for number in numbers] if isinstance(value, (list, tuple)) else float(value)


def _per_channel(value: Numbers, dtype: Any) -> Any:
    return value if isinstance(value, float) else ops.convert_to_tensor(value, dtype)
