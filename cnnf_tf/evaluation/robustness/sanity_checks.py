"""Checks of a robustness evaluation itself: is the attack as strong as it should be, or is the number too good?

Each check is a pure function of what an evaluation measured and returns a `SanityCheck` with the likely cause and the
remedy. They follow Carlini et al. 2019, "On evaluating adversarial robustness" (section 5), Athalye et al. 2018,
"Obfuscated gradients give a false sense of security" (section 3.1), and the flags of Croce & Hein's AutoAttack.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_PROBABILITY_TOLERANCE = 1e-3
_ZERO_SHARE = 0.01
_UNBOUNDED_ACCURACY = 0.01


@dataclasses.dataclass(frozen=True)
class SanityCheck:
    """The outcome of one check.

    Attributes:
      check: short name.
      passed: False where the score beside it should not be believed before the cause is known.
      evidence: what was measured.
      cause: what a failure usually comes from.
      remedy: what to do about it.
    """

    check: str
    passed: bool
    evidence: str
    cause: str
    remedy: str

    def text(self) -> str:
        """One line if passed, else three, of which the last says what to do."""
        if self.passed:
            return f"  ok    {self.check}: {self.evidence}"
        return f"  WARN  {self.check}: {self.evidence}\n        likely: {self.cause}\n        to do:  {self.remedy}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self) | {"passed": bool(self.passed)}  # NumPy's bools are no JSON


def logits_not_probabilities(logits: ArrayLike) -> SanityCheck:
    """Rows that lie in [0, 1] and sum to 1 are probabilities, `[images, classes]`."""
    rows = np.asarray(logits, np.float64)
    inside = (rows >= -_PROBABILITY_TOLERANCE) & (rows <= 1 + _PROBABILITY_TOLERANCE)
    share = float(np.mean(inside.all(-1) & (np.abs(rows.sum(-1) - 1) < _PROBABILITY_TOLERANCE)))
    return SanityCheck(
        "outputs are logits",
        share < 0.5,
        f"{100 * share:.0f} % of {len(rows)} outputs look like probabilities",
        "a softmax sits inside `predict`; the cross-entropy applies another one and its gradient nearly vanishes",
        "attack the logits: leave the softmax out of `predict`",
    )


def outputs_repeat(first: ArrayLike, second: ArrayLike) -> SanityCheck:
    """Two calls on the same images must agree, `[images, classes]` each."""
    difference = float(np.max(np.abs(np.asarray(first, np.float64) - np.asarray(second, np.float64))))
    scale = float(np.max(np.abs(first))) or 1.0
    return SanityCheck(
        "outputs repeat between calls",
        difference <= 1e-5 * scale,
        f"largest difference {difference:.1e}",
        "the model is random at test time (dropout or noise left on); one gradient sees one draw only",
        'switch the randomness off, or attack with AutoAttack(version="rand"), which averages gradients',
    )


def gradients_inform(gradients: ArrayLike) -> SanityCheck:
    """Loss gradients with respect to the images, `[images, height, width, channels]`: not zero, not alike."""
    rows = np.asarray(gradients, np.float64).reshape(len(np.asarray(gradients)), -1)
    norms = np.linalg.norm(rows, axis=-1)
    useless = ~np.isfinite(norms) | (norms == 0)
    directions = rows[~useless] / norms[~useless, None]
    constant = len(directions) > 1 and float(np.std(directions, axis=0).max()) < 1e-6
    share = float(np.mean(useless))
    evidence = f"{100 * share:.1f} % of {len(rows)} gradients are zero or not finite"
    return SanityCheck(
        "gradients are informative",
        share <= _ZERO_SHARE and not constant,
        evidence + (", the rest are all alike" if constant else ""),
        "saturated or quantised outputs, a loss that overflows, or a step the gradient does not pass (masking)",
        "attack the margin or DLR loss in float32, and add attacks without gradients: Square, SPSA, AutoAttack",
    )


def loss_rises(losses: ArrayLike) -> SanityCheck:
    """The mean loss before each step and after the last, `[steps + 1]`, with no image taken out of the work."""
    curve = np.asarray(losses, np.float64)
    rise = float(curve[-1] - curve[0])
    return SanityCheck(
        "the loss rises along the attack",
        bool(np.isfinite(curve).all()) and rise > 0 and curve[-1] >= curve.max() - 0.1 * (curve.max() - curve.min()),
        f"{curve[0]:.3f} before the first step, {curve[-1]:.3f} after the last, highest {curve.max():.3f}",
        "the step size is too large (it overshoots) or the gradient does not point uphill (masked or noisy)",
        "add AutoAttack, whose APGD sets its own step size; for PGD take more steps, each shorter",
    )


def stronger_is_stronger(change: str, weaker: ArrayLike, stronger: ArrayLike) -> SanityCheck:
    """A larger epsilon or more steps must not leave more images standing.

    Args:
      change: what was increased, as "twice the epsilon".
      weaker: which images stand the weaker attack, bools `[images]`.
      stronger: the same images under the stronger attack.
    """
    before, after = _accuracies(weaker, stronger)
    return SanityCheck(
        f"{change} is not weaker",
        after <= before + _noise(weaker, stronger),
        f"{_percent(before)} -> {_percent(after)} of {len(np.asarray(weaker))} images stand",
        "the attack has not converged, or gradients mislead it",
        "report the stronger of the two, and attack with more steps and restarts, or with AutoAttack",
    )


def unbounded_breaks(survived: ArrayLike, radius: float = 1.0) -> SanityCheck:
    """With the whole pixel range allowed, a ball of this radius, nothing can stand, bools `[images]`."""
    share = float(np.mean(survived))
    return SanityCheck(
        "an unbounded attack breaks everything",
        share <= _UNBOUNDED_ACCURACY,
        f"{_percent(share)} of {len(np.asarray(survived))} images stand radius {radius:g}",
        "the attack gets stuck: masked gradients, a step size too small for the way to go, or a bug in the attack",
        "do not report this attack alone: add AutoAttack, and a transfer from another model (--surrogate)",
    )


def white_box_beats_black_box(black_box: str, white: ArrayLike, black: ArrayLike) -> SanityCheck:
    """An attack that sees gradients must break at least what one without them breaks (same images)."""
    with_gradients, without = _accuracies(white, black)
    return SanityCheck(
        f"{black_box} does not beat white-box",
        with_gradients <= without + _noise(white, black),
        f"white-box {_percent(with_gradients)}, {black_box} {_percent(without)} of {len(np.asarray(white))} images",
        "gradient masking: the loss surface hides its slope from the white-box attack",
        "report the black-box number, and change the white-box attack: other loss, path, more restarts, AutoAttack",
    )


def first_pass_is_not_enough(first_pass: ArrayLike, full_unroll: ArrayLike) -> SanityCheck:
    """An attack on the first pass does not see the loop; where it is the weaker one it must not be the score."""
    first, full = _accuracies(first_pass, full_unroll)
    noise = _noise(first_pass, full_unroll)
    evidence = f"first pass {_percent(first)}, full unroll {_percent(full)} of {len(np.asarray(first_pass))} images"
    if full > first + noise:
        return SanityCheck(
            "the full unroll is the stronger path",
            False,
            evidence,
            "gradients through the loop are masked (flat or noisy), so the attack that ignores the loop does better",
            "report the first-pass number, and give the full unroll more steps and restarts, or AutoAttack",
        )
    return SanityCheck(
        "the first-pass attack sees the defence",
        first <= full + noise,
        evidence,
        "the first-pass attack cannot see the feedback loop it attacks and overstates robustness",
        "quote the minimum over attacks, never the first-pass number alone; train against both paths",
    )


def _accuracies(first: ArrayLike, second: ArrayLike) -> tuple[float, float]:
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"wanted two bool vectors over the same images, got shapes {first.shape} and {second.shape}.")
    return float(first.mean()), float(second.mean())


def _noise(first: ArrayLike, second: ArrayLike) -> float:
    """Two standard deviations of the difference of two paired shares (McNemar), at least half an image."""
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    return max(0.5, 2 * math.sqrt(int(np.sum(first != second)))) / len(first)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
