"""What a model can be exported as."""

from collections.abc import Callable
from typing import Any, NamedTuple

from cnnf_tf.serving.export import export_model
from cnnf_tf.serving.litert import LITERT, export_litert
from cnnf_tf.serving.model_files import FileOptions
from cnnf_tf.serving.onnx import ONNX, export_onnx
from cnnf_tf.serving.signatures import ServingOptions


class Format(NamedTuple):
    """One of `FORMATS`."""

    export: Callable[..., Any]
    """`export(model, path, options=..., class_names=..., images=..., overwrite=...)` and what else it takes."""
    options: Any
    """The class of its options, which has `for_model`."""
    suffix: str = ""
    """Of the file; none for a folder."""


FORMATS = {
    "savedmodel": Format(export_model, ServingOptions),
    "onnx": Format(export_onnx, FileOptions, ONNX.suffix),
    "litert": Format(export_litert, FileOptions, LITERT.suffix),
}
