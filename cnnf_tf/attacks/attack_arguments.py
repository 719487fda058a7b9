"""Checks of what a caller hands to an attack; all of them come before any work."""

import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


def non_negative(name: str, value: Any, unit: str = "on the [0, 1] pixel scale") -> float:
    """Returns `value` as a float if it is a finite number >= 0, else raises ValueError naming the argument."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a finite number >= 0 ({unit}), got {value!r}.")
    return float(value)


def function(name: str, value: Any, what: str) -> Callable[..., tf.Tensor]:
    """Returns `value` if it can be called, else raises ValueError."""
    if not callable(value):
        raise ValueError(f"{name} must be a function {what}, got {value!r}.")
    return value


def image_batch(images: Any) -> tf.Tensor:
    """Returns images as a tensor `[batch, height, width, channels]` with pixels in [0, 1], or raises ValueError.

    Inside a `tf.function` the pixels are checked when it runs.
    """
    images = tf.convert_to_tensor(images)
    if images.shape.rank != 4 or None in images.shape[1:]:
        raise ValueError(
            f"images must have shape [batch, height, width, channels], all but the batch static, got {images.shape}."
        )
    if images.dtype not in (tf.float32, tf.float64):
        raise ValueError(
            f"images must be float32 or float64 with pixels in [0, 1], got {images.dtype.name}; divide uint8 by 255."
        )
    if tf.is_symbolic_tensor(images):
        message = "attacks want pixels in [0, 1] (no NaN)"
        in_range = tf.reduce_all(tf.logical_and(images >= 0, images <= 1))
        with tf.control_dependencies([tf.debugging.Assert(in_range, [message])]):
            return tf.identity(images)
    pixels = images.numpy()
    if pixels.size and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(f"images must have pixels in [0, 1] (no NaN), got {pixels.min()} to {pixels.max()}.")
    return images


def class_ids(name: str, values: Any, images: tf.Tensor) -> tf.Tensor:
    """Returns class ids as int32 `[batch]`, or raises ValueError."""
    values = tf.convert_to_tensor(values)
    if not values.dtype.is_integer:
        raise ValueError(f"{name} must be integer class ids, got {values.dtype.name}.")
    if values.shape.rank != 1 or not values.shape[0:1].is_compatible_with(images.shape[0:1]):
        raise ValueError(
            f"{name} must have shape [batch], one class id for each of the images {images.shape}, got {values.shape}."
        )
    if not tf.is_symbolic_tensor(values) and values.shape[0]:
        large = np.abs(np.asarray(values, np.float64)).max()
        if large >= 2**31:
            raise ValueError(f"{name} must be integers below 2**31, got {large:.0f}.")
    return tf.cast(values, tf.int32)


def class_range(name: str, values: tf.Tensor, num_classes: int) -> None:
    """Raises ValueError for a class id outside [0, num_classes); of concrete tensors only."""
    ids = np.asarray(values)
    wrong = (ids < 0) | (ids >= num_classes)
    if wrong.any():
        raise ValueError(f"{name} must be in [0, {num_classes}), the model's classes, got {ids[wrong][0]}.")


def num_classes(name: str, value: Any) -> int:
    """The number of classes, if a tensor or its `tf.TensorSpec` can be logits `[batch, classes]`; else ValueError.

    Probabilities have that shape as well and pass; they make gradients vanish, so give logits.
    """
    known = tf.is_tensor(value) or isinstance(value, tf.TensorSpec)
    if not known or value.shape.rank != 2 or value.shape[-1] is None or not value.dtype.is_floating:
        got = f"{value.dtype.name} of shape {value.shape}" if known else f"a {type(value).__name__}"
        raise ValueError(f"{name} must return logits, floats of shape [batch, classes], got {got}.")
    return int(value.shape[-1])


def logits(name: str, value: Any) -> tf.Tensor:
    """Returns what a model gave, in float32 at least, if it can be logits `[batch, classes]`; else ValueError."""
    num_classes(name, value)
    return tf.cast(value, tf.float32) if value.dtype.size < 4 else value


def seed_pair(seed: Any) -> tf.Tensor:
    """The seed of stateless ops, int64 `[2]`, from an int or an integer scalar tensor, or raises ValueError."""
    integer = isinstance(seed, numbers.Integral) and not isinstance(seed, bool) and -(2**63) <= int(seed) < 2**63
    tensor = tf.is_tensor(seed) and seed.dtype.is_integer and seed.shape.rank == 0
    if not integer and not tensor:
        raise ValueError(f"seed must be an integer or an integer scalar tensor, got {seed!r}.")
    return tf.stack([tf.cast(seed, tf.int64), tf.constant(0, tf.int64)])
