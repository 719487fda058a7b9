"""Flattening going up, the inverse reshape going down."""

import math

from keras import ops

from cnnf_tf.layers.base import FeedbackLayer, Shape, Tensor, check_rank, register


@register
class FeedbackFlatten(FeedbackLayer):
    """`[batch, height, width, channels]` to `[batch, height * width * channels]` and back."""

    def build(self, input_shape: Shape) -> None:
        check_rank(self, input_shape, 4, "[batch, height, width, channels]")
        self.image_shape = tuple(input_shape[1:])

    def output_shape_for(self, input_shape: Shape) -> Shape:
        return input_shape[0], math.prod(input_shape[1:])

    def call(
        self, features: Tensor, signal: Tensor | None = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, None]:
        del signal, eta, training
        return ops.reshape(features, (-1, math.prod(self.image_shape))), None

    def feedback(self, signal: Tensor, latent: None = None) -> Tensor:
        del latent
        return ops.reshape(self.in_compute_dtype(signal), (-1, *self.image_shape))
