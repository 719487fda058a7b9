"""Convolution going up, its transpose going down, one tied kernel (paper section 2.2: the DGM's W(i) and W(i)^T)."""

from typing import Any

import keras

from cnnf_tf.layers import kernels
from cnnf_tf.layers.base import FeedbackLayer, Shape, Tensor, check_rank, default_initializer, register
from cnnf_tf.utils.validation import one_of, positive_int


@register
class FeedbackConv2D(FeedbackLayer):
    """2-D convolution with a tied transposed convolution; it has no bias (`AdaReLU` owns it).

    Args:
      filters: number of output channels.
      kernel_size: side of the square kernel, in pixels; odd when `padding` is "same".
      strides: stride in both directions, in pixels.
      padding: "same" pads `(kernel_size - 1) / 2` zeros on *every* side, so that a stride-2 layer samples the same
        grid as the authors' code (TensorFlow's own "SAME" pads unevenly); "valid" pads nothing.
      kernel_initializer: any Keras initializer; `layers.base.default_initializer` by default.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        *,
        strides: int = 1,
        padding: str = "same",
        kernel_initializer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters = positive_int("filters", filters)
        self.kernel_size = positive_int("kernel_size", kernel_size)
        self.strides = positive_int("strides", strides)
        self.padding = one_of("padding", padding, ("same", "valid"))
        if padding == "same" and kernel_size % 2 == 0:
            raise ValueError(f'padding="same" wants an odd kernel_size, got {kernel_size}; use padding="valid".')
        self.kernel_initializer = keras.initializers.get(kernel_initializer) or default_initializer()

    def build(self, input_shape: Shape) -> None:
        check_rank(self, input_shape, 4, "[batch, height, width, channels]")
        self.output_shape_for(input_shape)
        self.input_spec = keras.layers.InputSpec(shape=(None, *input_shape[1:]))
        self._input_shape = tuple(input_shape[1:])
        self.kernel = self.add_weight(
            shape=(self.kernel_size, self.kernel_size, input_shape[-1], self.filters),
            initializer=self.kernel_initializer,
            name="kernel",
        )

    def output_shape_for(self, input_shape: Shape) -> Shape:
        batch, *size, _ = input_shape
        pad = 2 * self._pad
        height, width = ((length + pad - self.kernel_size) // self.strides + 1 for length in size)
        if height < 1 or width < 1:
            raise ValueError(f"{self.name!r}: a {self.kernel_size}x{self.kernel_size} kernel does not fit {size}.")
        return batch, height, width, self.filters

    def call(
        self, features: Tensor, signal: Tensor | None = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, None]:
        del signal, eta, training
        return kernels.conv2d(features, self.in_compute_dtype(self.kernel), self.strides, self._pad), None

    def feedback(self, signal: Tensor, latent: None = None) -> Tensor:
        del latent
        kernel, signal = self.in_compute_dtype(self.kernel), self.in_compute_dtype(signal)
        return kernels.conv2d_adjoint(signal, kernel, self.strides, self._pad, self._input_shape)

    @property
    def _pad(self) -> int:
        return (self.kernel_size - 1) // 2 if self.padding == "same" else 0

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
