"""How long until the first result: every measurement in a process of its own, as caches and imports matter.

Beside cnnf_tf, Keras' own plain CNN of the same layers (once for all K) and, where there is a checkout, the authors'
code in eager PyTorch. In each round everything is run once.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnf_tf.experiments.benchmark import cases, setups
from cnnf_tf.experiments.benchmark.fresh_process import answer
from cnnf_tf.experiments.benchmark.setups import Case
from cnnf_tf.experiments.benchmark.timing import Failure, Timing
from cnnf_tf.experiments.benchmark.torch_process import PROGRAM

OURS, KERAS, AUTHORS = "cnnf_tf", "keras", "authors"
_WORKER = pathlib.Path(__file__).resolve().parent / "first_result_worker.py"
Round = Mapping[str, float]
"""Seconds of import, load (or build), first and later runs, and graph nodes; see `first_result_worker`."""


@dataclasses.dataclass(frozen=True)
class FirstRuns:
    """The rounds of one case by one implementation."""

    case: Case
    by: str
    """"cnnf_tf"; "keras", at the first K only, as it has none; or "authors"."""
    rounds: tuple[Round, ...] = ()
    failure: Failure | None = None

    def timing(self, *parts: str, less: str = "") -> Timing:
        """The sum of some parts in each round, less another part."""
        return Timing(tuple(sum(found[part] for part in parts) - found.get(less, 0.0) for found in self.rounds))

    @property
    def total(self) -> Timing:
        """From the start of the imports to the first result."""
        return self.timing("import", "load", "first")

    @property
    def start_up(self) -> Timing:
        """What the first run takes longer than a later one."""
        return self.timing("first", less="later")

    def to_dict(self) -> dict[str, Any]:
        """For JSON: medians in seconds, graph nodes, and all rounds."""
        case, failed = self.case, "" if self.failure is None else self.failure.message
        values = {name: getattr(case, name) for name in ("kind", "encoder_blocks", "iterations", "batch_size")}
        facts = {"network": case.setup.network, **values, "by": self.by, "error": failed}
        if self.failure is None:
            facts |= {part: self.timing(part).median for part in ("import", "load", "first", "later")}
            facts |= {"start_up": self.start_up.median, "total": self.total.median}
            facts["nodes"] = int(self.rounds[0]["nodes"])
        return facts | {"rounds": list(self.rounds)}


def first_runs(
    wanted: Sequence[Case],
    *,
    repeats: int,
    reference: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[FirstRuns]:
    """Measures cases.

    Args:
      wanted: of the kinds `setups.FIRST_RESULTS`.
      repeats: rounds.
      reference: folder of the authors' code; None for none.
      progress: called with a line before each process.
    """
    found: dict[tuple[Case, str], list[Round]] = {}
    for case in wanted:
        found[case, OURS] = []
        if not any(by == KERAS and (known.setup, known.kind) == (case.setup, case.kind) for known, by in found):
            found[case, KERAS] = []
        if reference is not None:
            found[case, AUTHORS] = []
    failed: dict[tuple[Case, str], Failure] = {}
    for place in range(1, repeats + 1):
        for (case, by), rounds in found.items():
            if (case, by) in failed:
                continue
            progress(f"{case.kind} {place}/{repeats}: {case.setup.network} by {by}, K {case.iterations}")
            result = _measure(case, by, reference)
            if isinstance(result, Failure):
                failed[case, by] = result
            else:
                rounds.append(result)
    return [FirstRuns(*key, tuple(rounds), failed.get(key)) for key, rounds in found.items()]


def _measure(case: Case, by: str, reference: str | os.PathLike[str] | None) -> Round | Failure:
    request = {
        "by": by,
        "case": case.to_dict(),
        "pretrained": setups.PRETRAINED.get(case.setup.network),
        "optimizer": cases.OPTIMIZER,
        "checkout": None if reference is None else os.path.abspath(reference),
    }
    return answer(*PROGRAM, str(_WORKER), json.dumps(request))
