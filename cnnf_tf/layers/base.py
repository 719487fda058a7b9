"""The contract that every feedback layer keeps.

A layer works in two directions that share its weights. `call` is the feedforward (bottom-up) pass of the CNN;
`feedback` is the generative (top-down) pass of the deconvolutional generative model. Both are pure functions of what
they are given: state goes in and comes out as values, nothing is stored on the layer, so interleaved batches, tracing,
replication and export need no care.

    output, latent = layer(features, signal, step_size=eta)
    signal_below   = layer.feedback(signal, latent)              # a plain layer
    signal_below, signals = composite.feedback(signal, latents)  # a composite

`signal` in `call` is the signal g that reached the *output side* of this same layer in the last feedback pass; it is
None on the first pass. Layers that do not adapt ignore it and return `latent=None`. Composites return the nested
structure of latents and of signals: the same structure goes in and comes out.
"""

from typing import Any

import keras

PACKAGE = "cnnf_tf"
register = keras.saving.register_keras_serializable(PACKAGE)

Tensor = Any
"""A backend tensor or KerasTensor; an alias for readers, not a check."""
Shape = tuple[Any, ...]
"""A static shape; the batch may be None."""


@register
class FeedbackLayer(keras.layers.Layer):
    """Base of all layers: identity in both directions unless overridden."""

    def call(
        self, features: Tensor, signal: Tensor | None = None, *, step_size: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, Any]:
        """Feedforward (bottom-up) pass.

        Args:
          features: f from the layer below, `[batch, ...]`, in the compute dtype.
          signal: g that reached this layer's output side in the last feedback pass, shaped like the output; None on
            the first pass.
          step_size: eta, how far adaptive layers move f towards g before they apply their rule.
          training: as in Keras.

        Returns:
          `(output, latent)`; `latent` is None for layers without latents.
        """
        del signal, step_size, training
        return features, None

    def feedback(self, signal: Tensor, latent: Any = None) -> Any:
        """Generative (top-down) pass: the signal at the output side in, the signal at the input side out."""
        del latent
        return signal

    def output_shape_for(self, input_shape: Shape) -> Shape:
        """Static shape of `output` for features of `input_shape` (batch may be None)."""
        return input_shape

    def in_compute_dtype(self, tensor: Tensor) -> Tensor:
        """Casts to the layer's compute dtype: `feedback` does not pass through Keras' autocasting."""
        return keras.ops.cast(tensor, self.compute_dtype)


class FeedbackComposite(FeedbackLayer):
    """Base of layers made of layers; its latents and signals are nested structures."""

    def feedback(self, signal: Tensor, latent: Any = None) -> tuple[Tensor, Any]:
        """As `FeedbackLayer.feedback`, but also returns the nested signals, one for each inner layer."""
        raise NotImplementedError

    def children(self) -> list[FeedbackLayer]:
        """The layers inside, bottom to top."""
        raise NotImplementedError

    def taps(self, structure: Any) -> list[Tensor]:
        """What the `Tap` layers inside recorded, bottom to top.

        Args:
          structure: this composite's latents (gives the tapped features) or signals (gives their reconstructions).
        """
        raise NotImplementedError


def at_least_float32(tensor: Tensor) -> Tensor:
    """Casts half precision to float32 and leaves float32 and float64 alone."""
    half = keras.backend.standardize_dtype(tensor.dtype) in ("float16", "bfloat16")
    return keras.ops.cast(tensor, "float32") if half else tensor


def move(features: Tensor, signal: Tensor, step_size: float | Tensor) -> Tensor:
    """f moved towards g: `(1 - eta) f + eta g`, in the dtype of f."""
    eta = keras.ops.convert_to_tensor(step_size, features.dtype)
    return (1 - eta) * features + eta * keras.ops.cast(signal, features.dtype)


def check_rank(layer: keras.layers.Layer, input_shape: Shape, rank: int, layout: str) -> None:
    """Raises ValueError unless `input_shape` has the wanted rank and is static but for the batch."""
    if len(input_shape) != rank or any(size is None for size in input_shape[1:]):
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r} wants inputs {layout} with static sizes (only the batch may be "
            f"None), got shape {tuple(input_shape)}."
        )


def default_initializer() -> keras.initializers.Initializer:
    """U(-1/sqrt(n), 1/sqrt(n)) for n inputs, as in the authors' code.

    A small start matters here: with tied weights the reconstruction grows with the square of every layer's scale.
    """
    return keras.initializers.VarianceScaling(scale=1 / 3, mode="fan_in", distribution="uniform")
