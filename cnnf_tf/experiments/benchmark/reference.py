"""The authors' PyTorch code, timed in turns with ours: a worker process that runs it on request.

PyTorch's threads wait for each other by spinning. Where another process wants the same cores, that makes them many
times slower than one thread alone and any comparison worthless, in our favour. So here they sleep while they wait
(OMP_WAIT_POLICY=PASSIVE); set the variable to another value to have it your way.
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from cnnf_tf.experiments.benchmark import cases
from cnnf_tf.experiments.benchmark.cases import Case
from cnnf_tf.experiments.benchmark.timing import Run

ITERATIONS = (0, 1, 5)
"""The K of inference at which both are timed."""
_WORKER = pathlib.Path(__file__).resolve().parent / "reference_worker.py"
# Run by path, but not as a script: its folder must not be searched for modules.
_PROGRAM = "import runpy, sys; sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')"
_FILES = ("cnnf/layers.py", "cnnf/model_mnist.py", "cnnf/model_cifar.py")


class ReferenceError(RuntimeError):
    """The authors' code could not be run."""


def compared(case: Case) -> bool:
    """Whether the authors' code is timed on this case: float32, as a `tf.function`, their split, full batch."""
    theirs = ("float32", "function", case.setup.encoder_blocks, case.setup.batch_size)
    if (case.dtype, case.mode, case.encoder_blocks, case.batch_size) != theirs:
        return False
    return case.iterations in ITERATIONS if case.kind == cases.INFERENCE else not case.kind.startswith(cases.EXPORT)


class ReferenceWorker:
    """A context that holds the worker process.

    Args:
      checkout: folder of https://github.com/yjhuangcd/CNNF.
      threads: that PyTorch may use.

    Raises:
      ValueError: the folder does not hold their models.
      ImportError: PyTorch is not installed.
    """

    def __init__(self, checkout: str | os.PathLike[str], *, threads: int):
        self._checkout = pathlib.Path(checkout).absolute()
        missing = [name for name in _FILES if not (self._checkout / name).is_file()]
        if missing:
            raise ValueError(
                f"the reference must be a checkout of https://github.com/yjhuangcd/CNNF; {str(checkout)!r} has no "
                f"{', '.join(missing)}."
            )
        if importlib.util.find_spec("torch") is None:
            raise ImportError("the reference needs PyTorch: pip install 'cnnf_tf[torch]'.")
        policy = os.environ.get("OMP_WAIT_POLICY", "PASSIVE")
        self.about: dict[str, Any] = {"threads": threads, "OMP_WAIT_POLICY": policy}
        """How it runs; PyTorch's version is added once it is known."""

    def __enter__(self) -> "ReferenceWorker":
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        command = [sys.executable, "-c", _PROGRAM, str(_WORKER), str(self._checkout), str(self.about["threads"])]
        environment = os.environ | {"OMP_WAIT_POLICY": self.about["OMP_WAIT_POLICY"]}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors}
        self._process = subprocess.Popen(command, text=True, env=environment, **pipes)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def run(self, case: Case) -> Run:
        """Times the authors' code on a case; the first call builds their model."""
        built = False

        def run() -> float:
            nonlocal built
            answer = self._ask({"name": json.dumps(case.to_dict()), "case": None if built else case.to_dict()})
            built, self.about["torch"] = True, answer["torch"]
            return answer["seconds"]

        return run

    def forget(self) -> None:
        """Frees what was built."""
        self._ask({})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: PT018 - for the type checker
        try:
            print(json.dumps(request), file=stdin, flush=True)
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._errors.seek(0)
            lines = self._errors.read().strip().splitlines()
            raise ReferenceError(f"the worker ended: {lines[-1] if lines else 'no message'}")
        answer = json.loads(line)
        if "error" in answer:
            raise ReferenceError(answer["error"])
        return answer
