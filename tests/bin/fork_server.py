"""Runs binaries of the checkout sys.argv[1] in forks of one process that has imported TensorFlow, which costs seconds.

A line of JSON on stdin, {"arguments": [binary, ...], "environment": {...}, "timeout": seconds}, is answered by a line
on stdout, [exit code, stdout, stderr]. Every run has a process of its own; only the imports are shared. It ends with
its stdin. `binaries.run_forked` talks to it.
"""

import gc
import json
import os
import pathlib
import runpy
import signal
import sys
import tempfile
from typing import Any

ROOT = pathlib.Path(sys.argv[1])


def answer(request: dict[str, Any]) -> tuple[int, str, str]:
    """Runs one command line to its end."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = os.fork()
        if not process:
            signal.alarm(request["timeout"])
            os.environ.update(request["environment"])
            os.dup2(stdout.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            binary, *arguments = request["arguments"]
            sys.argv = [f"bin/{binary}.py", *arguments]
            runpy.run_path(sys.argv[0], run_name="__main__")
            sys.exit()  # no way back into the loop below
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        for file in (stdout, stderr):
            file.seek(0)
        return code, stdout.read().decode(), stderr.read().decode()


def main() -> None:
    """Imports what the binaries import, then serves."""
    os.chdir(ROOT)
    sys.path[:1] = [str(ROOT / "bin"), str(ROOT)]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # as bin/_app.py does
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # whoever forks has no second thread

    from cnnf_tf import attacks, evaluation, generative, serving, training  # noqa: F401

    gc.freeze()  # or else each fork spends a second on sweeping up, at its end, what it was given
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
