"""Split expressions such as `train`, `train[:1000]`, `test[50%:]` or `train[:10]+test[:10]`.

The notation is that of TensorFlow Datasets, and one parser serves every source of images, so that a slice means the
same examples and a mistake gets the same message whether the images come from TFDS, IDX files or a folder.
"""

import dataclasses
import re
import unicodedata
from collections.abc import Mapping

from cnnf_tf.utils.files import text_of

_SLICE = r"\s*(\[(?P<start>-?\d+%?)?:(?P<stop>-?\d+%?)?\])?\s*(?P<end>\+|\Z)"


@dataclasses.dataclass(frozen=True)
class SplitRange:
    """Examples `start` (inclusive) to `stop` (exclusive) of the split called `name`."""

    name: str
    start: int
    stop: int

    @property
    def count(self) -> int:
        """Number of examples, at least 1."""
        return self.stop - self.start


def parse_split(spec: str, counts: Mapping[str, int]) -> tuple[SplitRange, ...]:
    """Turns a split expression into ranges of examples.

    A boundary is a number of examples or a percentage (rounded to the nearest example); a negative one counts from the
    end. Parts joined by `+` follow one another.

    Args:
      spec: The expression, such as `train[:1000]`.
      counts: Number of examples of each split that exists.

    Returns:
      One non-empty range per part of the expression, in its order.

    Raises:
      ValueError: If the expression cannot be read, names an unknown split, or a slice is empty or leaves the split.
    """
    allowed = ", ".join(f"{name} ({count:,} examples)" for name, count in sorted(counts.items()))
    if not isinstance(spec, str) or not spec.strip():
        raise ValueError(f"split: wanted a name such as 'train' or 'train[:1000]', got {spec!r}; there are: {allowed}.")
    # The names that there are may hold anything, as names of folders do; the longest that fits is meant.
    known = "|".join(map(re.escape, sorted(counts, key=len, reverse=True)))
    part = re.compile(rf"(?P<name>{known}|(?!\s)[^\[\]+]+?){_SLICE}", re.DOTALL)
    ranges = []
    rest = plain(spec)
    rest = rest if rest in counts else rest.strip()
    match = None
    while match is None or match["end"]:
        match = part.match(rest)
        if match is None:
            raise ValueError(
                f"split: wanted NAME, NAME[start:stop] or a sum of these (numbers or percentages, such as "
                f"'train[:1000]' or 'train[50%:]'), got {spec!r}; there are: {allowed}."
            )
        rest = rest[match.end() :].lstrip()
        name = match["name"]
        if name not in counts:
            raise ValueError(f"split: no split is called {name!r} (in {spec!r}); there are: {allowed}.")
        count = counts[name]
        start = _boundary(match["start"] or "0", count, spec)
        stop = _boundary(match["stop"] or "100%", count, spec)
        if not 0 <= start < stop <= count:
            raise ValueError(
                f"split: {match[0].strip(' +')!r} asks for examples {start} to {stop}; wanted at least one, within the "
                f"{count:,} of {name!r}."
            )
        ranges.append(SplitRange(name, start, stop))
    return tuple(ranges)


def plain(name: str) -> str:
    """A name from the file system or a command line, the same in every locale, and however its accents are written."""
    return unicodedata.normalize("NFC", text_of(name))


def _boundary(text: str, count: int, spec: str) -> int:
    value = int(text.removesuffix("%"))
    if text.endswith("%"):
        if abs(value) > 100:
            raise ValueError(f"split: a percentage must be in [-100, 100], got {text} in {spec!r}.")
        value = round(value * count / 100.0)
    return count + value if text.startswith("-") else value
