"""Where work was done, for its record: versions, hardware, and the commit of the source tree."""

import itertools
import os
import pathlib
import platform
import subprocess
from collections.abc import Sequence
from typing import Any

from cnnf_tf.utils.backend import need_tensorflow

need_tensorflow(__name__, "says what TensorFlow finds on a machine", as_backend=False)

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import test_util  # no public name says whether oneDNN is on

from cnnf_tf.version import __version__

_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
_SOURCES = ("bin", "cnnf_tf", "configs")
_GIT_SECONDS = 20
# Of the control group of this process, as a container sees it; the second is that of version 1.
_MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def versions() -> dict[str, str]:
    """Of Python, of this package, and of the libraries that do the arithmetic."""
    return {
        "cnnf_tf": __version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def hardware() -> dict[str, Any]:
    """The CPU, the cores that this process may use, the GPUs that TensorFlow sees, and whether oneDNN is on.

    Of the CPU the name and, on Linux, those of its features that decide how fast convolutions are.
    """
    gpus = tf.config.list_physical_devices("GPU")
    cpu = _cpu()
    return {
        "cpu": cpu.get("model name") or platform.processor() or platform.machine(),
        "cpu_features": [feature for feature in _FEATURES if feature in cpu.get("flags", "").split()],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "gpus": [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus],
        "onednn": test_util.IsMklEnabled(),
    }


def free_memory() -> int:
    """Bytes that this process can still take: what the machine has left, within the limit of a container."""
    import psutil

    free = psutil.virtual_memory().available
    used = psutil.Process().memory_info().rss
    for path in map(pathlib.Path, _MEMORY_LIMITS):
        limit = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
        if limit.isdecimal():
            free = min(free, max(0, int(limit) - used))
    return free


def bytes_text(count: float) -> str:
    """Such as "1.5 GiB"."""
    units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while count >= 1000 and len(units) > 1:
        count, units = count / 1024, units[1:]
    return f"{count:.3g} {units[0]}"


def source_tree(root: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """The commit of the checkout that this code runs from.

    Args:
      root: another checkout.

    Returns:
      `commit`, and `dirty`: whether anything in bin/, cnnf_tf/ or configs/ differs from it. Both are None outside of a
      git checkout (an installed package, even where it is installed inside of another checkout), or without git.
    """
    place = pathlib.Path(__file__).resolve().parent.parent.parent if root is None else pathlib.Path(root)
    if _git(place, "ls-files", "--error-unmatch", "cnnf_tf/version.py") is None:
        return {"commit": None, "dirty": None}
    commit, changes = _git(place, "rev-parse", "HEAD"), _git(place, "status", "--porcelain", "--", *_SOURCES)
    return {"commit": commit or None, "dirty": None if changes is None else bool(changes)}


def _git(root: pathlib.Path, *arguments: str) -> str | None:
    """What git says; None where it fails."""
    command: Sequence[str] = ("git", "-C", str(root), *arguments)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"  # looking must not get in the way of a person's own git command
    try:
        found = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def _cpu() -> dict[str, str]:
    """What Linux says of the first core, by the names it gives; nothing elsewhere."""
    information = pathlib.Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    facts = (line.partition(":") for line in itertools.takewhile(str.strip, lines))
    return {name.strip(): value.strip() for name, _, value in facts}
