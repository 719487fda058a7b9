"""The trackers of a run, opened: none that fails ends the run, and none is told of a step twice."""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cnnf_tf.training.trackers.base import MetricsLogger, TrackedRun, TrackerFactory
from cnnf_tf.training.workdir import Workdir
from cnnf_tf.utils.config_diff import flatten
from cnnf_tf.utils.files import write_json
from cnnf_tf.utils.progress import say


def open_trackers(factories: Mapping[str, TrackerFactory], folder: Workdir) -> list[MetricsLogger]:
    """Opens trackers for a run, or for the rest of one.

    Args:
      factories: from `find_trackers`.
      folder: of the run, with its config and the record of this start.

    Raises:
      OSError: a tracker does not start; its server does not answer, for example.
      ImportError: a package that a tracker needs is not installed.
      ValueError: `trackers.json` is damaged.
    """
    parameters, session, marks = flatten(folder.read_config()), folder.sessions()[-1], _Marks(folder.trackers)
    tags = {name: str(session[name]) for name in ("command", "commit") if session[name]}
    tags |= {f"versions.{name}": version for name, version in session["versions"].items()}
    opened: list[MetricsLogger] = []
    for name, factory in factories.items():
        try:
            tracker = factory(TrackedRun(folder, parameters, tags, marks.run_id(name)))
        except Exception as error:
            for other in opened:
                other.close("FAILED")
            if isinstance(error, ImportError):
                raise
            known = marks.run_id(name)
            hint = (
                f" It was to go on with the run {known}; without {folder.trackers} it begins another." if known else ""
            )
            raise OSError(f"the tracker {name!r} did not start ({type(error).__name__}: {error}).{hint}") from error
        opened.append(tracker if tracker.local else _Guarded(name, tracker, marks))
    return opened


class _Marks:
    """`trackers.json`: of each tracker, the id of the run there, and the newest step told for each kind of value."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._all: dict[str, Any] = {}
        try:
            self._all = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            sound = all(
                isinstance(mark["run_id"], str) and isinstance(mark["told"], dict) for mark in self._all.values()
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            sound = False
        if not sound:
            raise ValueError(f"{path} is damaged; without this file, the run begins anew in its trackers.")

    def run_id(self, name: str) -> str:
        return self._all[name]["run_id"] if name in self._all else ""

    def told(self, name: str, kind: str) -> int:
        return self._all[name]["told"].get(kind, -1)

    def begin(self, name: str, run_id: str) -> None:
        self._all.setdefault(name, {"told": {}})["run_id"] = run_id
        write_json(self._path, self._all)

    def tell(self, name: str, kind: str, step: int) -> None:
        self._all[name]["told"][kind] = step
        write_json(self._path, self._all)


class _Guarded(MetricsLogger):
    """A tracker, apart from the run in its failures."""

    def __init__(self, name: str, tracker: MetricsLogger, marks: _Marks) -> None:
        self._name, self._tracker, self._marks = name, tracker, marks
        self._failed = False
        marks.begin(name, tracker.run_id)

    def scalars(self, step: int, values: Mapping[str, float], group: str) -> None:
        self._tell_once(group, step, lambda: self._tracker.scalars(step, values, group))

    def pictures(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        self._tell_once("pictures", step, lambda: self._tracker.pictures(step, images))

    def artifacts(self, paths: Sequence[pathlib.Path]) -> None:
        self._tell(lambda: self._tracker.artifacts(paths))

    def close(self, status: str) -> None:
        self._tell(lambda: self._tracker.close(status))

    def _tell_once(self, kind: str, step: int, tell: Callable[[], None]) -> None:
        def tell_and_mark() -> None:
            tell()
            self._marks.tell(self._name, kind, step)

        if step > self._marks.told(self._name, kind):
            self._tell(tell_and_mark)

    def _tell(self, tell: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            tell()
        except Exception as error:  # noqa: BLE001 - whatever a tracker or its server raises
            self._failed = True
            say(f"Warning: the tracker {self._name!r} failed; training goes on without it. {_one_line(error)}")


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
