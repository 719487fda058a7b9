"""What keeps a network from being exactly the adjoint of its generative model."""

from cnnf_tf.layers import FeedbackSequential
from cnnf_tf.models import leaves


def inexactness(network: FeedbackSequential) -> list[str]:
    """Why the theorem of docs/theory.md does not hold exactly for this network; empty where it does."""
    reasons: dict[str, list[str]] = {}
    for layer in leaves(network):
        reason = layer.inexactness
        if layer.output_bias is not None and layer.output_bias is not network.output_bias:
            reason = "dense biases below the last layer have no part in the generative model"
        if reason is not None:
            reasons.setdefault(reason, []).append(layer.name)
    return [f"{reason} ({', '.join(names)})" for reason, names in reasons.items()]
