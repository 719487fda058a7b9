"""`assets.extra/tf_serving_warmup_requests`: requests that TF Serving replays before it calls a version ready."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

Requests = list[tuple[str, dict[str, np.ndarray]]]


def write_warmup_requests(directory: pathlib.Path, model_name: str, requests: Requests) -> pathlib.Path:
    """Writes Predict requests, `(signature, inputs)` each, into a SavedModel directory; returns the file.

    Raises:
      ImportError: tensorflow-serving-api is not installed.
    """
    apis = serving_apis()
    path = directory / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            request = apis["predict_pb2"].PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = signature
            for name, values in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
            log = apis["prediction_log_pb2"].PredictionLog()
            log.predict_log.request.CopyFrom(request)
            writer.write(log.SerializeToString())
    return path


def serving_apis() -> Mapping[str, Any]:
    """The protocol modules of tensorflow-serving-api.

    Raises:
      ImportError: it is not installed; the message names the extra.
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError as error:
        raise ImportError(
            'an export wants the package tensorflow-serving-api; install the extra: pip install "cnnf_tf[serving]" '
            f"({error})."
        ) from error
    return {"predict_pb2": predict_pb2, "prediction_log_pb2": prediction_log_pb2}
