"""Measures speed and memory: every case in turns with its own bare convolutions and matrix products, in one table.

Example:
  python bin/benchmark.py
  python bin/benchmark.py --networks=fashion_cnn --cases=inference,training
  python bin/benchmark.py --reference=CNNF     # a clone of the authors' code
  python bin/benchmark.py --smoke              # to see that everything runs
  python bin/benchmark.py --cases=first_result --repeats=3    # time to start

A row compares a median time with
  floor     the convolutions and matrix products that the case cannot do
            without, timed alone: time / floor; beside it the same by PyTorch
            where that is installed, and the ratio to the faster of the two
  line      for K = 10: the straight line through the smaller K: time / line
  float32   the same case in float32: how much faster half precision is
  authors   the authors' PyTorch code (https://github.com/yjhuangcd/CNNF) on the
            same case, in turns with ours: how much faster ours is
and says whether the target is met. Rows in MiB are the peak memory of the case in a process of its own. Read the
ratios, not the milliseconds: machines differ and are shared. Writes benchmark.json, benchmark.txt, benchmark.png and
benchmark.svg into --output. The short plan is meant for some ten minutes on two cores; --full takes far longer.

With first_result, each measurement in a process of its own: import, model, first run, later runs and graph nodes,
beside Keras' own plain CNN of the same layers and the authors' code. A row compares the time to the first result with
theirs, or start-up (first run - a later one) with that at K = 1.
"""

import functools
import pathlib
import time
from typing import Any

import _app
from absl import flags

_CASES = flags.DEFINE_list(
    "cases",
    ["inference", "attack", "training", "export", "memory"],
    "What to measure, separated by commas; first_result as well, which takes half an hour.",
)
_NETWORKS = flags.DEFINE_list("networks", ["fashion_cnn", "wide_resnet"], "Networks; the wide one is WRN-40-2.")
_DTYPES = flags.DEFINE_list("dtypes", ["float32", "bfloat16"], "Compute dtypes; the short plan is about the first.")
_MODES = flags.DEFINE_list(
    "modes", ["function", "eager", "xla"], "As a tf.function, without any graph, compiled; likewise."
)
_ITERATIONS = flags.DEFINE_list(
    "iterations", ["0", "1", "2", "5"], "Values of K of inference and first results; to three and more K = 10 is added."
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 0, "Images per batch; 0: 256 for fashion_cnn, 32 for wide_resnet, 8 for first results.", lower_bound=0
)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Rounds; medians are taken over them.", lower_bound=1)
_FULL = flags.DEFINE_bool(
    "full", False, "Every dtype and mode for every K, encoder_blocks and case; XLA compiles for long."
)
_SMOKE = flags.DEFINE_bool("smoke", False, "Tiny networks instead: to see that everything runs.")
_REFERENCE = flags.DEFINE_string("reference", None, "Folder of the authors' code, to time it in turns with ours.")
_OUTPUT = _app.define_output("Folder of the report.", default="runs/benchmark")
_app.limit_iterations("iterations")


def main() -> None:
    iterations = _app.integers("iterations", "integers separated by commas")
    if _REFERENCE.value is not None and not pathlib.Path(_REFERENCE.value).is_dir():
        raise _app.UsageError(f"--reference wants a folder, a clone of the authors' code, got {_REFERENCE.value!r}.")

    _app.start_tensorflow()
    from cnnf_tf.experiments.benchmark.plan import BenchmarkOptions
    from cnnf_tf.experiments.benchmark.plot import benchmark_figure
    from cnnf_tf.experiments.benchmark.run import run_benchmark

    values: dict[str, Any] = {holder.name: tuple(holder.value) for holder in (_CASES, _NETWORKS, _DTYPES, _MODES)}
    values |= {holder.name: holder.value for holder in (_REPEATS, _FULL, _SMOKE)}
    try:
        options = BenchmarkOptions(iterations=iterations, batch_size=_BATCH_SIZE.value or None, **values)
    except ValueError as error:
        raise _app.UsageError(str(error)) from error
    output = _app.Output("output", _OUTPUT.value)
    start = time.perf_counter()
    report = run_benchmark(
        options,
        reference=_REFERENCE.value,
        progress=lambda line: print(f"[{time.perf_counter() - start:5.0f} s] {line}", flush=True),
    )
    text = "\n\n".join(
        filter(None, [report.first_table(), report.table(), f"{report.summary()}\n{report.kernels()}\n"])
    )
    print(f"\n{text}")
    output.json("benchmark.json", {"command": _app.command(), **report.to_dict()})
    output.text("benchmark.txt", text)
    output.figures("benchmark", functools.partial(benchmark_figure, report))


if __name__ == "__main__":
    _app.run(main)
