"""How fast and how big: every case in turns with its floor, the authors' code in turns with ours, one report.

Read the ratios, not the milliseconds: machines differ and are shared, and a ratio is measured within one run.
"""

import contextlib
import gc
import os
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from cnnf_tf.experiments.benchmark.cases import EXPORTERS, CaseBuilder, Exporter
from cnnf_tf.experiments.benchmark.first_result import first_runs
from cnnf_tf.experiments.benchmark.linear_ops import as_json
from cnnf_tf.experiments.benchmark.lower_bound import floor, random_inputs
from cnnf_tf.experiments.benchmark.memory import peak_memory
from cnnf_tf.experiments.benchmark.plan import BenchmarkOptions, first_cases, memory_cases, timed_groups
from cnnf_tf.experiments.benchmark.reference import check_checkout, compared
from cnnf_tf.experiments.benchmark.report import BenchmarkReport, Measured
from cnnf_tf.experiments.benchmark.setups import Case
from cnnf_tf.experiments.benchmark.timing import Failure, Run, failure, time_in_turns, timed
from cnnf_tf.experiments.benchmark.torch_process import TorchProcess, installed
from cnnf_tf.utils import environment


def run_benchmark(
    options: BenchmarkOptions,
    *,
    reference: str | os.PathLike[str] | None = None,
    exporters: Mapping[str, Exporter] = EXPORTERS,
    progress: Callable[[str], None] = lambda line: None,
) -> BenchmarkReport:
    """Measures everything that `options` asks for.

    Args:
      options: what to measure.
      reference: folder of the authors' code (https://github.com/yjhuangcd/CNNF), to be timed in turns with ours; None
        for none.
      exporters: how SavedModels are written, by the name that the report gives them.
      progress: called with a line before each piece of work.

    Raises:
      ValueError: a `reference` that does not hold the authors' code.
      ImportError: a `reference` without PyTorch. Whatever fails later becomes a row of the report.
    """
    start, about = time.perf_counter(), _about()
    found: list[Measured] = []
    if reference is not None:
        check_checkout(reference)
    groups = timed_groups(options, exporters=list(exporters))
    wanted = reference is not None or (groups and installed())
    torch = TorchProcess(threads=about["threads"], checkout=reference) if wanted else None
    with torch or contextlib.nullcontext():
        for group in groups:
            case = group[0]
            progress(
                f"time: {case.setup.network} {case.kind}, encoder_blocks {case.encoder_blocks}: {len(group)} cases"
            )
            found += _time_group(group, CaseBuilder(exporters), torch, options.repeats, authors=reference is not None)
            if torch is not None:
                torch.forget()
                about["pytorch"] = torch.about
            keras.backend.clear_session()
            gc.collect()
    for case in memory_cases(options):
        progress(f"memory: {case.setup.network} {case.kind}, K {case.iterations}, batch {case.batch_size}")
        found.append(Measured(case, memory=peak_memory(case)))
    first = first_runs(first_cases(options), repeats=options.repeats, reference=reference, progress=progress)
    about["seconds"] = round(time.perf_counter() - start, 1)
    return BenchmarkReport(options, found, about, first)


def _time_group(
    group: Sequence[Case], bench: CaseBuilder, torch: TorchProcess | None, repeats: int, *, authors: bool
) -> list[Measured]:
    """Each round: both floors of a case, the case, the authors' code on it, and then the next case."""
    inputs = random_inputs()
    runs: dict[Hashable, Run] = {}
    floors: dict[Case, Hashable] = {}
    broken: dict[Case, Failure] = {}
    for case in group:
        try:
            work, step = bench.work(case), timed(bench.build(case))
        except Exception as error:  # noqa: BLE001 - whatever fails becomes a row of the report
            broken[case] = failure(error)
            continue
        floors[case] = frozenset(work.items())
        if floors[case] not in runs:
            runs[floors[case]] = timed(floor(work, inputs))
            if torch is not None:
                runs["torch", floors[case]] = torch.run(ops=as_json(work))
        runs[case] = step
        if torch is not None and authors and compared(case):
            runs["authors", case] = torch.run(case=case.to_dict())
    times = time_in_turns(runs, repeats=repeats)
    return [
        Measured(
            case,
            broken.get(case) or times[case],
            times.get(floors.get(case)),
            times.get(("torch", floors.get(case))),
            times.get(("authors", case)),
        )
        for case in group
    ]


def _about() -> dict[str, Any]:
    """The machine, its threads and the versions."""
    machine, threading = environment.hardware(), tf.config.threading
    return {
        **{name: machine[name] for name in ("cpu", "cpu_features", "onednn", "cores")},
        "threads": threading.get_intra_op_parallelism_threads() or machine["cores"],
        "inter_op_threads": threading.get_inter_op_parallelism_threads() or machine["cores"],
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "versions": environment.versions(),
    }
