"""Average pooling going up, nearest upsampling going down."""

from typing import Any

from cnnf_tf.layers import kernels
from cnnf_tf.layers.base import FeedbackLayer, Shape, Tensor, check_rank, register
from cnnf_tf.utils.validation import positive_int


@register
class FeedbackAveragePooling2D(FeedbackLayer):
    """Mean over non-overlapping square windows; coming down, each value is repeated over its window.

    Args:
      pool_size: side of the window and stride, in pixels.
      adjoint: divide the upsampled signal by the window's area, which makes `feedback` the exact transpose of `call`
        (the theorem of the generative model wants that). The authors' code does not divide; False is its rule.
    """

    def __init__(self, pool_size: int, *, adjoint: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.pool_size = positive_int("pool_size", pool_size)
        self.adjoint = bool(adjoint)

    def build(self, input_shape: Shape) -> None:
        check_rank(self, input_shape, 4, "[batch, height, width, channels]")
        _, height, width, _ = input_shape
        if height % self.pool_size or width % self.pool_size:
            raise ValueError(f"{self.name!r}: pool_size {self.pool_size} must divide the input {height}x{width}.")
        self._input_size = (height, width)

    def output_shape_for(self, input_shape: Shape) -> Shape:
        batch, height, width, channels = input_shape
        return batch, height // self.pool_size, width // self.pool_size, channels

    def call(
        self, features: Tensor, signal: Tensor | None = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, None]:
        del signal, eta, training
        return kernels.average_pool(features, self.pool_size), None

    def feedback(self, signal: Tensor, latent: None = None) -> Tensor:
        del latent
        signal = self.in_compute_dtype(signal)
        if self.adjoint:
            signal = signal / self.pool_size**2
        return kernels.upsample(signal, self.pool_size, self._input_size)

    @property
    def inexactness(self) -> str | None:
        return None if self.adjoint else "average pooling without adjoint=True does not come down as its transpose"

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"pool_size": self.pool_size, "adjoint": self.adjoint}
