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


def check_batch(features: Tensor, latents: dict[str, Tensor]) -> None:
    """Raises ValueError where latents are known to be of another batch than the features."""
    for name, latent in latents.items():
        if None not in (features.shape[0], latent.shape[0]) and features.shape[0] != latent.shape[0]:
            raise ValueError(
                f"features and latents must be of one batch, got {features.shape[0]} features and latents of {name!r} "
                f"for {latent.shape[0]}."
            )


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
