"""The record of a long study: one JSON file, replaced as a whole after each finished cell, so a kill loses one."""

import json
import os
import pathlib
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from cnnf_tf.utils.config_diff import config_diff
from cnnf_tf.utils.files import write_json
from cnnf_tf.utils.progress import Progress

Name = TypeVar("Name", bound=Hashable)


class ResumableResults:
    """The finished cells of a study, in the file `results.json` of a folder.

    Args:
      folder: where the file goes; made if need be.
      config: the resolved configuration, for JSON.
      about: further facts for the head of the file; they may change between runs.

    Raises:
      ValueError: the folder holds a study with another configuration (the message lists the differences), or a file
        that is not such a record.
    """

    def __init__(self, folder: str | os.PathLike[str], config: Mapping[str, Any], about: Mapping[str, Any]):
        self.folder = pathlib.Path(folder)
        self._config = json.loads(json.dumps(config))
        self._about = dict(about)
        self.cells: list[dict[str, Any]] = []
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"output {os.fspath(folder)!r} must be a folder, but it is a file.")
        if self.path.exists():
            self._read()

    @property
    def path(self) -> pathlib.Path:
        """The file."""
        return self.folder / "results.json"

    def write(self, **derived: Any) -> None:
        """Writes the cells and what was derived from them; afterwards a kill does not lose them."""
        write_json(self.path, self._about | {"config": self._config} | derived | {"cells": self.cells})

    def complete(
        self,
        jobs: Mapping[Name, Callable[[], list[dict[str, Any]]]],
        *,
        name_of: Callable[[dict[str, Any]], Name],
        verb: str,
    ) -> None:
        """Runs the jobs that have no cell yet, shows the progress, and writes the record after each.

        Cells end in the order of the jobs, so that a run that was cut off ends in the same file.

        Args:
          jobs: by name, in the order to run them, functions that make the cells of a job.
          name_of: the job that a cell is of.
          verb: what the progress says is done.
        """
        order = {name: place for place, name in enumerate(jobs)}
        done = set(map(name_of, self.cells))
        missing = [name for name in jobs if name not in done]
        notes = [" ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in missing]
        with Progress(verb, len(jobs), "jobs", done=len(jobs) - len(missing), note="".join(notes[:1])) as progress:
            for name, following in zip(missing, [*notes[1:], ""], strict=True):
                self.cells = sorted([*self.cells, *jobs[name]()], key=lambda cell: order[name_of(cell)])
                self.write()
                progress.update(note=following)

    def damaged(self, error: Exception) -> ValueError:
        """The error to raise when the file, or a cell of it, cannot be read."""
        return ValueError(f"{self.path} is not the record of a study ({error}); give another --output.")

    def _read(self) -> None:
        try:
            saved = json.loads(self.path.read_text(encoding="utf-8"))
            recorded, cells = dict(saved["config"]), [dict(cell) for cell in saved["cells"]]
        except (ValueError, KeyError, TypeError) as error:
            raise self.damaged(error) from error
        changed = config_diff(recorded, self._config)
        if changed:
            raise ValueError(
                f"output {str(self.folder)!r} holds a study with another config ({'; '.join(changed)}). Give another "
                "--output, or the same config to go on with that study."
            )
        self.cells = cells
