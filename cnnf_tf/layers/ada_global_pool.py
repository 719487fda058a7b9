"""AdaPool over the whole image: one window, whose choice of unit listens to the feedback (paper section 2.3)."""

from typing import Any

from keras import ops

from cnnf_tf.layers import windows
from cnnf_tf.layers.base import FeedbackLayer, Shape, Tensor, check_rank, map_sign, register


@register
class AdaGlobalMaxPool2D(FeedbackLayer):
    """`[batch, height, width, channels]` to `[batch, channels]`: the pixel with the largest f * g, by the MAP rule.

    Args:
      keepdims: keep height and width, as 1.
    """

    has_latents = True

    def __init__(self, *, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.keepdims = bool(keepdims)

    def build(self, input_shape: Shape) -> None:
        check_rank(self, input_shape, 4, "[batch, height, width, channels]", static=False)

    def output_shape_for(self, input_shape: Shape) -> Shape:
        batch, _, _, channels = input_shape
        return (batch, 1, 1, channels) if self.keepdims else (batch, channels)

    def call(
        self, features: Tensor, signal: Tensor | None = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Returns `(pooled, z_P)`; z_P is shaped and typed like `features`, with one 1 in each channel."""
        del eta, training
        signed = features
        if signal is not None:
            signed = features * ops.cast(map_sign(self._spread(signal)), features.dtype)
        batch, height, width, channels = ops.shape(features)
        pixels = ops.reshape(ops.stop_gradient(signed), (batch, height * width, channels))
        latent = windows.first_maximum(pixels, axis=1)
        latent = ops.stop_gradient(ops.reshape(latent, (batch, height, width, channels)))
        return self.linear_call(features, latent), latent

    def feedback(self, signal: Tensor, latent: Tensor = None) -> Tensor:
        """`z_P * signal`, shaped like z_P."""
        return self._spread(self.in_compute_dtype(signal)) * self.in_compute_dtype(latent)

    def linear_call(
        self,
        features: Tensor,
        latent: Tensor = None,
        signal: Tensor | None = None,
        *,
        eta: float | Tensor = 0.0,
    ) -> Tensor:
        """The sum over the image of `z_P * features`."""
        del signal, eta
        return ops.sum(features * self.in_compute_dtype(latent), axis=(1, 2), keepdims=self.keepdims)

    def _spread(self, signal: Tensor) -> Tensor:
        return signal if self.keepdims else signal[:, None, None]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"keepdims": self.keepdims}
