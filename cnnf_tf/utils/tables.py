"""Tables for a terminal, in Markdown, and as CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Lines of right-aligned columns, two spaces apart; all rows have as many cells as the first."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that is aligned as text too: a header, then rows; all but the first column to the right."""
    widths = [max(4, *map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = (
        [cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])] for cells in (rows[0], rule, *rows[1:])
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def csv_text(fields: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A CSV file with a header line; what a row lacks is left empty, what `fields` lacks is left out."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
