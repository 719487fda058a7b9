"""AdaPool: max pooling whose choice of unit listens to the feedback (paper section 2.3).

With g the signal that came down to a window, the pooling latent z_P picks the input unit with the largest f * g:

    rule          g > 0          g < 0            g == 0
    "map"         MaxPool(f)     -MaxPool(-f)     MaxPool(f)
    "reference"   MaxPool(f)     -MaxPool(-f)     0             the authors' code

Ties inside a window are common (zeros after a rectifier): z_P picks the first unit in row-major order, never several.
Going down, the signal is put where z_P points and zero elsewhere. On the first pass AdaPool is MaxPool.
"""

from typing import Any

from keras import ops

from cnnf_tf.layers import kernels
from cnnf_tf.layers.base import FeedbackLayer, Shape, Tensor, check_rank, register
from cnnf_tf.utils.validation import one_of, positive_int


def _map_sign(signal: Tensor) -> Tensor:
    return 1 - 2 * ops.cast(signal < 0, signal.dtype)


RULES = {"map": _map_sign, "reference": ops.sign}
"""Each rule maps g to the sign under which the window's largest unit is picked; 0 picks none."""


@register
class AdaPool2D(FeedbackLayer):
    """Adaptive max pooling over non-overlapping square windows.

    Args:
      pool_size: side of the window and stride, in pixels. Rows and columns left over at the end are dropped going up
        and get zeros coming down.
      rule: "map" (default) or "reference"; see the module docstring.
    """

    has_latents = True

    def __init__(self, pool_size: int = 2, *, rule: str = "map", **kwargs: Any):
        super().__init__(**kwargs)
        self.pool_size = positive_int("pool_size", pool_size)
        self.rule = one_of("rule", rule, RULES)

    def build(self, input_shape: Shape) -> None:
        check_rank(self, input_shape, 4, "[batch, height, width, channels]")
        self.output_shape_for(input_shape)

    def output_shape_for(self, input_shape: Shape) -> Shape:
        batch, height, width, channels = input_shape
        if min(height, width) < self.pool_size:
            raise ValueError(f"{self.name!r}: windows of {self.pool_size} do not fit {height}x{width}.")
        return batch, height // self.pool_size, width // self.pool_size, channels

    def call(
        self, features: Tensor, signal: Tensor | None = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Returns `(pooled, z_P)`; z_P is shaped and typed like `features`, at most one 1 in each window."""
        del eta, training
        sign = None if signal is None else RULES[self.rule](signal)
        return kernels.adaptive_pool(features, sign, self.pool_size)

    def feedback(self, signal: Tensor, latent: Tensor = None) -> Tensor:
        """`z_P * unpool(signal)`, shaped like z_P."""
        return kernels.unpool(self.in_compute_dtype(signal), self.in_compute_dtype(latent), self.pool_size)

    def linear_call(
        self,
        features: Tensor,
        latent: Tensor = None,
        signal: Tensor | None = None,
        *,
        eta: float | Tensor = 0.0,
    ) -> Tensor:
        """The sum over each window of `z_P * features`."""
        del signal, eta
        return kernels.sum_pool(features * self.in_compute_dtype(latent), self.pool_size)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"pool_size": self.pool_size, "rule": self.rule}
