"""Runs checks with Keras on another backend, which is chosen once for a process: so each runs in one of its own."""

import importlib.util
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent


def skip_without(test, backend):
    """Skips the test where the backend is not installed."""
    if importlib.util.find_spec(backend) is None:
        test.skipTest(f"{backend} is not installed")


def run(test, backend, *arguments, module=None):
    """Runs a check of a module, tests/{backend}_backend.py by default; skips where the backend is not installed.

    JAX has two devices there, and PyTorch one thread, as small networks want it.
    """
    skip_without(test, backend)
    command = [sys.executable, "-m", module or f"tests.{backend}_backend", *arguments]
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "OMP_NUM_THREADS": "1",
    }
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    test.assertEqual(result.returncode, 0, result.stderr[-4000:])
