"""AdaReLU: the rectifier whose latents listen to the feedback (paper section 2.3).

With f the biased features and g the signal that came down to this unit, the rectifier latent z_R is 1 exactly where
f * g > 0, and the output is z_R * f. That maximises the generative model's inner product unit by unit:

    rule          g > 0      g < 0       g == 0
    "map"         ReLU(f)    -ReLU(-f)   ReLU(f)     the maximiser: makes the CNN the model's exact inference
    "slide"        ReLU(f)    ReLU(-f)    ReLU(f)     the slide as printed (a sign is missing there)
    "reference"   ReLU(f)    -ReLU(-f)   0           the authors' code, f * (f * g > 0)

In residual form f first moves towards g: `f <- f + eta (g - f)`. On the first pass there is no g and AdaReLU is ReLU.
"""

from typing import Any

from keras import ops

from cnnf_tf.layers import kernels
from cnnf_tf.layers.base import FeedbackLayer, Shape, Tensor, move, register
from cnnf_tf.utils.validation import one_of


def _map_rule(features: Tensor, signal: Tensor) -> tuple[Tensor, Tensor]:
    return features, kernels.flip_where_negative(features, signal)


def _slide_rule(features: Tensor, signal: Tensor) -> tuple[Tensor, Tensor]:
    flipped = kernels.flip_where_negative(features, signal)
    return flipped, flipped


def _reference_rule(features: Tensor, signal: Tensor) -> tuple[Tensor, Tensor]:
    return features, features * signal


RULES = {"map": _map_rule, "slide": _slide_rule, "reference": _reference_rule}
"""Each rule maps (f, g) to (value, gate): the latent is 1 where gate > 0, and the output is value there and else 0."""


@register
class AdaReLU(FeedbackLayer):
    """Adaptive rectifier with its bias.

    The bias b is one parameter with two roles: added to f going up, logit weight of z_R going down,
    `z_R ~ Bernoulli(logits = b * g)`.

    Args:
      rule: "map" (default), "slide" or "reference"; see the module docstring.
      use_bias: own a bias per channel (per unit after a dense layer).
    """

    has_latents = True
    adapts = True

    def __init__(self, *, rule: str = "map", use_bias: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.rule = one_of("rule", rule, RULES)
        self.use_bias = bool(use_bias)
        self.bias: Any = None

    def build(self, input_shape: Shape) -> None:
        if self.use_bias:
            self.bias = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="bias")

    def call(
        self, features: Tensor, signal: Tensor | None = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Returns `(output, z_R)`, both shaped and typed like `features`; z_R is 0 or 1."""
        del training
        if self.bias is not None:
            features = features + self.in_compute_dtype(self.bias)
        if signal is None:
            output = ops.relu(features)
            return output, ops.sign(ops.stop_gradient(output))
        value, gate = RULES[self.rule](move(features, signal, eta), signal)
        gate = ops.stop_gradient(gate)
        return kernels.where_positive(value, gate), ops.cast(gate > 0, features.dtype)

    def feedback(self, signal: Tensor, latent: Tensor = None) -> Tensor:
        """`z_R * signal`."""
        return self.in_compute_dtype(signal) * self.in_compute_dtype(latent)

    def latent_logits(self, signal: Tensor) -> Tensor:
        return ops.zeros_like(signal) if self.bias is None else ops.cast(self.bias, signal.dtype) * signal

    def linear_call(
        self,
        features: Tensor,
        latent: Tensor = None,
        signal: Tensor | None = None,
        *,
        eta: float | Tensor = 0.0,
    ) -> Tensor:
        """`z_R * (features + b)`, in residual form `z_R * ((1 - eta) (features + b) + eta signal)`."""
        if self.bias is not None:
            features = features + self.in_compute_dtype(self.bias)
        if signal is not None:
            features = move(features, signal, eta)
        return features * self.in_compute_dtype(latent)

    @property
    def inexactness(self) -> str | None:
        reason = 'AdaReLU with rule="slide" does not maximise the generative model'
        return reason if self.rule == "slide" else None

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"rule": self.rule, "use_bias": self.use_bias}
