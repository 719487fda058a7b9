"""Batch normalisation as an affine layer: its statistics are constants of the pass, up and down."""

from typing import Any

import keras
from keras import ops

from cnnf_tf.layers.base import Shape, Tensor, at_least_float32, register
from cnnf_tf.layers.wrapper import KerasWrapper


@register
class FeedbackBatchNorm(KerasWrapper):
    """`gamma (f - mean) / sqrt(variance + epsilon) + beta` up, `gamma g / sqrt(variance + epsilon)` down.

    In inference mean and variance are the moving statistics. A training step runs up several times, over features that
    were moved further each time, so what its passes do to the statistics is an argument.

    Args:
      layer: a `keras.layers.BatchNormalization` over the last axis; its weights are used, not copied.
      frozen: training uses the moving statistics, too, and leaves them as they are; gamma and beta learn. If not, the
        first pass of a training step normalises by its batch and moves the statistics, as in Keras, and all its later
        passes use the mean and variance of that first one.
    """

    def __init__(self, layer: keras.layers.BatchNormalization, *, frozen: bool = True, **kwargs: Any):
        super().__init__(layer, **{"autocast": False} | kwargs)  # which would round the statistics to half precision
        self.frozen = bool(frozen)
        self.stateful = not self.frozen

    def unfreeze(self) -> None:
        """Makes `frozen` False."""
        self.frozen, self.stateful = False, True

    def build(self, input_shape: Shape) -> None:
        if self.layer.axis not in (-1, len(input_shape) - 1):
            raise ValueError(f"{self.name!r} wants batch normalisation over the last axis, got axis={self.layer.axis}.")
        super().build(input_shape)

    def call(
        self, features: Tensor, signal: Any = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, Any]:
        """Returns `(output, latent)`; the latent is `(mean, variance)` where those are of a batch, else None."""
        del eta
        if isinstance(signal, tuple):
            return self._normalise(features, signal), signal
        if self.frozen or not training:
            return self.in_compute_dtype(self.layer(features, training=False)), None
        axes = list(range(len(features.shape) - 1))
        statistics = tuple(ops.moments(at_least_float32(features), axes))
        return self.in_compute_dtype(self.layer(features, training=True)), statistics

    def feedback(self, signal: Tensor, latent: Any = None) -> Tensor:
        mean, variance = latent or (self.layer.moving_mean, self.layer.moving_variance)
        del mean
        scale = ops.rsqrt(ops.convert_to_tensor(variance) + self.layer.epsilon)
        if self.layer.gamma is not None:
            scale = scale * ops.cast(self.layer.gamma, scale.dtype)
        return self.in_compute_dtype(signal) * self.in_compute_dtype(scale)

    def pass_down(self, signal: Tensor, latent: Any = None) -> tuple[Tensor, Any, list[Tensor]]:
        """`feedback`; where the statistics are those of a batch, they go into the next `call`."""
        return self.feedback(signal, latent), latent or signal, []

    def linear_call(
        self, features: Tensor, latent: Any = None, signal: Any = None, *, eta: float | Tensor = 0.0
    ) -> Tensor:
        """`call` with the statistics given."""
        del signal, eta
        return self.call(features, latent)[0]

    @property
    def output_bias(self) -> Any:
        return self.layer.moving_mean

    def _normalise(self, features: Tensor, statistics: tuple[Tensor, Tensor]) -> Tensor:
        layer, wide = self.layer, at_least_float32(features)
        offset, scale = (
            weight if weight is None else ops.cast(weight, wide.dtype) for weight in (layer.beta, layer.gamma)
        )
        output = ops.batch_normalization(wide, *statistics, -1, offset=offset, scale=scale, epsilon=layer.epsilon)
        return self.in_compute_dtype(output)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"frozen": self.frozen}
