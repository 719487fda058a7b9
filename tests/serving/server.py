"""A small server with TensorFlow Serving's two faces, for tests: the official gRPC stubs and the REST format.

    python tests/serving/server.py BASE NAME      prints its two ports on one line and serves until it is killed

It is a program of its own, imports nothing of the package, and serves every version in BASE, the newest by default.
Like TensorFlow Serving it compares the names and types of inputs with the signature, and not their shapes. `running`
starts it, or a real tensorflow_model_server where one is on the PATH.
"""

import concurrent.futures
import contextlib
import http.server
import json
import os
import pathlib
import re
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import NamedTuple

HANGING = 1800  # seconds; as in tests/limits.py
REAL = shutil.which("tensorflow_model_server")
KINDS = ("stubs", "tensorflow_model_server") if REAL else ("stubs",)


class Running(NamedTuple):
    """A server that answers."""

    process: subprocess.Popen
    grpc_address: str
    rest_url: str

    def resident_bytes(self) -> int:
        """Memory of the server's process."""
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text(encoding="utf-8").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def running(base: pathlib.Path, name: str, kind: str = "stubs") -> Iterator[Running]:
    """Starts a server for the versions in `base` and kills it at the end."""
    if kind == "stubs":
        command = [sys.executable, __file__, str(base), name]
        # TensorFlow logs every bad request as a warning, and the tests send many.
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        ready, _, _ = select.select([process.stdout], [], [], HANGING)
        line = process.stdout.readline() if ready else ""
        ports = line.split()
    else:
        ports = [str(_free_port()) for _ in range(2)]
        flags = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_name={name}"]
        process = subprocess.Popen([REAL, *flags, f"--model_base_path={base}"], stderr=subprocess.DEVNULL)
        _wait_until_available(f"http://127.0.0.1:{ports[1]}/v1/models/{name}")
    try:
        if len(ports) != 2:
            raise RuntimeError("the test server did not start; its own words are above.")
        yield Running(process, f"127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}")
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]


def _wait_until_available(url: str) -> None:
    for _ in range(2 * HANGING):
        with contextlib.suppress(urllib.error.URLError, OSError):
            if b"AVAILABLE" in urllib.request.urlopen(url, timeout=5).read():
                return
        time.sleep(0.5)
    raise RuntimeError(f"{url} is not available.")


class _Failure(Exception):
    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class _Models:
    """All versions of one model."""

    def __init__(self, base: str, name: str):
        import tensorflow as tf
        from tensorflow.core.protobuf import saved_model_pb2

        self.name = name
        self.versions = {}
        self.definitions = {}
        for path in sorted(pathlib.Path(base).iterdir()):
            if path.name.isdigit():
                self.versions[int(path.name)] = tf.saved_model.load(str(path))
                message = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
                self.definitions[int(path.name)] = message.meta_graphs[0].signature_def

    def version(self, name: str, wanted: int | None) -> int:
        if name != self.name or wanted is not None and wanted not in self.versions:
            version = "Latest" if wanted is None else f"Specific({wanted})"
            raise _Failure("NOT_FOUND", f"Servable not found for request: {version}({name})")
        return max(self.versions) if wanted is None else wanted

    def predict(self, version: int, signature: str, arrays: dict) -> dict:
        """Runs a signature; `arrays` are NumPy, or for REST a function from a dtype to an array."""
        import tensorflow as tf

        signature = signature or "serving_default"
        if signature not in self.definitions[version]:
            raise _Failure("FAILED_PRECONDITION", f'Serving signature key "{signature}" not found.')
        inputs = self.definitions[version][signature].inputs
        if set(inputs) != set(arrays):
            wanted, got = ",".join(sorted(inputs)), ",".join(sorted(arrays))
            raise _Failure("INVALID_ARGUMENT", f"input keys do not match: wanted {{{wanted}}}, got {{{got}}}")
        tensors = {}
        for name, info in inputs.items():
            dtype = tf.as_dtype(info.dtype)
            array = arrays[name](dtype.as_numpy_dtype) if callable(arrays[name]) else arrays[name]
            if array.dtype != dtype.as_numpy_dtype:
                raise _Failure("INVALID_ARGUMENT", f"{name}: expected type {dtype.name}, got {array.dtype}")
            tensors[name] = tf.constant(array)
        try:
            outputs = self.versions[version].signatures[signature](**tensors)
        except tf.errors.OpError as error:
            code = {3: "INVALID_ARGUMENT", 8: "RESOURCE_EXHAUSTED"}.get(error.error_code, "INTERNAL")
            raise _Failure(code, error.message) from error
        return {name: value.numpy() for name, value in outputs.items()}


def _serve_grpc(models: _Models) -> tuple[object, int]:
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

    def chosen(spec) -> int:
        return models.version(spec.name, spec.version.value if spec.HasField("version") else None)

    class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            try:
                version = chosen(request.model_spec)
                arrays = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
                outputs = models.predict(version, request.model_spec.signature_name, arrays)
            except _Failure as failure:
                context.abort(grpc.StatusCode[failure.code], str(failure))
            response = predict_pb2.PredictResponse()
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = version
            for name in request.output_filter or outputs:
                response.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
            return response

        def GetModelMetadata(self, request, context):  # noqa: N802
            try:
                version = chosen(request.model_spec)
            except _Failure as failure:
                context.abort(grpc.StatusCode[failure.code], str(failure))
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = version
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, definition in models.definitions[version].items():
                signatures.signature_def[name].CopyFrom(definition)
            response.metadata["signature_def"].Pack(signatures)
            return response

    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(16), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def _serve_rest(models: _Models) -> int:
    import numpy as np
    from google.protobuf import json_format

    statuses = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "FAILED_PRECONDITION": 412, "RESOURCE_EXHAUSTED": 429}

    def answer(path: str, body: bytes | None) -> dict:
        match = re.fullmatch(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(:predict|/metadata)", path)
        if not match or (match[3] == ":predict") != (body is not None):
            raise _Failure("NOT_FOUND", f"Malformed request: {path}")
        version = models.version(match[1], int(match[2]) if match[2] else None)
        if body is None:
            definitions = models.definitions[version].items()
            parts = {
                name: json_format.MessageToDict(entry, preserving_proto_field_name=True) for name, entry in definitions
            }
            return {"metadata": {"signature_def": {"signature_def": parts}}}
        try:
            request = json.loads(body)
            rows, columns = request.get("instances"), request.get("inputs")
        except (ValueError, AttributeError) as error:
            raise _Failure("INVALID_ARGUMENT", f"JSON Parse error: {error}") from error
        if (rows is None) == (columns is None):
            raise _Failure("INVALID_ARGUMENT", "wanted one of instances and inputs")
        if rows is not None:
            if not isinstance(rows, list) or not rows:
                raise _Failure("INVALID_ARGUMENT", "instances must be a list that is not empty")
            named = isinstance(rows[0], dict) and "b64" not in rows[0]
            columns = {key: [row[key] for row in rows] for key in rows[0]} if named else rows
        signature = request.get("signature_name") or "serving_default"
        if not isinstance(columns, dict):
            columns = {"images": columns}

        def converter(value):
            def convert(dtype):
                try:
                    return np.array(value, dtype)
                except (ValueError, TypeError, OverflowError) as error:
                    raise _Failure("INVALID_ARGUMENT", f"JSON value does not fit: {error}") from error

            return convert

        outputs = models.predict(version, signature, {key: converter(value) for key, value in columns.items()})
        lists = {
            name: np.vectorize(bytes.decode, otypes=[str])(v) if v.dtype == object else v for name, v in outputs.items()
        }
        lists = {name: value.tolist() for name, value in lists.items()}
        only = next(iter(lists.values())) if len(lists) == 1 else None
        if rows is None:
            return {"outputs": lists if only is None else only}
        return {
            "predictions": only or [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
        }

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments) -> None:
            """Says nothing."""

        def do_GET(self) -> None:  # noqa: N802
            self._reply(None)

        def do_POST(self) -> None:  # noqa: N802
            self._reply(self.rfile.read(int(self.headers["Content-Length"])))

        def _reply(self, body: bytes | None) -> None:
            status = 200
            try:
                found = answer(self.path, body)
            except _Failure as failure:
                found, status = {"error": str(failure)}, statuses.get(failure.code, 500)
            data = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def main(base: str, name: str) -> None:
    """Serves until it is killed."""
    models = _Models(base, name)
    server, grpc_port = _serve_grpc(models)
    print(grpc_port, _serve_rest(models), flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    # This folder's modules are not to be found by plain names.
    sys.path[:] = [path for path in sys.path if path != str(pathlib.Path(__file__).resolve().parent)]
    main(*sys.argv[1:])
