"""Runs an exported model with one of the loaders; a program of its own that never imports this package.

    python reload.py LOADER PATH RESULTS < JOB

LOADER is a key of `LOADERS`. With "the C API", the loader that TF Serving shares, TensorFlow's Python side is not
imported either, only the shared libraries that come with it; for the files of other formats, nothing of it. JOB is a
pickled list of `(signature, inputs, outputs)`, one entry for each case: `{name: (tensor, array)}` and `{name: tensor}`
with the tensor names of the signature, numeric outputs only. RESULTS becomes a pickled list of `{name: array}`; a call
that TensorFlow refuses gives `{"error": "CODE: message"}` (3 is INVALID_ARGUMENT), and the next case runs.
"""

import ctypes
import importlib.util
import io
import json
import pathlib
import pickle
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

Inputs = dict[str, tuple[str, np.ndarray]]
Run = Callable[[str, Inputs, dict[str, str]], dict[str, np.ndarray]]

_DTYPES = {1: np.float32, 2: np.float64, 3: np.int32, 4: np.uint8, 9: np.int64}
_CODES = {np.dtype(dtype): code for code, dtype in _DTYPES.items()}


def load_in_python(directory: str) -> Run:
    """The model loaded by `tf.saved_model.load`, as a function of a signature, its inputs and its outputs."""
    import tensorflow as tf

    signatures = tf.saved_model.load(directory).signatures

    def run(signature: str, inputs: Inputs, outputs: dict[str, str]) -> dict[str, np.ndarray]:
        try:
            found = signatures[signature](**{name: tf.constant(array) for name, (_, array) in inputs.items()})
        except tf.errors.OpError as error:
            raise RuntimeError(f"{error.error_code}: {error.message}") from error
        return {name: found[name].numpy() for name in outputs}

    return run


class _Pointer(ctypes.c_void_p):
    """A pointer that stays one: ctypes makes a plain `c_void_p` result an int, and an int argument 32 bits wide."""


class _Output(ctypes.Structure):
    _fields_ = (("operation", _Pointer), ("index", ctypes.c_int))


class Session:
    """The model loaded by TF_LoadSessionFromSavedModel; see `load_in_python` for what it is a function of.

    Raises:
      OSError: TensorFlow's libraries are missing.
      RuntimeError: TensorFlow refuses the model.
    """

    def __init__(self, directory: str):
        self._tf = _library()
        self._status, self._graph = self._tf.TF_NewStatus(), self._tf.TF_NewGraph()
        arguments = (self._tf.TF_NewSessionOptions(), None, directory.encode(), (ctypes.c_char_p * 1)(b"serve"), 1)
        self._session = self._tf.TF_LoadSessionFromSavedModel(*arguments, self._graph, None, self._status)
        self._check()

    def __call__(self, signature: str, inputs: Inputs, outputs: dict[str, str]) -> dict[str, np.ndarray]:
        del signature
        feeds = (_Output * len(inputs))(*(self._output(name) for name, _ in inputs.values()))
        tensors = (_Pointer * len(inputs))(*(self._tensor(array) for _, array in inputs.values()))
        fetches = (_Output * len(outputs))(*map(self._output, outputs.values()))
        found = (_Pointer * len(outputs))()
        self._tf.TF_SessionRun(
            *(self._session, None, feeds, tensors, len(inputs), fetches, found, len(outputs)),
            *(None, 0, None, self._status),
        )
        for tensor in tensors:
            self._tf.TF_DeleteTensor(tensor)
        self._check()
        return {name: self._array(tensor) for name, tensor in zip(outputs, found, strict=True)}

    def _output(self, name: str) -> _Output:
        operation, _, index = name.partition(":")
        found = self._tf.TF_GraphOperationByName(self._graph, operation.encode())
        if not found:
            raise RuntimeError(f"the graph has no operation {operation!r}.")
        return _Output(found, int(index or 0))

    def _tensor(self, array: np.ndarray) -> Any:
        array = np.asarray(array, order="C")
        sizes = (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor = self._tf.TF_AllocateTensor(_CODES[array.dtype], sizes, array.ndim, ctypes.c_size_t(array.nbytes))
        ctypes.memmove(self._tf.TF_TensorData(tensor), array.ctypes.data, array.nbytes)
        return tensor

    def _array(self, tensor: Any) -> np.ndarray:
        shape = tuple(self._tf.TF_Dim(tensor, axis) for axis in range(self._tf.TF_NumDims(tensor)))
        array = np.empty(shape, _DTYPES[self._tf.TF_TensorType(tensor)])
        ctypes.memmove(array.ctypes.data, self._tf.TF_TensorData(tensor), array.nbytes)
        self._tf.TF_DeleteTensor(tensor)
        return array

    def _check(self) -> None:
        code = self._tf.TF_GetCode(self._status)
        if code:
            raise RuntimeError(f"{code}: {self._tf.TF_Message(self._status).decode(errors='replace')}")


def _library() -> Any:
    """TensorFlow's libraries, with the results of the functions used here that are more than an int."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        raise OSError("TensorFlow is not installed.")
    for name in ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2"):
        library = ctypes.CDLL(str(pathlib.Path(spec.origin).with_name(name)), mode=ctypes.RTLD_GLOBAL)
    for name in ("NewStatus", "NewGraph", "NewSessionOptions", "LoadSessionFromSavedModel", "GraphOperationByName"):
        getattr(library, f"TF_{name}").restype = _Pointer
    library.TF_AllocateTensor.restype = library.TF_TensorData.restype = _Pointer
    library.TF_Message.restype, library.TF_Dim.restype = ctypes.c_char_p, ctypes.c_int64
    return library


class OnnxFile:
    """An ONNX file in onnxruntime, on the CPU.

    Attributes:
      facts: what the export wrote about the model.
    """

    def __init__(self, path: str):
        import onnxruntime

        content = pathlib.Path(path).read_bytes()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors: it warns that an input has a default
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.facts = {
            name: json.loads(text) for name, text in self._session.get_modelmeta().custom_metadata_map.items()
        }

    def __call__(self, signature: str, inputs: Inputs, outputs: dict[str, str]) -> dict[str, np.ndarray]:
        del signature
        feeds = {name: array for name, (_, array) in inputs.items()}
        return dict(zip(outputs, self._session.run(list(outputs), feeds), strict=True))


class LiteRTFile:
    """A LiteRT file in its interpreter; see `OnnxFile`."""

    def __init__(self, path: str):
        from ai_edge_litert.interpreter import Interpreter

        content = pathlib.Path(path).read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as appended:
            self.facts = json.loads(appended.read(FACTS))
        self._run = Interpreter(model_content=content).get_signature_runner()

    def __call__(self, signature: str, inputs: Inputs, outputs: dict[str, str]) -> dict[str, np.ndarray]:
        del signature
        found = self._run(**{name: array for name, (_, array) in inputs.items()})
        return {name: found[name].copy() for name in outputs}


FACTS = "cnnf_tf.json"
"""What is appended to a LiteRT file, as associated files are: a ZIP archive with this in it."""

LOADERS: dict[str, tuple[Callable[[str], Run], set[str]]] = {
    "tf.saved_model.load": (load_in_python, {"cnnf_tf"}),
    "the C API": (Session, {"cnnf_tf", "keras", "tensorflow"}),
    "onnxruntime": (OnnxFile, {"cnnf_tf", "keras", "tensorflow"}),
    "the LiteRT interpreter": (LiteRTFile, {"cnnf_tf", "keras", "tensorflow"}),
}
"""The loaders by the name that errors give them, each with the packages that must not be imported with it."""


def main(loader: str, directory: str, results: str) -> None:
    """Runs all cases; see the module docstring."""
    load, unwanted = LOADERS[loader]
    run = load(directory)
    found: list[dict[str, Any]] = []
    for case in pickle.load(sys.stdin.buffer):
        try:
            found.append(run(*case))
        except RuntimeError as error:
            found.append({"error": str(error)})
    loaded = sorted(name for name in sys.modules if name.split(".")[0] in unwanted)
    if loaded:
        raise RuntimeError(f"the check wants a process without them, but these were imported: {loaded}.")
    pathlib.Path(results).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    # This folder's modules are not to be found by plain names.
    sys.path[:] = [path for path in sys.path if path != str(pathlib.Path(__file__).resolve().parent)]
    main(*sys.argv[1:])
