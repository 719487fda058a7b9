"""Runs checks with Keras on another backend, which is chosen once for a process: so each runs in one of its own."""

import importlib.util
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
# Compiling is nearly all that JAX does here, and code that is not optimised is compiled sooner.
_XLA_FLAGS = (
    "--xla_force_host_platform_device_count=2",
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
)


def skip_without(test, backend):
    """Skips the test where the backend is not installed."""
    if importlib.util.find_spec(backend) is None:
        test.skipTest(f"{backend} is not installed")


def run(test, backend, *arguments, module):
    """Runs a module and returns what it prints; skips the test where the backend is not installed.

    JAX has two devices there, and PyTorch one thread, as small networks want it.
    """
    skip_without(test, backend)
    command = [sys.executable, "-m", module, *arguments]
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": " ".join(_XLA_FLAGS),
        "OMP_NUM_THREADS": "1",
    }
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    test.assertEqual(result.returncode, 0, result.stderr[-4000:])
    return result.stdout
