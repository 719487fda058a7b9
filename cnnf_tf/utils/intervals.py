"""Error bars of a share of images: one rule for every table and figure."""

import math
import statistics
from collections.abc import Sequence


def share_interval(successes: Sequence[float], trials: int) -> tuple[float, float]:
    """How far a share of images can be trusted, over one training seed or several.

    One seed: Wilson's 95 % interval. Several: that of their mean and, on either side where it reaches further, one
    sample standard deviation over the seeds. Seeds are scored on the same images, so more of them do not narrow the
    first; and few of them can agree by accident, so a small deviation does not replace it.

    Args:
      successes: of each seed, in [0, trials].
      trials: images that every seed was scored on, at least 1.

    Returns:
      Lower and upper end, in [0, 1].

    Raises:
      ValueError: no seed, or counts out of range.
    """
    if not successes or not all(0 <= count <= trials for count in successes):
        raise ValueError(f"wanted counts in [0, {trials}] of at least one seed, got {list(successes)}.")
    mean = statistics.fmean(successes)
    low, high = wilson_interval(mean, trials)
    deviation = statistics.stdev(successes) if len(successes) > 1 else 0.0
    return max(0.0, min(low, (mean - deviation) / trials)), min(1.0, max(high, (mean + deviation) / trials))


def wilson_interval(successes: float, trials: int, *, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927), by default with 95 % coverage.

    Args:
      successes: 0 <= successes <= trials; may be a mean of counts.
      trials: at least 1.
      z: quantile of the standard normal.

    Returns:
      Lower and upper end, in [0, 1].

    Raises:
      ValueError: counts out of range.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"wanted 0 <= successes <= trials and trials >= 1, got {successes} of {trials}.")
    share, square = successes / trials, z * z
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    half = z / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    return max(0.0, centre - half), min(1.0, centre + half)
