"""The CNNs under both networks of the paper, as one writes them with Keras' own layers.

Convolutions, dense layers, biases, rectifiers, pools and shortcuts are those of `cnnf_tf.models.networks`; the norm is
Keras' instance norm, which subtracts the mean as well. This file imports nothing of cnnf_tf, so that the process that
runs it by its path times Keras alone.
"""

from typing import Any

import keras
from keras import layers


def plain_cnn(
    network: str, image_shape: tuple[int, int, int], *, depth: int = 40, widen_factor: int = 2, classes: int = 10
) -> keras.Model:
    """Images in [0, 1] to logits.

    Args:
      network: "fashion_cnn" or "wide_resnet".
      image_shape: height, width, channels.
      depth: of the wide network, 6 n + 4.
      widen_factor: of the wide network.
      classes: logits.
    """
    images = keras.Input(image_shape)
    features = layers.Rescaling(2.0, -1.0)(images)
    if network == "fashion_cnn":
        logits = _fashion_cnn(features, classes)
    else:
        logits = _wide_resnet(features, (depth - 4) // 6, widen_factor, classes)
    return keras.Model(images, logits)


def _fashion_cnn(features: Any, classes: int) -> Any:
    for filters, pool in ((16, False), (32, False), (32, True), (64, True)):
        features = _activation(_conv(filters)(features))
        if pool:
            features = layers.MaxPooling2D()(features)
    features = layers.Flatten()(features)
    for units in (1000, 128):
        features = layers.Dense(units, activation="relu")(features)
    return layers.Dense(classes)(features)


def _wide_resnet(features: Any, blocks: int, widen_factor: int, classes: int) -> Any:
    features = _conv(16)(features)
    for stage, strides in enumerate((1, 2, 2)):
        width = 16 * widen_factor * 2**stage
        for block in range(blocks):
            step = strides if block == 0 else 1
            activated = _activation(features)
            shortcut = features if features.shape[-1] == width else _conv(width, 1, step)(activated)
            main = _conv(width)(_activation(_conv(width, 3, step)(activated)))
            features = layers.Add()([main, shortcut])
    features = layers.Flatten()(layers.AveragePooling2D(8)(_activation(features)))
    return layers.Dense(classes)(features)


def _conv(filters: int, size: int = 3, strides: int = 1) -> keras.layers.Layer:
    return layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)


def _activation(features: Any) -> Any:
    """The norm of each channel with a bias, and the rectifier."""
    return layers.ReLU()(layers.GroupNormalization(groups=-1, scale=False)(features))
