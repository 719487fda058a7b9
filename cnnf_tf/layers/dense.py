"""Dense layer going up, its transpose going down, one tied kernel."""

from typing import Any

import keras

from cnnf_tf.layers import kernels
from cnnf_tf.layers.base import FeedbackLayer, Shape, Tensor, check_rank, default_initializer, register
from cnnf_tf.utils.validation import positive_int


@register
class FeedbackDense(FeedbackLayer):
    """`features @ kernel (+ bias)` up, `signal @ kernel^T` down. The bias does nothing going down.

    Args:
      units: size of the output.
      use_bias: add a bias per unit going up. Only the last layer (the logits) wants one; elsewhere `AdaReLU` owns it.
      kernel_initializer: any Keras initializer; `layers.base.default_initializer` by default.
    """

    def __init__(self, units: int, *, use_bias: bool = False, kernel_initializer: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = positive_int("units", units)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer) or default_initializer()
        self.bias = None

    def build(self, input_shape: Shape) -> None:
        check_rank(self, input_shape, 2, "[batch, features]")
        self.input_spec = keras.layers.InputSpec(shape=(None, input_shape[-1]))
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer=self.kernel_initializer, name="kernel"
        )
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def output_shape_for(self, input_shape: Shape) -> Shape:
        return input_shape[0], self.units

    def call(
        self, features: Tensor, signal: Tensor | None = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, None]:
        del signal, eta, training
        output = features @ self.in_compute_dtype(self.kernel)  # `keras.ops.matmul` knows no float64 on every backend
        if self.bias is not None:
            output = output + self.in_compute_dtype(self.bias)
        return output, None

    def feedback(self, signal: Tensor, latent: None = None) -> Tensor:
        del latent
        return kernels.matmul_adjoint(self.in_compute_dtype(signal), self.in_compute_dtype(self.kernel))

    @property
    def output_bias(self) -> Any:
        return self.bias

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "units": self.units,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
