"""Checks of the arguments of the generative model: what was wanted, what came."""

from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.layers.base import Shape, Tensor


def check_prior(prior: Any, num_classes: int) -> np.ndarray:
    """Returns `[classes]` positive probabilities in float64, else raises ValueError."""
    values = np.asarray(prior, np.float64)
    if values.shape != (num_classes,) or not (values > 0).all() or abs(values.sum() - 1) > 1e-5:
        raise ValueError(f"prior must be {num_classes} positive probabilities that sum to 1, or None, got {prior!r}.")
    return values


def check_scale(scale: Any, shape: Shape) -> np.ndarray:
    """Returns a positive sigma that broadcasts to `shape` in float64, else raises ValueError."""
    values = np.asarray(scale, np.float64)
    if not np.isfinite(values).all() or not (values > 0).all():
        raise ValueError(f"scale (sigma) must be positive and finite, got {scale!r}.")
    try:
        fits = np.broadcast_shapes(values.shape, shape) == tuple(shape)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"scale (sigma) must be a number or broadcast to the shape {shape} of h, got {values.shape}.")
    return values


def check_features(features: Any, shape: Shape) -> Tensor:
    """Returns floats `[batch, *shape]`, else raises ValueError."""
    features = tf.convert_to_tensor(features)
    got = tuple(features.shape)
    if len(got) != len(shape) + 1 or got[1:] != tuple(shape):
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"features must have the shape [batch, {wanted}] of this network's h, got {got}.")
    if not features.dtype.is_floating:
        raise ValueError(f"features must be floats, got {features.dtype.name}.")
    return features


def check_binary(name: str, latent: Tensor) -> Tensor:
    """Returns the latents of the layer `name`; running it raises InvalidArgumentError unless they are 0 or 1."""
    valid = tf.reduce_all((latent == 0) | (latent == 1))
    message = f"latents of layer {name} must be 0 or 1, got:"
    with tf.control_dependencies([tf.debugging.Assert(valid, [message, latent])]):
        return tf.identity(latent)


def stateless_seed(seed: Any) -> Tensor:
    """Returns a seed of TFP's stateless kind, two int32, from an int or from such a seed, else raises ValueError."""
    if isinstance(seed, int) and not isinstance(seed, bool):
        return tf.constant([seed & 0x7FFFFFFF, (seed >> 31) & 0x7FFFFFFF], tf.int32)
    if isinstance(seed, (bool, float, str)) or seed is None:
        raise ValueError(f"seed must be an int or two ints, got {seed!r}.")
    seed = tf.convert_to_tensor(seed)
    if not seed.dtype.is_integer or tuple(seed.shape) not in ((), (2,)):
        raise ValueError(f"seed must be an int or two ints, got {seed.dtype.name} of shape {tuple(seed.shape)}.")
    seed = tf.cast(seed, tf.int32)
    return tf.stack([seed, tf.zeros_like(seed)]) if seed.shape.rank == 0 else seed


def check_labels(label: Any, num_classes: int) -> Tensor:
    """Returns class ids as an int32 tensor, a scalar or `[batch]`.

    Raises:
      ValueError: not integers, rank above 1, or (where the values are known) a class id outside [0, num_classes).
      tf.errors.InvalidArgumentError: the same for values first known when a graph runs.
    """
    label = tf.convert_to_tensor(label)
    if not label.dtype.is_integer:
        raise ValueError(f"label must be integer class ids, a scalar or [batch], got {label.dtype.name}.")
    if label.shape.rank not in (0, 1):
        raise ValueError(f"label must be integer class ids, a scalar or [batch], got shape {tuple(label.shape)}.")
    message = f"label must be class ids in [0, {num_classes - 1}]"
    known = tf.get_static_value(label)
    if known is not None and known.size and (known.min() < 0 or known.max() >= num_classes):
        raise ValueError(f"{message}, got values from {known.min()} to {known.max()}.")
    if known is None:
        valid = tf.reduce_all((label >= 0) & (label < num_classes))
        with tf.control_dependencies([tf.debugging.Assert(valid, [message + ", got:", label])]):
            label = tf.identity(label)
    return tf.cast(label, tf.int32)


def top_signal(label: Any, num_classes: int, dtype: Any) -> Tensor:
    """What is sent down from the top: `[batch, num_classes]`.

    Args:
      label: class ids, `[batch]` (sent down as one-hot vectors), or floats `[batch, num_classes]` (sent down as they
        are: the raw logits of a CNN-F, or a soft label).
      num_classes: size of the top.
      dtype: of the result.

    Raises:
      ValueError: anything else.
    """
    label = tf.convert_to_tensor(label)
    if label.dtype.is_floating:
        if label.shape.rank != 2 or label.shape[-1] != num_classes:
            raise ValueError(
                f"label must be integer class ids [batch] or floats [batch, {num_classes}], got {label.dtype.name} of "
                f"shape {tuple(label.shape)}."
            )
        return tf.cast(label, dtype)
    label = check_labels(label, num_classes)
    if label.shape.rank != 1:
        raise ValueError(f"label must be integer class ids [batch] or floats [batch, {num_classes}], got a scalar.")
    return tf.one_hot(label, num_classes, dtype=dtype)
