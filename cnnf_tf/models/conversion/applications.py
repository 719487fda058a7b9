"""The networks of `keras.applications` by name, with the preprocessing that belongs to each."""

import sys

import keras
import numpy as np

from cnnf_tf.models.conversion.preprocessing import PREPROCESSING
from cnnf_tf.utils.validation import one_of


def names() -> list[str]:
    """Of all networks."""
    return [name for name in dir(keras.applications) if name[0].isupper()]


def build(
    name: str,
    *,
    weights: str | None = "imagenet",
    image_size: tuple[int, int] | None = None,
    num_classes: int | None = None,
) -> keras.Model:
    """A network with its own top, or with a new one.

    Args:
      name: one of `names()`.
      weights: "imagenet", which Keras downloads unless it has them; a file of weights; None for random ones.
      image_size: height and width; None for those that the network was made for.
      num_classes: of a new top, average pooling and a Dense layer with random weights; None for the network's own top.

    Raises:
      ValueError: an unknown name, or arguments that Keras does not take together.
      ConnectionError: the weights could not be downloaded.
    """
    make = getattr(keras.applications, one_of("name", name, names()))
    shape = None if image_size is None else (*image_size, 3)
    try:
        if num_classes is None:
            return make(weights=weights, input_shape=shape)
        backbone = make(weights=weights, input_shape=shape, include_top=False, pooling="avg")
    except Exception as error:
        if "URL fetch failure" not in str(error):
            raise
        raise ConnectionError(f"the weights of {name} could not be downloaded: {error}") from error
    logits = keras.layers.Dense(num_classes, name="logits")(backbone.output)
    return keras.Model(backbone.input, logits, name=backbone.name)


def preprocessing_of(name: str) -> str | None:
    """The preprocessing of a network, as `CNNF.from_keras` calls it; None where its own first layers do that."""
    module = sys.modules[getattr(keras.applications, one_of("name", name, names())).__module__]
    pixel = np.array([[[[0.2, 0.5, 0.9]]]], "float32")
    wanted = module.preprocess_input(255 * pixel)
    for known, pixels in PREPROCESSING.items():
        if np.allclose(pixels.to_network(pixel), wanted, atol=1e-3):
            return known
    return None
