"""The records of the parts as one page."""

from collections.abc import Iterable
from typing import Any

from cnnf_tf.experiments.accelerator.golden import passed
from cnnf_tf.experiments.accelerator.record import ENDINGS

Found = dict[str, Any]


def page(found: dict[str, Found]) -> str:
    """Markdown.

    Args:
      found: by part, what its JSON file holds.
    """
    sections = [
        ("Agreement with the authors' outputs", found["golden"], _golden(found["golden"])),
        ("Speed", found["speed"], _speed(found["speed"], found["authors"])),
        ("The authors' code", found["authors"], ""),
        ("Adversarial training", found["cifar"], _cifar(found["cifar"])),
    ]
    parts = ["# What the accelerator said"]
    for title, own, text in sections:
        about = ", ".join(f"{key} {own[key]}" for key in ("device", "platform", "jax", "pytorch") if key in own)
        notes = [about or "no device", *(f"{key}: {own[key]}" for key in ENDINGS if key in own)]
        parts += [f"## {title}", *notes, *([text] if text else [])]
    return "\n\n".join(parts) + "\n"


def _golden(found: Found) -> str:
    lines = [
        [row["file"], row["precision"], f"{row['largest_error']:.1e}", row["array"], f"{row['tolerance'] or 'none'}"]
        for row in found.get("rows", {}).values()
    ]
    verdict = "keeps the tolerance." if passed(found) else "**misses the tolerance, or was not measured.**"
    return f"Float32 {verdict}" + "\n\n" + _table(("file", "precision", "largest error", "of", "tolerance"), lines)


def _speed(found: Found, authors: Found) -> str:
    header = (
        "network",
        "work",
        "K",
        "batch",
        "precision",
        "images/s",
        "ms",
        "floor, ms",
        "ratio",
        "authors, ms",
        "MiB",
    )
    lines = []
    comparable = authors.get("rows", {}) if authors.get("platform") == found.get("platform") else {}
    for name, row in found.get("rows", {}).items():
        work = row["kind"] + ", rematerialised" * row["rematerialize"]
        times = [_number(row.get(key)) for key in ("images_per_second", "milliseconds", "floor_milliseconds", "ratio")]
        if "error" in row:
            times[0] = row["error"]
        theirs = _number(comparable.get(name, {}).get("milliseconds"))
        memory = _number((row.get("memory_MiB") or {}).get("all"))
        about = [row["network"], work, row["iterations"], row["batch_size"], row["precision"]]
        lines.append([*about, *times, theirs, memory])
    return _table(header, lines)


def _cifar(found: Found) -> str:
    lines = []
    for name, row in found.get("rows", {}).items():
        scores = row.get("accuracy", {})
        cells = [name, _number(row.get("seconds")), row.get("steps", ""), _number(row.get("images_per_second"))]
        clean = scores.get("clean", {}).get("last", [])
        cells.append(" ".join(map(str, clean[: row["recipe"]["iterations"] + 1])))
        for key, per_epsilon in scores.items():
            if key != "clean":
                cells += [f"{key}: {min(left.values())}" for left in per_epsilon.values()]
        lines.append([*cells, *[""] * (7 - len(cells))])
    header = ("network", "seconds", "steps", "images/s", "clean, %, K' = 0 to K", "attacked, %", "attacked, %")
    return _table(header, lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(header: Iterable[str], lines: Iterable[Iterable[Any]]) -> str:
    header = list(header)
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)
