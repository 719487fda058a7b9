"""The ways from the client to a model: gRPC and REST to a TensorFlow Serving server, and exported models in process.

Packages of the extra `serving` are imported where they are used.
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from cnnf_tf.serving import reload
from cnnf_tf.serving.client import ServingError
from cnnf_tf.serving.versions import existing_versions
from cnnf_tf.utils.files import plainly_named
from cnnf_tf.utils.validation import one_of


@contextlib.contextmanager
def needs_extra(what: str, package: str, extra: str = "serving") -> Iterator[None]:
    """Makes an ImportError in its block say that `what` wants `package`, and which extra brings it."""
    try:
        yield
    except ImportError as error:
        message = f'{what} wants the package {package}; install the extra: pip install "cnnf_tf[{extra}]" ({error}).'
        raise ImportError(message) from error


def predict_request(inputs: dict[str, np.ndarray], **model_spec: Any) -> Any:
    """A `PredictRequest` with the fields of its `ModelSpec`: `name`, `signature_name`, ..."""
    from tensorflow_serving.apis import predict_pb2

    protos = {name: tf.make_tensor_proto(values) for name, values in inputs.items()}
    return predict_pb2.PredictRequest(model_spec=model_spec, inputs=protos)


class GrpcTransport:
    """TensorFlow Serving's PredictionService over an insecure gRPC channel.

    Args:
      address: `host:port`; the server's default port is 8500.
      model: the model's name.
      version: a version number; None for the server's choice.
    """

    def __init__(self, address: str, model: str, *, version: int | None = None):
        with needs_extra("gRPC", "tensorflow-serving-api"):
            import grpc
            from tensorflow_serving.apis import prediction_service_pb2_grpc
        self._grpc, self._address = grpc, address
        self._spec = {"name": model} | ({} if version is None else {"version": {"value": version}})
        # Answers may be large; gRPC's own limit is 4 MB.
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(address, options=options)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(self, signature: str, inputs: dict[str, np.ndarray], *, timeout: float) -> dict[str, np.ndarray]:
        request = predict_request(inputs, signature_name=signature, **self._spec)
        response = self._call(self._stub.Predict, request, timeout)
        return {name: tf.make_ndarray(values) for name, values in response.outputs.items()}

    def image_shape(self, *, timeout: float) -> tuple[int, int, int]:
        from tensorflow_serving.apis import get_model_metadata_pb2

        fields = {"model_spec": self._spec, "metadata_field": ["signature_def"]}
        request = get_model_metadata_pb2.GetModelMetadataRequest(**fields)
        response = self._call(self._stub.GetModelMetadata, request, timeout)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        dims = signatures.signature_def["serving_default"].inputs["images"].tensor_shape.dim
        return _image_shape([dim.size for dim in dims])

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def _call(self, method: Any, request: Any, timeout: float) -> Any:
        try:
            return method(request, timeout=timeout)
        except self._grpc.RpcError as error:
            code, details = error.code().name, plain_words(error.details() or "")
            raise ServingError(code, f"{self._address} answers {code}: {details}") from error


class RestTransport:
    """TensorFlow Serving's REST interface.

    Args:
      url: `http://host:port`; the server's default port is 8501.
      model: the model's name.
      version: a version number; None for the server's choice.
    """

    _CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 412: "FAILED_PRECONDITION", 429: "RESOURCE_EXHAUSTED"}
    _CODES |= {502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
    _DTYPES = {"label": np.int64, "iterations_used": np.int32, "class_name": np.str_}

    def __init__(self, url: str, model: str, *, version: int | None = None):
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"the URL must start with http:// or https://, got {url!r}.")
        with needs_extra("REST", "requests"):
            import requests
        self._requests, self._session = requests, requests.Session()
        self._url = f"{url.rstrip('/')}/v1/models/{model}" + ("" if version is None else f"/versions/{version}")

    def predict(self, signature: str, inputs: dict[str, np.ndarray], *, timeout: float) -> dict[str, np.ndarray]:
        columns = {name: values.tolist() for name, values in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}, separators=(",", ":"))
        outputs = self._call("POST", f"{self._url}:predict", body, timeout)["outputs"]
        # The server leaves out the name of an only output; no prediction signature has just one.
        return {name: np.asarray(values, self._DTYPES.get(name, np.float32)) for name, values in outputs.items()}

    def image_shape(self, *, timeout: float) -> tuple[int, int, int]:
        metadata = self._call("GET", f"{self._url}/metadata", None, timeout)["metadata"]
        images = metadata["signature_def"]["signature_def"]["serving_default"]["inputs"]["images"]
        return _image_shape([int(dim["size"]) for dim in images["tensor_shape"]["dim"]])

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def _call(self, method: str, url: str, body: str | None, timeout: float) -> Any:
        try:
            response = self._session.request(method, url, data=body, timeout=timeout)
        except self._requests.Timeout as error:
            raise ServingError("DEADLINE_EXCEEDED", f"no answer from {url} within {timeout:g} s.") from error
        except self._requests.ConnectionError as error:
            raise ServingError("UNAVAILABLE", f"no connection to {url}: {error}") from error
        code = self._CODES.get(response.status_code, "UNKNOWN")
        try:
            if response.ok:
                return response.json()
            details = plain_words(str(response.json()["error"]))
        except (ValueError, KeyError, TypeError) as error:
            if response.ok:
                message = f"{url} does not answer in JSON; is it a TensorFlow Serving server?"
                raise ServingError("INTERNAL", message) from error
            details = response.text[:200]
        raise ServingError(code, f"{url} answers {code} (HTTP {response.status_code}): {details}")


class SavedModelTransport:
    """A SavedModel in this process; the timeout does not apply.

    Args:
      directory: a version directory, or the folder of the versions, of which the newest is taken.

    Raises:
      FileNotFoundError: no SavedModel there.
    """

    def __init__(self, directory: str | os.PathLike[str]):
        path = pathlib.Path(directory)
        versions = existing_versions(path)
        if not (path / "saved_model.pb").is_file() and versions:
            path = path / str(versions[-1])
        if not (path / "saved_model.pb").is_file():
            raise FileNotFoundError(
                f"no SavedModel in {str(directory)!r}; wanted a folder that bin/export.py wrote, or a version in it."
            )
        try:
            with plainly_named(path) as plain:
                self._model = tf.saved_model.load(str(plain))
        except Exception as error:  # TensorFlow complains of damaged files in any way, and does not name them
            raise ValueError(f"{str(path)!r} is damaged or was cut short; export or copy it again.") from error

    def predict(self, signature: str, inputs: dict[str, np.ndarray], *, timeout: float) -> dict[str, np.ndarray]:
        del timeout
        call = self._model.signatures[signature]
        try:
            outputs = call(**{name: tf.constant(values) for name, values in inputs.items()})
        except tf.errors.OpError as error:
            code = "INVALID_ARGUMENT" if isinstance(error, tf.errors.InvalidArgumentError) else "INTERNAL"
            raise ServingError(code, f"the model answers {code}: {plain_words(error.message)}") from error
        return {name: values.numpy() for name, values in outputs.items()}

    def image_shape(self, *, timeout: float) -> tuple[int, int, int]:
        del timeout
        (_, arguments) = self._model.signatures["serving_default"].structured_input_signature
        return _image_shape(arguments["images"].shape.as_list())

    def close(self) -> None:
        """Nothing to close."""


class FileTransport:
    """A file that `export_onnx` or `export_litert` wrote, in this process; the timeout does not apply.

    Args:
      path: of the file, which ends in ".onnx" or ".tflite".

    Raises:
      FileNotFoundError: no file there.
      ValueError: another ending; a file that is damaged, or that this package did not write.
      ImportError: the runtime is not installed.
    """

    _RUNTIMES: dict[str, tuple[Any, str, str]] = {
        ".onnx": (reload.OnnxFile, "onnxruntime", "onnx"),
        ".tflite": (reload.LiteRTFile, "ai-edge-litert", "litert"),
    }

    def __init__(self, path: str | os.PathLike[str]):
        file = pathlib.Path(path)
        load, package, extra = self._RUNTIMES[one_of("the ending of the file", file.suffix, self._RUNTIMES)]
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {str(path)!r}.")
        with needs_extra(f"a {file.suffix} file", package, extra):
            try:
                self._run = load(str(file))
                self._facts: dict[str, Any] = self._run.facts
                self._names = np.array(self._facts["class_names"])
            except ImportError:
                raise
            except Exception as error:  # each runtime has errors of its own
                message = f"{str(path)!r} is damaged, was cut short, or is no file that bin/export.py wrote"
                raise ValueError(f"{message} ({error}).") from error

    def predict(self, signature: str, inputs: dict[str, np.ndarray], *, timeout: float) -> dict[str, np.ndarray]:
        del signature, timeout
        images = inputs["images"]
        if images.dtype == np.uint8:
            images = images.astype(np.float32) / np.float32(255)
        used = self._iterations(inputs)
        size = self._facts["fixed_batch"] or len(images)
        batches = [images[start : start + size] for start in range(0, len(images), size)]
        answers = [self._batch(batch, size, used) for batch in batches]
        outputs = {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
        label = outputs["logits"].argmax(-1)
        count: np.ndarray = np.full(len(images), used, np.int32)
        return outputs | {"label": label, "class_name": self._names[label], "iterations_used": count}

    def _batch(self, images: np.ndarray, size: int, iterations: int) -> dict[str, np.ndarray]:
        """Fewer images than a batch has are filled up, and the answers to the rest are dropped."""
        filled = np.concatenate([images, np.zeros((size - len(images), *images.shape[1:]), images.dtype)])
        given = {"images": ("images", filled)}
        if self._facts["iterations_input"]:
            given["iterations"] = ("iterations", np.array(iterations, np.int32))
        names = ("logits", "probabilities", "self_consistency")
        try:
            found = self._run("", given, {name: name for name in names})
        except Exception as error:  # as above
            raise ServingError("INVALID_ARGUMENT", f"the model answers: {error}") from error
        if np.isnan(found["logits"]).any():
            if np.all((images >= -1e-3) & (images <= 1 + 1e-3)):
                raise ServingError("INTERNAL", "the model gives NaN for images in [0, 1]: is the file damaged?")
            raise ServingError("INVALID_ARGUMENT", "pixels must be floats in [0, 1] without NaN.")
        return {name: values[: len(images)] for name, values in found.items()}

    def _iterations(self, inputs: dict[str, np.ndarray]) -> int:
        """What a request asks for, where the file can do it."""
        own = int(self._facts["iterations"])
        asked = {int(limit) for limit in np.ravel(inputs.get("max_iterations", own))}
        if np.any(inputs.get("tolerance", 0)):
            raise ServingError("INVALID_ARGUMENT", "a file runs one K for all images: tolerance must be 0.")
        if len(asked) != 1 or min(asked) < 0 or (not self._facts["iterations_input"] and asked != {own}):
            can = "one number >= 0" if self._facts["iterations_input"] else f"{own}, which was fixed at export"
            raise ServingError("INVALID_ARGUMENT", f"max_iterations must be {can}; got {sorted(asked)}.")
        return asked.pop()

    def image_shape(self, *, timeout: float) -> tuple[int, int, int]:
        del timeout
        return _image_shape([None, *self._facts["image_shape"]])

    def close(self) -> None:
        """Nothing to close."""


def plain_words(message: str) -> str:
    """The words of an assertion inside the graph, without TensorFlow's nodes and brackets around them."""
    lines = [line for line in message.splitlines() if "assertion failed: " in line]
    if not lines:
        return message.split("\n\t [[")[0].strip()
    text = lines[0].split("assertion failed: ", 1)[1].strip()
    # "[words] [1 2] [3]" -> "words 1 2 3", keeping what brackets the words themselves have.
    return text.removeprefix("[").removesuffix("]").replace("] [", " ")


def _image_shape(shape: list[Any]) -> tuple[int, int, int]:
    if len(shape) != 4 or any(size is None or size < 1 for size in shape[1:]):
        raise ServingError("FAILED_PRECONDITION", f"the model takes images of shape {shape}; wanted a CNN-F export.")
    return shape[1], shape[2], shape[3]
