"""Records that a kill leaves whole, and minutes that a part of the check has."""

import dataclasses
import json
import pathlib
import time
from collections.abc import Callable
from typing import Any

from cnnf_tf.utils.files import write_json

ENDINGS = ("reason", "error", "ended")
"""Facts: why a part did not begin, what went wrong, and what ended it from outside."""


@dataclasses.dataclass
class Record:
    """A JSON file of rows by name and of facts, written anew with each of them.

    Attributes:
      path: of the file; what it holds already is kept, so that the same command goes on.
      until: when the part has to be done, by `time.time()`.
      report: called with lines to print.
    """

    path: pathlib.Path
    until: float
    report: Callable[[str], None]

    def __post_init__(self) -> None:
        found = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}
        self.rows: dict[str, dict[str, Any]] = found.pop("rows", {})
        self.facts: dict[str, Any] = found

    def resume(self) -> None:
        """Takes back why an earlier run did not begin or finish."""
        for key in ENDINGS:
            self.facts.pop(key, None)
        self.write()

    def forget(self) -> None:
        """Drops all rows and facts."""
        self.rows, self.facts = {}, {}
        self.write()

    def measured_on(self, **machine: str) -> None:
        """Adds facts that identify device and versions; what was measured on others is dropped."""
        if any(self.facts.get(key) != value for key, value in machine.items()):
            self.forget()
        self.write(**machine)

    def left(self) -> float:
        """Seconds."""
        return self.until - time.time()

    def done(self, name: str) -> bool:
        """Whether a row is there, and no failure."""
        return "error" not in self.rows.get(name, {"error": ""})

    def add(self, name: str, row: dict[str, Any]) -> None:
        """Adds or replaces a row."""
        self.rows[name] = row
        shown = {key: value for key, value in row.items() if not isinstance(value, (dict, list))}
        self.report(f"{name}: {json.dumps(shown)}")
        self.write()

    def write(self, **facts: Any) -> None:
        """Adds facts."""
        self.facts |= facts
        write_json(self.path, self.facts | {"rows": self.rows})


def one_line(error: BaseException) -> str:
    """The type of an error and the first line of its message."""
    lines = str(error).strip().splitlines()
    return ": ".join([type(error).__name__, *lines[:1]])[:400]
