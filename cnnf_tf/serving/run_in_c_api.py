"""Runs a SavedModel through TensorFlow's C API, the loader that TF Serving shares; a program of its own.

    python run_in_c_api.py SAVED_MODEL_DIR JOB_JSON INPUTS_NPZ OUTPUTS_NPZ

It imports neither this package nor TensorFlow's Python side, only the shared libraries that come with it. JOB_JSON is a
list of `{"inputs": {name: tensor}, "outputs": {name: tensor}}`, one entry for each case, with the tensor names of the
signature and numeric outputs only; arrays are called `CASE/NAME` in the two files. An error of a session is written
into the outputs as `CASE/error`, and the next case runs.
"""

import ctypes
import importlib.util
import json
import pathlib
import sys
from typing import Any

import numpy as np

_DTYPES = {1: np.float32, 2: np.float64, 3: np.int32, 4: np.uint8, 9: np.int64}
_CODES = {np.dtype(dtype): code for code, dtype in _DTYPES.items()}


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class Session:
    """A SavedModel loaded by TF_LoadSessionFromSavedModel.

    Raises:
      RuntimeError: the libraries are missing, or TensorFlow refuses the model.
    """

    def __init__(self, directory: str):
        self._tf = _library()
        self._status = self._tf.TF_NewStatus()
        self._graph = self._tf.TF_NewGraph()
        tags = (ctypes.c_char_p * 1)(b"serve")
        options = self._tf.TF_NewSessionOptions()
        arguments = (options, None, directory.encode(), tags, 1, self._graph, None, self._status)
        self._session = self._tf.TF_LoadSessionFromSavedModel(*arguments)
        self._check()

    def run(self, inputs: dict[str, np.ndarray], fetches: list[str]) -> list[np.ndarray]:
        """Feeds arrays by tensor name and fetches tensors by name.

        Raises:
          RuntimeError: TensorFlow's status, its code first (3 is INVALID_ARGUMENT).
        """
        feeds = (_Output * len(inputs))(*map(self._output, inputs))
        tensors = (ctypes.c_void_p * len(inputs))(*map(self._tensor, inputs.values()))
        wanted = (_Output * len(fetches))(*map(self._output, fetches))
        found = (ctypes.c_void_p * len(fetches))()
        self._tf.TF_SessionRun(
            *(self._session, None, feeds, tensors, len(inputs), wanted, found, len(fetches)),
            *(None, 0, None, self._status),
        )
        for tensor in tensors:
            self._tf.TF_DeleteTensor(tensor)
        self._check()
        return [self._array(tensor) for tensor in found]

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
    """TensorFlow's libraries, with the types of the functions used here."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        raise RuntimeError("TensorFlow is not installed.")
    folder = pathlib.Path(spec.origin).parent
    library: Any = None
    for name in ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2"):
        try:
            library = ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise RuntimeError(f"TensorFlow's library {name} cannot be loaded from {folder}: {error}") from error
    pointer, text, integer = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "TF_NewStatus": (pointer, []),
        "TF_NewGraph": (pointer, []),
        "TF_NewSessionOptions": (pointer, []),
        "TF_GetCode": (integer, [pointer]),
        "TF_Message": (text, [pointer]),
        "TF_LoadSessionFromSavedModel": (
            pointer,
            [pointer, pointer, text, ctypes.POINTER(text), integer, pointer, pointer, pointer],
        ),
        "TF_GraphOperationByName": (pointer, [pointer, text]),
        "TF_AllocateTensor": (pointer, [integer, ctypes.POINTER(ctypes.c_int64), integer, ctypes.c_size_t]),
        "TF_TensorData": (pointer, [pointer]),
        "TF_TensorType": (integer, [pointer]),
        "TF_NumDims": (integer, [pointer]),
        "TF_Dim": (ctypes.c_int64, [pointer, integer]),
        "TF_DeleteTensor": (None, [pointer]),
        "TF_SessionRun": (
            None,
            [pointer, pointer, *[pointer, pointer, integer] * 2, pointer, integer, pointer, pointer],
        ),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def main(directory: str, job: str, inputs: str, outputs: str) -> None:
    """Runs all cases; see the module docstring."""
    session = Session(directory)
    results = {}
    with np.load(inputs) as arrays:
        for index, case in enumerate(json.loads(pathlib.Path(job).read_text(encoding="utf-8"))):
            feeds = {tensor: arrays[f"{index}/{name}"] for name, tensor in case["inputs"].items()}
            try:
                values = session.run(feeds, list(case["outputs"].values()))
            except RuntimeError as error:
                results[f"{index}/error"] = np.array(str(error))
                continue
            results |= {f"{index}/{name}": value for name, value in zip(case["outputs"], values, strict=True)}
    loaded = sorted(name for name in sys.modules if name.split(".")[0] in ("cnnf_tf", "keras", "tensorflow"))
    if loaded:
        raise RuntimeError(f"the check wants a process without them, but these were imported: {loaded}.")
    np.savez(outputs, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
