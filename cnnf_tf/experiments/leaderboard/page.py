"""The page of a leaderboard: a table for each data set and threat model, the sturdiest first."""

from collections.abc import Mapping
from typing import Any

from cnnf_tf.experiments.leaderboard.entry import Entry, number
from cnnf_tf.utils.tables import markdown

_HEADER = ["model", "clean", "AutoAttack", "all attacks", "images", "architecture", "parameters", "extra data", "flags"]


def page(entries: Mapping[str, Entry]) -> str:
    """Markdown.

    Args:
      entries: rows by name, as `read_folder` gives them.
    """
    tables: dict[tuple[str, str, float], list[Entry]] = {}
    for entry in entries.values():
        key = (entry["dataset"], entry["threat_model"], number(entry["eps"]))
        tables.setdefault(key, []).append(entry)
    parts = [
        "# Leaderboard",
        "Accuracy in %. AutoAttack: what stands the standard version, for a CNN-F through every gradient path; all\n"
        "attacks: what stands those of our table as well, a bound from above like every such number. In brackets 95 %\n"
        "intervals, where not all test images were attacked. Flags: sanity checks of the evaluation that did not pass.",
    ]
    for (dataset, threat_model, _), rows in sorted(tables.items()):
        rows = sorted(rows, key=lambda entry: (-number(entry["autoattack_acc"]), entry["name"]))
        texts = {str(entry["eps"]) for entry in rows}
        parts.append(f"## {dataset}, {threat_model}, epsilon {min(texts, key=len)}")
        parts.append(markdown([_HEADER, *map(_row, rows)]))
        notes = [f"- {entry['name']}: {text}." for entry in rows for text in entry.get("flags", [])]
        if notes:
            parts.append("\n".join(["Flags:", "", *notes]))
    return "\n\n".join(parts) + "\n"


def _row(entry: Entry) -> list[str]:
    name = _plain(entry["name"])
    if entry.get("link"):
        name = f"[{name}]({entry['link']})"
    if entry.get("iterations"):
        name += f", K' = {entry['iterations']}, {entry['readout']}"
    interval = entry.get("interval_95")
    robust = f"{number(entry['autoattack_acc']):.2f}"
    if interval:
        robust += f" [{interval[0]:.1f}, {interval[1]:.1f}]"
    extra = {True: "yes", False: "no", None: "?"}[entry["additional_data"]]
    return [
        name,
        f"{number(entry['clean_acc']):.2f}",
        robust,
        _optional(entry.get("minimum_acc"), ".2f"),
        _optional(entry.get("attacked_images"), ","),
        _plain(entry["architecture"]),
        _optional(entry.get("parameters"), ","),
        extra,
        str(len(entry["flags"])) if "flags" in entry else "?",
    ]


def _plain(text: str) -> str:
    """Text that cannot break a table."""
    return " ".join(text.replace("|", "/").split())


def _optional(value: Any, form: str) -> str:
    if value is None:
        return "?"
    return format(number(value) if form.endswith("f") else int(value), form)
