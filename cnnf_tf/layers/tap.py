"""A tap that lets the outside look in."""

from typing import Any

import keras

from cnnf_tf.layers.base import FeedbackLayer, register
from cnnf_tf.layers.composite import FeedbackComposite, check_layers


@register
class Tap(FeedbackComposite):
    """Changes nothing, and records what passes, so that the objective can compare features with reconstructions.

    Going up it records the output of the tapped layer; coming down, the signal that leaves this layer below (after an
    AdaReLU's mask, say). Without a layer it records what passes at its place. `pass_up` and `pass_down` of any
    composite around it return the records, apart from latents and signals.

    Args:
      layer: the feedback layer to look at; None for the bare place.
    """

    records = True

    def __init__(self, layer: FeedbackLayer | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        (self.layer,) = check_layers(type(self).__name__, [FeedbackLayer() if layer is None else layer])

    def children(self) -> list[FeedbackLayer]:
        return [self.layer]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Tap":
        return cls(**(config | {"layer": keras.saving.deserialize_keras_object(config["layer"])}))
