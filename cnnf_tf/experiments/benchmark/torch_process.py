"""A process with PyTorch in it, which times on request: the authors' code, and the second floor.

PyTorch's threads wait for each other by spinning. Where another process wants the same cores, that makes them many
times slower than one thread alone and any comparison worthless, in our favour. So here they sleep while they wait
(OMP_WAIT_POLICY=PASSIVE); set the variable to another value to have it your way.
"""

import contextlib
import importlib.util
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from cnnf_tf.experiments.benchmark.timing import Run

_WORKER = pathlib.Path(__file__).resolve().parent / "torch_worker.py"
# Run by path, but not as a script: its folder must not be searched for modules.
PROGRAM = ("-c", "import runpy, sys; sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')")
"""Arguments of Python, before the path of a program and its own arguments."""


class TorchError(RuntimeError):
    """What PyTorch was asked to run failed."""


def installed() -> bool:
    """Whether PyTorch can be imported."""
    return importlib.util.find_spec("torch") is not None


class TorchProcess:
    """A context that holds the process.

    Args:
      threads: that PyTorch may use.
      checkout: folder of https://github.com/yjhuangcd/CNNF, for cases; None for none.

    Raises:
      ImportError: PyTorch is not installed.
    """

    def __init__(self, *, threads: int, checkout: str | os.PathLike[str] | None = None):
        if not installed():
            raise ImportError("the reference needs PyTorch: pip install 'cnnf_tf[torch]'.")
        self._checkout = [] if checkout is None else [str(pathlib.Path(checkout).absolute())]
        self._names = itertools.count()
        policy = os.environ.get("OMP_WAIT_POLICY", "PASSIVE")
        self.about: dict[str, Any] = {"threads": threads, "OMP_WAIT_POLICY": policy}
        """How it runs; PyTorch's version, and whether it has oneDNN, are added once they are known."""

    def __enter__(self) -> "TorchProcess":
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        command = [sys.executable, *PROGRAM, str(_WORKER), str(self.about["threads"]), *self._checkout]
        environment = os.environ | {"OMP_WAIT_POLICY": self.about["OMP_WAIT_POLICY"]}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors}
        self._process = subprocess.Popen(command, text=True, env=environment, **pipes)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def run(self, **work: Any) -> Run:
        """Times `case=`, the authors' code on `Case.to_dict()`, or `ops=`, a floor; the first call makes it.

        With a case, `device=` is PyTorch's name of where it runs, the CPU by default, and `tf32=` whether its products
        may be of that precision.
        """
        name, first = next(self._names), {"make": work}

        def run() -> float:
            answer = self._ask({"name": name, **first})
            first.clear()
            self.about |= {fact: answer[fact] for fact in ("torch", "onednn")}
            return answer["seconds"]

        return run

    def forget(self) -> None:
        """Frees what was made."""
        with contextlib.suppress(TorchError):  # the process may have died; whatever is asked of it then says so
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
            raise TorchError(f"the worker ended: {lines[-1] if lines else 'no message'}")
        answer = json.loads(line)
        if "error" in answer:
            raise TorchError(answer["error"])
        return answer
