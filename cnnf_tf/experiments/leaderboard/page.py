"""The page of a leaderboard: a table for each data set and threat model, the sturdiest first."""

import re
from collections.abc import Mapping
from typing import Any

from cnnf_tf.experiments.leaderboard.entry import Entry, number
from cnnf_tf.utils.tables import markdown

_HEADER = ["model", "clean", "AutoAttack", "best known", "images: clean, attacked"]
_HEADER += ["architecture", "parameters", "extra data", "flags"]


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
        "Accuracy in %. AutoAttack: what stands the standard version, for a CNN-F through every gradient path; in\n"
        "brackets its 95 % interval. Best known: what stands all attacks that were tried, which orders the table; it\n"
        "is a bound from above, like every such number. Flags: sanity checks of the evaluation that did not pass.",
    ]
    for (dataset, threat_model, _), rows in sorted(tables.items()):
        rows = sorted(rows, key=lambda entry: (-_best_known(entry), entry["name"]))
        texts = {str(entry["eps"]) for entry in rows}
        parts.append(f"## {_plain(dataset)}, {threat_model}, epsilon {_plain(min(texts, key=len))}")
        parts.append(markdown([_HEADER, *map(_row, rows)]))
        notes = [f"- {_plain(entry['name'])}: {_plain(text)}." for entry in rows for text in entry.get("flags", [])]
        if notes:
            parts.append("\n".join(["Flags:", "", *notes]))
    return "\n\n".join(parts) + "\n"


def _row(entry: Entry) -> list[str]:
    name = _plain(entry["name"])
    if re.fullmatch(r"https?://[^\s|()<>]+", entry.get("link") or ""):
        name = f"[{name}]({entry['link']})"
    if entry.get("iterations"):
        name += f", K' = {entry['iterations']}" + (f", {_plain(entry['readout'])}" if entry.get("readout") else "")
    interval = entry.get("interval_95")
    robust = f"{number(entry['autoattack_acc']):.2f}"
    if interval:
        robust += f" [{interval[0]:.1f}, {interval[1]:.1f}]"
    extra = {True: "yes", False: "no", None: "?"}[entry["additional_data"]]
    return [
        name,
        f"{number(entry['clean_acc']):.2f}",
        robust,
        f"{_best_known(entry):.2f}",
        f"{_optional(entry.get('clean_images'), ',')}, {_optional(entry.get('attacked_images'), ',')}",
        _plain(entry["architecture"]),
        _optional(entry.get("parameters"), ","),
        extra,
        str(len(entry["flags"])) if "flags" in entry else "?",
    ]


def _best_known(entry: Entry) -> float:
    """The lowest accuracy of the row: AutoAttack's, that of our whole table, or what others found since."""
    found = (entry.get(name) for name in ("autoattack_acc", "minimum_acc", "external"))
    return min(number(value) for value in found if value is not None)


def _plain(text: str) -> str:
    """Text that cannot break a table, nor the page."""
    return re.sub(r"([\\`*\[\]<>#])", r"\\\1", " ".join(text.replace("|", "/").split())) or "?"


def _optional(value: Any, form: str) -> str:
    if value is None:
        return "?"
    return format(number(value) if form.endswith("f") else int(value), form)
