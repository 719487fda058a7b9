"""The authors' PyTorch code on the cases of the plan, in float32 with and without TF32; without JAX."""

import os
import pathlib

from cnnf_tf.experiments.accelerator.plan import KINDS, Scale, Timed
from cnnf_tf.experiments.accelerator.record import Record, one_line
from cnnf_tf.experiments.benchmark.reference import check_checkout
from cnnf_tf.experiments.benchmark.setups import Case
from cnnf_tf.experiments.benchmark.timing import Failure, Timing, time_in_turns
from cnnf_tf.experiments.benchmark.torch_process import TorchProcess


def run(scale: Scale, record: Record, checkout: pathlib.Path | None) -> None:
    """Times case by case, the plan's first ones first.

    Args:
      scale: what to time.
      record: a row for each case; without a checkout or PyTorch the reason.
      checkout: of https://github.com/yjhuangcd/CNNF.
    """
    machine = _machine()
    record.measured_on(**machine)
    if checkout is None:
        record.write(reason="no checkout of https://github.com/yjhuangcd/CNNF was given")
        return
    try:
        check_checkout(checkout)
        process = TorchProcess(threads=os.cpu_count() or 1, checkout=checkout)
    except (ImportError, ValueError) as error:
        record.write(reason=one_line(error))
        return
    device = "cuda" if machine["platform"] == "gpu" else "cpu"
    with process as torch:
        for precision in ("tf32", "float32"):
            for setup in scale.networks.values():
                for iterations in scale.iterations:
                    for kind in KINDS:
                        case = Case(kind, setup, setup.encoder_blocks, iterations, setup.batch_size)
                        name = Timed(case, precision).name
                        if record.left() < 0 or record.done(name):
                            continue
                        work = torch.run(case=case.to_dict(), device=device, tf32=precision == "tf32")
                        record.add(name, _row(case, time_in_turns({"": work}, repeats=scale.repeats)[""]))
                        torch.forget()
        record.write(process=torch.about)


def _machine() -> dict[str, str]:
    """As `programs.machine` has it, of PyTorch."""
    try:
        import torch
    except ImportError:
        return {"device": "unknown", "platform": "unknown", "pytorch": "none"}
    if not torch.cuda.is_available():
        return {"device": "cpu", "platform": "cpu", "pytorch": str(torch.__version__)}
    return {"device": torch.cuda.get_device_name(), "platform": "gpu", "pytorch": str(torch.__version__)}


def _row(case: Case, found: Timing | Failure) -> dict[str, object]:
    if isinstance(found, Failure):
        return {"error": found.message}
    return {"milliseconds": 1000 * found.median, "images_per_second": case.batch_size / found.median}
