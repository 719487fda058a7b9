"""Our outputs against those of the authors' code, on this device: the golden tests, with figures."""

import json
import pathlib
import subprocess
import sys
from typing import Any

from cnnf_tf.experiments.accelerator.plan import Scale
from cnnf_tf.experiments.accelerator.record import Record

PRECISIONS = {"highest": "float32", "default": "tf32"}
"""Of JAX, with the names of `plan.PRECISIONS`."""
_CHECKOUT = pathlib.Path(__file__).parents[3]


def run(scale: Scale, record: Record) -> None:
    """A row for each file and precision, as they come; none of an earlier run stays."""
    record.forget()
    command = [sys.executable, "-m", "tests.golden_errors", ",".join(PRECISIONS), *scale.golden]
    with subprocess.Popen(command, cwd=_CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # for the type checker
        for line in process.stdout:
            found = json.loads(line)
            if "held" in found:
                record.write(**found)
                continue
            found["precision"] = PRECISIONS[found["precision"]]
            record.add(f"{found['file']}, {found['precision']}", found)
    if process.returncode:
        raise RuntimeError(f"tests.golden_errors ended with {process.returncode}")


def passed(found: dict[str, Any]) -> bool:
    """Whether float32 was measured on every file that is held to the tolerance, and keeps it; from the JSON.

    A part that failed or was ended before it was done has not passed, whatever its rows say.
    """
    if "error" in found or "ended" in found:
        return False
    held = [row for row in found.get("rows", {}).values() if row["precision"] == "float32" and row["tolerance"]]
    return (
        bool(held) and len(held) == found.get("held") and all(row["largest_error"] < row["tolerance"] for row in held)
    )
