"""The CNN whose rectifiers and pools are fixed to given latents: an affine map, the adjoint of the renderer.

    AdaReLU:   f  ->  z_R * (f + b)
    AdaPool:   f  ->  sum over each window of z_P * f      (any number of ones in a window)

Linear layers run as they are; every layer's `linear_call` says how. With b the biases and g(i; y, z) the signal at the
output side of latent layer i when the one-hot label y is rendered through z, for every class y and ANY latents z,

    linear_forward(h; z)_y = <h, g(0; y, z)> + sum_i <b(i), z(i) * g(i; y, z)> + c_y,

c being the bias of the last dense layer. See docs/theory.md, which also says which layers void the identity.
"""

from typing import Any

from keras import ops

from cnnf_tf.generative.latents import flatten_latents
from cnnf_tf.layers import FeedbackSequential
from cnnf_tf.layers.base import Tensor


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
    return network.linear_call(ops.cast(features, network.compute_dtype), latents, signals, step_size=step_size)
