"""LiteRT files (TensorFlow Lite), of its built-in ops alone; verified with its interpreter, of the extra `litert`."""

import io
import json
import os
import re
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.models import CNNF
from cnnf_tf.serving.model_files import WEIGHTS, ExportedFile, FileFormat, FileOptions, write_file
from cnnf_tf.serving.portable import Portable, UnknownOpsError
from cnnf_tf.serving.reload import FACTS
from cnnf_tf.serving.transports import needs_extra


def export_litert(
    model: CNNF,
    path: str | os.PathLike[str],
    *,
    options: FileOptions,
    class_names: Sequence[str],
    images: np.ndarray,
    labels: np.ndarray | None = None,
    overwrite: bool = False,
) -> ExportedFile:
    """Writes a LiteRT file, verifies it with the interpreter, and only then lets it be seen.

    Its only signature has the inputs and outputs of `cnnf_tf.serving.portable`. What was exported stands in
    `cnnf_tf.json`, in a ZIP archive that is appended to the file, as associated files are.

    Args:
      model: the model, of float32 and for images of one size.
      path: of the file; it ends in ".tflite".
      options: what is fixed in it. Rounded weights are verified by labels: see `model_files.LEAST_AGREEMENT`.
      class_names: one name for each class of the model.
      images: real images to verify with, float32 in [0, 1], `[batch, *image_shape]`.
      labels: their class ids, to state the accuracy; None for no statement.
      overwrite: whether the file may exist already.

    Raises:
      ValueError, FileExistsError, VerificationError: as `export_onnx`.
      ImportError: ai-edge-litert is not installed.
    """
    with needs_extra("a LiteRT file", "ai-edge-litert", "litert"):
        import ai_edge_litert.interpreter  # noqa: F401 - the verification wants it
    arguments: dict[str, Any] = {"options": options, "class_names": class_names, "images": images, "labels": labels}
    return write_file(model, path, LITERT, overwrite=overwrite, **arguments)


def _convert(graph: Portable, facts: dict[str, Any], weights: str) -> bytes:
    module = tf.Module()
    module.function = graph.function
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.function.get_concrete_function()], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if weights != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if weights == "float16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        content = converter.convert()
    except Exception as error:  # the converter's own class has no public name
        unknown = re.search(r"(?:Select|Custom) ops: ([\w, ]+)", str(error))
        if unknown is None:
            raise
        raise UnknownOpsError(unknown[1].split(", ")) from error
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a") as appended:
        appended.writestr(FACTS, json.dumps(facts, indent=2))
    return file.getvalue()


LITERT = FileFormat(".tflite", "the LiteRT interpreter", WEIGHTS, _convert)
