"""Dropout: identity in inference, in training one mask for all passes of a step, up and down."""

from typing import Any

from keras import ops

from cnnf_tf.layers.base import Tensor, register
from cnnf_tf.layers.wrapper import KerasWrapper


@register
class FeedbackDropout(KerasWrapper):
    """A layer of Keras that multiplies by random numbers in training and does nothing else.

    Args:
      layer: `keras.layers.Dropout`, `SpatialDropout2D`, `GaussianDropout` or another of that kind.
    """

    stateful = True

    def call(
        self, features: Tensor, signal: Any = None, *, eta: float | Tensor = 0.0, training: bool = False
    ) -> tuple[Tensor, Any]:
        """Returns `(output, latent)`; the latent is `(mask,)`, shaped like `features`, in training and else None."""
        del eta
        if isinstance(signal, tuple):
            return features * signal[0], signal
        if not training:
            return features, None
        mask = ops.stop_gradient(self.layer(ops.ones_like(features), training=True))
        return features * mask, (mask,)

    def feedback(self, signal: Tensor, latent: Any = None) -> Tensor:
        signal = self.in_compute_dtype(signal)
        return signal * latent[0] if latent else signal

    def pass_down(self, signal: Tensor, latent: Any = None) -> tuple[Tensor, Any, list[Tensor]]:
        """`feedback`; the mask goes into the next `call`."""
        return self.feedback(signal, latent), latent or signal, []
