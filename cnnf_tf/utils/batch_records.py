"""What `batches.BatchRunner` has found so far, on disk: for going on after a kill, and for putting parts together.

A record is a folder with `record.json` (of what, which part, which jobs are finished) and a file for each batch, which
appears whole or not at all.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from cnnf_tf.utils.archives import read_npz, write_npz
from cnnf_tf.utils.batches import Facts, Record, Shard
from cnnf_tf.utils.config_diff import config_diff
from cnnf_tf.utils.files import locked, write_json

_FORMAT = 1
_HEAD = "record.json"


class BatchRecord(Record):
    """A record in a folder; see `open_record` and `MergedRecord`.

    Args:
      folder: where it lies.
      head: the content of its `record.json`.
    """

    def __init__(self, folder: str | os.PathLike[str], head: Mapping[str, Any]):
        self.folder = pathlib.Path(folder)
        self._head = json.loads(json.dumps(head))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "BatchRecord | None":
        """The record that lies in a folder; None if there is none. A damaged one raises ValueError."""
        path = pathlib.Path(folder) / _HEAD
        if not path.exists():
            return None
        try:
            head = json.loads(path.read_text(encoding="utf-8"))
            record = cls(folder, {"format": head["format"], "config": dict(head["config"])} | head)
            if not isinstance(head["complete"], bool) or not all(type(n) is int for n in head["jobs"].values()):
                raise ValueError("it says something else than a record does")
            Shard.parse(head["shard"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not the record of an evaluation ({error}).") from error
        return record

    @property
    def shard(self) -> Shard:
        """Which part it is."""
        return Shard.parse(self._head["shard"])

    @property
    def config(self) -> dict[str, Any]:
        """Of what it is: what must be the same for another part, or for going on; with the format of the record."""
        return self._head["config"] | {"record_format": self._head["format"]}

    @property
    def jobs(self) -> dict[str, int]:
        """The number of batches of each finished job."""
        return dict(self._head["jobs"])

    @property
    def is_complete(self) -> bool:
        """Whether all jobs are finished."""
        return self._head["complete"]

    @property
    def is_empty(self) -> bool:
        """Whether no batch is finished."""
        return next(self.folder.glob("*/*.npz"), None) is None

    def finished(self, job: str) -> int | None:
        return self._head["jobs"].get(job)

    def path(self, job: str, batch: int) -> pathlib.Path:
        """The file of a batch."""
        return self.folder / re.sub(r"[^\w.-]+", "_", job) / f"{batch:06d}.npz"

    def read(self, job: str, batch: int) -> Facts | None:
        path = self.path(job, batch)
        try:
            return read_npz(path) if path.exists() else None
        except ValueError as error:
            raise ValueError(f"{path} is damaged ({error}); remove it, and what was in it is done again.") from error

    def write(self, job: str, batch: int, facts: Facts) -> None:
        write_npz(self.path(job, batch), facts)

    def finish(self, job: str, batches: int) -> None:
        self._head["jobs"][job] = batches
        self.save()

    def complete(self) -> None:
        """Keeps that all jobs are finished."""
        self._head["complete"] = True
        self.save()

    def missing(self) -> list[pathlib.Path]:
        """The files that should be there, as their jobs are finished, and are not."""
        wanted = (
            self.path(job, number)
            for job, count in self.jobs.items()
            for number in filter(self.shard.holds, range(count))
        )
        return [path for path in wanted if not path.exists()]

    def save(self) -> None:
        """Writes `record.json`."""
        write_json(self.folder / _HEAD, self._head)

    def remove(self) -> None:
        """Removes the folder."""
        shutil.rmtree(self.folder)


@contextlib.contextmanager
def open_record(
    folder: str | os.PathLike[str],
    config: Mapping[str, Any],
    shard: Shard = Shard(),  # noqa: B008 - frozen
) -> Iterator[BatchRecord]:
    """A record to go on with, new if there is none; within, no other process can open it.

    Args:
      folder: where it lies, of its own; made if need be.
      config: all that the facts depend on, for JSON.
      shard: which part it is.

    Raises:
      ValueError: there is one of something else (the message lists the differences), or a damaged one.
      BlockingIOError: another process works on it.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)

    def refuse() -> NoReturn:
        raise BlockingIOError(f"another process works on {os.fspath(folder)!r}.")

    with locked(folder / "lock", waiting=refuse):
        head = {"format": _FORMAT, "shard": str(shard), "complete": False, "jobs": {}, "config": config}
        record, there = BatchRecord(folder, head), BatchRecord.load(folder)
        if there is None or there.is_empty:
            record.save()
            there = record
        changed = config_diff(there.config | {"shard": str(there.shard)}, record.config | {"shard": str(shard)})
        if changed:
            raise ValueError(
                f"{os.fspath(folder)!r} holds what another run has found so far ({'; '.join(changed)}). Give another "
                "output, or the same settings to go on with that run, or remove that folder."
            )
        yield there


class MergedRecord(Record):
    """All parts of an evaluation, to be read.

    Args:
      folders: of the records of its parts, in any order.
      config: what they must be of; see `open_record`.

    Raises:
      ValueError: a folder without a record, a part of something else, a missing, doubled or unfinished one.
    """

    def __init__(self, folders: Sequence[str | os.PathLike[str]], config: Mapping[str, Any]):
        parts: dict[Shard, BatchRecord] = {}
        wanted = BatchRecord("", {"format": _FORMAT, "config": config}).config
        for folder in folders:
            part = BatchRecord.load(folder)
            if part is None:
                raise ValueError(f"{os.fspath(folder)!r} holds no part of an evaluation: there is no {_HEAD}.")
            if changed := config_diff(part.config, wanted):
                raise ValueError(f"{os.fspath(folder)!r} is a part of something else ({'; '.join(changed)}).")
            if part.shard in parts:
                raise ValueError(
                    f"part {part.shard} is doubled: it lies in {str(parts[part.shard].folder)!r} and in "
                    f"{os.fspath(folder)!r}."
                )
            parts[part.shard] = part
        counts = sorted({shard.count for shard in parts})
        if len(counts) != 1:
            raise ValueError(f"wanted all parts of one evaluation, got parts of {counts or 'none'}.")
        shards = [Shard(number, counts[0]) for number in range(1, counts[0] + 1)]
        if missing := [str(shard) for shard in shards if shard not in parts]:
            raise ValueError(f"part {', '.join(missing)} is missing.")
        self._parts = [parts[shard] for shard in shards]
        for part in self._parts:
            if not part.is_complete or part.jobs != self._parts[0].jobs:
                raise ValueError(
                    f"part {part.shard} in {str(part.folder)!r} is not finished, or not of the same batches as part "
                    f"{shards[0]}; give its command again."
                )
            if gone := part.missing():
                raise ValueError(f"{gone[0]} of part {part.shard} is missing; give its command again.")

    def finished(self, job: str) -> int | None:
        count = self._parts[0].finished(job)
        if count is None:
            raise ValueError(f"the parts hold nothing of {job!r}; they are of {sorted(self._parts[0].jobs)}.")
        return count

    def read(self, job: str, batch: int) -> Facts | None:
        return self._parts[batch % len(self._parts)].read(job, batch)
