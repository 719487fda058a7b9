"""Section: speed against bare convolutions and the authors' code. From `benchmark.json` of bin/benchmark.py."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnf_tf.experiments.results.markdown import paragraph, table
from cnnf_tf.experiments.results.numbers import ABSENT, listed, plural, span
from cnnf_tf.experiments.results.results import Results
from cnnf_tf.experiments.results.section import Section, command_block, facts_block, figure_block, not_measured

TITLE = "Speed"
FOLDER = "benchmark"
COMMANDS = ("python bin/benchmark.py --reference=CNNF",)

_CASE = ("network", "kind", "ind", "iterations", "batch_size", "dtype", "mode")
_HEADER = (
    *("network", "case", "ind", "K", "batch", "computed in", "ours, ms", "floor, ms", "ours / floor"),
    *("authors, ms", "times faster", "faster than float32"),
)
_MEMORY_HEADER = ("network", "case", "ind", "K", "batch", "computed in", "peak, MiB")

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
    summary = f"{met} of {plural(len(judged), 'target')} met"
    if floors := _ratios(record["rows"], "floor"):
        summary += f"; in float32, as a graph, ours takes {floors} times the time of its bare convolutions"
    if authors := _ratios(record["rows"], "authors"):
        summary += f"; the authors' code takes {authors} times as long as ours"
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
        table(_HEADER, [_row(dict(zip(_CASE, case, strict=True)), rows) for case, rows in cases.items()]),
        *_memory_blocks(record["rows"]),
        paragraph(f"**{summary}.**"),
    )
    return Section(TITLE, blocks, f"{summary}.")


def _ratios(rows: Sequence[Row], against: str) -> str:
    """Of each network, in the mode that the targets are about; nothing where nothing was compared."""
    found: dict[str, list[float]] = {}
    for row in rows:
        compared = row["against"] == against and row["ratio"] is not None and row["unit"] == "ms"
        if compared and (row["dtype"], row["mode"]) == ("float32", "function"):
            found.setdefault(row["network"], []).append(row["ratio"])
    return listed([f"{span(ratios)} ({network})" for network, ratios in found.items()])


def _memory_blocks(rows: Sequence[Row]) -> list[str]:
    cells = [[*_names(row), f"{row['value']:.0f}"] for row in rows if row["unit"] == "MiB" and row["value"] is not None]
    if not cells:
        return []
    explanation = (
        "Peak memory, each case in a process of its own, beyond what TensorFlow holds before the model is built."
    )
    return [paragraph(explanation), table(_MEMORY_HEADER, cells)]


def _names(case: Row) -> list[str]:
    computed = case["dtype"] if case["mode"] == "function" else f"{case['dtype']}, {case['mode']}"
    return [case["network"], case["kind"], *(str(case[key]) for key in ("ind", "iterations", "batch_size")), computed]


def _row(case: Row, rows: Mapping[str, Row]) -> list[str]:
    value = next(iter(rows.values()))["value"]
    floor, authors = rows.get("floor"), rows.get("authors")
    return [
        *_names(case),
        _milliseconds(value),
        _milliseconds(floor["other"] if floor else None),
        _ratio(floor),
        _milliseconds(authors["other"] if authors else None),
        _ratio(authors),
        _ratio(rows.get("float32")),
    ]


def _milliseconds(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.0f}"


def _ratio(row: Row | None) -> str:
    """Says where the target was missed."""
    if row is None or row["ratio"] is None:
        return ABSENT
    return f"{row['ratio']:.2f}{' (missed)' if row['passed'] is False else ''}"
