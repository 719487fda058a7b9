"""The attacks of a robustness table: what each runs, through which path, on how many images."""

import dataclasses
from collections.abc import Callable
from typing import Any

from cnnf_tf.attacks import (
    PGD,
    SPSA,
    Attack,
    AutoAttack,
    GradientPath,
    every_pass_objective,
    gradient_source,
    predictor,
    residual_objective,
)
from cnnf_tf.models import CNNF

Functions = Callable[[CNNF, int, str], "dict[str, Any] | None"]

TRANSFER = "transfer"
"""In place of a `GradientPath`: the images were made on another model."""


@dataclasses.dataclass(frozen=True)
class AttackSpec:
    """One row of a robustness table.

    Attributes:
      name: as printed.
      attack: what runs.
      path: the name of a `GradientPath`, or "transfer".
      black_box: whether it does without gradients of the model that is scored.
      functions: from (model, K', readout) to the keyword arguments `surrogate` or `objective` of `Attack.bind`; None
        where the attack would repeat another row (with K' = 0 there is one path only).
      num_images: how many of the first images to attack; None for all.
    """

    name: str
    attack: Attack
    path: str
    black_box: bool
    functions: Functions
    num_images: int | None = None


def _through(path: GradientPath) -> Functions:
    def functions(model: CNNF, iterations: int, readout: str) -> dict[str, Any] | None:
        if iterations == 0 and path is GradientPath.FIRST_PASS:
            return None
        return {"surrogate": gradient_source(model, path, iterations=iterations, readout=readout)}

    return functions


def baseline_suite(
    *,
    epsilon: float,
    steps: int,
    step_size: float | None = None,
    restarts: int = 1,
    spsa_steps: int = 10,
    spsa_images: int = 100,
    transfer_from: CNNF | None = None,
    norm: str = "linf",
) -> list[AttackSpec]:
    """What the authors' evaluation runs: PGD and SPSA through the first pass and the full unroll, and transfer.

    Args:
      epsilon: radius of the ball, on the [0, 1] pixel scale.
      steps: of PGD; the authors take 7.
      step_size: of PGD; None for `2.5 * epsilon / steps`.
      restarts: of PGD.
      spsa_steps: of SPSA, with the authors' 128 samples and delta 0.01; each costs 257 forward passes.
      spsa_images: SPSA attacks the first so many images; 0 leaves it out.
      transfer_from: a model to make images on (with its own K and readout), for instance the plain CNN.
      norm: "linf" or "l2", of PGD; SPSA is of l-inf balls alone and left out for the other.
    """
    pgd = PGD(epsilon=epsilon, steps=steps, step_size=step_size, restarts=restarts, norm=norm)
    first, full = GradientPath.FIRST_PASS, GradientPath.FULL_UNROLL
    attack_specs = [AttackSpec(f"PGD-{steps}", pgd, path.value, False, _through(path)) for path in (first, full)]
    if spsa_images and norm == "linf":
        spsa = SPSA(epsilon=epsilon, steps=spsa_steps, samples=128, delta=0.01)
        attack_specs += [
            AttackSpec(f"SPSA-{spsa_steps}", spsa, path.value, True, _through(path), spsa_images)
            for path in (first, full)
        ]
    if transfer_from is not None:
        source = predictor(transfer_from)
        attack_specs.append(AttackSpec(f"PGD-{steps}", pgd, TRANSFER, True, lambda *_: {"surrogate": source}))
    return attack_specs


def adaptive_suite(
    *,
    epsilon: float,
    steps: int,
    step_size: float | None = None,
    residual_weight: float = 1.0,
    restarts: int = 1,
    norm: str = "linf",
) -> list[AttackSpec]:
    """Attacks aimed at the feedback itself; all go through the full unroll at the tested K'.

    PGD on the margin, through the averaged readout whatever is scored, on the loss of every pass at once, on images
    that are also their own reconstruction (so that feedback has nothing to repair), and through twice as many
    iterations as are scored.

    Args:
      epsilon: see `baseline_suite`, also for `steps`, `step_size`, `restarts` and `norm`.
      residual_weight: in nats per unit of the residual; see `residual_objective`.
    """
    full = GradientPath.FULL_UNROLL.value
    options: dict[str, Any] = {"steps": steps, "step_size": step_size, "restarts": restarts, "norm": norm}
    pgd, margin = PGD(epsilon=epsilon, **options), PGD(epsilon=epsilon, loss="margin", **options)

    def averaged(model: CNNF, iterations: int, readout: str) -> dict[str, Any] | None:
        if readout == "average":
            return None
        return {"surrogate": predictor(model, iterations=iterations, readout="average")}

    def every_pass(model: CNNF, iterations: int, readout: str) -> dict[str, Any]:
        del readout
        return {"objective": every_pass_objective(model, iterations=iterations)}

    def residual(model: CNNF, iterations: int, readout: str) -> dict[str, Any]:
        objective = residual_objective(model, weight=residual_weight, iterations=iterations, readout=readout)
        return {"objective": objective}

    def deeper(model: CNNF, iterations: int, readout: str) -> dict[str, Any]:
        return {"surrogate": predictor(model, iterations=2 * iterations, readout=readout)}

    return [
        AttackSpec(f"PGD-{steps} on the margin", margin, full, False, _through(GradientPath.FULL_UNROLL)),
        AttackSpec(f"PGD-{steps} on the average", pgd, full, False, _with_feedback(averaged)),
        AttackSpec(f"PGD-{steps} on every pass", pgd, full, False, _with_feedback(every_pass)),
        AttackSpec(f"PGD-{steps} minus residual", pgd, full, False, _with_feedback(residual)),
        AttackSpec(f"PGD-{steps} through 2 K'", pgd, full, False, _with_feedback(deeper)),
    ]


def _with_feedback(functions: Functions) -> Functions:
    """Leaves the row out where there is no feedback to attack."""
    return lambda model, iterations, readout: functions(model, iterations, readout) if iterations else None


def autoattack_suite(*, epsilon: float, num_images: int | None = None, **options: Any) -> list[AttackSpec]:
    """AutoAttack through the first pass and through the full unroll.

    Args:
      epsilon: radius of the ball, on the [0, 1] pixel scale.
      num_images: how many of the first images to attack; None for all.
      **options: of `cnnf_tf.attacks.AutoAttack`, such as `norm` and `version`.
    """
    attack = AutoAttack(epsilon=epsilon, **options)
    name = "AutoAttack" if attack.version == "standard" else f"AutoAttack, {attack.version}"
    paths = GradientPath.FIRST_PASS, GradientPath.FULL_UNROLL
    return [AttackSpec(name, attack, path.value, False, _through(path), num_images) for path in paths]
