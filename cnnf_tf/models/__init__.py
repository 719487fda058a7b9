"""The loop, the Keras model around it, the paper's networks, pretrained models, the objective, the authors' weights."""

from cnnf_tf.models.adaptive import AdaptiveResult, adaptive_unroll, check_tolerance, infer_adaptive
from cnnf_tf.models.cnnf import CNNF
from cnnf_tf.models.loading import load_model, model_sha256
from cnnf_tf.models.networks import NETWORKS, Network, fashion_cnn, wide_resnet
from cnnf_tf.models.objective import Losses, Scored, batch_losses, reconstruction_loss, trajectory_losses
from cnnf_tf.models.pretrained import load_pretrained, pretrained_card, pretrained_names
from cnnf_tf.models.traversal import leaves
from cnnf_tf.models.unroll import READOUTS, Feedback, State, Trajectory, feedback_pass, first_pass, step, unroll

__all__ = [
    "AdaptiveResult",
    "CNNF",
    "NETWORKS",
    "READOUTS",
    "Feedback",
    "Losses",
    "Network",
    "Scored",
    "State",
    "Trajectory",
    "adaptive_unroll",
    "batch_losses",
    "check_tolerance",
    "fashion_cnn",
    "feedback_pass",
    "first_pass",
    "infer_adaptive",
    "leaves",
    "load_model",
    "load_pretrained",
    "model_sha256",
    "pretrained_card",
    "pretrained_names",
    "reconstruction_loss",
    "step",
    "trajectory_losses",
    "unroll",
    "wide_resnet",
]
