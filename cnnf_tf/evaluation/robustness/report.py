"""Robustness tables: one model, several attacks, both readouts, the minimum, and checks of the evaluation itself."""

import dataclasses
from typing import Any

import numpy as np

from cnnf_tf.evaluation.robustness.sanity_checks import SanityCheck
from cnnf_tf.utils.intervals import wilson_interval
from cnnf_tf.utils.tables import aligned

_NORMS = {"linf": "l-inf", "l2": "l2"}


@dataclasses.dataclass(frozen=True)
class Score:
    """What one attack left of a model under one readout.

    Attributes:
      attack_name: of the attack.
      path: a `GradientPath` name, or "transfer".
      black_box: whether the attack did without gradients of the model.
      readout: "last" or "average".
      survived: bools over the first images of the set: classified correctly before and after the attack.
      report: the attack's settings and means, for JSON.
      seconds: it took, summed over the devices that shared it.
    """

    attack_name: str
    path: str
    black_box: bool
    readout: str
    survived: np.ndarray
    report: dict[str, Any]
    seconds: float

    @property
    def accuracy(self) -> float:
        """Robust accuracy, a share in [0, 1]."""
        return float(np.mean(self.survived))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "attack": self.attack_name,
            "gradient_path": self.path,
            "black_box": self.black_box,
            "readout": self.readout,
            "num_images": len(self.survived),
            "robust_accuracy": self.accuracy,
            "interval_95": wilson_interval(int(self.survived.sum()), len(self.survived)),
            "seconds": round(self.seconds, 2),
            **self.report,
        }


@dataclasses.dataclass(frozen=True)
class RobustnessReport:
    """A robustness table.

    Attributes:
      iterations: K' the model was run with.
      epsilon: on the [0, 1] pixel scale.
      seed: of every attack.
      clean: for each readout, bools over the images: classified correctly without an attack.
      scores: a row for each attack and readout.
      sanity_checks: for each readout, the checks of the evaluation.
      norm: of the ball.
    """

    iterations: int
    epsilon: float
    seed: int
    clean: dict[str, np.ndarray]
    scores: list[Score]
    sanity_checks: dict[str, list[SanityCheck]]
    norm: str = "linf"

    @property
    def norm_text(self) -> str:
        """The norm as it is written in a sentence."""
        return _NORMS[self.norm]

    def robust(self, readout: str) -> np.ndarray:
        """Bools over the images: correct, and no attack of the table broke it."""
        robust = self.clean[readout].copy()
        for score in self.scores:
            if score.readout == readout:
                robust[: len(score.survived)] &= score.survived
        return robust

    def minimum(self, readout: str) -> float:
        """The headline: the share of images that stand every attack; at most the smallest row over all images."""
        return float(np.mean(self.robust(readout)))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "iterations": self.iterations,
            "epsilon": self.epsilon,
            "epsilon_unit": f"{self.norm_text}, pixels in [0, 1]",
            "seed": self.seed,
            "num_images": len(next(iter(self.clean.values()))),
            "clean_accuracy": {readout: float(np.mean(correct)) for readout, correct in self.clean.items()},
            "minimum": {readout: self.minimum(readout) for readout in self.clean},
            "scores": [score.to_dict() for score in self.scores],
            "checks": {name: [check.to_dict() for check in found] for name, found in self.sanity_checks.items()},
        }

    def table(self) -> str:
        """The table, and under it the checks of each readout."""
        readouts = list(self.clean)
        images = len(self.clean[readouts[0]])
        rows = [("attack", "gradient path", "images", *(f"accuracy ({readout})" for readout in readouts))]
        clean = [_percent(self.clean[readout]) for readout in readouts]
        rows.append(("none (clean)", "-", str(images), *clean))
        by_row: dict[tuple[str, str], dict[str, Score]] = {}
        for score in self.scores:
            by_row.setdefault((score.attack_name, score.path), {})[score.readout] = score
        for (name, path), found in by_row.items():
            cells = [_percent(found[readout].survived) if readout in found else "-" for readout in readouts]
            rows.append((name, path, str(len(next(iter(found.values())).survived)), *cells))
        worst = [_percent(self.robust(readout)) for readout in readouts]
        rows.append(("MINIMUM (stands every attack)", "all", str(images), *worst))
        lines = [aligned(rows)]
        if any(len(score.survived) < images for score in self.scores):
            lines.append(
                "(An attack on fewer images says nothing of the others; the minimum counts these by the rest.)"
            )
        for readout, sanity_checks in self.sanity_checks.items():
            lines += ["", f"checks of this evaluation, readout {readout}:", *(check.text() for check in sanity_checks)]
        return "\n".join(lines)


def _percent(flags: np.ndarray) -> str:
    low, high = wilson_interval(int(flags.sum()), len(flags))
    return f"{100 * float(np.mean(flags)):.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
