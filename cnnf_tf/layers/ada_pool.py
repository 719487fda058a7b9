"""AdaPool: max pooling whose choice of unit listens to the feedback (paper section 2.3).

With g the signal that came down to a window, the pooling latent z_P picks the input unit with the largest f * g:

    rule          g > 0          g < 0            g == 0
    "map"         MaxPool(f)     -MaxPool(-f)     MaxPool(f)
    "reference"   MaxPool(f)     -MaxPool(-f)     0             the authors' code

Ties inside a window are common (zeros after a rectifier): z_P picks the first unit in row-major order, never several.
Going down, the signal is put where z_P points and zero elsewhere. On the first pass AdaPool is MaxPool.
"""

import math
from typing import Any

from keras import ops

from cnnf_tf.layers import kernels, windows
from cnnf_tf.layers.base import FeedbackLayer, Shape, Tensor, check_rank, empty, map_sign, register, zeros_of
from cnnf_tf.utils.validation import one_of, pair

RULES = {"map": map_sign, "reference": ops.sign}
"""Each rule maps g to the sign under which the window's largest unit is picked; 0 picks none."""


@register
class AdaPool2D(FeedbackLayer):
    """Adaptive max pooling.

    Each window listens to its own signal; where windows overlap, several of them may pick one unit.

    Args:
      pool_size: height and width of the window, in pixels; one number for both.
      strides: from one window to the next, in pixels; the window's size by default.
      padding: "valid": rows and columns left over at the end are dropped going up and get zeros coming down; "same":
        that of Keras, whose pixels outside of the image are never picked.
      rule: "map" (default) or "reference"; see the module docstring.
    """

    has_latents = True

    def __init__(
        self,
        pool_size: int | tuple[int, int] = 2,
        *,
        strides: int | tuple[int, int] | None = None,
        padding: str = "valid",
        rule: str = "map",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.pool_size = pair("pool_size", pool_size)
        self.strides = self.pool_size if strides is None else pair("strides", strides)
        self.padding = one_of("padding", padding, windows.PADDINGS)
        self.rule = one_of("rule", rule, RULES)
        self._input_shape: Shape = ()

    def build(self, input_shape: Shape) -> None:
        check_rank(self, input_shape, 4, "[batch, height, width, channels]", static=False)
        self.output_shape_for(input_shape)
        self._input_shape = tuple(input_shape[1:])

    def output_shape_for(self, input_shape: Shape) -> Shape:
        batch, *size, channels = input_shape
        sides = zip(size, self.pool_size, self.strides, strict=True)
        height, width = (windows.output_size(*side, self.padding) for side in sides)
        if 0 in (height, width):
            fit = "x".join(map(str, self.pool_size)) if len(set(self.pool_size)) > 1 else self.pool_size[0]
            raise ValueError(f"{self.name!r}: windows of {fit} do not fit {size[0]}x{size[1]}.")
        return batch, height, width, channels

    def latent_shape(self, input_shape: Shape) -> Shape:
        """That of the features, or `[batch, h', w', units of a window, channels]` where windows are not side by side.

        Side by side are square windows as far apart as they are large, without padding, on images of one size.
        """
        if self._side_by_side:
            return input_shape
        batch, height, width, channels = self.output_shape_for(input_shape)
        return batch, height, width, self.pool_size[0] * self.pool_size[1], channels

    def call(
        self, features: Tensor, signal: Tensor | None = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, Any]:
        """Returns `(pooled, z_P)`; z_P is of `latent_shape`, at most one 1 in each window.

        For images of any size the latent is z_P beside an empty tensor that has their shape.
        """
        del eta, training
        sign = None if signal is None else RULES[self.rule](signal)
        if self._side_by_side:
            return kernels.adaptive_pool(features, sign, self.pool_size[0])
        pixels = self._unfold(features)
        signed = ops.stop_gradient(pixels if sign is None else pixels * sign[:, :, :, None])
        if self.padding == "same":
            inside = self._unfold(ops.ones_like(features[:1, :, :, :1]))
            signed = ops.where(inside > 0, signed, ops.cast(-math.inf, signed.dtype))
        latent = windows.first_maximum(signed, axis=3)
        if sign is not None:
            latent = latent * ops.abs(sign)[:, :, :, None]
        latent = ops.stop_gradient(latent)
        output = ops.sum(pixels * latent, axis=3)
        return output, latent if self._sized else (latent, empty(features))

    def feedback(self, signal: Tensor, latent: Any = None) -> Tensor:
        """`z_P * unpool(signal)`, shaped like the features."""
        signal = self.in_compute_dtype(signal)
        if self._side_by_side:
            return kernels.unpool(signal, self.in_compute_dtype(latent), self.pool_size[0])
        if self._sized:
            like = ops.zeros((ops.shape(signal)[0], *self._input_shape), signal.dtype)
        else:
            latent, shape = latent
            like = zeros_of(shape)
        pixels = signal[:, :, :, None] * self.in_compute_dtype(latent)
        return windows.fold(pixels, like, self.pool_size, self.strides, self.padding)

    def linear_call(
        self,
        features: Tensor,
        latent: Any = None,
        signal: Tensor | None = None,
        *,
        eta: float | Tensor = 0.0,
    ) -> Tensor:
        """The sum over each window of `z_P * features`."""
        del signal, eta
        if self._side_by_side:
            return kernels.sum_pool(features * self.in_compute_dtype(latent), self.pool_size[0])
        latent = latent if self._sized else latent[0]
        return ops.sum(self._unfold(features) * self.in_compute_dtype(latent), axis=3)

    @property
    def _sized(self) -> bool:
        """Whether images have one size, known beforehand."""
        return None not in self._input_shape

    @property
    def _side_by_side(self) -> bool:
        """Whether the fast kernels can do it."""
        height, width = self.pool_size
        return height == width and self.strides == self.pool_size and self.padding == "valid" and self._sized

    def _unfold(self, features: Tensor) -> Tensor:
        return windows.unfold(features, self.pool_size, self.strides, self.padding)

    def get_config(self) -> dict[str, Any]:
        options = {"pool_size": list(self.pool_size), "strides": list(self.strides)}
        return super().get_config() | options | {"padding": self.padding, "rule": self.rule}
