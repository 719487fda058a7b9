"""Runs programs of the checkout sys.argv[1] in forks of one process that has imported TensorFlow, which costs seconds.

Each line of JSON on stdin is answered by one on stdout:

    {"start": [program, arguments...], "environment": {...}, "stdout": file, "stderr": file, "timeout": seconds}
        is answered by the number of the new process;
    {"poll": number} and {"wait": number}
        by its exit code, that of `poll` by null while the process is there.

Every program has a process of its own; only the imports are shared. It ends with its stdin. `binaries.Forked` talks to
it.
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


def start(request: dict[str, Any]) -> int:
    """Starts one command line in a fork."""
    process = os.fork()
    if process:
        return process
    signal.alarm(request["timeout"])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which what runs in the background of a shell ignores
    os.environ.update(request["environment"])
    tempfile.tempdir = None  # chosen again, by this environment
    for descriptor, path in enumerate((os.devnull, request["stdout"], request["stderr"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), descriptor)
    sys.argv = request["start"]
    sys.path[0] = str(ROOT / pathlib.Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.exit()  # no way back into the loop below


def exit_code(process: int, options: int = 0) -> int | None:
    """That of a fork; None if it has none yet, which `options` may allow."""
    found, status = os.waitpid(process, options)
    return os.waitstatus_to_exitcode(status) if found else None


def answer(request: dict[str, Any]) -> int | None:
    """See above."""
    if "start" in request:
        return start(request)
    return exit_code(request["poll"], os.WNOHANG) if "poll" in request else exit_code(request["wait"])


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
