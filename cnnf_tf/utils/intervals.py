"""Error bars."""

import math


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
