"""`models.config` and `batching.config`: what TensorFlow Serving reads at start, in protobuf text format."""

import math
import os
import pathlib
import re

from cnnf_tf.serving.options import ServingOptions
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


def check_model_name(name: str) -> str:
    """Returns `name` if TF Serving and a URL take it as it is, else raises ValueError."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError(
            f"the model name must consist of letters, digits and _ . - (letter or digit first), got {name!r}."
        )
    return name


def write_config_files(base: pathlib.Path, name: str, options: ServingOptions) -> list[pathlib.Path]:
    """Writes the two files into `base`; a file that exists is kept, since somebody may have pinned a version in it.

    Returns:
      The files written.
    """
    values = {
        "name": check_model_name(name),
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
