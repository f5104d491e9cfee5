"""The process that speaks, seen from the calls' side: started when needed, ended when it hangs, never waited for.

A text that crashes the engine or takes too long costs that text and a new process; calls go on. The other side is
:mod:`ivr.speech.worker_process`, which also says what goes through the pipes.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gateway.call import Clip
from ivr.speech import child
from ivr.speech import voice as errors
from ivr.speech.voice import SpeechBusy, SpeechError, SpeechTimeout, Voice

__all__ = ["SpeechWorker"]

# Importing numpy and soxr takes 0.4 s on a quiet machine and several times that on one that is starting up.
_START_LIMIT = 30.0
# Twice what a neural voice takes on a slow core: 70 characters a second.
_LIMIT_A_CHARACTER = 0.03


@dataclass(slots=True, eq=False)
class _Job:
    request: Mapping[str, object]
    limit: float
    """Seconds that the process may take for it."""
    reply: asyncio.Future[tuple[dict[str, Any], bytes]]


class SpeechWorker:
    """Owns one speech process and the texts that wait for it. Use it from one event loop, and close it."""

    def __init__(self, *, limit: float = 10.0, waiting: int = 256) -> None:
        """``limit``: seconds that the process may be busy with a text before it counts as hung; a long one has more.

        ``waiting``: how many texts may wait; further ones are refused.
        """
        self._limit = limit
        self._most_waiting = waiting
        self._waiting: deque[_Job] = deque()
        self._wake = asyncio.Event()
        self._owner: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process that speaks, None while there is none."""
        return self._process.pid if self._process else None

    async def voices(self, engine: str) -> frozenset[str]:
        """Load an engine in the process and ask for the names of its voices. Raises :class:`SpeechError`."""
        header, _ = await self._ask({"do": "describe", "engine": engine}, _START_LIMIT, 2 * _START_LIMIT)
        return frozenset(header["voices"])

    async def prepare(self, voice: Voice) -> str:
        """As of :class:`ivr.speech.synthesis.Synthesizer`, in the process. Raises :class:`SpeechError`."""
        request = {"do": "prepare", "voice": asdict(voice)}
        header, _ = await self._ask(request, _START_LIMIT, 2 * _START_LIMIT)
        return str(header["version"])

    async def synthesize(self, text: str, voice: Voice, *, ssml: bool = False, deadline: float = 10.0) -> Clip:
        """The text, with ``ssml`` a document, as a clip, within ``deadline`` seconds from now or not at all.

        Raises :class:`SpeechError`; of its kinds, :class:`SpeechTimeout` and :class:`SpeechBusy` say that another
        try may work. A caller that is cancelled leaves nothing behind.
        """
        request = {"do": "speak", "text": text, "ssml": ssml, "voice": asdict(voice)}
        header, pcmu = await self._ask(request, self._limit + len(text) * _LIMIT_A_CHARACTER, deadline)
        return Clip(pcmu, header["name"])

    async def close(self) -> None:
        """End the process; texts that still wait fail. May be called again."""
        self._closed = True
        if self._owner is not None:
            self._owner.cancel()
            await asyncio.gather(self._owner, return_exceptions=True)
            self._owner = None
        for job in self._waiting:
            _fail(job, SpeechError("speech has been shut down"))
        self._waiting.clear()

    async def _ask(self, request: Mapping[str, object], limit: float, deadline: float) -> tuple[dict[str, Any], bytes]:
        if self._closed:
            raise SpeechError("speech has been shut down")
        if len(self._waiting) >= self._most_waiting:
            raise SpeechBusy(f"{len(self._waiting)} texts are waiting to be spoken already")
        # An impatient caller is no reason to end a process that is only busy: the limit is not the deadline.
        job = _Job(request, limit, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._wake.set()
        if self._owner is None or self._owner.done():
            self._owner = asyncio.create_task(self._serve(), name="speech worker")
        try:
            async with asyncio.timeout(deadline):
                header, body = await job.reply
        except TimeoutError:
            raise SpeechTimeout(f"not spoken within {deadline:g} s") from None
        finally:
            if job in self._waiting:
                self._waiting.remove(job)
        if "error" in header:
            raise getattr(errors, header["error"])(header["message"])
        return header, body

    async def _serve(self) -> None:
        """Hand out one job at a time, for ever."""
        job = None
        try:
            while True:
                while not self._waiting:
                    self._wake.clear()
                    await self._wake.wait()
                job = self._waiting.popleft()
                if not job.reply.done():
                    await self._do(job)
        finally:
            if job is not None:
                _fail(job, SpeechError("speech has been shut down"))
            await self._end_process()

    async def _do(self, job: _Job) -> None:
        # The second try is for whoever comes next after a process was killed from outside or fell over an earlier
        # text; a text that kills twice is to blame itself.
        for attempt in (1, 2):
            try:
                process = await self._running_process()
                async with asyncio.timeout(job.limit):
                    reply = await _exchange(process, job.request)
            except TimeoutError:
                await self._end_process()
                _fail(job, SpeechTimeout("the speech process hung and was ended"))
                return
            except SpeechError as error:
                await self._end_process()
                _fail(job, error)
                return
            except (OSError, EOFError, ValueError):
                status = await self._end_process()
                if attempt == 2:
                    _fail(job, SpeechError(f"the speech process died of this text (status {status})"))
            except BaseException:
                # Cancelled between a request and its reply: the process would answer the wrong question next.
                await self._end_process()
                raise
            else:
                if not job.reply.done():
                    job.reply.set_result(reply)
                return

    async def _running_process(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        try:
            self._process = await child.start("ivr.speech.worker_process")
            async with asyncio.timeout(_START_LIMIT):
                await _read(self._process)
        except (OSError, EOFError, TimeoutError) as error:
            raise SpeechError(f"the speech process does not start: {error or type(error).__name__}") from error
        return self._process

    async def _end_process(self) -> int | None:
        """Kill and reap; the exit status, negative for a signal."""
        process, self._process = self._process, None
        return None if process is None else await child.kill_and_reap(process)


def _fail(job: _Job, error: SpeechError) -> None:
    if not job.reply.done():
        job.reply.set_exception(error)


async def _exchange(process: asyncio.subprocess.Process, request: Mapping[str, object]) -> tuple[dict[str, Any], bytes]:
    assert process.stdin is not None
    encoded = json.dumps(request).encode()
    process.stdin.write(struct.pack(">I", len(encoded)) + encoded)
    await process.stdin.drain()
    return await _read(process)


async def _read(process: asyncio.subprocess.Process) -> tuple[dict[str, Any], bytes]:
    assert process.stdout is not None
    header_size, body_size = struct.unpack(">II", await process.stdout.readexactly(8))
    header: dict[str, Any] = json.loads(await process.stdout.readexactly(header_size))
    return header, await process.stdout.readexactly(body_size)
