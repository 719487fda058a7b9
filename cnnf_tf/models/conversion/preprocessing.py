"""How images in [0, 1] become what a Keras model was trained on."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from cnnf_tf.models.conversion.keras_graph import KerasGraph
from cnnf_tf.models.pixels import Pixels

PREPROCESSING = {
    "caffe": Pixels([103.939 / 255, 116.779 / 255, 123.68 / 255][::-1], 1 / 255, bgr=True),
    "tf": Pixels(0.5, 0.5),
    "torch": Pixels([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
}
"""The three of `keras.applications`, by the names that its `preprocess_input` has for them."""


def pixels_of(preprocessing: Any, channels: int) -> Pixels:
    """From the argument `preprocessing` of `CNNF.from_keras`; for None the pixels as they are.

    Raises:
      ValueError: another name, or numbers that are not one or one for each channel.
    """
    if preprocessing is None:
        return Pixels()
    if isinstance(preprocessing, str):
        if preprocessing not in PREPROCESSING or channels != 3:
            raise ValueError(_wanted(preprocessing, channels))
        return PREPROCESSING[preprocessing]
    try:
        mean, scale = (np.asarray(numbers, "float64") for numbers in preprocessing)
    except (TypeError, ValueError):
        raise ValueError(_wanted(preprocessing, channels)) from None
    fits = all(numbers.shape in ((), (channels,)) and np.isfinite(numbers).all() for numbers in (mean, scale))
    if not fits or (scale <= 0).any():
        raise ValueError(_wanted(preprocessing, channels))
    return Pixels(mean.tolist(), scale.tolist())


def leading_pixels(graph: KerasGraph, channels: int) -> tuple[Pixels, int]:
    """The preprocessing that a model begins with, and the value that it makes; nothing, and value 0, where it has none.

    That are its first `Rescaling` and `Normalization` layers, if they treat each channel by itself.
    """
    layers, value = _leading(graph)
    top = 1 / pixel_scale(graph)
    black, white = (_run(layers, np.full((1, 1, 1, channels), pixel, "float64")) for pixel in (0.0, top))
    if not layers or black.shape != (1, 1, 1, channels):
        return Pixels(0.0, 1 / top), 0
    scale = 1 / (white - black)
    return Pixels((-black * scale).ravel().tolist(), scale.ravel().tolist()), value


def pixel_scale(graph: KerasGraph) -> float:
    """1 / 255 where a model begins with a layer that is meant for pixels in [0, 255], else 1."""
    for layer in _leading(graph)[0][:1]:
        if isinstance(layer, keras.layers.Rescaling):
            return 1 / 255 if np.max(np.abs(layer.scale)) < 0.05 else 1.0
        return 1 / 255 if np.max(layer.mean) > 1.5 else 1.0
    return 1.0


def _leading(graph: KerasGraph) -> tuple[list[Any], int]:
    value = 0
    layers: list[Any] = []
    while True:
        readers = [(place, node) for place, node in enumerate(graph.nodes) if value in node.inputs]
        if len(readers) != 1 or not isinstance(readers[0][1].operation, _PREPROCESSING_LAYERS):
            return layers, value
        value = readers[0][0] + 1
        layers.append(readers[0][1].operation)


_PREPROCESSING_LAYERS = (keras.layers.Rescaling, keras.layers.Normalization)


def _run(layers: Sequence[Any], images: np.ndarray) -> np.ndarray:
    for layer in layers:
        images = keras.ops.convert_to_numpy(layer(images)).astype("float64")
    return images


def _wanted(preprocessing: Any, channels: int) -> str:
    return (
        f"preprocessing must be None, one of {sorted(PREPROCESSING)} (for 3 channels), or a pair (mean, scale > 0) of "
        f"numbers or of {channels} numbers each, on the [0, 1] scale; got {preprocessing!r} for {channels} channels."
    )
