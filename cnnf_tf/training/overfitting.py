"""Notices catastrophic overfitting: training on a single-step attack that only ever defeats that attack."""


class OverfittingGuard:
    """Trips once the held-out robust accuracy has fallen well below its best, and stays tripped.

    Single-step adversarial training can fail from one epoch to the next: accuracy under the training attack rises while
    accuracy under PGD falls to zero (Wong et al., arXiv:2001.03994, section 5).

    A fall counts only from a best that is more than `drop` above chance. Below that nothing has been learned yet that
    could be lost, and accuracy wanders with the class that the network happens to answer.

    Args:
      drop: fall of the robust accuracy, in [0, 1], that trips it.
      chance: accuracy of guessing.
    """

    def __init__(self, drop: float, *, chance: float = 0.0):
        self.drop = drop
        self.chance = chance
        self.best = 0.0
        self.tripped = False

    def update(self, robust_accuracy: float) -> bool:
        """Takes a measurement; returns whether it is the one that trips the guard."""
        learned = self.best > self.chance + self.drop
        trips = not self.tripped and learned and robust_accuracy < self.best - self.drop
        self.tripped |= trips
        self.best = max(self.best, robust_accuracy)
        return trips
