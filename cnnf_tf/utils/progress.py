"""How far a piece of work is: a bar on a terminal, and anywhere else a plain line now and then."""

import sys
import time
from collections.abc import Callable
from typing import Any, ClassVar, TextIO

from tqdm import tqdm

EVERY = 10.0
"""Seconds between two lines where there is no terminal."""


class Progress:
    """Shows on stderr how far a piece of work is; a context manager.

    Until the first item is done it says "preparing": functions are traced then, and how long that takes says nothing of
    the other items. A terminal gets a bar of tqdm's. Anything else, such as a file, a pipe or a notebook, gets a line
    at the start, one at the end, and in between at most one in `EVERY` seconds: never a carriage return. Of work within
    other work it gets no start and no end.

        with Progress("PGD-40", 40, "batches") as progress:
            for batch in batches:
                ...
                progress.update(note="robust accuracy 31.2 %")

    Args:
      name: of the work.
      total: number of items, with those done before; None if nobody knows.
      unit: what the items are, in the plural.
      done: items done before.
      note: what to say beside the numbers, or what is being prepared.
      shown: False shows nothing at all.
      stream: where to; None for stderr.
      clock: the seconds, for tests.
    """

    _open: ClassVar[list["Progress"]] = []
    _last_line = 0.0  # when any of them wrote the last line

    def __init__(
        self,
        name: str,
        total: int | None,
        unit: str,
        *,
        done: int = 0,
        note: str = "",
        shown: bool = True,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._stream = sys.stderr if stream is None else stream
        shown = shown and self._stream is not None and not self._stream.closed
        self._name, self._total, self._unit, self._note = name, total, unit, _one_line(note)
        self._done, self._before, self._clock, self._shown = done, done, clock, shown
        self._start = clock()
        self._first: tuple[int, float] | None = None  # items and seconds once the first item was done
        self._outer = self._open[-1] if self._open else None
        self._open.append(self)
        self._bar: Any = None
        if shown and self._stream.isatty():
            # `bar` is blank at first: it is there for tqdm to cut the text to the terminal's width.
            self._bar = tqdm(
                desc=self._preparing(),
                total=total,
                initial=done,
                unit=f" {unit}",
                file=self._stream,
                smoothing=0.1,
                miniters=1,
                bar_format="{desc}{bar:b}",
                dynamic_ncols=True,
                leave=self._outer is None,
            )
        elif shown and self._outer is None:
            self._write(self._preparing())

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def update(self, count: int = 1, note: str | None = None) -> None:
        """After each item, or `count` of them: shows them, and a new note if there is one."""
        self._done += count
        self._note = self._note if note is None else _one_line(note)
        first, self._first = self._first is None, self._first or (self._done, self._clock() - self._start)
        if self._bar is None:
            self._write_if_due()
            return
        self._bar.set_postfix_str(self._note, refresh=False)
        if first:  # tqdm's rate begins with the second
            self._bar.bar_format = None
            self._bar.set_description_str(self._name, refresh=False)
            self._bar.n = self._bar.initial = self._bar.last_print_n = self._done
            self._bar.last_print_t = time.time()
            self._bar.refresh()
        else:
            self._bar.update(count)

    def note(self, text: str) -> None:
        """Says what is being done now."""
        self._note = _one_line(text)
        if self._bar is None:
            self._write_if_due()
        elif self._first is None:
            self._bar.set_description_str(self._preparing())
        else:
            self._bar.set_postfix_str(self._note)

    def close(self) -> None:
        """Ends it, done or not."""
        if self not in self._open:
            return
        self._open.remove(self)
        if self._bar is not None:
            if self._first is None and self._done == self._total:  # there was nothing to prepare
                self._bar.set_description_str(self._line(end=True))
            self._bar.initial = self._before  # a rate over all
            self._bar.close()
        elif self._shown and self._outer is None:
            self._write(self._line(end=True))

    def _preparing(self) -> str:
        return " ".join(filter(None, (f"{self._name}: preparing", self._note, "...")))

    def _count(self) -> str:
        return f"{self._done:,}" if self._total is None else f"{self._done:,}/{self._total:,}"

    def _line(self, *, end: bool = False) -> str:
        """Such as "PGD-40: 12/40 batches, 1 min 3 s, about 2 min left (robust accuracy 31.2 %)"."""
        seconds = self._clock() - self._start
        if self._first is None and not end:
            return f"{self._preparing()} {duration(seconds)}"
        line = f"{self._name}: {self._count()} {self._unit}, {duration(seconds)}"
        if not end and self._total and self._first is not None and self._first[0] < self._done < self._total:
            items, since = self._first
            left = (seconds - since) / (self._done - items) * (self._total - self._done)
            line += f", about {duration(left if left < 60 else 60 * round(left / 60))} left"
        return f"{line} ({self._note})" if self._note else line

    def _write_if_due(self) -> None:
        ends_now = self._done == self._total and self._outer is None  # `close` says it
        if self._shown and not ends_now and self._clock() - Progress._last_line >= EVERY:
            line = self._line()
            self._write(line if self._outer is None else f"{self._outer._name} {self._outer._count()}, {line}")

    def _write(self, line: str) -> None:
        Progress._last_line = self._clock()
        print(line, file=self._stream, flush=True)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def note(text: str) -> None:
    """`Progress.note` of the innermost piece of work that goes on; nothing where there is none."""
    for progress in Progress._open[-1:]:  # noqa: SLF001
        progress.note(text)


def say(line: str) -> None:
    """Prints a line on stdout, above any bar."""
    with tqdm.external_write_mode(sys.stdout):
        print(line, flush=True)


def duration(seconds: float) -> str:
    """Such as "12 s", "1 min 3 s" or "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    large, small, names = (
        (*divmod(whole, 60), ("min", "s")) if whole < 3600 else (*divmod(whole // 60, 60), ("h", "min"))
    )
    return f"{large} {names[0]} {small} {names[1]}" if small else f"{large} {names[0]}"
