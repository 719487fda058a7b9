"""Runs checks with Keras on another backend, which is chosen once for a process: so each runs in one of its own."""

import importlib.util
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent


def run(test, backend, *arguments):
    """Runs a check of tests/{backend}_backend.py; skips the test where the backend is not installed."""
    if importlib.util.find_spec(backend) is None:
        test.skipTest(f"{backend} is not installed")
    command = [sys.executable, "-m", f"tests.{backend}_backend", *arguments]
    environment = os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    test.assertEqual(result.returncode, 0, result.stderr[-4000:])
