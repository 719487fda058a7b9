"""Fashion-MNIST from its IDX files, and the corruptions of `cnnf_tf.data.corruptions` drawn on the device."""

import gzip
import lzma
import math
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

PHOTONS = (60.0, 25.0, 12.0, 5.0, 3.0)
DEVIATIONS = (0.08, 0.12, 0.18, 0.26, 0.38)
LINES = ((1, 1.2), (1, 1.7), (1, 2.3), (2, 2.3), (3, 2.3))
"""Strengths at severity 1 to 5, of `cnnf_tf.data.corruptions`."""
CORRUPTIONS = ("shot_noise", "gaussian_noise", "dotted_line")

_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}


def load(folder: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images `[n, 28, 28, 1]` and int32 labels of "train" or "t10k", from IDX files packed by gzip or xz."""
    (images,) = (_read_idx(path) for path in pathlib.Path(folder).glob(f"{split}-images?idx3-ubyte.*z"))
    (labels,) = (_read_idx(path) for path in pathlib.Path(folder).glob(f"{split}-labels?idx1-ubyte.*z"))
    return images[..., None], labels.astype(np.int32)


def _read_idx(path: pathlib.Path) -> np.ndarray:
    with _OPENERS[path.suffix](path) as file:
        content = file.read()
    rank = content[3]
    shape = np.frombuffer(content, ">u4", rank, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def shot_noise(key: Array, images: Array, severities: Array) -> Array:
    """Poisson noise; severities from 0 (slight) to 4, `[batch]`."""
    photons = jnp.array(PHOTONS)[severities][:, None, None, None]
    return jax.random.poisson(key, photons * images, dtype=jnp.int32) / photons


def gaussian_noise(key: Array, images: Array, severities: Array) -> Array:
    """Additive normal noise."""
    return images + jnp.array(DEVIATIONS)[severities][:, None, None, None] * jax.random.normal(key, images.shape)


def dotted_line(key: Array, images: Array, severities: Array) -> Array:
    """White dotted lines at random angles through random points of the central half; for 28x28."""
    height, width = images.shape[1:3]
    count, reach = (jnp.array(values)[severities][:, None, None, None] for values in zip(*LINES, strict=True))
    draws = jax.random.uniform(key, (len(images), 3, 4))[..., None, None]
    rows = jnp.arange(height)[:, None] - (0.25 + 0.5 * draws[:, :, 0]) * (height - 1)
    columns = jnp.arange(width) - (0.25 + 0.5 * draws[:, :, 1]) * (width - 1)
    angle = math.pi * draws[:, :, 2]
    along = columns * jnp.cos(angle) + rows * jnp.sin(angle)
    distance = jnp.abs(rows * jnp.cos(angle) - columns * jnp.sin(angle)) / reach
    line = jnp.maximum(0.0, 1 + jnp.log(jnp.maximum(1 - distance, 1e-6)))
    drawn = (jnp.mod(along / 4 + draws[:, :, 3], 1.0) < 0.5) & (jnp.arange(3)[None, :, None, None] < count)
    return images + jnp.max(jnp.where(drawn, line, 0.0), axis=1)[..., None]


_APPLY: dict[str, Callable[[Array, Array, Array], Array]] = {
    "shot_noise": shot_noise,
    "gaussian_noise": gaussian_noise,
    "dotted_line": dotted_line,
}


def corrupt(key: Array, images: Array, name: str, severity: int) -> Array:
    """uint8 images with one corruption at a severity from 1 to 5."""
    severities = jnp.full(len(images), severity - 1)
    return to_bytes(_APPLY[name](key, to_floats(images), severities))


def noisy(key: Array, images: Array, kind: str) -> Array:
    """What a network is shown in training: uint8 images with noise of a kind that differs from image to image.

    Args:
      key: of JAX.
      images: uint8 `[batch, 28, 28, 1]`.
      kind: "corruptions": one image of ten is clean, the others have one of the three corruptions at a severity from 1
        to 5. "gaussian": normal noise with a deviation drawn between 0 and 0.4.
    """
    floats = to_floats(images)
    choice, severity, *keys = jax.random.split(key, 5)
    if kind == "gaussian":
        deviations = jax.random.uniform(choice, (len(images), 1, 1, 1), maxval=0.4)
        return to_bytes(floats + deviations * jax.random.normal(severity, images.shape))
    severities = jax.random.randint(severity, (len(images),), 0, 5)
    draws = jax.random.uniform(choice, (len(images), 1, 1, 1))
    result = floats
    for index, (name, own) in enumerate(zip(CORRUPTIONS, keys, strict=True)):
        result = jnp.where(draws >= 0.1 + 0.3 * index, _APPLY[name](own, floats, severities), result)
    return to_bytes(result)


def in_chunks(key: Array, images: Array, function: Callable[[Array, Array], Array], size: int) -> Array:
    """`function(key, images)` of chunks, so that it needs little memory."""
    count = max(len(images) // size, 1)
    while len(images) % count:
        count -= 1
    chunks = images.reshape(count, -1, *images.shape[1:])
    return lax.map(lambda pair: function(*pair), (jax.random.split(key, count), chunks)).reshape(images.shape)


def to_floats(images: Array) -> Array:
    """uint8 to floats in [0, 1]."""
    return images.astype(jnp.float32) / 255


def to_bytes(images: Array) -> Array:
    """Floats to uint8, clipped to [0, 1] and rounded."""
    return jnp.round(jnp.clip(images, 0, 1) * 255).astype(jnp.uint8)
