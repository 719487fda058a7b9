"""Markdown: tables, paragraphs of a bounded width, code, anchors."""

import re
import textwrap
from collections.abc import Sequence

_WIDTH = 120
_MARKER = re.compile(r"([-+*#>]|\d+[.)])(\s|$)")  # at the start of a line: a list, a heading or a quotation


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; a `|` in a cell is escaped.

    Raises:
      ValueError: a row of another length than the header.
    """
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a table wants {len(header)} cells in each row, got {list(row)}.")
    lines = [list(header), ["---"] * len(header), *map(list, rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def paragraph(text: str, *, indent: str = "") -> str:
    """Wrapped at 120 columns, where no line may look like the start of something else.

    Args:
      text: white space does not matter.
      indent: of the lines after the first, for items of a list.
    """
    words = " ".join(text.split())
    lines = textwrap.wrap(words, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    safe = lines[:1]
    for line in lines[1:]:
        while _MARKER.match(line.lstrip()):
            word, _, line = line.lstrip().partition(" ")
            safe[-1] += f" {word}"
        if line.strip():
            safe.append(line if line.startswith(indent) else indent + line)
    return "\n".join(safe)


def bullets(items: Sequence[str]) -> str:
    """A list, an item for each."""
    return "\n".join(paragraph(f"- {item}", indent="  ") for item in items)


def shell(commands: Sequence[str]) -> str:
    """A block of shell commands; long ones are broken before a flag."""
    lines = []
    for command in commands:
        line = ""
        for word in command.split(" "):
            if line and len(line) + len(word) > _WIDTH - 3:
                lines.append(f"{line} \\")
                line = "   "
            line += f" {word}" if line else word
        lines.append(line)
    return "\n".join(["```sh", *lines, "```"])


def anchor(title: str) -> str:
    """What GitHub makes of a heading, for links to it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
