"""The authors' PyTorch code: what is timed of it, and whether a folder holds it."""

import os
import pathlib

from cnnf_tf.experiments.benchmark import setups
from cnnf_tf.experiments.benchmark.setups import Case

ITERATIONS = (0, 1, 5)
"""The K of inference at which both are timed."""
_FILES = ("cnnf/layers.py", "cnnf/model_mnist.py", "cnnf/model_cifar.py")


def compared(case: Case) -> bool:
    """Whether the authors' code is timed on this case: float32, as a `tf.function`, their split, full batch."""
    theirs = ("float32", "function", case.setup.encoder_blocks, case.setup.batch_size)
    if (case.dtype, case.mode, case.encoder_blocks, case.batch_size) != theirs:
        return False
    return case.iterations in ITERATIONS if case.kind == setups.INFERENCE else not case.kind.startswith(setups.EXPORT)


def check_checkout(checkout: str | os.PathLike[str]) -> None:
    """Raises ValueError unless the folder holds the models of https://github.com/yjhuangcd/CNNF."""
    missing = [name for name in _FILES if not (pathlib.Path(checkout) / name).is_file()]
    if missing:
        raise ValueError(
            f"the reference must be a checkout of https://github.com/yjhuangcd/CNNF; {str(checkout)!r} has no "
            f"{', '.join(missing)}."
        )
