"""Peak memory of a case, in a process of its own.

The process imports TensorFlow, runs one small op and notes how much memory it has held (the baseline); then it builds
the case, does its work twice and reads the peak. Both are resident memory as Linux counts it, VmHWM in
/proc/self/status. The difference is what the case needs: weights, images, optimiser, traced graph and activations.
`ru_maxrss` would not do on Linux, as a new process starts with the peak of the one that started it; elsewhere it is
what there is.
"""

import dataclasses
import json
import pathlib
import re
import sys
from collections.abc import Sequence

from cnnf_tf.experiments.benchmark.cases import CaseBuilder
from cnnf_tf.experiments.benchmark.fresh_process import answer
from cnnf_tf.experiments.benchmark.setups import Case
from cnnf_tf.experiments.benchmark.timing import Failure

_PROGRAM = "from cnnf_tf.experiments.benchmark import memory; memory.main()"
_STATUS = pathlib.Path("/proc/self/status")


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes of resident memory."""

    baseline: int
    peak: int

    @property
    def needed(self) -> int:
        """What the case added to the baseline."""
        return max(self.peak - self.baseline, 0)

    @property
    def needed_mib(self) -> float:
        return self.needed / 2**20


def peak_memory(case: Case, *, timeout: float = 1800) -> Memory | Failure:
    """Measures a case in a fresh process.

    Args:
      case: any but an export.
      timeout: seconds after which it counts as failed.
    """
    found = answer("-c", _PROGRAM, json.dumps(case.to_dict()), timeout=timeout)
    return found if isinstance(found, Failure) else Memory(**found)


def main(arguments: Sequence[str] | None = None) -> None:
    """The program of the fresh process: a case as JSON in, the baseline and the peak as JSON out."""
    (text,) = sys.argv[1:] if arguments is None else arguments
    case = Case.from_dict(json.loads(text))
    import tensorflow as tf

    tf.reduce_sum(tf.ones([64, 64]) @ tf.ones([64, 64])).numpy()  # the runtime and its threads
    baseline = _peak()
    run = CaseBuilder({}).build(case)
    for _ in range(2):
        run()
    print(json.dumps({"baseline": baseline, "peak": _peak()}))


def _peak() -> int:
    """The most resident memory that this process has held, in bytes."""
    status = _STATUS.read_text(encoding="utf-8") if _STATUS.exists() else ""
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
    if found:
        return 1024 * int(found[1])
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
