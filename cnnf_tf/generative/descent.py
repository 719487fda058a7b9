"""Running a generator, such as the way down one layer of latents at a time, to its end."""

from collections.abc import Callable, Generator
from typing import Any


def answer_all(walk: Generator[Any, Any, Any], answer: Callable[[Any], Any]) -> Any:
    """Runs a generator to its end, sending `answer(request)` for everything it yields; returns what it returns."""
    reply = None
    while True:
        try:
            request = walk.send(reply)
        except StopIteration as stop:
            return stop.value
        reply = answer(request)
