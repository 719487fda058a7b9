"""A tiny CNN-F with every kind of layer, for fast tests; and a smaller one, for tests that look at something else."""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from cnnf_tf import CNNF, layers

IMAGE_SHAPE = (8, 8, 1)


def network() -> layers.FeedbackSequential:
    """conv - norm - AdaReLU - AdaPool - residual block - average pool - flatten - dense."""
    return layers.FeedbackSequential(
        [
            layers.FeedbackConv2D(4, name="conv1"),
            layers.InstanceNorm(down=False, name="norm_up"),
            layers.Tap(layers.AdaReLU(name="ada_relu1"), name="tap1"),
            layers.AdaPool2D(name="ada_pool"),
            layers.InstanceNorm(up=False, name="norm_down"),
            layers.FeedbackResidual(
                [layers.FeedbackConv2D(4, name="conv2"), layers.AdaReLU(name="ada_relu2")], name="res"
            ),
            layers.FeedbackAveragePooling2D(2, name="average_pool"),
            layers.FeedbackFlatten(name="flatten"),
            layers.FeedbackDense(3, use_bias=True, name="fc", dtype="float32"),
        ],
        name="network",
    )


def smaller_network() -> layers.FeedbackSequential:
    """conv - AdaReLU - AdaPool - flatten - dense, with a tap: traced in half the time."""
    return layers.FeedbackSequential(
        [
            layers.FeedbackConv2D(4, name="conv"),
            layers.Tap(layers.AdaReLU(name="ada_relu"), name="tap"),
            layers.AdaPool2D(name="ada_pool"),
            layers.FeedbackFlatten(name="flatten"),
            layers.FeedbackDense(3, use_bias=True, name="fc", dtype="float32"),
        ],
        name="network",
    )


def encoder() -> layers.FeedbackSequential:
    """One convolution, kept out of the loop."""
    return layers.FeedbackSequential(
        [layers.FeedbackConv2D(2, name="conv0"), layers.AdaReLU(name="ada_relu0")], name="encoder"
    )


def model(*, seed: int = 0, with_encoder: bool = False, **kwargs: Any) -> CNNF:
    """A CNNF with fixed random weights."""
    keras.utils.set_random_seed(seed)
    options = {"image_shape": IMAGE_SHAPE, "iterations": 2, "eta": 0.1} | kwargs
    return CNNF(network(), encoder() if with_encoder else None, **options)


def smaller_model(*, seed: int = 0, **kwargs: Any) -> CNNF:
    """The same of the smaller network."""
    keras.utils.set_random_seed(seed)
    return CNNF(smaller_network(), **({"image_shape": IMAGE_SHAPE, "iterations": 2, "eta": 0.1} | kwargs))


def images(count: int, seed: int = 0) -> tf.Tensor:
    """Random images in [0, 1]."""
    return tf.constant(np.random.default_rng(seed).random((count, *IMAGE_SHAPE)), tf.float32)


def labels(count: int, seed: int = 0) -> np.ndarray:
    """Random labels of the tiny model's three classes."""
    return np.random.default_rng(seed).integers(0, 3, count).astype("int32")


def dataset(count: int = 24, batch_size: int = 8) -> tf.data.Dataset:
    """Batches of images and labels."""
    return tf.data.Dataset.from_tensor_slices((images(count), labels(count))).batch(batch_size)


@contextlib.contextmanager
def counted_traces() -> Iterator[list[Any]]:
    """A list that grows by one whenever a CNN-F goes into a graph."""
    normalize, traces = CNNF.normalize, []

    def counted(self: CNNF, images: tf.Tensor) -> tf.Tensor:
        if not tf.executing_eagerly():
            traces.append(images)
        return normalize(self, images)

    with mock.patch.object(CNNF, "normalize", counted):
        yield traces
