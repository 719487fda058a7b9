"""Runs PyTorch in a process of its own, one piece of work at a time.

    python torch_worker.py THREADS [CHECKOUT]

reads a JSON object a line from stdin and answers each with one line on stdout:

    {"name": ..., "make": {...}}   {"seconds": ..., "torch": "2.0.0", "onednn": true}   makes work, and times it once
    {"name": ...}                  likewise                                             times it once more
    {}                             {}                                                   frees all that was made

or `{"error": "..."}`. Work is `{"case": {...}}`, the authors' code on a case (see `reference_steps`), and with it the
`"device"` and whether its products are `"tf32"`, or `{"ops": [...]}`, bare ops (see `torch_floor`). CHECKOUT is a copy
of https://github.com/yjhuangcd/CNNF. This file imports nothing of cnnf_tf, so that TensorFlow stays out of the process.
"""

import json
import os
import pathlib
import runpy
import sys
import time
from collections.abc import Callable
from typing import Any

_FOLDER = pathlib.Path(__file__).resolve().parent


def main() -> None:
    threads, *checkout = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the authors' code prints is no answer
    made: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        try:
            answer = _answer(json.loads(line), made, int(threads), checkout)
        except Exception as error:  # noqa: BLE001 - their code may raise anything, and the benchmark goes on
            first = next((text for text in str(error).splitlines() if text.strip()), "")
            answer = {"error": f"{type(error).__name__}: {first}"}
        print(json.dumps(answer), file=answers, flush=True)


def _answer(
    request: dict[str, Any], made: dict[str, Callable[[], Any]], threads: int, checkout: list[str]
) -> dict[str, Any]:
    if not request:
        made.clear()
        return {}
    import torch

    torch.set_num_threads(threads)
    work = request.get("make", {})
    if "case" in work:
        steps = runpy.run_path(str(_FOLDER / "reference_steps.py"))
        device = work.get("device", "cpu")
        if device != "cpu":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = work["tf32"]
        step = steps["Reference"](work["case"], *checkout, device=device).step()
        made[request["name"]] = step if device == "cpu" else lambda: (step(), torch.cuda.synchronize())
    elif "ops" in work:
        made[request["name"]] = runpy.run_path(str(_FOLDER / "torch_floor.py"))["floor"](work["ops"])
    start = time.perf_counter()
    made[request["name"]]()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "torch": torch.__version__, "onednn": torch.backends.mkldnn.is_available()}


if __name__ == "__main__":
    main()
