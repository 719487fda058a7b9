"""A directed acyclic graph of layers."""

from collections.abc import Sequence
from typing import Any

import keras

from cnnf_tf.layers.base import FeedbackLayer, register
from cnnf_tf.layers.composite import FeedbackComposite, Sources, check_layers


@register
class FeedbackGraph(FeedbackComposite):
    """Layers wired in any way that has no circle.

    Args:
      layers: feedback layers, bottom to top: each reads only the input of the graph and layers before it. A layer that
        stands at several places, with one set of weights, is given at each of them.
      sources: what each layer reads, and after that what the output is made of, see `FeedbackComposite.sources`:
        0 is the input, i + 1 the output of layer i, and what is named together is added up.

    Raises:
      ValueError: entries that are no feedback layers, or sources that do not fit them.
    """

    def __init__(self, layers: Sequence[FeedbackLayer], sources: Sequence[Sequence[int]], **kwargs: Any):
        super().__init__(**kwargs)
        self.layers = check_layers(type(self).__name__, layers)
        self._sources = _check_sources([tuple(read) for read in sources], len(self.layers))

    def children(self) -> list[FeedbackLayer]:
        return list(self.layers)

    def sources(self) -> Sources:
        return list(self._sources)

    def get_config(self) -> dict[str, Any]:
        unique = list({id(layer): layer for layer in self.layers}.values())
        place = {id(layer): index for index, layer in enumerate(unique)}
        return super().get_config() | {
            "layers": keras.saving.serialize_keras_object(unique),
            "places": [place[id(layer)] for layer in self.layers],
            "sources": [list(read) for read in self._sources],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FeedbackGraph":
        layers = keras.saving.deserialize_keras_object(config["layers"])
        rest = {name: value for name, value in config.items() if name != "places"}
        return cls(**(rest | {"layers": [layers[index] for index in config["places"]]}))


def _check_sources(sources: Sources, count: int) -> Sources:
    if len(sources) != count + 1:
        raise ValueError(
            f"FeedbackGraph wants sources for each of its {count} layers and for the output, {count + 1} in all, got "
            f"{len(sources)}."
        )
    for place, read in enumerate(sources):
        if not read or any(isinstance(value, bool) or not isinstance(value, int) for value in read):
            raise ValueError(f"FeedbackGraph wants at least one integer in each of sources, got {read!r} at {place}.")
        if not 0 <= min(read) <= max(read) <= min(place, count):
            raise ValueError(
                f"FeedbackGraph: sources[{place}] may name values from 0 (the input) to {min(place, count)} (the "
                f"output of the layer before), got {read!r}."
            )
    return sources
