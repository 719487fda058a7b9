"""Does the written model compute what the original computes? Asked in fresh processes, before anyone can see it."""

import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cnnf_tf.models import CNNF, READOUTS, infer_adaptive
from cnnf_tf.serving import reload
from cnnf_tf.serving.signatures import ServingOptions

TOLERANCE = 1e-5
"""Largest difference, relative to the largest magnitude of the expected array where that is above 1."""

SAVED_MODEL_LOADERS = ("tf.saved_model.load", "the C API")


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

    def in_chunks(body: Callable[[tf.Tensor], tf.Tensor], images: np.ndarray) -> np.ndarray:
        # The chunks of the exported graph: another batch size may round otherwise, and rounding can flip a latent.
        starts = range(0, len(images), options.chunk_size)
        return np.concatenate([body(tf.constant(images[i : i + options.chunk_size])).numpy() for i in starts])

    def pictures(chunk: tf.Tensor) -> tf.Tensor:
        return tf.transpose(model.reconstruct(chunk, iterations=max(1, options.iterations)), [1, 0, 2, 3, 4])

    def passes(chunk: tf.Tensor) -> tf.Tensor:
        return tf.transpose(model.infer(chunk, iterations=options.max_iterations).logits, [1, 0, 2])

    def default(chunk: tf.Tensor) -> tf.Tensor:
        result = infer_adaptive(model, chunk, max_iterations=options.iterations, tolerance=options.tolerance)
        used = tf.cast(result.iterations_used[:, None], tf.float32)
        return tf.concat([tf.cast(result.logits(model.readout), tf.float32), used], axis=-1)

    def prediction(logits: np.ndarray, used: np.ndarray) -> dict[str, np.ndarray]:
        return {"logits": logits, "probabilities": tf.nn.softmax(logits).numpy(), "iterations_used": used}

    images = np.asarray(images, np.float32)
    pixels = np.round(images * 255).astype(np.uint8)
    cases = [
        Case("trajectory", {"images": images}, {"logits": in_chunks(passes, images)}),
        Case("reconstruct", {"images": images}, {"reconstructions": in_chunks(pictures, images)}),
    ]
    # Each image has a limit of its own, 0 and the largest among them; answers are those of the fixed loop.
    limits: np.ndarray = np.arange(len(images), dtype=np.int32) % (options.max_iterations + 1)
    request = {"max_iterations": limits, "tolerance": np.zeros(1, np.float32)}
    for sent, floats, names in (
        (images, images, ("serving_default", "classify")),
        (pixels, pixels.astype(np.float32) / np.float32(255), ("serving_uint8", "classify_uint8")),
    ):
        found, logits = in_chunks(default, floats), in_chunks(passes, floats)
        read = [READOUTS[model.readout](tf.constant(logits[i, : limit + 1])).numpy() for i, limit in enumerate(limits)]
        cases += [
            Case(names[0], {"images": sent}, prediction(found[:, :-1], found[:, -1].astype(np.int32))),
            Case(names[1], {"images": sent, **request}, prediction(np.stack(read), limits)),
        ]
    return cases


def verify(directory: pathlib.Path, cases: Sequence[Case]) -> dict[str, float]:
    """Runs the cases with every loader of SavedModels and compares.

    Returns:
      For each loader, the largest difference found (as `TOLERANCE` measures it).

    Raises:
      VerificationError: a loader fails, or an answer differs by more than `TOLERANCE`.
    """
    return {name: compare(name, cases, run_cases(name, directory, cases)) for name in SAVED_MODEL_LOADERS}


def run_cases(loader: str, path: pathlib.Path, cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Runs the cases in a fresh process; the outputs named in `expected`, or an `error`.

    Args:
      loader: a key of `reload.LOADERS`.
      path: the SavedModel, or the file.
      cases: what to run.

    Raises:
      VerificationError: the process fails.
    """
    job = _with_tensor_names(path, cases) if path.is_dir() else [_by_name(case) for case in cases]
    with tempfile.TemporaryDirectory() as scratch:
        results = pathlib.Path(scratch) / "results.pickle"
        command = [sys.executable, str(pathlib.Path(reload.__file__).resolve()), loader, str(path), str(results)]
        # A GPU may be full of the original; and the original is asked on the CPU as well.
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
        done = subprocess.run(command, input=pickle.dumps(job), capture_output=True, check=False, env=environment)
        if done.returncode:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
            reason = " ".join(last) or f"exit code {done.returncode}"
            raise VerificationError(f"the written model does not run with {loader}: {reason}")
        return pickle.loads(results.read_bytes())


def _by_name(case: Case) -> tuple[str, Any, Any]:
    """What `reload` takes for a case, where tensors are called as inputs and outputs are."""
    inputs = {name: (name, array) for name, array in case.inputs.items()}
    return case.signature, inputs, {name: name for name in case.expected}


def _with_tensor_names(directory: pathlib.Path, cases: Sequence[Case]) -> list[tuple[str, Any, Any]]:
    """The same of a SavedModel, whose tensors have other names."""
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())
    job = []
    for case in cases:
        signature = message.meta_graphs[0].signature_def[case.signature]
        inputs = {name: (signature.inputs[name].name, array) for name, array in case.inputs.items()}
        job.append((case.signature, inputs, {name: signature.outputs[name].name for name in case.expected}))
    return job


def compare(
    loader: str, cases: Sequence[Case], results: Sequence[dict[str, Any]], tolerance: float = TOLERANCE
) -> float:
    """The largest difference of what `run_cases` found from what the cases expect.

    Raises:
      VerificationError: it is more than the tolerance; NaN, an error, or another shape was found.
    """
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
            if not difference <= tolerance:  # NaN must not pass
                raise VerificationError(
                    f"{where} gives {name!r} that differs from the original's by {difference:.2g}; allowed are "
                    f"{tolerance}."
                )
            largest = max(largest, float(difference))
    return largest
