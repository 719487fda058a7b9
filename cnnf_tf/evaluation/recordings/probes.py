"""Looking into a network while the loop runs: a view of it, which records what is asked for.

A view holds the very layers of the network, is made anew for each trace, and leaves nothing on them. Latents, signals
and step sizes are nested as those of the network, so the loop takes the view in its place; what it records comes back
as the taps of each pass. The network's own taps are silent in it.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import tensorflow as tf

from cnnf_tf.evaluation.recordings.names import inside, list_places
from cnnf_tf.layers import FeedbackComposite, FeedbackLayer
from cnnf_tf.layers.base import Tensor, at_least_float32
from cnnf_tf.layers.composite import Sources
from cnnf_tf.models import CNNF, State, feedback_pass, unroll


def record(
    model: CNNF, iterations: int, names: Sequence[str], spatial_mean: bool, images: Tensor
) -> dict[str, tf.Tensor]:
    """The activations of a batch.

    Args:
      model: a CNN-F.
      iterations: K.
      names: of `list_activations`.
      spatial_mean: whether to take the mean over all axes but image, pass and the last one.
      images: floats in [0, 1], `[batch, *image_shape]`.

    Returns:
      By name, `[batch, K + 1, ...]`, at least float32; of the encoder, which runs once, `[batch, 1, ...]`.
    """
    places = list_places(model)
    middle = [place.layer for place in places].index(None)
    encoder, (h, *network) = places[:middle], places[middle:]
    found: dict[str, list[Tensor]] = {}

    features = model.normalize(images)
    if model.encoder is not None:
        below = View(model.encoder, iter([*(place.name for place in encoder), ""]), names)
        features, _, taps = below.pass_up(model.encoder.in_compute_dtype(features))
        found |= {name: [tap] for name, tap in zip(below.up, taps, strict=True)}

    # The logits are recorded too, in the network's own dtype: they are what goes down at last.
    view: Any = View(model.network, iter([*(place.name for place in network), ""]), {*names, ".f"})
    start = model.feedback_start
    trajectory = unroll(view, features, iterations=iterations, eta=model.step_sizes(), feedback_start=start)
    found |= {f"{h.name}.f": trajectory.features, f"{h.name}.g": list(trajectory.reconstructions)}
    found |= dict(zip(view.up, map(list, zip(*trajectory.taps, strict=True)), strict=True))
    found |= {name: [] for name in view.down}
    if any(name in (f"{h.name}.g", *view.down) for name in names):
        last = State(trajectory.features[-1], found[".f"][-1], trajectory.latents[-1])
        feedback = feedback_pass(view, last, feedback_start=start)
        found[f"{h.name}.g"].append(feedback.reconstruction)
        for taps in (*trajectory.tap_reconstructions, feedback.taps):
            for name, tap in zip(view.down, taps, strict=True):
                found[name].append(tap)
    reduced = _spatial_mean if spatial_mean else at_least_float32
    return {name: tf.stack([reduced(value) for value in found[name]], axis=1) for name in names}


class View:
    """A layer as it is, which records what it puts out, its latents, and the signal that comes down to it.

    No layer of Keras, which would note on the layer inside that it has it.

    Args:
      layer: of the network.
      places: names of the places inside of the layer, and at last of its own, in the order of `list_places`.
      names: what to record.

    Attributes:
      up: names of what `pass_up` records, in order; `down` those of `pass_down`.
    """

    def __init__(self, layer: FeedbackLayer, places: Iterator[str], names: Collection[str]):
        self.name, self.merges, self.has_latents = layer.name, layer.merges, layer.has_latents
        views = [View(child, places, names) for child in inside(layer)]
        place = next(places)
        self._inner: Any = _Inside(layer, views) if views else layer
        self._is_open = bool(views)
        self._records = {kind: f"{place}.{kind}" in names for kind in "fzg"}
        own = {kind: [f"{place}.{kind}"] * recorded for kind, recorded in self._records.items()}
        self.up: list[str] = [*(name for view in views for name in view.up), *own["f"], *own["z"]]
        self.down: list[str] = [*(name for view in views for name in view.down), *own["g"]]

    def pass_up(
        self, features: Tensor, signal: Any = None, *, eta: Any = 0.0, training: bool = False
    ) -> tuple[Tensor, Any, list[Tensor]]:
        """As that of the layer; the taps are what `up` names."""
        output, latent, taps = self._inner.pass_up(features, signal, eta=eta, training=training)
        taps = [*(taps if self._is_open else []), *([output] if self._records["f"] else [])]
        if self._records["z"]:
            taps.append(latent[0] if isinstance(latent, tuple) else latent)  # beside it the shape of the features
        return output, latent, taps

    def pass_down(self, signal: Tensor, latent: Any = None) -> tuple[Tensor, Any, list[Tensor]]:
        """As that of the layer; the taps are what `down` names."""
        below, signals, taps = self._inner.pass_down(signal, latent)
        return below, signals, [*(taps if self._is_open else []), *([signal] if self._records["g"] else [])]


class _Inside(FeedbackComposite):
    """A composite with views of its children."""

    def __init__(self, layer: Any, views: Sequence[Any]):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self._views, self._sources = list(views), layer.sources()
        self.built = True

    def children(self) -> list[Any]:
        return list(self._views)

    def sources(self) -> Sources:
        return self._sources


def _spatial_mean(value: Tensor) -> Tensor:
    value = at_least_float32(value)
    return tf.reduce_mean(value, list(range(1, value.shape.rank - 1))) if value.shape.rank > 2 else value
