"""The contract that every feedback layer keeps.

A layer works in two directions that share its weights. `call` is the feedforward (bottom-up) pass of the CNN;
`feedback` is the generative (top-down) pass of the deconvolutional generative model. Both are pure functions of what
they are given: state goes in and comes out as values, nothing is stored on the layer, so interleaved batches, tracing,
replication and export need no care.

    output, latent = layer(features, signal, eta=eta)
    signal_below   = layer.feedback(signal, latent)              # a plain layer
    signal_below, signals = composite.feedback(signal, latents)  # a composite, see `layers.composite`

`signal` in `call` is the signal g that reached the *output side* of this same layer in the last feedback pass; it is
None on the first pass. Layers that do not adapt ignore it and return `latent=None`. Composites return the nested
structure of latents and of signals: the same structure goes in and comes out.

What a nonlinear layer must remember of a pass to come down as the adjoint at that pass is its latent: for the layers of
the paper zeros and ones, for others slopes, or the features themselves.

A linear layer has no more to say. A layer with Bernoulli latents also sets `has_latents`, and says in `latent_logits`
and `linear_call` what they mean to the generative model. `output_bias` and `inexactness` are for layers that break the
theorem of docs/theory.md. So the loop, the generative model and files need not know what kind of layer it is.
"""

import functools
from collections.abc import Callable, Generator
from typing import Any

import keras

PACKAGE = "cnnf_tf"
register = keras.saving.register_keras_serializable(PACKAGE)

Tensor = Any
"""A backend tensor or KerasTensor; an alias for readers, not a check."""
Shape = tuple[Any, ...]
"""A static shape; the batch may be None."""
Descent = Generator[Tensor, Tensor, tuple[Tensor, Any]]
"""What `FeedbackLayer.descend` returns."""


@register
class FeedbackLayer(keras.layers.Layer):
    """Base of all layers: identity in both directions unless overridden."""

    has_latents: bool = False
    """Whether `call` returns Bernoulli latents, zeros and ones; if not, None or another constant of the pass."""
    merges: bool = False
    """Whether it reads a list of features, `[first, second, ...]`, and sends a list of signals down."""
    adapts: bool = False
    """Whether `call` makes use of `eta`: whether the layer has a step size, see `models.step_sizes`."""

    stateful: bool = False
    """Whether the first pass of a training step draws random numbers or moves statistics, and so must run once only."""

    # Up and down.

    def call(
        self, features: Tensor, signal: Tensor | None = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, Any]:
        """Feedforward (bottom-up) pass.

        Args:
          features: f from the layer below, `[batch, ...]`, in the compute dtype.
          signal: g that reached this layer's output side in the last feedback pass, shaped like the output; None on
            the first pass.
          eta: how far adaptive layers move f towards g before they apply their rule; a composite also takes a list
            with an entry for each child.
          training: as in Keras.

        Returns:
          `(output, latent)`; `latent` is None, a tensor `[batch, ...]` or a nest of such.
        """
        del signal, eta, training
        return features, None

    def feedback(self, signal: Tensor, latent: Any = None) -> Any:
        """Generative (top-down) pass: the signal at the output side in, the signal at the input side out."""
        del latent
        return signal

    def output_shape_for(self, input_shape: Shape) -> Shape:
        """Static shape of `output` for features of `input_shape` (batch may be None)."""
        return input_shape

    @property
    def output_shape(self) -> Shape:
        """That of `output` for the features that the layer was built for; `summary` shows it."""
        if not self.built:
            raise AttributeError(f"{self.name!r} has no output_shape before it is built.")
        return self.output_shape_for(self.get_build_config()["input_shape"])

    def get_config(self) -> dict[str, Any]:
        return super().get_config()

    # What the generative model asks.

    def latent_shape(self, input_shape: Shape) -> Shape:
        """Static shape of the latents for features of `input_shape`: one for each unit unless overridden."""
        return input_shape

    def latent_logits(self, signal: Tensor) -> Tensor:
        """Logits of the latents' Bernoulli given g at the output side, `[batch, ...]` in the dtype of `signal`.

        `b * g` in general, b being the bias that the latents switch; zeros (b = 0: fair coins) unless overridden.
        """
        shape = self.latent_shape(self.get_build_config()["input_shape"])
        return keras.ops.zeros((keras.ops.shape(signal)[0], *shape[1:]), signal.dtype)

    def linear_call(
        self, features: Tensor, latent: Any = None, signal: Any = None, *, eta: float | Tensor = 0.0
    ) -> Tensor:
        """`call` with the latents given: an affine map, whose linear part `feedback` is the adjoint of.

        Args:
          features: f from the layer below, in the compute dtype.
          latent: zeros and ones, in any pattern; not only one that `call` would choose.
          signal: as in `call`, for layers that move f towards g.
          eta: as in `call`; without effect where `signal` is None.

        Returns:
          The output. At the latents that `call` chose, it is that of `call`.
        """
        del latent, signal, eta
        return self(features)[0]

    @property
    def output_bias(self) -> Any:
        """What this layer adds to its output that has no part in `feedback`, or None.

        In the layer that makes the logits it is the prior of the labels; anywhere else it voids the theorem.
        """
        return None

    @property
    def inexactness(self) -> str | None:
        """Why a network with this layer is not exactly the adjoint of its generative model; None where it is."""
        return None

    # How to walk it. Composites override these three; other layers need not.

    def pass_up(
        self, features: Tensor, signal: Any = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, Any, list[Tensor]]:
        """`call`, with what the taps inside record: `(output, latent, taps)`, the taps bottom to top."""
        output, latent = self(features, signal, eta=eta, training=training)
        return output, latent, []

    def pass_down(self, signal: Tensor, latent: Any = None) -> tuple[Tensor, Any, list[Tensor]]:
        """`feedback`, with what to hand to the next `call` and what taps record: `(signal below, signals, taps)`."""
        return self.feedback(signal, latent), signal, []

    def descend(self, signal: Tensor) -> Descent:
        """`feedback` one layer of latents at a time, for latents that are not known before.

        Going down, latents have a distribution only once the signal above them is there, and the signal below needs
        the latents. So this is a generator: it yields g at the output side of each layer of latents, top to bottom,
        wants that layer's z sent back, and returns `(signal below, nested z)`.
        """
        latent = (yield signal) if self.has_latents else None
        return self.feedback(signal, latent), latent

    def in_compute_dtype(self, tensor: Tensor) -> Tensor:
        """Casts to the layer's compute dtype: `feedback` does not pass through Keras' autocasting."""
        return keras.ops.cast(tensor, self.compute_dtype)


def custom_gradient(function: Callable[..., tuple[Tensor, Callable[[Tensor], Any]]]) -> Callable[..., Tensor]:
    """`keras.ops.custom_gradient`: a function that returns its value, and what makes gradients of the value's gradient.

    The second takes that gradient and nothing else, on each backend; Keras' own passes other arguments in PyTorch.
    """
    if keras.backend.backend() != "torch":
        return keras.ops.custom_gradient(function)

    @functools.wraps(function)
    def by_name(*arguments: Tensor) -> tuple[Tensor, Callable[..., Any]]:
        value, gradient = function(*arguments)
        return value, lambda *_, upstream: gradient(upstream)

    return keras.ops.custom_gradient(by_name)


def at_least_float32(tensor: Tensor) -> Tensor:
    """Casts half precision to float32 and leaves float32 and float64 alone."""
    half = keras.backend.standardize_dtype(tensor.dtype) in ("float16", "bfloat16")
    return keras.ops.cast(tensor, "float32") if half else tensor


def move(features: Tensor, signal: Tensor, eta: float | Tensor) -> Tensor:
    """f moved towards g: `(1 - eta) f + eta g`, in the dtype of f."""
    eta = keras.ops.convert_to_tensor(eta, features.dtype)
    return (1 - eta) * features + eta * keras.ops.cast(signal, features.dtype)


def map_sign(signal: Tensor) -> Tensor:
    """-1 where a signal is negative, else 1, in its dtype: the sign s of the MAP rule."""
    return 1 - 2 * keras.ops.cast(signal < 0, signal.dtype)


def empty(features: Tensor) -> Tensor:
    """A tensor `[*shape of the features, 0]`: their shape, also where it is not known before, without their memory."""
    return keras.ops.stop_gradient(features[..., None][..., :0])


def zeros_of(shape: Tensor) -> Tensor:
    """Zeros of the shape of what `empty` was given."""
    return keras.ops.zeros(keras.ops.shape(shape)[:-1], shape.dtype)


def check_rank(layer: keras.layers.Layer, input_shape: Shape, rank: int, layout: str, *, static: bool = True) -> None:
    """Raises ValueError unless `input_shape` has the wanted rank and is static: all but the batch, or the last axis."""
    if len(input_shape) != rank or None in (input_shape[1:] if static else input_shape[-1:]):
        which = "static sizes (only the batch may be None)" if static else "a static number of channels"
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r} wants inputs {layout} with {which}, got shape {tuple(input_shape)}."
        )


def default_initializer() -> keras.initializers.Initializer:
    """U(-1/sqrt(n), 1/sqrt(n)) for n inputs, as in the authors' code.

    A small start matters here: with tied weights the reconstruction grows with the square of every layer's scale.
    """
    return keras.initializers.VarianceScaling(scale=1 / 3, mode="fan_in", distribution="uniform")
