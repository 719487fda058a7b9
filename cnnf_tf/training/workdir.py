"""The folder of one run: its resolved config, its checkpoints, its history.

config.json       the resolved configuration; another run's folder is never reused
run.json          each start of the run: command, commit, versions, hardware, time
lock              locked while a run is going on
checkpoints/      what a killed run goes on from
last.keras        the model after the newest evaluation or epoch
best.keras        the best model on the validation split (the newest, where there is none)
metrics.jsonl     one line for each evaluation; `guard` in the one where adversarial training took a stronger attack
tensorboard/      scalars, images, adversarial images and reconstructions, where the tracker `tensorboard` is asked for
mlflow/, wandb/   what other trackers keep here
trackers.json     which run is this one's in each of those, and the steps that it was told of
bad_batch.npz     only after a loss that is not a number: the batch that did it (of several workers, the first's part)
"""

import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from cnnf_tf.utils import environment
from cnnf_tf.utils.config_diff import config_diff
from cnnf_tf.utils.files import locked, write_json


@dataclasses.dataclass
class Workdir:
    """Paths inside a run's folder."""

    root: pathlib.Path

    def __post_init__(self) -> None:
        self.config = self.root / "config.json"
        self.run = self.root / "run.json"
        self.lock = self.root / "lock"
        self.last = self.root / "last.keras"
        self.best = self.root / "best.keras"
        self.metrics = self.root / "metrics.jsonl"
        self.checkpoints = self.root / "checkpoints"
        self.bad_batch = self.root / "bad_batch.npz"
        self.tensorboard = self.root / "tensorboard"
        self.trackers = self.root / "trackers.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from training in this folder; the lock ends with the process at the latest.

        What a killed process was just writing is removed: it left a hidden file behind.

        Raises:
          ValueError: another process is training here.
        """

        def refuse() -> None:
            raise ValueError(
                f"another process is training in workdir {str(self.root)!r}; wait for it, stop it, or give another "
                "--workdir."
            )

        with locked(self.lock, waiting=refuse):
            written = [self.last, self.best, self.run, self.metrics, self.bad_batch, self.trackers]
            written.append(self.checkpoints / "step.npz")
            for path in written:
                for leftover in path.parent.glob(f".{path.stem}-*{path.suffix}"):
                    leftover.unlink()
            yield

    def read_config(self) -> dict[str, Any]:
        """The resolved configuration.

        Raises:
          FileNotFoundError: this is not the folder of a run.
          ValueError: `config.json` is damaged.
        """
        if not self.config.is_file():
            raise FileNotFoundError(f"{str(self.root)!r} is not the workdir of a run: it has no config.json.")
        try:
            return json.loads(self.config.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{self.config} is not readable JSON ({error}); give the folder of another run."
            ) from error

    def history(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; a line cut short by a kill is left out."""
        entries = []
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            for line in self.metrics.read_text(encoding="utf-8").splitlines():
                entries.append(json.loads(line))
        return entries

    def sessions(self) -> list[dict[str, Any]]:
        """What `run.json` holds, an entry for each start of the run; none in the folder of an older version.

        Raises:
          ValueError: the file is damaged.
        """
        if not self.run.exists():
            return []
        try:
            return [dict(session) for session in json.loads(self.run.read_text(encoding="utf-8"))["sessions"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.run} is not the record of a run ({type(error).__name__}: {error}); move it away to go on "
                "without what it says."
            ) from error

    def add_session(self, *, step: int, command: str | None = None, replicas: int = 1) -> None:
        """Adds an entry to `run.json`: what is asked for, from which source tree, on which machine, when.

        Args:
          step: steps done before.
          command: the command line.
          replicas: among how many each batch is split.
        """
        entry = {"command": command, **environment.source_tree(), "versions": environment.versions()}
        entry |= {"hardware": environment.hardware() | {"replicas": replicas}}
        entry |= {"started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "step": step}
        write_json(self.run, {"sessions": [*self.sessions(), entry]})


def open_workdir(path: str | os.PathLike[str], config: ConfigDict) -> Workdir:
    """Makes the folder, or reopens it if it holds a run of the very same configuration.

    Raises:
      ValueError: the folder holds another configuration (the message lists the differences), or files but no config.
    """
    workdir = Workdir(pathlib.Path(path))
    resolved = json.loads(config.to_json())
    if workdir.root.exists() and not workdir.root.is_dir():
        raise ValueError(f"workdir {os.fspath(path)!r} must be a folder, but it is a file.")
    if workdir.config.exists():
        changed = config_diff(workdir.read_config(), resolved)
        if changed:
            raise ValueError(
                f"workdir {os.fspath(path)!r} holds a run with another config ({'; '.join(changed)}). Give another "
                "--workdir, or the same config to go on with that run."
            )
    elif workdir.root.exists() and any(workdir.root.glob("*.keras")):
        raise ValueError(f"workdir {os.fspath(path)!r} holds models but no config.json; give a new or empty folder.")
    else:
        write_json(workdir.config, resolved)
    return workdir
