"""Notices catastrophic overfitting, to an attack of few steps that training then only ever defeats, and answers it."""

import dataclasses
import math
from collections.abc import Mapping

from ml_collections import ConfigDict

from cnnf_tf.models import CNNF
from cnnf_tf.training.objectives import Change, Curriculum, Objective


@dataclasses.dataclass
class OverfittingGuard:
    """Trips once the held-out robust accuracy has fallen well below its best, and stays tripped.

    Single-step adversarial training can fail from one epoch to the next: accuracy under the training attack rises while
    accuracy under PGD falls to zero (Wong et al., arXiv:2001.03994, section 5).

    A fall counts only from a best that is more than `drop` above chance. Below that nothing has been learned yet that
    could be lost, and accuracy wanders with the class that the network happens to answer.
    """

    drop: float  # fall of the robust accuracy, in [0, 1], that trips it
    chance: float = 0.0  # accuracy of guessing
    best: float = 0.0  # the highest robust accuracy so far
    tripped: bool = False  # whether it has tripped

    def update(self, robust_accuracy: float) -> bool:
        """Takes a measurement; returns whether it is the one that trips the guard."""
        learned = self.best > self.chance + self.drop
        trips = not self.tripped and learned and robust_accuracy < self.best - self.drop
        self.tripped |= trips
        self.best = max(self.best, robust_accuracy)
        return trips


class GuardedCurriculum(Curriculum):
    """Changes to a stronger attack once the guard trips, or late in the training in any case, whichever is first.

    The change is written beside the metrics of the evaluation that ends the steps it falls into, as `guard`: the `step`
    from which on training takes the stronger attack, and `why`: "fade" (robust accuracy fell, from `best`) or "due".

    Where feedback joins in later, the best accuracy counts from there on.

    Args:
      model: the model to train.
      config: see `training.run`; with `adversarial.guard_steps` > 0.
      total_steps: of the training.
    """

    def __init__(self, model: CNNF, config: ConfigDict, *, total_steps: int):
        super().__init__(model, config, total_steps=total_steps)
        self._options = config.adversarial
        self._guard = OverfittingGuard(config.adversarial.guard_drop, chance=1 / model.num_classes)
        self._due = math.ceil(config.adversarial.guard_from * total_steps)

    def at(self, step: int) -> Objective:
        guarded = self._guard.tripped or step >= self._due
        return self._build(plain=self.is_plain(step), guarded=guarded)

    def evaluated(self, steps: range, validation: Mapping[str, float]) -> Change | None:
        if self.feedback_joined(steps):
            self._guard.best = 0.0
        changes = [super().evaluated(steps, validation), self._answer(steps, validation["robust_accuracy"])]
        made = [change for change in changes if change]
        if not made:
            return None
        record = {name: value for change in made for name, value in change.record.items()}
        return Change(record, "\n".join(change.message for change in made))

    def _answer(self, steps: range, robust: float) -> Change | None:
        options, guard = self._options, self._guard
        if steps.stop < self._due and guard.update(robust):
            return Change(
                {"guard": {"step": steps.stop, "why": "fade", "best": round(guard.best, 6)}},
                f"step {steps.stop}: held-out robust accuracy fell from {guard.best:.1%} to {robust:.1%}: catastrophic "
                f"overfitting to the {options.steps}-step attack. Training goes on with {options.guard_steps} steps.",
            )
        if self._due in steps and not guard.tripped:
            return Change(
                {"guard": {"step": self._due, "why": "due"}},
                f"step {self._due}: training goes on with attacks of {options.guard_steps} steps.",
            )
        return None

    @property
    def state(self) -> dict[str, float]:
        return {"best_robust": self._guard.best, "guard_tripped": self._guard.tripped}

    def restore(self, state: Mapping[str, float]) -> None:
        self._guard.best, self._guard.tripped = float(state["best_robust"]), bool(state["guard_tripped"])


def build_curriculum(model: CNNF, config: ConfigDict, *, total_steps: int) -> Curriculum:
    """The objectives that a configuration asks for, one after the other; the arguments are those of the class above.

    Raises:
      ValueError: an argument of the attack out of its range.
    """
    guarded = "adversarial" in config and config.adversarial.guard_steps
    return (GuardedCurriculum if guarded else Curriculum)(model, config, total_steps=total_steps)
