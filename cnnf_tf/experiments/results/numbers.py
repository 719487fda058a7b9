"""Numbers as the page prints them, and the rules by which it calls one of them higher than another.

    a ± b       mean and sample standard deviation over training seeds
    a [b, c]    one training seed: 95 % interval (Wilson) over the images

Two shares are called level if their intervals overlap. For several seeds the interval is the wider, on either side, of
one standard deviation over the seeds and of the 95 % interval over the images: few seeds can agree by accident, and all
of them are scored on the same images.
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence

from cnnf_tf.utils.intervals import wilson_interval

ABSENT = "–"
"""What stands for a value that is not there, or is not a number."""


@dataclasses.dataclass(frozen=True)
class Share:
    """A share of images, for one or several training seeds; see the module's docstring.

    Attributes:
      values: in [0, 1], one for each seed.
      num_images: that each value is the share of.
    """

    values: tuple[float, ...]
    num_images: int

    @classmethod
    def of(cls, values: Sequence[float | None], num_images: Sequence[int]) -> "Share | None":
        """None for no values at all, or if one of them is missing or not a number.

        Raises:
          ValueError: the seeds were not scored on equally many images, or a value is no share.
        """
        present = [value for value in values if value is not None and math.isfinite(value)]
        if not present or len(present) < len(values):
            return None
        if len(set(num_images)) != 1:
            raise ValueError(f"all seeds want the same number of images, got {sorted(set(num_images))}.")
        if min(present) < 0 or max(present) > 1:
            raise ValueError(f"shares of images want values in [0, 1], got {present}.")
        return cls(tuple(present), num_images[0])

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over the seeds; None for one seed."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def interval(self) -> tuple[float, float]:
        """Within which a difference is not called one."""
        low, high = wilson_interval(self.mean * self.num_images, self.num_images)
        deviation = self.deviation or 0.0
        return min(low, self.mean - deviation), max(high, self.mean + deviation)

    def text(self, digits: int = 1) -> str:
        """In %, without the sign: `53.9 ± 3.5` or `53.9 [49.5, 58.2]`."""
        if self.deviation is not None:
            return f"{100 * self.mean:.{digits}f} ± {100 * self.deviation:.{digits}f}"
        low, high = self.interval
        return f"{100 * self.mean:.{digits}f} [{100 * low:.{digits}f}, {100 * high:.{digits}f}]"


@dataclasses.dataclass(frozen=True)
class Difference:
    """How one share compares with another.

    Attributes:
      points: of one minus the other, in percentage points.
      apart: whether their intervals do not overlap.
    """

    points: float
    apart: bool

    @property
    def sign(self) -> int:
        """1 for higher, -1 for lower, 0 for level."""
        return (1 if self.points > 0 else -1) if self.apart else 0

    def words(self) -> str:
        """`level within the intervals (+1.5 points)`, `14.3 points higher` or `3.0 points lower`."""
        if not self.apart:
            return f"level within the intervals ({signed(self.points)} points)"
        return f"{abs(self.points):.1f} points {'higher' if self.points > 0 else 'lower'}"


def compare(one: Share, other: "Share | float") -> Difference:
    """By the rule of the module's docstring; a number of others, in [0, 1], has no interval of its own."""
    low, high = other.interval if isinstance(other, Share) else (other, other)
    mean = other.mean if isinstance(other, Share) else other
    return Difference(100 * (one.mean - mean), one.interval[0] > high or one.interval[1] < low)


def percent(share: "Share | None", digits: int = 1) -> str:
    """A cell of a table."""
    return ABSENT if share is None else share.text(digits)


def spread(values: Sequence[float | None], digits: int, *, scale: float = 1.0) -> str:
    """A number that is not a share of images: `17.8`, or `17.8 ± 0.1` for several seeds; `ABSENT` if one is missing."""
    present = [scale * value for value in values if value is not None and math.isfinite(value)]
    if not present or len(present) < len(values):
        return ABSENT
    mean = f"{statistics.fmean(present):.{digits}f}"
    return f"{mean} ± {statistics.stdev(present):.{digits}f}" if len(present) > 1 else mean


def signed(value: float, digits: int = 1) -> str:
    """With its sign, also a positive one; what rounds to zero has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def span(values: Sequence[float], digits: int = 1) -> str:
    """From the smallest to the largest: `9.0 to 17.0`, or one number where they print alike."""
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return (low if low == high else f"{low} to {high}").replace("-", "−")


def listed(words: Sequence[object]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    texts = [str(word) for word in words]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def plural(count: int, noun: str) -> str:
    """`1 seed`, `2 seeds`, `10,000 images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def radius_text(radius: float) -> str:
    """A radius on the [0, 1] scale: `0.03`, or `8/255` where that is shorter than the decimals."""
    text, levels = f"{radius:g}", round(255 * radius)
    return f"{levels}/255" if len(text) > 5 and math.isclose(radius, levels / 255, rel_tol=1e-4) else text


def minutes(values: Sequence[float | None]) -> str:
    """Wall times in minutes, or in hours from 120 minutes on."""
    present = [value for value in values if value is not None]
    if not present or len(present) < len(values):
        return ABSENT
    if statistics.fmean(present) >= 120:
        return f"{spread([value / 60 for value in present], 1)} h"
    return f"{spread(present, 0)} min"
