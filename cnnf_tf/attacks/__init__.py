"""Attacks on `predict(images) -> logits`: FGSM, PGD, SPSA, the parts of AutoAttack; a CNN-F as an attack sees it.

FGSM and PGD run on each backend of Keras; all others in TensorFlow, and say so where they are used without.
"""

import functools
from collections.abc import Callable as _Callable

import keras as _keras

from cnnf_tf.attacks.base import Attack, AttackResult, BoundAttack
from cnnf_tf.attacks.gradient import FGSM, PGD
from cnnf_tf.attacks.losses import LOSSES
from cnnf_tf.attacks.model_functions import (
    GradientPath,
    every_pass_objective,
    gradient_source,
    predictor,
    residual_objective,
)
from cnnf_tf.attacks.norms import L2, LINF, NORMS, Norm
from cnnf_tf.utils.backend import needs_tensorflow as _needs_tensorflow

if _keras.backend.backend() == "tensorflow":
    from cnnf_tf.attacks.auto_pgd import APGD
    from cnnf_tf.attacks.autoattack import AutoAttack
    from cnnf_tf.attacks.fab import FAB
    from cnnf_tf.attacks.query import SPSA
    from cnnf_tf.attacks.run import AttackReport, attack_job, first_success, run_attack
    from cnnf_tf.attacks.square import Square
    from cnnf_tf.attacks.toolboxes import as_art, as_foolbox
else:
    _absent = functools.partial(_needs_tensorflow, why="is made of TensorFlow's operations")
    APGD, AutoAttack, FAB, SPSA, Square = (  # type: ignore[misc]
        _absent(f"cnnf_tf.attacks.{name}") for name in ("APGD", "AutoAttack", "FAB", "SPSA", "Square")
    )
    AttackReport, attack_job, first_success, run_attack = (  # type: ignore[misc]
        _absent(f"cnnf_tf.attacks.{name}") for name in ("AttackReport", "attack_job", "first_success", "run_attack")
    )
    as_art, as_foolbox = (_absent(f"cnnf_tf.attacks.{name}") for name in ("as_art", "as_foolbox"))

ATTACKS: dict[str, _Callable[..., Attack]] = {
    "fgsm": FGSM,
    "pgd": PGD,
    "pgd_l2": functools.partial(PGD, norm="l2"),
    "apgd": APGD,
    "spsa": SPSA,
    "fab": FAB,
    "square": Square,
    "autoattack": AutoAttack,
}
"""Attacks by the names that binaries and configs use, as functions of their keyword arguments."""

__all__ = [
    "APGD",
    "ATTACKS",
    "FAB",
    "FGSM",
    "L2",
    "LINF",
    "LOSSES",
    "NORMS",
    "PGD",
    "SPSA",
    "Attack",
    "AttackReport",
    "AttackResult",
    "AutoAttack",
    "BoundAttack",
    "GradientPath",
    "Norm",
    "Square",
    "as_art",
    "as_foolbox",
    "attack_job",
    "every_pass_objective",
    "first_success",
    "gradient_source",
    "predictor",
    "residual_objective",
    "run_attack",
]
