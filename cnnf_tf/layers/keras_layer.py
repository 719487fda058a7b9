"""Any layer of Keras as a feedback layer: up as Keras runs it, down as its own vector-Jacobian product.

Given the latents a network is linear, and what comes down a layer is the gradient of what went up. For a linear layer
(convolutions of every kind, padding, average pooling, reshaping, ...) that holds at any features, so none are kept but
their shape. A nonlinear layer comes down as its Jacobian at the features of the pass, which are its latent; it does not
listen to the signal.
"""

from typing import Any

import keras
from keras import ops, tree

from cnnf_tf.layers import kernels
from cnnf_tf.layers.base import FeedbackLayer, Shape, Tensor, empty, register, zeros_of
from cnnf_tf.layers.wrapper import KerasWrapper


@register
class FeedbackKerasLayer(KerasWrapper):
    """A Keras layer and its transpose.

    Args:
      layer: any layer of Keras that is differentiable and whose output depends on its input alone: no random numbers,
        no statistics of the batch. Its weights are used, not copied.
      linear: whether the layer is linear but for biases.
      merges: whether it reads several tensors.
    """

    def __init__(self, layer: keras.layers.Layer, *, linear: bool = True, merges: bool = False, **kwargs: Any):
        if not isinstance(layer, keras.layers.Layer) or isinstance(layer, FeedbackLayer):
            raise ValueError(f"FeedbackKerasLayer wants a layer of Keras, got {layer!r}.")
        super().__init__(layer, **kwargs)
        self.linear, self.merges = bool(linear), bool(merges)

    def build(self, input_shape: Any) -> None:
        self._input_shape = input_shape
        super().build(input_shape)

    def output_shape_for(self, input_shape: Any) -> Shape:
        shapes = input_shape if self.merges else [input_shape]
        specs = [keras.KerasTensor(shape, self.compute_dtype) for shape in shapes]
        return tuple(self.layer.compute_output_spec(specs if self.merges else specs[0]).shape)

    def call(
        self, features: Any, signal: Tensor | None = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, Any]:
        """Returns `(output, latent)`; the latent is the features, and of a linear layer what has their shape but no
        elements, or None where images have one size.
        """
        del signal, eta, training
        if self.linear:
            return self.layer(features), None if self._sized else tree.map_structure(empty, features)
        return self.layer(features), features

    def feedback(self, signal: Tensor, latent: Any = None) -> Any:
        """Signal times the Jacobian at the features of the pass; a list of such where the layer merges.

        A linear layer can do without its latent where images have one size, known beforehand.
        """
        if latent is None:
            latent = self._shape_of_input(signal)
        point = tree.map_structure(zeros_of, latent) if self.linear else latent
        return kernels.vector_jacobian_product(self.layer, point, self.in_compute_dtype(signal))

    @property
    def _input_shapes(self) -> list[Shape]:
        return list(self._input_shape) if self.merges else [self._input_shape]

    @property
    def _sized(self) -> bool:
        """Whether images have one size, known beforehand."""
        return not any(None in shape[1:] for shape in self._input_shapes)

    def _shape_of_input(self, signal: Tensor) -> Any:
        """What `empty` would give for the input, as far as the layer knows."""
        shapes = self._input_shapes
        if not self.linear or not self._sized:
            why = "images may have any size" if self.linear else "it comes down as its Jacobian at those"
            raise ValueError(f"{self.name!r} wants the features of a pass to send a signal down, for {why}; got none.")
        found = [ops.zeros((ops.shape(signal)[0], *shape[1:], 0), self.compute_dtype) for shape in shapes]
        return found if self.merges else found[0]

    @property
    def output_bias(self) -> Any:
        return getattr(self.layer, "bias", None)

    @property
    def inexactness(self) -> str | None:
        return None if self.linear else "a nonlinear layer comes down as its Jacobian, which has no generative model"

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"linear": self.linear, "merges": self.merges}
