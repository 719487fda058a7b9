"""Is a converted model the original where there is no feedback?"""

from typing import Any

import keras
import numpy as np

from cnnf_tf.models.conversion.convert import ends_in_softmax
from cnnf_tf.models.conversion.keras_graph import read
from cnnf_tf.models.conversion.preprocessing import pixel_scale, pixels_of
from cnnf_tf.models.pixels import Pixels

_ANY_SIZE = 96
"""Pixels of a side where a model takes any; the largest least size in `keras.applications` is 75."""
_LEAST = 1e-30
"""Probabilities below are not told apart: float32 would not."""


class Original:
    """What a Keras model says about random images, to compare a conversion with; it does not keep the model.

    Args:
      model: that goes into `CNNF.from_keras`.
      preprocessing: as there.
      num_images: so many.
      seed: of the images.
    """

    def __init__(self, model: keras.Model, *, preprocessing: Any = None, num_images: int = 4, seed: int = 0):
        shape = [size or _ANY_SIZE for size in model.input_shape[1:]]
        self.images = np.random.default_rng(seed).random((num_images, *shape), "float32")
        self.softmax = ends_in_softmax(model)
        pixels = pixels_of(preprocessing, shape[-1])
        if preprocessing is None:
            pixels = Pixels(scale=pixel_scale(read(model)))
        self.outputs = self._outputs(model(pixels.to_network(self.images), training=False))

    def difference(self, model: Any) -> float:
        """The largest difference between these outputs and those of a CNN-F with K = 0."""
        logits = model.infer(self.images, iterations=0).logits[0]
        found = self._outputs(keras.ops.softmax(logits) if self.softmax else logits)
        return float(np.max(np.abs(found - self.outputs)))

    def allowed(self, model: Any) -> float:
        """What rounding may make of it: the root of the unit of rounding, times the largest output."""
        unit = {"float16": 2.0**-11, "bfloat16": 2.0**-8}.get(model.compute_dtype, 2.0**-24)
        return unit**0.5 * max(float(self.softmax), self.largest)

    @property
    def largest(self) -> float:
        """Of the outputs, in magnitude."""
        return float(np.max(np.abs(self.outputs)))

    def _outputs(self, made: Any) -> np.ndarray:
        """Logits as they are; of probabilities the logarithms, which tell also where one of them is nearly 1."""
        made = keras.ops.convert_to_numpy(made).astype("float64")
        return np.log(np.maximum(made, _LEAST)) if self.softmax else made
