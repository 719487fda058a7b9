"""Who works when: one thread for all visitors, and of what one visitor asks for only the newest."""

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """The one thread in which TensorFlow works, for one visitor at a time; first it prepares what takes seconds.

    Args:
      preparations: what each part is, for people, and what does it.
    """

    def __init__(self, preparations: Iterator[tuple[str, Callable[[], Any]]]):
        self.preparing = "the networks"
        """What is being prepared; empty once all is."""
        self._thread = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self._left = preparations
        self._thread.submit(self._prepare)

    def _prepare(self) -> None:
        """The next part; visitors come in between two."""
        self.preparing, part = next(self._left, ("", None))
        if part is not None:
            try:
                part()
                self._thread.submit(self._prepare)
            except BaseException:
                self.preparing = ""  # a visitor will hear of it
                raise

    async def run(self, work: Callable[[], T]) -> T:
        """Waits for its turn, and for the work."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Waits for what is at work, and drops what is not."""
        self._thread.shutdown(cancel_futures=True)


class Newest:
    """Calls an action, never twice at a time: calls meanwhile come to one more at the end, however many they are.

    Args:
      action: reads for itself what there is to do.
    """

    def __init__(self, action: Callable[[], Awaitable[Any]]):
        self._action = action
        self._wanted = self._working = False

    async def __call__(self) -> None:
        self._wanted = True
        if self._working:
            return
        self._working = True
        try:
            while self._wanted:
                self._wanted = False
                await self._action()
        finally:
            self._working = False
