"""The CNN whose rectifiers and pools are fixed to given latents: an affine map, the adjoint of the renderer.

    AdaReLU:   f  ->  z_R * (f + b)
    AdaPool:   f  ->  sum over each window of z_P * f      (any number of ones in a window)

All other layers run as they are. With b the biases and g(i; y, z) the signal at the output side of latent layer i when
the one-hot label y is rendered through z, for every class y and ANY latents z,

    linear_forward(h; z)_y = <h, g(0; y, z)> + sum_i <b(i), z(i) * g(i; y, z)> + c_y,

c being the bias of the last dense layer. See docs/theory.md, which also says which layers void the identity.
"""

from typing import Any

from keras import ops

from cnnf_tf.generative.latents import flatten_latents, unknown_composite
from cnnf_tf.layers import (
    AdaPool2D,
    AdaReLU,
    FeedbackComposite,
    FeedbackLayer,
    FeedbackResidual,
    FeedbackSequential,
    Tap,
)
from cnnf_tf.layers.base import Tensor, move
from cnnf_tf.layers.kernels import average_pool


def linear_forward(
    network: FeedbackSequential,
    features: Tensor,
    latents: Any,
    *,
    signals: Any = None,
    step_size: float | Tensor = 0.0,
) -> Tensor:
    """Runs features up the network with its latents fixed.

    Args:
      network: a built network.
      features: h, `[batch, ...]`.
      latents: z, nested as the network returns them, of the same batch; 0 or 1, but any number of ones in a window.
      signals: g of a feedback pass, nested as `network.feedback` returns them; only for the residual form of CNN-F,
        where every AdaReLU first moves its f towards g: `f <- f + step_size (g - f)`.
      step_size: eta of the residual form; it has no effect without `signals`.

    Returns:
      The logits, `[batch, classes]`. With the latents that `network(features, signals, step_size=step_size)` returned,
      these are that call's logits (for the rules "map" and "reference").

    Raises:
      ValueError: latents of another network.
    """
    flatten_latents(network, latents)
    return _up(network, ops.cast(features, network.compute_dtype), latents, signals, step_size)


def _up(layer: FeedbackLayer, features: Tensor, latent: Any, signal: Any, step_size: float | Tensor) -> Tensor:
    if isinstance(layer, FeedbackSequential):
        signals = [None] * len(layer.layers) if signal is None else signal
        for child, own_latent, own_signal in zip(layer.layers, latent, signals, strict=True):
            features = _up(child, features, own_latent, own_signal, step_size)
        return features
    if isinstance(layer, FeedbackResidual):
        signals = (None, None) if signal is None else signal
        main = _up(layer.main, features, latent[0], signals[0], step_size)
        if layer.shortcut is None:
            return main + features
        return main + _up(layer.shortcut, features, latent[1], signals[1], step_size)
    if isinstance(layer, Tap):
        return _up(layer.layer, features, latent[0], None if signal is None else signal[0], step_size)
    if isinstance(layer, FeedbackComposite):
        raise unknown_composite(layer)
    if isinstance(layer, AdaReLU):
        return _rectify(layer, features, latent, signal, step_size)
    if isinstance(layer, AdaPool2D):
        return average_pool(features * layer.in_compute_dtype(latent), layer.pool_size) * layer.pool_size**2
    return layer(features)[0]


def _rectify(layer: AdaReLU, features: Tensor, latent: Tensor, signal: Any, step_size: float | Tensor) -> Tensor:
    if layer.bias is not None:
        features = features + layer.in_compute_dtype(layer.bias)
    if signal is not None:
        features = move(features, signal, step_size)
    return features * layer.in_compute_dtype(latent)
