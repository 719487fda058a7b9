"""Adaptive activations: AdaReLU's rule for any activation.

With f the features and s the sign of the signal g that came down to this unit (+1 where there is none):

    output = s * act(s * f),    latent = act'(s * f),    coming down: latent * g

For the rectifier that is the MAP rule of the paper (section 2.3), and with a maximum in the place of the activation it
is AdaPool's. In residual form f first moves towards g: `f <- f + eta (g - f)`. On the first pass s is +1 everywhere.
"""

from typing import Any

import keras
from keras import ops

from cnnf_tf.layers import kernels
from cnnf_tf.layers.base import FeedbackLayer, Shape, Tensor, map_sign, move, register


@register
class AdaActivation(FeedbackLayer):
    """An adaptive activation; its latents are slopes: real numbers, or zeros and ones for a rectifier with a ceiling.

    Args:
      activation: what acts on each unit by itself: a name that `keras.activations.get` knows, a function that it can
        serialise, or a layer such as `keras.layers.LeakyReLU(0.1)` or `keras.layers.PReLU()`, whose weights are used.
    """

    adapts = True

    def __init__(self, activation: Any, **kwargs: Any):
        layer = activation if isinstance(activation, keras.layers.Layer) else None
        super().__init__(**({"name": layer.name, "dtype": layer.dtype_policy} if layer else {}) | kwargs)
        self.activation = layer or keras.layers.Activation(activation, dtype=self.dtype_policy)
        self.has_latents = _is_rectifier(self.activation)

    def build(self, input_shape: Shape) -> None:
        if not self.activation.built:
            self.activation.build(input_shape)
            self.activation.built = True

    def call(
        self, features: Tensor, signal: Tensor | None = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Returns `(output, slope)`, both shaped and typed like `features`."""
        del training
        if signal is None:
            return self.activation(features), self._slope(features)
        sign = ops.stop_gradient(ops.cast(map_sign(signal), features.dtype))
        signed = sign * move(features, signal, eta)
        return sign * self.activation(signed), self._slope(signed)

    def feedback(self, signal: Tensor, latent: Tensor = None) -> Tensor:
        """`slope * signal`."""
        return self.in_compute_dtype(signal) * self.in_compute_dtype(latent)

    def linear_call(
        self,
        features: Tensor,
        latent: Tensor = None,
        signal: Tensor | None = None,
        *,
        eta: float | Tensor = 0.0,
    ) -> Tensor:
        """`slope * features`: without what a curved activation adds to that."""
        features = features if signal is None else move(features, signal, eta)
        return features * self.in_compute_dtype(latent)

    @property
    def inexactness(self) -> str | None:
        return "an activation other than the rectifier has no Bernoulli latents that explain its output"

    def _slope(self, features: Tensor) -> Tensor:
        return kernels.vector_jacobian_product(self.activation, features, ops.ones_like(features))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"activation": keras.saving.serialize_keras_object(self.activation)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AdaActivation":
        return cls(**(config | {"activation": keras.saving.deserialize_keras_object(config["activation"])}))


def _is_rectifier(layer: keras.layers.Layer) -> bool:
    """Whether all slopes are 0 or 1."""
    if isinstance(layer, keras.layers.ReLU):
        return not layer.negative_slope
    kind = isinstance(layer, keras.layers.Activation) and keras.activations.serialize(layer.activation)
    return kind in ("relu", "relu6")
