"""The check as four parts, each in a process of its own: what one does to itself or the device, the next is spared.

A part has a share of the seconds that are left when it starts, so that what one leaves another has. It knows when it
has to be done, and is ended a little later if it is not; what it had written stays.
"""

import dataclasses
import importlib
import json
import os
import pathlib
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from cnnf_tf.experiments.accelerator.record import Record, one_line
from cnnf_tf.utils.files import write_json

SHARES = {"golden": 0.12, "speed": 0.38, "authors": 0.1, "cifar": 0.4}
"""Of the whole time, in their order."""
_GRACE = 0.1  # of a part's time: it plans to be done so much earlier
_TINY_XLA = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


@dataclasses.dataclass(frozen=True)
class Options:
    """What is asked for.

    Attributes:
      output: folder of the records.
      data: the images of adversarial training, see `data`; None for none.
      reference: a checkout of the authors' code; None for none.
      tiny: see `plan.tiny`; "" for the whole check.
    """

    output: pathlib.Path
    data: pathlib.Path | None
    reference: pathlib.Path | None
    tiny: str


def run_part(name: str, options: Options, until: float) -> None:
    """Does one part in this process; whatever goes wrong is written to its record."""
    record = Record(options.output / f"{name}.json", until, lambda line: print(line, flush=True))
    record.resume()
    inputs = {"authors": (options.reference,), "cifar": (options.data,)}.get(name, ())
    try:
        from cnnf_tf.experiments.accelerator import plan

        scale = plan.tiny(options.tiny) if options.tiny else plan.WHOLE
        importlib.import_module(f"{__package__}.{name}").run(scale, record, *inputs)
    except Exception as error:  # noqa: BLE001 - the next part goes on
        record.report(one_line(error))
        record.write(error=one_line(error))


def run(
    options: Options,
    *,
    minutes: float,
    command: Callable[[str, float], Sequence[str]],
    parts: Sequence[str] = tuple(SHARES),
) -> dict[str, Any]:
    """Runs the parts, one after the other.

    Args:
      options: passed on by `command`.
      minutes: for all of it.
      command: from the name of a part and the time by which it has to be done, `time.time()`, to what runs it.
      parts: of `SHARES`, in any order.

    Returns:
      The records by part; what a part did not write says so.
    """
    end, left = time.time() + 60 * minutes, [name for name in SHARES if name in parts]
    options.output.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "JAX_COMPILATION_CACHE_DIR": str(options.output.absolute() / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
    }
    if options.tiny:
        environment["XLA_FLAGS"] = _TINY_XLA
    while left:
        name = left[0]
        seconds = (end - time.time()) * SHARES[name] / sum(SHARES[each] for each in left)
        until = time.time() + (1 - _GRACE) * seconds
        found = subprocess.Popen([*command(name, until)], env=environment, start_new_session=True)
        ended = ""
        try:
            if found.wait(max(seconds, 1)):
                ended = f"the process ended with {found.returncode}"
        except subprocess.TimeoutExpired:
            ended = "the time was up"
            os.killpg(found.pid, 9)
            found.wait()
        if ended:
            path = options.output / f"{name}.json"
            write_json(path, _read(path) | {"ended": ended})
        left.pop(0)
    return {name: _read(options.output / f"{name}.json") for name in SHARES}


def _read(path: pathlib.Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"error": "was not run"}
