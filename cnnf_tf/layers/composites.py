"""Layers made of layers: a sequence, a residual block, and a tap that lets the outside look in."""

from collections.abc import Sequence
from typing import Any

import keras

from cnnf_tf.layers.base import FeedbackComposite, FeedbackLayer, Shape, Tensor, register


def _checked_layers(owner: str, layers: Sequence[FeedbackLayer]) -> list[FeedbackLayer]:
    for position, layer in enumerate(layers):
        if not isinstance(layer, FeedbackLayer):
            raise ValueError(f"{owner} wants FeedbackLayer instances, got {layer!r} at position {position}.")
    return list(layers)


def _serialize(layers: Sequence[FeedbackLayer] | None) -> list[Any] | None:
    return None if layers is None else [keras.saving.serialize_keras_object(layer) for layer in layers]


def _deserialize(configs: Sequence[Any] | None) -> list[Any] | None:
    return None if configs is None else [keras.saving.deserialize_keras_object(config) for config in configs]


def _feedback(layer: FeedbackLayer, signal: Tensor, latent: Any) -> tuple[Tensor, Any]:
    """Runs a layer down; returns (signal below, what to record as its signal)."""
    if isinstance(layer, FeedbackComposite):
        return layer.feedback(signal, latent)
    return layer.feedback(signal, latent), signal


@register
class FeedbackSequential(FeedbackComposite):
    """A stack of feedback layers, bottom to top.

    `call` returns `(output, latents)` and `feedback` returns `(signal_below, signals)`; both structures are lists with
    one entry for each layer, nested where a layer is itself a composite.

    Args:
      layers: feedback layers, bottom to top.
    """

    def __init__(self, layers: Sequence[FeedbackLayer], **kwargs: Any):
        super().__init__(**kwargs)
        self.layers = _checked_layers(type(self).__name__, layers)

    def build(self, input_shape: Shape) -> None:
        for layer in self.layers:
            if not layer.built:
                layer.build(input_shape)
            input_shape = layer.output_shape_for(input_shape)

    def output_shape_for(self, input_shape: Shape) -> Shape:
        for layer in self.layers:
            input_shape = layer.output_shape_for(input_shape)
        return input_shape

    def call(
        self,
        features: Tensor,
        signal: list[Any] | None = None,
        *,
        step_size: float | Tensor = 0.0,
        training: bool = False,
    ) -> tuple[Tensor, list[Any]]:
        signals = self._checked("signal", [None] * len(self.layers) if signal is None else signal)
        latents = []
        for layer, own_signal in zip(self.layers, signals, strict=True):
            features, latent = layer(features, own_signal, step_size=step_size, training=training)
            latents.append(latent)
        return features, latents

    def feedback(self, signal: Tensor, latent: Any = None) -> tuple[Tensor, list[Any]]:
        latents = self._checked("latent", latent)
        signals: list[Any] = []
        for layer, own_latent in zip(reversed(self.layers), reversed(latents), strict=True):
            signal, recorded = _feedback(layer, signal, own_latent)
            signals.append(recorded)
        return signal, signals[::-1]

    def children(self) -> list[FeedbackLayer]:
        return list(self.layers)

    def taps(self, structure: Any) -> list[Tensor]:
        structure = self._checked("structure", structure)
        pairs = zip(self.layers, structure, strict=True)
        return [tap for layer, entry in pairs if isinstance(layer, FeedbackComposite) for tap in layer.taps(entry)]

    def _checked(self, argument: str, structure: Any) -> list[Any]:
        if not isinstance(structure, (list, tuple)) or len(structure) != len(self.layers):
            size = len(structure) if isinstance(structure, (list, tuple)) else type(structure).__name__
            raise ValueError(
                f"{self.name!r} has {len(self.layers)} layers and wants a list of as many entries as {argument}, got "
                f"{size}; pass what `call` or `feedback` of the same network returned."
            )
        return list(structure)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"layers": _serialize(self.layers)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FeedbackSequential":
        return cls(**(config | {"layers": _deserialize(config["layers"])}))


@register
class FeedbackResidual(FeedbackComposite):
    """`main(x) + shortcut(x)` going up, `main^T(g) + shortcut^T(g)` coming down.

    Args:
      main: feedback layers of the residual branch, bottom to top.
      shortcut: feedback layers of the other branch; None is the identity.
    """

    def __init__(self, main: Sequence[FeedbackLayer], shortcut: Sequence[FeedbackLayer] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.main = FeedbackSequential(main, name="main", dtype=self.dtype_policy)
        self.shortcut = None
        if shortcut is not None:
            self.shortcut = FeedbackSequential(shortcut, name="shortcut", dtype=self.dtype_policy)

    def build(self, input_shape: Shape) -> None:
        self.main.build(input_shape)
        if self.shortcut is not None:
            self.shortcut.build(input_shape)
        self.output_shape_for(input_shape)

    def output_shape_for(self, input_shape: Shape) -> Shape:
        main = self.main.output_shape_for(input_shape)
        other = input_shape if self.shortcut is None else self.shortcut.output_shape_for(input_shape)
        if tuple(main) != tuple(other):
            raise ValueError(f"{self.name!r}: the main branch ends in shape {main}, the shortcut in {other}.")
        return main

    def call(
        self, features: Tensor, signal: Any = None, *, step_size: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, Any]:
        main_signal, shortcut_signal = (None, None) if signal is None else signal
        output, main_latents = self.main(features, main_signal, step_size=step_size, training=training)
        if self.shortcut is None:
            return output + features, [main_latents, None]
        other, latents = self.shortcut(features, shortcut_signal, step_size=step_size, training=training)
        return output + other, [main_latents, latents]

    def feedback(self, signal: Tensor, latent: Any = None) -> tuple[Tensor, Any]:
        main_latents, shortcut_latents = latent
        below, main_signals = self.main.feedback(signal, main_latents)
        if self.shortcut is None:
            return below + keras.ops.cast(signal, below.dtype), [main_signals, None]
        other, shortcut_signals = self.shortcut.feedback(signal, shortcut_latents)
        return below + other, [main_signals, shortcut_signals]

    def children(self) -> list[FeedbackLayer]:
        return [self.main] if self.shortcut is None else [self.main, self.shortcut]

    def taps(self, structure: Any) -> list[Tensor]:
        main, shortcut = structure
        return self.main.taps(main) + ([] if self.shortcut is None else self.shortcut.taps(shortcut))

    def get_config(self) -> dict[str, Any]:
        shortcut = None if self.shortcut is None else self.shortcut.layers
        return super().get_config() | {"main": _serialize(self.main.layers), "shortcut": _serialize(shortcut)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FeedbackResidual":
        branches = {"main": _deserialize(config["main"]), "shortcut": _deserialize(config["shortcut"])}
        return cls(**(config | branches))


@register
class Tap(FeedbackComposite):
    """Changes nothing, and records what passes, so that the objective can compare features with reconstructions.

    Going up it records the output of the tapped layer; coming down, the signal that leaves this layer below (after an
    AdaReLU's mask, say). Without a layer it records what passes at its place. `network.taps(latents)` and
    `network.taps(signals)` collect the records.

    Args:
      layer: the feedback layer to look at; None for the bare place.
    """

    def __init__(self, layer: FeedbackLayer | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        (self.layer,) = _checked_layers(type(self).__name__, [FeedbackLayer() if layer is None else layer])

    def build(self, input_shape: Shape) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)

    def output_shape_for(self, input_shape: Shape) -> Shape:
        return self.layer.output_shape_for(input_shape)

    def call(
        self, features: Tensor, signal: Any = None, *, step_size: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, Any]:
        own_signal = None if signal is None else signal[0]
        output, latent = self.layer(features, own_signal, step_size=step_size, training=training)
        return output, [latent, output]

    def feedback(self, signal: Tensor, latent: Any = None) -> tuple[Tensor, Any]:
        below, recorded = _feedback(self.layer, signal, latent[0])
        return below, [recorded, below]

    def children(self) -> list[FeedbackLayer]:
        return [self.layer]

    def taps(self, structure: Any) -> list[Tensor]:
        inner, record = structure
        return (self.layer.taps(inner) if isinstance(self.layer, FeedbackComposite) else []) + [record]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Tap":
        return cls(**(config | {"layer": keras.saving.deserialize_keras_object(config["layer"])}))
