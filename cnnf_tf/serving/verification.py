"""Does the written model compute what the original computes? Asked in fresh processes, before anyone can see it."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cnnf_tf.models import CNNF, READOUTS, infer_adaptive
from cnnf_tf.serving.options import ServingOptions

TOLERANCE = 1e-5
"""Largest difference, relative to the largest magnitude of the expected array where that is above 1."""

_HERE = pathlib.Path(__file__).resolve().parent
LOADERS = {"tf.saved_model.load": _HERE / "run_in_python.py", "the C API": _HERE / "run_in_c_api.py"}
"""The programs that reload the model, by the name that errors give them."""


class Case(NamedTuple):
    """One request and what it should give."""

    signature: str
    inputs: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]


class VerificationError(RuntimeError):
    """The written model does not load, or computes something else than the original."""


def expected_cases(model: CNNF, options: ServingOptions, images: np.ndarray) -> list[Case]:
    """Every signature on `images`, with the answers of the original model.

    Args:
      model: the original.
      options: as exported.
      images: float32 in [0, 1], `[batch, *image_shape]`.
    """
    images = np.asarray(images, np.float32)
    pixels = np.round(images * 255).astype(np.uint8)
    pictures = _in_chunks(
        lambda chunk: tf.transpose(model.reconstruct(chunk, iterations=max(1, options.iterations)), [1, 0, 2, 3, 4]),
        images,
        options,
    )
    return [
        Case("trajectory", {"images": images}, {"logits": _passes(model, images, options)}),
        Case("reconstruct", {"images": images}, {"reconstructions": pictures}),
        *_predictions(model, options, images, ("serving_default", "classify")),
        *_predictions(model, options, pixels, ("serving_uint8", "classify_uint8")),
    ]


def _predictions(model: CNNF, options: ServingOptions, images: np.ndarray, signatures: tuple[str, str]) -> list[Case]:
    floats = images if images.dtype == np.float32 else images.astype(np.float32) / np.float32(255)

    def default(chunk: tf.Tensor) -> tf.Tensor:
        result = infer_adaptive(model, chunk, max_iterations=options.iterations, tolerance=options.tolerance)
        used = tf.cast(result.iterations_used[:, None], tf.float32)
        return tf.concat([tf.cast(result.logits(model.readout), tf.float32), used], axis=-1)

    found = _in_chunks(default, floats, options)
    expected: list[tuple[np.ndarray, np.ndarray]] = [(found[:, :-1], found[:, -1].astype(np.int32))]
    # Each image has a limit of its own, 0 and the largest among them; answers are those of the fixed loop.
    limits: np.ndarray = np.arange(len(images), dtype=np.int32) % (options.max_iterations + 1)
    passes = _passes(model, floats, options)
    own = [READOUTS[model.readout](tf.constant(passes[i, : limit + 1])).numpy() for i, limit in enumerate(limits)]
    expected.append((np.stack(own), limits))
    inputs = [{"images": images}, {"images": images, "max_iterations": limits, "tolerance": np.zeros(1, np.float32)}]
    return [
        Case(
            signature,
            inputs[i],
            {"logits": logits, "probabilities": tf.nn.softmax(logits).numpy(), "iterations_used": used},
        )
        for i, (signature, (logits, used)) in enumerate(zip(signatures, expected, strict=True))
    ]


def _passes(model: CNNF, images: np.ndarray, options: ServingOptions) -> np.ndarray:
    """Logits of every pass of the fixed loop, `[batch, max_iterations + 1, classes]`."""
    return _in_chunks(
        lambda chunk: tf.transpose(model.infer(chunk, iterations=options.max_iterations).logits, [1, 0, 2]),
        images,
        options,
    )


def _in_chunks(body: Callable[[tf.Tensor], tf.Tensor], images: np.ndarray, options: ServingOptions) -> np.ndarray:
    """In the chunks of the exported graph: another batch size may round otherwise, and rounding can flip a latent."""
    starts = range(0, len(images), options.chunk_size)
    chunks = [body(tf.constant(images[start : start + options.chunk_size])) for start in starts]
    return np.concatenate([chunk.numpy() for chunk in chunks])


def verify(directory: pathlib.Path, cases: Sequence[Case]) -> dict[str, float]:
    """Runs the cases with every loader and compares.

    Returns:
      For each loader, the largest difference found (in units of `TOLERANCE`'s comparison).

    Raises:
      VerificationError: a loader fails, or an answer differs by more than `TOLERANCE`.
    """
    return {name: _compare(name, cases, run_cases(name, directory, cases)) for name in LOADERS}


def run_cases(loader: str, directory: pathlib.Path, cases: Sequence[Case]) -> list[dict[str, np.ndarray]]:
    """Runs the cases in a fresh process; the outputs named in `expected`, or an `error`.

    Args:
      loader: a key of `LOADERS`.
      directory: the SavedModel.
      cases: what to run.

    Raises:
      VerificationError: the process fails.
    """
    tensors = signature_tensors(directory)
    job: list[dict[str, Any]] = []
    for case in cases:
        names = tensors[case.signature]
        if loader == "the C API":
            job.append({key: {name: names[key][name] for name in getattr(case, part)} for key, part in _PARTS})
        else:
            job.append({"signature": case.signature, "outputs": list(case.expected)})
    arrays: dict[str, Any] = {
        f"{i}/{name}": value for i, case in enumerate(cases) for name, value in case.inputs.items()
    }
    with tempfile.TemporaryDirectory() as scratch:
        paths = [pathlib.Path(scratch) / name for name in ("job.json", "inputs.npz", "outputs.npz")]
        paths[0].write_text(json.dumps(job), encoding="utf-8")
        np.savez(paths[1], **arrays)
        command = [sys.executable, str(LOADERS[loader]), str(directory), *map(str, paths)]
        # A GPU may be full of the original; and the original is asked on the CPU as well.
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=environment)
        if done.returncode:
            reason = " ".join(done.stderr.strip().splitlines()[-3:]) or f"exit code {done.returncode}"
            raise VerificationError(f"the written model does not run with {loader}: {reason}")
        with np.load(paths[2]) as found:
            results: list[dict[str, np.ndarray]] = [{} for _ in cases]
            for key in found.files:
                index, _, name = key.partition("/")
                results[int(index)][name] = found[key]
            return results


_PARTS = (("inputs", "inputs"), ("outputs", "expected"))


def signature_tensors(directory: pathlib.Path) -> dict[str, dict[str, dict[str, str]]]:
    """The tensor names of every signature of a SavedModel, by signature, then "inputs" or "outputs", then name."""
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())
    return {
        name: {
            "inputs": {key: info.name for key, info in definition.inputs.items()},
            "outputs": {key: info.name for key, info in definition.outputs.items()},
        }
        for name, definition in message.meta_graphs[0].signature_def.items()
    }


def _compare(loader: str, cases: Sequence[Case], results: Sequence[dict[str, np.ndarray]]) -> float:
    largest = 0.0
    for case, result in zip(cases, results, strict=True):
        where = f"signature {case.signature!r} of the written model, run with {loader},"
        if "error" in result:
            raise VerificationError(f"{where} fails: {result['error']}")
        for name, expected in case.expected.items():
            found = result[name]
            if found.shape != expected.shape:
                raise VerificationError(f"{where} gives {name!r} of shape {found.shape}; wanted {expected.shape}.")
            difference = np.abs(found.astype(np.float64) - expected).max() / max(1.0, np.abs(expected).max())
            if not difference <= TOLERANCE:  # NaN must not pass
                raise VerificationError(
                    f"{where} gives {name!r} that differs from the original's by {difference:.2g}; allowed are "
                    f"{TOLERANCE}."
                )
            largest = max(largest, float(difference))
    return largest
