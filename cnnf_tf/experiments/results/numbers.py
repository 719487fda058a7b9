"""Checks the numbers in hand-written sentences against the result files.

A number in a sentence is a result, and a comment in the same section says where it comes from, in lines of the form
NUMBER UNIT = VALUE, one for each time that it appears:

    CNN-F keeps 72.4 % of the images, the CNN 74.3 %, with `epsilon = 0.1`.

    <!-- numbers
    72.4 % = mean adversarial_fashion_mnist/cnnf/*/robustness.json#minimum.last
    74.3 % = mean adversarial_fashion_mnist/cnn/*/robustness.json#minimum.last
    -->

VALUE is an operand, or several with " - " or " / " between them, from left to right. An operand is FILE#PATH, the file
below the folder of results; `*` in its name takes several files, no name the file of the operand before. PATH leads
into the JSON: keys and places (`minimum.last`, `scores.0`), `*` (all entries), `[epsilon=0.05,model=cnn]` (the entries
of a list that have these). What finds several values wants one of `mean`, `sum`, `count`, `min` and `max` in front;
null is left out. The value is rounded to the digits of the sentence; `%` and `points` are hundredths, and `min` and `h`
are made of seconds.

No results are: what stands in `code` or a block of code (settings: `K = 1`, `epsilon = 0.1`), numbers in words (two
cores), names (PGD-40, CIFAR-10), years, targets of links, and the tables that bin/report.py makes.
"""

import collections
import json
import pathlib
import re
import statistics
from collections.abc import Callable, Iterator
from typing import Any

_NUMBER = re.compile(r"(?<![\w.,/-])[−-]?\d+(?:,\d{3})*(?:\.\d+)?(?![\w/]|-\w|[.,]\d)")
_YEAR = re.compile(r"(19|20)\d\d")
_CLAIMS = re.compile(r"<!-- numbers\n(.*?)-->", re.DOTALL)
_UNCHECKED = re.compile(
    r"```.*?^```|`(?:[^`\n]|\n(?!\n))+`"  # code
    r"|<!-- table: .*?<!-- /table -->|<!--(?! numbers\n).*?-->|\]\([^)]*\)|^ *\d+\.(?= )",
    re.DOTALL | re.MULTILINE,
)
_SCALE = {"%": 100, "points": 100, "min": 1 / 60, "h": 1 / 3600}
_REDUCE: dict[str, Callable[[list[Any]], float]] = {
    "mean": statistics.fmean,
    "sum": sum,
    "count": len,
    "min": min,
    "max": max,
}


def drift(page: pathlib.Path, results: pathlib.Path, *, everywhere: bool = False) -> list[str]:
    """What is wrong with the numbers of a page: one line for each, with the page's line and the file.

    Args:
      page: in Markdown.
      results: the folder of result files.
      everywhere: whether sections without a single comment are checked too.
    """
    text = _UNCHECKED.sub(_blank, page.read_text(encoding="utf-8"))
    problems, line = [], 1
    for section in re.split(r"^(?=#+ )", text, flags=re.MULTILINE):
        if everywhere or _CLAIMS.search(section):
            problems += [f"{page}:{line + offset}: {problem}" for offset, problem in _section(section, results)]
        line += section.count("\n")
    return problems


def _section(section: str, results: pathlib.Path) -> Iterator[tuple[int, str]]:
    """Line, counted from that of the heading, and problem."""
    unclaimed: dict[str, list[int]] = collections.defaultdict(list)
    prose = _CLAIMS.sub(_blank, section)
    for match in _NUMBER.finditer(prose):
        if not _YEAR.fullmatch(match[0]):
            unclaimed[match[0]].append(prose.count("\n", 0, match.start()))
    for comment in _CLAIMS.finditer(section):
        first, file = section.count("\n", 0, comment.start()) + 1, ""
        for offset, claim in enumerate(comment[1].splitlines(), start=first):
            label, _, source = claim.partition(" = ")
            number, _, unit = label.partition(" ")
            if not unclaimed[number]:
                yield offset, f"no sentence of this section has the {number} of {claim!r}."
                continue
            place = unclaimed[number].pop(0)
            try:
                value, file = _value(source, file, results)
            except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError) as error:
                yield offset, f"cannot look up {number} in {claim!r} ({type(error).__name__}: {error})."
                continue
            digits = len(number.partition(".")[2])
            found = f"{_SCALE.get(unit, 1) * value:,.{digits}f}".replace("-", "−")
            if found != number.replace("-", "−"):
                yield place, f"{label} is {found} in {results / file}: {source}."
    for number, places in unclaimed.items():
        for place in places:
            yield place, f"{number} is checked against no file: name it in <!-- numbers -->, or write it as `code`."


def _value(source: str, file: str, results: pathlib.Path) -> tuple[float, str]:
    """The value of a claim, and the file of its last operand."""
    operands, sign, found = re.split(r" ([-/]) ", source), "", 0.0
    for part in operands:
        if part in ("-", "/"):
            sign = part
            continue
        match = re.fullmatch(r"(?:(\w+) )?([^#]*)#(.+)", part)
        if match is None or match[1] not in (None, *_REDUCE):
            raise ValueError(f"wanted [{'|'.join(_REDUCE)}] FILE#PATH, got {part!r}")
        file = match[2] or file
        values = _pick(_read(results, file), match[3])
        if match[1] is None and len(values) != 1:
            raise ValueError(f"wanted one value, found {len(values)}")
        value = _REDUCE[match[1]](values) if match[1] else values[0]
        found = found - value if sign == "-" else found / value if sign == "/" else value
    return float(found), file


def _read(folder: pathlib.Path, pattern: str) -> list[Any]:
    """The content of one JSON file, or of all that a pattern fits; JSON lines are a list."""
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise FileNotFoundError(f"no file {folder / pattern}")
    texts = [path.read_text(encoding="utf-8") for path in paths]
    lines = pattern.endswith(".jsonl")
    return [[json.loads(line) for line in text.splitlines()] if lines else json.loads(text) for text in texts]


def _pick(values: list[Any], path: str) -> list[Any]:
    """What a path leads to from each of some values, without null."""
    for step in re.findall(r"\[[^\]]*\]|[^.\[\]]+", path):
        if step == "*":
            values = [entry for value in values for entry in (value.values() if isinstance(value, dict) else value)]
        elif step.startswith("["):
            wanted = [pair.split("=") for pair in step[1:-1].split(",")]
            values = [e for value in values for e in value if all(str(e.get(key)) == text for key, text in wanted)]
        else:
            values = [value[int(step) if isinstance(value, list) else step] for value in values]
    return [value for value in values if value is not None]


def _blank(match: re.Match[str]) -> str:
    """As many lines and characters, with nothing in them."""
    return re.sub(r"[^\n]", " ", match[0])
