"""The trackers of a run, opened: none that fails ends the run, and none is told of a step twice."""

import contextlib
import copy
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

_METHODS = ("scalars", "pictures", "artifacts", "close")


def open_trackers(factories: Mapping[str, TrackerFactory], folder: Workdir) -> list[MetricsLogger]:
    """Opens trackers for a run, or for the rest of one. Where one does not open, those that did are closed.

    Args:
      factories: from `find_trackers`.
      folder: of the run, with its config and the record of this start.

    Raises:
      OSError: a tracker does not start; its server does not answer, for example.
      ImportError: a package that a tracker needs is not installed.
      ValueError: `trackers.json` is damaged, or what a factory makes is no tracker.
    """
    parameters, marks = flatten(folder.read_config()), _Marks(folder.trackers)
    session: Mapping[str, Any] = next(reversed(folder.sessions()), {})
    tags = {name: str(session[name]) for name in ("command", "commit") if session.get(name)}
    tags |= {f"versions.{name}": version for name, version in session.get("versions", {}).items()}
    opened: list[MetricsLogger] = []
    try:
        for name, factory in factories.items():
            known = marks.run_id(name)
            tracker = _start(name, factory, TrackedRun(folder, copy.deepcopy(parameters), dict(tags), known), marks)
            opened.append(tracker)
            if isinstance(tracker, _Guarded):
                tracker.begin()
    except BaseException as error:
        for tracker in opened:
            with contextlib.suppress(Exception):
                tracker.close("FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    return opened


def unfinished(factories: Mapping[str, TrackerFactory], folder: Workdir) -> dict[str, TrackerFactory]:
    """Those that began to track the run, but were not told its end; local ones need not be.

    Raises:
      ValueError: `trackers.json` is damaged.
    """
    marks = _Marks(folder.trackers)
    return {name: factory for name, factory in factories.items() if marks.unfinished(name)}


def _start(name: str, factory: TrackerFactory, run: TrackedRun, marks: "_Marks") -> MetricsLogger:
    try:
        tracker = factory(run)
    except ImportError:
        raise
    except Exception as error:
        hint = (
            f" It was to go on with the run {run.run_id}; without {run.folder.trackers} it begins another."
            if run.run_id
            else ""
        )
        raise OSError(f"the tracker {name!r} did not start ({type(error).__name__}: {error}).{hint}") from error
    missing = [method for method in _METHODS if not callable(getattr(tracker, method, None))]
    if missing:
        raise ValueError(
            f"the tracker {name!r} must have the methods {', '.join(_METHODS)}, as classes that inherit from "
            f"training.MetricsLogger have; {type(tracker).__name__} is without {', '.join(missing)}."
        )
    return tracker if getattr(tracker, "local", False) else _Guarded(name, tracker, marks)


class _Marks:
    """`trackers.json`: of each tracker, the id of the run there, the newest step told of each kind, and whether it was
    told the end."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._all: dict[str, Any] = {}
        try:
            self._all = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            sound = all(
                isinstance(mark["run_id"], str)
                and isinstance(mark["told"], dict)
                and isinstance(mark.get("finished", False), bool)
                for mark in self._all.values()
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
        self._all.setdefault(name, {"told": {}}).update(run_id=run_id, finished=False)
        write_json(self._path, self._all)

    def unfinished(self, name: str) -> bool:
        return name in self._all and not self._all[name].get("finished", False)

    def finish(self, name: str) -> None:
        self._all[name]["finished"] = True
        write_json(self._path, self._all)

    def tell(self, name: str, kind: str, step: int) -> None:
        self._all[name]["told"][kind] = step
        write_json(self._path, self._all)


class _Guarded(MetricsLogger):
    """A tracker, apart from the run in its failures."""

    def __init__(self, name: str, tracker: MetricsLogger, marks: _Marks) -> None:
        self._name, self._tracker, self._marks = name, tracker, marks
        self._failed = False

    def begin(self) -> None:
        run_id = getattr(self._tracker, "run_id", "")
        if not isinstance(run_id, str):
            raise ValueError(
                f"the tracker {self._name!r}: run_id must be a text, empty where there is none; got {run_id!r}."
            )
        self._marks.begin(self._name, run_id)

    def scalars(self, step: int, values: Mapping[str, float], group: str) -> None:
        self._tell_once(group, step, lambda: self._tracker.scalars(step, values, group))

    def pictures(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        self._tell_once("pictures", step, lambda: self._tracker.pictures(step, images))

    def artifacts(self, paths: Sequence[pathlib.Path]) -> None:
        self._tell(lambda: self._tracker.artifacts(paths))

    def close(self, status: str) -> None:
        def close_and_mark() -> None:
            self._tracker.close(status)
            if status == "FINISHED":
                self._marks.finish(self._name)

        self._tell(close_and_mark)

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
