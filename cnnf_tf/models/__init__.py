"""The loop, the Keras model around it, the paper's networks, and the training objective."""

from cnnf_tf.models.adaptive import AdaptiveResult, adaptive_unroll, check_tolerance, infer_adaptive
from cnnf_tf.models.cnnf import CNNF
from cnnf_tf.models.conversion import copy_layer, register_conversion
from cnnf_tf.models.networks import NETWORKS, Network, fashion_cnn, leaves, wide_resnet
from cnnf_tf.models.objective import Losses, Scored, batch_losses, reconstruction_loss, trajectory_losses
from cnnf_tf.models.step_sizes import StepSizes
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
    "StepSizes",
    "Trajectory",
    "adaptive_unroll",
    "batch_losses",
    "check_tolerance",
    "copy_layer",
    "fashion_cnn",
    "feedback_pass",
    "first_pass",
    "infer_adaptive",
    "leaves",
    "reconstruction_loss",
    "register_conversion",
    "step",
    "trajectory_losses",
    "unroll",
    "wide_resnet",
]
