"""What keeps a network from being exactly the adjoint of its generative model."""

from cnnf_tf.layers import (
    AdaReLU,
    FeedbackAveragePooling2D,
    FeedbackDense,
    FeedbackLayer,
    FeedbackSequential,
    InstanceNorm,
    Tap,
)
from cnnf_tf.models import leaves


def last_layer(network: FeedbackSequential) -> FeedbackLayer:
    """The plain or residual layer that makes the logits."""
    layer: FeedbackLayer = network
    while isinstance(layer, (FeedbackSequential, Tap)):
        layer = layer.layers[-1] if isinstance(layer, FeedbackSequential) else layer.layer
    return layer


def inexactness(network: FeedbackSequential) -> list[str]:
    """Why the theorem of docs/theory.md does not hold exactly for this network; empty where it does."""
    layers = list(leaves(network))
    top = last_layer(network)
    norms = [layer.name for layer in layers if isinstance(layer, InstanceNorm)]
    pools = [layer.name for layer in layers if isinstance(layer, FeedbackAveragePooling2D) and not layer.adjoint]
    biases = [
        layer.name
        for layer in layers
        if isinstance(layer, FeedbackDense) and layer.bias is not None and layer is not top
    ]
    talks = [layer.name for layer in layers if isinstance(layer, AdaReLU) and layer.rule == "talk"]
    reasons = {
        "instance normalisation is not linear": norms,
        "average pooling without adjoint=True does not come down as its transpose": pools,
        "dense biases below the last layer have no part in the generative model": biases,
        'AdaReLU with rule="talk" does not maximise the generative model': talks,
    }
    return [f"{reason} ({', '.join(names)})" for reason, names in reasons.items() if names]
