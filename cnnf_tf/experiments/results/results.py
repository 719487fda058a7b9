"""The result files: which there are, by section, network and training seed; docs/results/README.md has the layout."""

import dataclasses
import functools
import json
import os
import pathlib
import re
from typing import Any

_SEED = re.compile(r"seed(\d+)")


@dataclasses.dataclass(frozen=True)
class Run:
    """The files of one trained network.

    Attributes:
      folder: where they are.
      seed: of the training, from the folder's name `seedN`; None where the files are not in such a folder.
    """

    folder: pathlib.Path
    seed: int | None = None

    def json(self, name: str) -> dict[str, Any] | None:
        """The content of a JSON file, None if it is not there."""
        return read_json(self.folder / name)

    @functools.cached_property
    def accuracy(self) -> dict[str, Any] | None:
        """`accuracy.json` of bin/evaluate.py."""
        return self.json("accuracy.json")

    @functools.cached_property
    def robustness(self) -> dict[str, Any] | None:
        """`robustness.json` of bin/evaluate.py."""
        return self.json("robustness.json")

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """`config.json` of bin/train.py, empty if it is not there."""
        return self.json("config.json") or {}

    @functools.cached_property
    def history(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl` of bin/train.py; none if it is not there."""
        path = self.folder / "metrics.jsonl"
        if not path.is_file():
            return []
        lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        return [_parse(line, f"{path}, line {number}") for number, line in lines if line.strip()]

    @property
    def machines(self) -> list[str]:
        """Where it was trained, from `run.json` of bin/train.py; none if that is not there."""
        found = [session["hardware"] for session in (self.json("run.json") or {}).get("sessions", [])]
        named = [", ".join(machine["gpus"]) or f"{machine['cores']} cores of {machine['cpu']}" for machine in found]
        return list(dict.fromkeys(named))

    @property
    def training_minutes(self) -> float | None:
        """Wall time of the training, evaluations included; None if nobody recorded it."""
        seconds = [entry["seconds"] for entry in self.history if "seconds" in entry]
        return sum(seconds) / 60 if seconds else None


class Results:
    """Reads the folder of result files; what is not there is None or empty, what cannot be read is an error.

    Args:
      folder: as a rule docs/results.

    Raises:
      ValueError: there is no such folder.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = pathlib.Path(folder)
        if not self.folder.is_dir():
            raise ValueError(f"results wants a folder of result files such as docs/results, got {os.fspath(folder)!r}.")

    def json(self, path: str) -> dict[str, Any] | None:
        """The content of a JSON file, None if it is not there.

        Args:
          path: under the folder, with `/`.

        Raises:
          ValueError: the file does not hold a JSON object.
        """
        return read_json(self.folder / path)

    def runs(self, path: str) -> list[Run]:
        """The runs of a section or of one network of it, by seed: its folders `seed0`, `seed1`, ...

        A folder without such folders is one run by itself, if it has JSON files.
        """
        folder = self.folder / path
        if not folder.is_dir():
            return []
        found = {int(match[1]): entry for entry in folder.iterdir() if (match := _SEED.fullmatch(entry.name))}
        if found:
            return [Run(found[seed], seed) for seed in sorted(found)]
        return [Run(folder)] if any(entry.name != "provenance.json" for entry in folder.glob("*.json")) else []

    def provenance(self, section: str) -> dict[str, Any]:
        """`provenance.json` of a section: what the outputs of our binaries do not say. Empty if it is not there."""
        return self.json(f"{section}/provenance.json") or {}

    def claim(self, name: str) -> dict[str, Any]:
        """What the talk claims: an entry of `claims` in paper.json, which quotes others. Empty if there is none."""
        return (self.json("paper.json") or {}).get("claims", {}).get(name, {})

    def authors(self, name: str) -> dict[str, Any] | None:
        """What the authors' code reached: an entry of authors.json. None if there is none."""
        return (self.json("authors.json") or {}).get(name)

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return (self.folder / path).is_file()


def read_json(path: pathlib.Path) -> dict[str, Any] | None:
    """The JSON object in a file, None if there is no such file.

    Raises:
      ValueError: the file holds something else.
    """
    return _parse(path.read_text(encoding="utf-8"), str(path)) if path.is_file() else None


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{where} is not JSON ({error}).") from error
    if not isinstance(value, dict):
        raise ValueError(f"{where} wants a JSON object, got {type(value).__name__}.")
    return value
