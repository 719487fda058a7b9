"""ONNX files, for onnxruntime and whatever else reads them; by tf2onnx, of the extra `onnx`."""

import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cnnf_tf.models import CNNF
from cnnf_tf.serving.model_files import ExportedFile, FileFormat, FileOptions, write_file
from cnnf_tf.serving.portable import Portable, UnknownOpsError
from cnnf_tf.serving.transports import needs_extra

_OPSET = 18


def export_onnx(
    model: CNNF,
    path: str | os.PathLike[str],
    *,
    options: FileOptions,
    class_names: Sequence[str],
    images: np.ndarray,
    labels: np.ndarray | None = None,
    overwrite: bool = False,
) -> ExportedFile:
    """Writes an ONNX file, verifies it with onnxruntime, and only then lets it be seen.

    Its inputs and outputs are those of `cnnf_tf.serving.portable`; `iterations` may be left out and then is that of the
    options. The custom metadata hold what was exported, each value as JSON.

    Args:
      model: the model, of float32 and for images of one size.
      path: of the file; it ends in ".onnx".
      options: what is fixed in it; its weights must be "float32".
      class_names: one name for each class of the model.
      images: real images to verify with, float32 in [0, 1], `[batch, *image_shape]`.
      labels: their class ids, to state the accuracy; None for no statement.
      overwrite: whether the file may exist already.

    Raises:
      ValueError: arguments that do not fit, or a model that this format has no words for.
      FileExistsError: the file exists.
      VerificationError: the written file computes something else, or does not load.
      ImportError: tf2onnx or onnxruntime is not installed.
    """
    with needs_extra("an ONNX file", "tf2onnx", "onnx"):
        import onnxruntime  # noqa: F401 - the verification wants it
        import tf2onnx  # noqa: F401
    arguments: dict[str, Any] = {"options": options, "class_names": class_names, "images": images, "labels": labels}
    return write_file(model, path, ONNX, overwrite=overwrite, **arguments)


def _convert(graph: Portable, facts: dict[str, Any], weights: str) -> bytes:
    del weights  # float32 is all there is
    import onnx
    import tf2onnx
    from keras.src.export.tf2onnx_lib import patch_tf2onnx  # tf2onnx 1.17 does not know NumPy 2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of NumPy, about what the patch looks for
        patch_tf2onnx()
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # it warns of what is checked below
    proto, _ = tf2onnx.convert.from_function(graph.function, input_signature=graph.specs, opset=_OPSET)
    unknown = sorted({kind for kind in _kinds(proto.graph) if not onnx.defs.has(kind)})
    if unknown:
        raise UnknownOpsError(unknown)
    if facts["fixed_batch"] is None:  # tf2onnx gives each of them another name
        for value in (proto.graph.input[0], *proto.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    if facts["iterations_input"]:
        default = onnx.numpy_helper.from_array(np.array(facts["iterations"], np.int32), "iterations")
        proto.graph.initializer.append(default)
    onnx.helper.set_model_props(proto, {name: json.dumps(value) for name, value in facts.items()})
    return proto.SerializeToString()


def _kinds(graph: Any) -> Iterator[str]:
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            yield from _kinds(attribute.g)


ONNX = FileFormat(".onnx", "onnxruntime", ("float32",), _convert)
