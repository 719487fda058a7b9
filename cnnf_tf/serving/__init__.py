"""Serving: SavedModels for TensorFlow Serving, ONNX and LiteRT files, checked before anyone sees them; the client."""

from cnnf_tf.utils.backend import need_tensorflow as _need_tensorflow

_need_tensorflow(__name__, "writes and serves TensorFlow's SavedModels")

from cnnf_tf.serving.client import Client, Prediction, Retries, ServingError
from cnnf_tf.serving.export import Exported, export_model
from cnnf_tf.serving.formats import FORMATS, Format
from cnnf_tf.serving.litert import export_litert
from cnnf_tf.serving.model_files import ExportedFile, FileOptions
from cnnf_tf.serving.onnx import export_onnx
from cnnf_tf.serving.signatures import ServingOptions
from cnnf_tf.serving.transports import FileTransport, GrpcTransport, RestTransport, SavedModelTransport
from cnnf_tf.serving.verification import VerificationError

__all__ = [
    "FORMATS",
    "Client",
    "Exported",
    "ExportedFile",
    "FileOptions",
    "FileTransport",
    "Format",
    "GrpcTransport",
    "Prediction",
    "RestTransport",
    "Retries",
    "SavedModelTransport",
    "ServingError",
    "ServingOptions",
    "VerificationError",
    "export_litert",
    "export_model",
    "export_onnx",
]
