"""Work that would hold up the event loop, done in threads: so many at a time, each for so long.

A thread cannot be stopped. One that takes too long is no longer waited for and keeps its place until it is done, so
that work that hangs can fill the places but never the machine; it does not keep the program from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Busy(Exception):
    """Every place is taken."""


class Threads:
    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._free = most

    async def run(self, work: Callable[[], T], seconds: float) -> T:
        """What the work gives or raises. Raises Busy, and TimeoutError after so many seconds."""
        if self._free <= 0:
            raise Busy
        self._free -= 1
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def over(value: T | None, error: BaseException | None) -> None:
            self._free += 1
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)  # type: ignore[arg-type]  # without an error there is a value

        def body() -> None:
            value, error = None, None
            try:
                value = work()
            except BaseException as raised:
                # A future does not take this one; as an error of the work it is any other.
                error = RuntimeError("StopIteration") if isinstance(raised, StopIteration) else raised
            try:
                loop.call_soon_threadsafe(over, value, error)
            except RuntimeError:
                # The loop is closed: the program ended without us.
                pass

        threading.Thread(target=body, name=self._name, daemon=True).start()
        async with asyncio.timeout(seconds):
            return await future
