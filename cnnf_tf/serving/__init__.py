"""Serving: the SavedModel for TensorFlow Serving, checked before anyone sees it, and the client."""

from cnnf_tf.utils.backend import need_tensorflow as _need_tensorflow

_need_tensorflow(__name__, "writes and serves TensorFlow's SavedModels")

from cnnf_tf.serving.client import Client, Prediction, Retries, ServingError
from cnnf_tf.serving.export import Exported, export_model
from cnnf_tf.serving.signatures import ServingOptions
from cnnf_tf.serving.transports import GrpcTransport, RestTransport, SavedModelTransport
from cnnf_tf.serving.verification import VerificationError

__all__ = [
    "Client",
    "Exported",
    "GrpcTransport",
    "Prediction",
    "RestTransport",
    "Retries",
    "SavedModelTransport",
    "ServingError",
    "ServingOptions",
    "VerificationError",
    "export_model",
]
