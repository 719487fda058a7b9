"""A stack of layers."""

from collections.abc import Sequence
from typing import Any

import keras

from cnnf_tf.layers.base import FeedbackLayer, register
from cnnf_tf.layers.composite import FeedbackComposite, check_layers


@register
class FeedbackSequential(FeedbackComposite):
    """A stack of feedback layers, bottom to top.

    Args:
      layers: feedback layers, bottom to top.
    """

    def __init__(self, layers: Sequence[FeedbackLayer], **kwargs: Any):
        super().__init__(**kwargs)
        self.layers = check_layers(type(self).__name__, layers)

    def children(self) -> list[FeedbackLayer]:
        return list(self.layers)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"layers": keras.saving.serialize_keras_object(self.children())}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FeedbackSequential":
        return cls(**(config | {"layers": keras.saving.deserialize_keras_object(config["layers"])}))
