"""Root-mean-square instance normalisation, going up, down, or both."""

from collections.abc import Callable
from typing import Any

from keras import ops

from cnnf_tf.layers.base import FeedbackLayer, Shape, Tensor, at_least_float32, check_rank, custom_gradient, register

EPSILON = 1e-8


@register
class InstanceNorm(FeedbackLayer):
    """Divides each channel of each image by its root mean square over space: `v / sqrt(mean(v^2) + 1e-8)`.

    No mean is subtracted and nothing is learned. Half precision is averaged along rows, and these means in float32.

    Args:
      up: normalise the features going up.
      down: normalise the signal coming down.
    """

    def __init__(self, *, up: bool = True, down: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        if not (up or down):
            raise ValueError("InstanceNorm wants up=True, down=True or both, got neither.")
        self.up, self.down = bool(up), bool(down)

    def build(self, input_shape: Shape) -> None:
        check_rank(self, input_shape, 4, "[batch, height, width, channels]", static=False)

    def call(
        self, features: Tensor, signal: Tensor | None = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, None]:
        del signal, eta, training
        return (_normalise(features) if self.up else features), None

    def feedback(self, signal: Tensor, latent: None = None) -> Tensor:
        del latent
        signal = self.in_compute_dtype(signal)
        return _normalise(signal) if self.down else signal

    @property
    def inexactness(self) -> str | None:
        return "instance normalisation is not linear"

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"up": self.up, "down": self.down}


@custom_gradient
def _normalise(values: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """v r with r = 1 / sqrt(mean(v^2) + epsilon); the gradient for an upstream u is r (u - v r^2 mean(u v))."""
    scale = ops.rsqrt(_mean_product(values, values) + EPSILON)

    def gradient(upstream: Tensor) -> Tensor:
        pull = ops.square(scale) * _mean_product(upstream, values)
        return (upstream - values * ops.cast(pull, values.dtype)) * ops.cast(scale, values.dtype)

    return values * ops.cast(scale, values.dtype), gradient


def _mean_product(first: Tensor, second: Tensor) -> Tensor:
    """`[batch, 1, 1, channels]`, at least float32: first along rows by the pooling kernel, which is fast.

    Products of bfloat16 have the range of float32; those of float16 would overflow and are made in float32.
    """
    if first.dtype == "float16":
        first, second = at_least_float32(first), at_least_float32(second)
    rows = first * second
    if rows.shape[2] is not None:
        row = (1, rows.shape[2])
        rows = ops.average_pool(rows, row, strides=row, data_format="channels_last")
    return ops.mean(at_least_float32(rows), axis=(1, 2), keepdims=True)
