"""Checks of what a caller hands to an attack; all of them come before any work."""

import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops
from keras.backend import standardize_dtype

from cnnf_tf.attacks import programs
from cnnf_tf.layers.base import Tensor, at_least_float32


def non_negative(name: str, value: Any, unit: str = "on the [0, 1] pixel scale") -> float:
    """Returns `value` as a float if it is a finite number >= 0, else raises ValueError naming the argument."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a finite number >= 0 ({unit}), got {value!r}.")
    return float(value)


def function(name: str, value: Any, what: str) -> Callable[..., Tensor]:
    """Returns `value` if it can be called, else raises ValueError."""
    if not callable(value):
        raise ValueError(f"{name} must be a function {what}, got {value!r}.")
    return value


def image_batch(images: Any) -> Tensor:
    """Returns images as a tensor `[batch, height, width, channels]` with pixels in [0, 1], or raises ValueError.

    Inside a `tf.function` the pixels are checked when it runs.
    """
    images = ops.convert_to_tensor(images)
    if len(images.shape) != 4 or None in tuple(images.shape[1:]):
        raise ValueError(
            "images must have shape [batch, height, width, channels], all but the batch static, got "
            f"{tuple(images.shape)}."
        )
    dtype = standardize_dtype(images.dtype)
    if dtype not in ("float32", "float64"):
        raise ValueError(f"images must be float32 or float64 with pixels in [0, 1], got {dtype}; divide uint8 by 255.")
    if programs.is_traced(images):
        return programs.checked(images, (images >= 0) & (images <= 1), "attacks want pixels in [0, 1] (no NaN)")
    pixels = ops.convert_to_numpy(images)
    if pixels.size and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(f"images must have pixels in [0, 1] (no NaN), got {pixels.min()} to {pixels.max()}.")
    return images


def class_ids(name: str, values: Any, images: Tensor) -> Tensor:
    """Returns class ids as int32 `[batch]`, or raises ValueError."""
    values = values if hasattr(values, "dtype") else np.asarray(values)
    dtype = standardize_dtype(values.dtype)
    if "int" not in dtype:
        raise ValueError(f"{name} must be integer class ids, got {dtype}.")
    sizes = {*values.shape, images.shape[0]} - {None}
    if len(values.shape) != 1 or len(sizes) > 1:
        raise ValueError(
            f"{name} must have shape [batch], one class id for each of the images {tuple(images.shape)}, got "
            f"{tuple(values.shape)}."
        )
    if not programs.is_traced(values) and values.shape[0]:
        large = np.abs(ops.convert_to_numpy(values).astype(np.float64)).max()
        if large >= 2**31:
            raise ValueError(f"{name} must be integers below 2**31, got {large:.0f}.")
    return ops.cast(values, "int32")


def class_range(name: str, values: Tensor, num_classes: int) -> None:
    """Raises ValueError for a class id outside [0, num_classes); of concrete tensors only."""
    ids = ops.convert_to_numpy(values)
    wrong = (ids < 0) | (ids >= num_classes)
    if wrong.any():
        raise ValueError(f"{name} must be in [0, {num_classes}), the model's classes, got {ids[wrong][0]}.")


def num_classes(name: str, value: Any) -> int:
    """The number of classes of logits `[batch, classes]`, a tensor or what says its shape and dtype; else ValueError.

    Probabilities have that shape as well and pass; they make gradients vanish, so give logits.
    """
    known = ops.is_tensor(value) or programs.is_spec(value)
    if not known or len(value.shape) != 2 or value.shape[-1] is None or not is_float(value):
        got = f"{standardize_dtype(value.dtype)} of shape {value.shape}" if known else f"a {type(value).__name__}"
        raise ValueError(f"{name} must return logits, floats of shape [batch, classes], got {got}.")
    return int(value.shape[-1])


def logits(name: str, value: Any) -> Tensor:
    """Returns what a model gave, in float32 at least, if it can be logits `[batch, classes]`; else ValueError."""
    num_classes(name, value)
    return at_least_float32(value)


def is_float(tensor: Any) -> bool:
    """Whether its dtype is one of floats."""
    return "float" in standardize_dtype(tensor.dtype)


def seed_pair(seed: Any) -> Any:
    """The seed of stateless ops, int64 `[2]`, from an int or an integer scalar tensor, or raises ValueError."""
    integer = isinstance(seed, numbers.Integral) and not isinstance(seed, bool) and -(2**63) <= int(seed) < 2**63
    tensor = ops.is_tensor(seed) and "int" in standardize_dtype(seed.dtype) and len(seed.shape) == 0
    if not integer and not tensor:
        raise ValueError(f"seed must be an integer or an integer scalar tensor, got {seed!r}.")
    return programs.seed_pair(seed)
