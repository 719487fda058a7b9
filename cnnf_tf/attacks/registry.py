"""The attacks by the names that binaries and configs use."""

import functools
from collections.abc import Callable

from cnnf_tf.attacks.autoattack import AutoAttack
from cnnf_tf.attacks.base import Attack
from cnnf_tf.attacks.gradient import FGSM, PGD
from cnnf_tf.attacks.query import SPSA

ATTACKS: dict[str, Callable[..., Attack]] = {
    "fgsm": FGSM,
    "pgd": PGD,
    "pgd_l2": functools.partial(PGD, norm="l2"),
    "spsa": SPSA,
    "autoattack": AutoAttack,
}
"""Attacks by name, as functions of their keyword arguments."""
