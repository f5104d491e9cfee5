"""The process that makes candidates: it may work hard and long without a packet of a call being late."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pickle
import struct
import sys
from typing import Final

from ivr.collector import at_rest
from ivr.live.candidate import Candidate, CandidateMaker, Wanted

_PATIENCE: Final = 120.0
"""Seconds that making one candidate may take."""
_LENGTH = struct.Struct("!Q")


class WorkerLost(Exception):
    """The process ended, or took too long; the next request starts another."""


class _Ended(Exception):
    """The process ended before it had answered."""


class LoadingProcess:
    """Asked for one candidate at a time. Belongs to one event loop."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def make(self, wanted: Wanted) -> Candidate:
        """Raises WorkerLost."""
        try:
            async with asyncio.timeout(_PATIENCE):
                try:
                    return await self._asked(wanted)
                except _Ended:
                    # Nothing need be wrong with the files: the system may have ended it for want of memory.
                    return await self._asked(wanted)
        except TimeoutError:
            await self.close()
            raise WorkerLost(f"reading the flows took longer than {_PATIENCE:.0f} s") from None
        except _Ended as error:
            raise WorkerLost("the process that reads the flows ended, twice") from error

    async def _asked(self, wanted: Wanted) -> Candidate:
        """Raises _Ended; asked again, it starts another process."""
        request = pickle.dumps(wanted)
        try:
            if self._process is None or self._process.returncode is not None:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "ivr.live.worker",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    start_new_session=True,
                )
            process = self._process
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(_LENGTH.pack(len(request)) + request)
            await process.stdin.drain()
            (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
            reply = await process.stdout.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            await self.close()
            raise _Ended from error
        except asyncio.CancelledError:
            # Its answer would be taken for that to the next request.
            if self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
            raise
        candidate = pickle.loads(reply)
        assert isinstance(candidate, Candidate)
        return candidate

    async def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def main() -> None:
    """Answer requests until there are no more: also when the one that asks has died."""
    os.nice(10)
    # What a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    maker = CandidateMaker()
    while len(head := sys.stdin.buffer.read(_LENGTH.size)) == _LENGTH.size:
        wanted = pickle.loads(sys.stdin.buffer.read(_LENGTH.unpack(head)[0]))
        with at_rest():
            reply = pickle.dumps(maker.make(wanted))
        answers.write(_LENGTH.pack(len(reply)) + reply)
        answers.flush()
        # What was read is kept for the next time: it is looked through once.
        gc.collect()
        gc.freeze()


if __name__ == "__main__":
    main()
