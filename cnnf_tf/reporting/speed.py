"""Section: speed against bare convolutions and the authors' code. From `benchmark.json` of bin/benchmark.py."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnf_tf.reporting.markdown import paragraph, table
from cnnf_tf.reporting.numbers import ABSENT, plural, span
from cnnf_tf.reporting.results import Results
from cnnf_tf.reporting.section import Section, command_block, facts_block, figure_block, not_measured

TITLE = "Speed"
FOLDER = "benchmark"
COMMANDS = (
    "python bin/benchmark.py --networks=fashion_cnn --cases=inference,attack,training --iterations=0,1,2,5 "
    "--modes=function --reference=CNNF --output=docs/results/benchmark",
)

_CASE = ("network", "kind", "ind", "iterations", "batch_size", "dtype", "mode")

_HEADER = ("case", "ind", "K", "batch", "dtype", "ours, ms", "floor, ms", "ours / floor", "authors, ms", "times faster")

Row = Mapping[str, Any]


def section(results: Results) -> Section:
    """The section, whatever has been measured."""
    record = results.json(f"{FOLDER}/benchmark.json")
    if record is None:
        return not_measured(results, TITLE, FOLDER, FOLDER, COMMANDS)
    cases: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in record["rows"]:
        if row["unit"] == "ms":
            cases.setdefault(tuple(row[key] for key in _CASE), {})[row["against"]] = row
    judged = [row for row in record["rows"] if row["passed"] is not None]
    met = sum(row["passed"] for row in judged)
    against = _ratios(record["rows"], "floor"), _ratios(record["rows"], "authors")
    summary = f"{met} of {plural(len(judged), 'target')} met"
    if against[0]:
        summary += f"; in float32 ours takes {span(against[0])} times the time of its bare convolutions"
    if against[1]:
        summary += f"; the authors' code takes {span(against[1])} times as long as ours"
    about = record["about"]
    hardware = f"{about['cores']} cores ({about['cpu']}), {about['threads']} threads; {', '.join(about['devices'])}"
    facts = [
        f"medians of {plural(record['options']['repeats'], 'round')} in which everything takes turns; "
        f"{about['seconds'] / 60:.1f} minutes in all"
    ]
    blocks = (
        *command_block(results, FOLDER, [record.get("command", COMMANDS[0])]),
        *facts_block(results, FOLDER, facts, hardware=hardware),
        *figure_block(results, f"{FOLDER}/benchmark.png", "Time against the floor"),
        paragraph(
            "`floor`: the bare convolutions and matrix products of the same work. What the targets are, and which "
            "of them this machine cannot reach: [performance.md](performance.md)."
        ),
        table(
            [
                "case",
                "ind",
                "K",
                "batch",
                "dtype",
                "ours, ms",
                "floor, ms",
                "ours / floor",
                "authors, ms",
                "times faster",
            ],
            [_row(dict(zip(_CASE, case, strict=True)), rows) for case, rows in cases.items()],
        ),
        paragraph(f"**{summary}.**"),
    )
    return Section(TITLE, blocks, f"{summary}.")


def _ratios(rows: Sequence[Row], against: str) -> list[float]:
    found = [row for row in rows if row["against"] == against and row["ratio"] is not None]
    return [row["ratio"] for row in found if row["dtype"] == "float32" and row["unit"] == "ms"]


def _row(case: Row, rows: Mapping[str, Row]) -> list[str]:
    value = next(iter(rows.values()))["value"]
    floor, authors = rows.get("floor"), rows.get("authors")
    return [
        case["kind"],
        str(case["ind"]),
        str(case["iterations"]),
        str(case["batch_size"]),
        case["dtype"],
        _milliseconds(value),
        _milliseconds(floor["other"] if floor else None),
        _ratio(floor),
        _milliseconds(authors["other"] if authors else None),
        _ratio(authors),
    ]


def _milliseconds(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.0f}"


def _ratio(row: Row | None) -> str:
    """With a star where the target was missed."""
    if row is None or row["ratio"] is None:
        return ABSENT
    return f"{row['ratio']:.2f}{' (missed)' if row['passed'] is False else ''}"
