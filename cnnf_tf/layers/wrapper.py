"""What feedback layers have in common that hold a layer of Keras and use its weights."""

from typing import Any

import keras

from cnnf_tf.layers.base import FeedbackLayer


class KerasWrapper(FeedbackLayer):
    """Base of layers around a layer of Keras, with its name and dtype policy unless told otherwise.

    Args:
      layer: the layer of Keras; its weights are used, not copied.
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any):
        super().__init__(**{"name": layer.name, "dtype": layer.dtype_policy} | kwargs)
        self.layer = layer

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**(config | {"layer": keras.saving.deserialize_keras_object(config["layer"])}))
