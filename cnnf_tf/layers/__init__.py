"""Feedback layers: each runs up as a CNN layer and down as a layer of the generative model, with the same weights."""

from cnnf_tf.layers.ada_activation import AdaActivation
from cnnf_tf.layers.ada_global_pool import AdaGlobalMaxPool2D
from cnnf_tf.layers.ada_pool import AdaPool2D
from cnnf_tf.layers.ada_relu import AdaReLU
from cnnf_tf.layers.average_pool import FeedbackAveragePooling2D
from cnnf_tf.layers.base import FeedbackLayer
from cnnf_tf.layers.batch_norm import FeedbackBatchNorm
from cnnf_tf.layers.composite import FeedbackComposite
from cnnf_tf.layers.conv import FeedbackConv2D
from cnnf_tf.layers.dense import FeedbackDense
from cnnf_tf.layers.dropout import FeedbackDropout
from cnnf_tf.layers.flatten import FeedbackFlatten
from cnnf_tf.layers.graph import FeedbackGraph
from cnnf_tf.layers.instance_norm import InstanceNorm
from cnnf_tf.layers.keras_layer import FeedbackKerasLayer
from cnnf_tf.layers.residual import FeedbackResidual
from cnnf_tf.layers.sequential import FeedbackSequential
from cnnf_tf.layers.tap import Tap

__all__ = [
    "AdaActivation",
    "AdaGlobalMaxPool2D",
    "AdaPool2D",
    "AdaReLU",
    "FeedbackAveragePooling2D",
    "FeedbackBatchNorm",
    "FeedbackComposite",
    "FeedbackConv2D",
    "FeedbackDense",
    "FeedbackDropout",
    "FeedbackFlatten",
    "FeedbackGraph",
    "FeedbackKerasLayer",
    "FeedbackLayer",
    "FeedbackResidual",
    "FeedbackSequential",
    "InstanceNorm",
    "Tap",
]
