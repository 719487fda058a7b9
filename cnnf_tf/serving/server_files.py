"""What TensorFlow Serving reads beside the graph: its configuration, and requests to warm up with."""

import math
import os
import pathlib

import numpy as np

from cnnf_tf.serving.signatures import ServingOptions
from cnnf_tf.serving.transports import needs_extra, predict_request
from cnnf_tf.utils.files import write_text

_MODELS = """\
# For tensorflow_model_server --model_config_file. The server loads the newest version in base_path (the path inside the
# container). To stay with a version, or to go back to one, replace `latest {{ num_versions: 1 }}` by
# `specific {{ versions: 3 }}`; with --model_config_file_poll_wait_seconds=10 the server notices by itself.
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
}}
"""

_BATCHING = """\
# For tensorflow_model_server --enable_batching --batching_parameters_file. Requests that arrive within
# batch_timeout_micros of each other run as one batch of at most max_execution_batch_size images, the chunk of the
# exported graph; a larger request, of at most max_batch_size images, is split. num_batch_threads: the number of cores;
# each thread may hold one batch in memory.
max_batch_size {{ value: {max_images} }}
enable_large_batch_splitting {{ value: true }}
max_execution_batch_size {{ value: {chunk_size} }}
batch_timeout_micros {{ value: 2000 }}
max_enqueued_batches {{ value: {queue} }}
num_batch_threads {{ value: {threads} }}
"""


def write_config_files(base: pathlib.Path, name: str, options: ServingOptions) -> list[pathlib.Path]:
    """Writes `models.config` and `batching.config`, in protobuf text format, into `base`.

    A file that exists is kept, since somebody may have pinned a version in it.

    Returns:
      The files written.
    """
    values = {
        "name": name,
        "chunk_size": min(options.chunk_size, options.max_images),
        "max_images": options.max_images,
        # The largest request must fit into the queue, and some others beside it.
        "queue": max(100, 2 * math.ceil(options.max_images / options.chunk_size)),
        "threads": os.cpu_count() or 1,
    }
    written = []
    for file_name, template in (("models.config", _MODELS), ("batching.config", _BATCHING)):
        path = base / file_name
        if not path.exists():
            write_text(path, template.format(**values))
            written.append(path)
    return written


def warmup_records(name: str, images: np.ndarray, options: ServingOptions) -> list[bytes]:
    """Requests that TF Serving replays before it calls a version ready.

    Returns:
      Records of `assets.extra/tf_serving_warmup_requests`: every signature once with one image, and the default with a
      full chunk.

    Raises:
      ImportError: tensorflow-serving-api is not installed.
    """
    with needs_extra("an export", "tensorflow-serving-api"):
        from tensorflow_serving.apis import prediction_log_pb2
    one = images[:1]
    pixels = np.round(one * 255).astype(np.uint8)
    limits = {"max_iterations": np.array([options.max_iterations], np.int32), "tolerance": np.zeros(1, np.float32)}
    requests = [
        ("serving_default", {"images": one}),
        ("serving_default", {"images": np.resize(images, (options.chunk_size, *images.shape[1:]))}),
        ("serving_uint8", {"images": pixels}),
        ("classify", {"images": one, **limits}),
        ("classify_uint8", {"images": pixels, **limits}),
        ("reconstruct", {"images": one}),
        ("trajectory", {"images": one}),
    ]
    filled = [predict_request(inputs, name=name, signature_name=signature) for signature, inputs in requests]
    logs = [prediction_log_pb2.PredictionLog(predict_log={"request": request}) for request in filled]
    return [log.SerializeToString() for log in logs]
