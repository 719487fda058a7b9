"""A measurement in a process of its own, which prints what it found as JSON."""

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

from cnnf_tf.experiments.benchmark.timing import Failure

_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent


def answer(*arguments: str, timeout: float = 1800) -> Any | Failure:
    """What a fresh Python prints in its last line, from JSON.

    Args:
      *arguments: of Python; cnnf_tf is importable.
      timeout: seconds after which it counts as failed.
    """
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=timeout, env=environment
        )
    except subprocess.TimeoutExpired:
        return Failure(f"still running after {timeout:.0f} s")
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return Failure(lines[-1] if lines else f"the process ended with code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])
