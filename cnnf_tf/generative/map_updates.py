"""The three updates of CNN-F's iterative inference: each of y, h and z to its maximum given the other two.

    y  <-  argmax_y  linear_forward(h; z)_y                       the label
    h  <-  g(0; y, z)                                             the features (with eta: a damped step towards it)
    z  <-  argmax_z  linear_forward(h; z)_y, layer by layer       the latents

One `models.step` is `map_features`, then `map_latents`; the argmax of its logits is `map_label`. Under the constancy
assumption of docs/theory.md `linear_forward(h; z)_y` is log p(h, y, z) up to a constant (for sigma = 1; else give
h / sigma^2 as features), so these are the maximum a posteriori updates.

`linear_forward` is the CNN whose rectifiers and pools are fixed to given latents: an affine map, the adjoint of the
renderer.

    AdaReLU:   f  ->  z_R * (f + b)
    AdaPool:   f  ->  sum over each window of z_P * f      (any number of ones in a window)

Linear layers run as they are; every layer's `linear_call` says how. With b the biases and g(i; y, z) the signal at the
output side of latent layer i when the one-hot label y is rendered through z, for every class y and ANY latents z,

    linear_forward(h; z)_y = <h, g(0; y, z)> + sum_i <b(i), z(i) * g(i; y, z)> + c_y,

c being the bias of the last dense layer. See docs/theory.md, which also says which layers void the identity.
"""

from typing import Any

from keras import ops

from cnnf_tf.generative.latents import flatten_latents, input_shape
from cnnf_tf.generative.model_arguments import top_signal
from cnnf_tf.layers import FeedbackComposite
from cnnf_tf.layers.base import Tensor, move


def linear_forward(
    network: FeedbackComposite,
    features: Tensor,
    latents: Any,
    *,
    signals: Any = None,
    eta: float | Tensor = 0.0,
) -> Tensor:
    """Runs features up the network with its latents fixed.

    Args:
      network: a built network.
      features: h, `[batch, ...]`.
      latents: z, nested as the network returns them, of the same batch; 0 or 1, but any number of ones in a window.
      signals: g of a feedback pass, nested as `network.feedback` returns them; only for the residual form of CNN-F,
        where every AdaReLU first moves its f towards g: `f <- f + eta (g - f)`.
      eta: step size of the residual form; it has no effect without `signals`.

    Returns:
      The logits, `[batch, classes]`. With the latents that `network(features, signals, eta=eta)` returned,
      these are that call's logits (for the rules "map" and "reference").

    Raises:
      ValueError: latents of another network.
    """
    flatten_latents(network, latents)
    return network.linear_call(ops.cast(features, network.compute_dtype), latents, signals, eta=eta)


def map_label(
    network: FeedbackComposite,
    features: Tensor,
    latents: Any,
    *,
    signals: Any = None,
    eta: float | Tensor = 0.0,
) -> Tensor:
    """The most probable label given features and latents, int32 `[batch]`.

    The arguments and errors are those of `linear_forward`.
    """
    logits = linear_forward(network, features, latents, signals=signals, eta=eta)
    return ops.cast(ops.argmax(logits, axis=-1), "int32")


def map_features(
    network: FeedbackComposite,
    features: Tensor,
    label: Tensor,
    latents: Any,
    *,
    eta: float | Tensor = 1.0,
) -> Tensor:
    """The most probable features given label and latents, g(0; y, z), or a step towards them.

    Args:
      network: a built network.
      features: the present h, `[batch, ...]`.
      label: class ids, `[batch]`, or floats `[batch, classes]` that are sent down as they are (CNN-F's raw logits).
      latents: z, nested as the network returns them.
      eta: step size. 1 gives g(0); less gives `h + eta (g(0) - h)`, the maximum of the Gaussian's log-density minus
        `(1 - eta) / eta |h' - h|^2 / (2 sigma^2)`: a proximal step.

    Raises:
      ValueError: latents of another network, a bad label.
    """
    reconstruction, _ = _render(network, label, latents)
    return move(ops.cast(features, reconstruction.dtype), reconstruction, eta)


def map_latents(
    network: FeedbackComposite,
    features: Tensor,
    label: Tensor,
    latents: Any,
    *,
    eta: float | Tensor = 0.0,
) -> Any:
    """The most probable latents given features and label: one sweep over the layers, bottom to top.

    Each layer's z is set to the exact maximum (z_R among all of {0, 1}^n, z_P among one unit in each window), given
    the new latents below it and the old ones above it. So the sweep never lowers `linear_forward(h; z)_y`, and is the
    exact joint maximum where the signals do not depend on the latents that change (one latent layer, say).

    Args:
      network: a built network; its AdaReLU should have rule "map" or "reference".
      features: h, `[batch, ...]`.
      label: as for `map_features`.
      latents: the present z: the signals of each layer come down through those above it.
      eta: step size of the residual form, in which every AdaReLU first moves its f towards g; 0 is the exact maximum.

    Returns:
      z, nested as the network returns it.

    Raises:
      ValueError: latents of another network, a bad label.
    """
    _, signals = _render(network, label, latents)
    _, updated = network(ops.cast(features, network.compute_dtype), signals, eta=eta)
    return updated


def _render(network: FeedbackComposite, label: Tensor, latents: Any) -> tuple[Tensor, Any]:
    flatten_latents(network, latents)
    num_classes = int(network.output_shape_for((None, *input_shape(network)))[-1])
    return network.feedback(top_signal(label, num_classes, network.compute_dtype), latents)
