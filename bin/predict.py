"""Labels image files with a model in TensorFlow Serving, over gRPC or REST, or with an exported model in process.

Example:
  python bin/predict.py --server=localhost:8500 --name=cnnf --images=a.png,dir
  python bin/predict.py --rest=http://localhost:8501 --name=cnnf \\
      --images=shirt.png --max_iterations=5 --tolerance=0.2
  python bin/predict.py --exported=/srv/models/cnnf --images=folder --json
  python bin/predict.py --exported=cnnf.onnx --images=folder

Prints a row for each image: label, probability, iterations used. With --json it prints a JSON object on a line of its
own for each image, as soon as it is there: file, label, class_name, probability, iterations_used, label_changed,
latent_flip_rate, feature_residual (the last three are null where no iteration was used). --server and --rest need the
extra `serving`, files `onnx` or `litert`.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import _app
import _images
from absl import flags

import cnnf_tf
from cnnf_tf.utils.files import text_of
from cnnf_tf.utils.progress import Progress
from cnnf_tf.utils.tables import aligned

_SERVER = flags.DEFINE_string("server", "", "host:port of the server's gRPC interface (usually port 8500).")
_REST = flags.DEFINE_string("rest", "", "http://host:port of the server's REST interface (usually port 8501).")
_EXPORTED = flags.DEFINE_string(
    "exported", "", "What bin/export.py wrote: the folder, or one of its versions; or the file, .onnx or .tflite."
)
flags.DEFINE_alias("saved_model", "exported")  # its name of old
_IMAGES = _images.define_images()
_NAME = flags.DEFINE_string("name", "cnnf", "The model's name on the server.")
_MODEL_VERSION = flags.DEFINE_integer("model_version", 0, "Version on the server; 0: its own choice.", lower_bound=0)
_MAX_ITERATIONS = flags.DEFINE_integer(
    "max_iterations", -1, "Most feedback passes; -1: what the model was exported with.", lower_bound=-1
)
_app.limit_iterations("max_iterations")
_TOLERANCE = flags.DEFINE_float(
    "tolerance", 0.0, "An image stops once it moves less than this; 0: never early. Needs --max_iterations.", 0.0
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Images in a request.", lower_bound=1)
_TIMEOUT = flags.DEFINE_float("timeout", 30.0, "Seconds that one request may take.", lower_bound=1e-3)
_ATTEMPTS = flags.DEFINE_integer("attempts", 4, "Tries while the server is busy or not there.", lower_bound=1)
_JSON = flags.DEFINE_bool("json", False, "Print JSON lines.")


def main() -> None:
    given = [holder for holder in (_SERVER, _REST, _EXPORTED) if holder.value]
    if len(given) != 1:
        names = ", ".join(f"--{holder.name}" for holder in given) or "none"
        raise _app.UsageError(f"exactly one of --server, --rest and --exported must be given, got {names}.")
    _app.require(_IMAGES)
    if not _IMAGES.value:
        raise _app.UsageError("--images must be given; see --help for an example.")
    if _TOLERANCE.value and _MAX_ITERATIONS.value < 0:
        raise _app.UsageError("--tolerance wants --max_iterations, the most feedback passes to allow.")

    _app.start_tensorflow()
    files = _images.find()
    retries = cnnf_tf.serving.Retries(attempts=_ATTEMPTS.value)
    client = cnnf_tf.serving.Client(_transport(), batch_size=_BATCH_SIZE.value, timeout=_TIMEOUT.value, retries=retries)
    images = _images.read(files, client.image_shape())
    rows: list[tuple[str, ...]] = [("file", "label", "probability", "iterations")]
    try:
        with Progress("predicting", len(files), "images", shown=not _JSON.value) as progress:
            for batch in _batches(images):
                _classify(client, batch, rows)
                progress.update(len(batch))
    finally:
        if not _JSON.value and len(rows) > 1:
            print(aligned(rows), flush=True)


def _batches(images: Iterable[tuple[pathlib.Path, Any]]) -> Iterator[list[tuple[pathlib.Path, Any]]]:
    """Files and images in batches; those before a bad one come before its error."""
    batch = []
    try:
        for pair in images:
            batch.append(pair)
            if len(batch) == _BATCH_SIZE.value:
                yield batch
                batch = []
    except ValueError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _classify(client: Any, batch: list[tuple[pathlib.Path, Any]], rows: list[tuple[str, ...]]) -> None:
    """Appends a row for each image, or prints its JSON."""
    import numpy as np

    limit = None if _MAX_ITERATIONS.value < 0 else _MAX_ITERATIONS.value
    answers = client.classify(np.stack([image for _, image in batch]), max_iterations=limit, tolerance=_TOLERANCE.value)
    for (file, _), answer in zip(batch, answers, strict=True):
        if _JSON.value:
            print(json.dumps({"file": text_of(file), **dataclasses.asdict(answer)}), flush=True)
        rows.append((str(file), answer.class_name, f"{100 * answer.probability:.2f} %", str(answer.iterations_used)))


def _transport() -> Any:
    version = _MODEL_VERSION.value or None
    if _SERVER.value:
        return cnnf_tf.serving.GrpcTransport(_SERVER.value, _NAME.value, version=version)
    if _REST.value:
        return cnnf_tf.serving.RestTransport(_REST.value, _NAME.value, version=version)
    if pathlib.Path(_EXPORTED.value).suffix in (".onnx", ".tflite"):
        return cnnf_tf.serving.FileTransport(_EXPORTED.value)
    return cnnf_tf.serving.SavedModelTransport(_EXPORTED.value)


if __name__ == "__main__":
    _app.run(main)
