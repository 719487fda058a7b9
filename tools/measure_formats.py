"""Sizes and latency of one model in every format that bin/export.py writes, on the CPU; prints a table in Markdown.

    python tools/measure_formats.py pretrained:fashion_mnist_standard [RUNS]

Each cell is the median of RUNS (default 15) calls in this process. Each runtime has its own defaults: TensorFlow and
onnxruntime use all cores, the LiteRT interpreter one. Images are random, and nothing is verified. docs/serving.md has
the table of one such run, and what rounded weights cost in accuracy:

    python bin/export.py --model=pretrained:fashion_mnist_standard --format=litert --output=x.tflite \\
        --weights=int8 --iterations=1 --num_images=1000
"""

import argparse
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import cnnf_tf  # before TensorFlow, whose kernels it chooses

# isort: split
import numpy as np

from cnnf_tf.serving import FileOptions, ServingOptions, litert, onnx, reload, signatures
from cnnf_tf.serving.portable import OUTPUTS, portable

PASSES = (0, 1, 5)
BATCHES = (1, 32)
Call = Callable[[np.ndarray, int], Any]
"""From images and K to answers."""


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="As `cnnf_tf.load_model` takes it.")
    parser.add_argument("runs", nargs="?", default=15, type=int, help="Calls for each cell (default: 15).")
    given = parser.parse_args()
    if given.runs < 1:
        parser.error(f"runs must be at least 1, got {given.runs}")
    measure(given.model, given.runs)


def measure(name: str, runs: int) -> None:
    """Loads the model and measures every format of it."""
    model = cnnf_tf.load_model(name)
    rng = np.random.default_rng(0)
    images = {count: rng.random((count, *model.image_shape), np.float32) for count in BATCHES}
    heads = [f"{count} image{'s' if count > 1 else ''}, K = {passes}, ms" for count in BATCHES for passes in PASSES]
    print(f"| file | MB | {' | '.join(heads)} |")
    print("|---" * (len(heads) + 2) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for title, size, calls in variants(model, pathlib.Path(folder)):
            cells = [milliseconds(calls[passes], images[count], passes, runs) for count in BATCHES for passes in PASSES]
            print(f"| {title} | {size / 1e6:.1f} | {' | '.join(f'{cell:.1f}' for cell in cells)} |", flush=True)


def variants(model: Any, folder: pathlib.Path) -> Iterator[tuple[str, int, dict[int, Call]]]:
    """For each way to export: its title, the size of one file of it in bytes, and a call for each K."""
    names = [str(i) for i in range(model.num_classes)]
    signatures.write_module(model, folder / "1", ServingOptions.for_model(model), names)
    size = sum(path.stat().st_size for path in (folder / "1").rglob("*") if path.is_file())
    yield "SavedModel, `classify`", size, dict.fromkeys(PASSES, saved_model(str(folder / "1")))
    for title, module, load, weights in (
        ("ONNX", onnx.ONNX, reload.OnnxFile, "float32"),
        ("LiteRT", litert.LITERT, reload.LiteRTFile, "float32"),
        ("LiteRT, float16", litert.LITERT, reload.LiteRTFile, "float16"),
        ("LiteRT, int8", litert.LITERT, reload.LiteRTFile, "int8"),
    ):
        for as_input in (False, True):
            calls, sizes = {}, {}
            for passes in PASSES:
                facts = vars(FileOptions(passes, iterations_input=as_input, weights=weights))
                path = folder / f"x{module.suffix}"
                if not (as_input and calls):
                    path.write_bytes(module.convert(portable(model, None if as_input else passes), facts, weights))
                calls[passes], sizes[passes] = of_file(load(str(path)), as_input), path.stat().st_size
            yield f"{title}, {'K an input' if as_input else 'K fixed'}", sizes[1], calls


def saved_model(directory: str) -> Call:
    """Tolerance 0, K images each."""
    run = reload.load_in_python(directory)

    def call(images: np.ndarray, passes: int) -> Any:
        inputs = {
            "images": ("", images),
            "max_iterations": ("", np.full(len(images), passes, np.int32)),
            "tolerance": ("", np.zeros(len(images), np.float32)),
        }
        return run("classify", inputs, {"logits": ""})

    return call


def of_file(run: Any, as_input: bool) -> Call:
    """A file in its runtime."""

    def call(images: np.ndarray, passes: int) -> Any:
        inputs = {"images": ("", images)} | ({"iterations": ("", np.array(passes, np.int32))} if as_input else {})
        return run("", inputs, dict.fromkeys(OUTPUTS, ""))

    return call


def milliseconds(call: Call, images: np.ndarray, passes: int, runs: int) -> float:
    """The median, after two calls that do not count."""
    times = []
    for _ in range(runs + 2):
        start = time.perf_counter()
        call(images, passes)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[2:])


if __name__ == "__main__":
    main()
