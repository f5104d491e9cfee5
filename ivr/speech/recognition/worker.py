"""The process that listens in one language, seen from the calls' side: kept running, and never waited for.

A process that dies, or does not answer, costs the callers who are being listened to this one utterance, at once; it is
started again, and calls go on. The other side is :mod:`ivr.speech.recognition.worker_process`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

from ivr.hearing import Ear, EarEvent, NotHeard, Recognition, SpeechBegan, Wanted
from ivr.speech import child
from ivr.speech.recognition.choice import EngineChoice
from ivr.speech.recognition.port import RecognitionError
from ivr.speech.recognition.wire import HEAD, Body, Kind, frame, unpacked

__all__ = ["MOST_SESSIONS", "HearingProcess"]

log = logging.getLogger("ivr.hearing")

_PROGRAM: Final = "ivr.speech.recognition.worker_process"

MOST_SESSIONS: Final = 32
"""Callers listened to at once by one process: one core recognises 20 who speak all at once (vosk, phrases)."""
_START_LIMIT: Final = 120.0
"""Seconds. A model of half a gigabyte takes two on a quiet machine, and many times that from a slow disk."""
_PING_EVERY: Final = 1.0
_HUNG_AFTER: Final = 4.0
"""Seconds in which the process has not even read what it was sent."""
_RESULT_LIMIT: Final = 4.0
"""Seconds from the end of speech until what was said is known, or counts as not heard: nobody waits longer."""
_BACKLOG: Final = 3 * 16_000
"""Bytes of sound for each caller, 3 s, that may wait for the process to read them."""
_BACK_OFF: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the process is started again, the first time, the second, and so on."""
_WELL_AFTER: Final = 60.0
"""Seconds after which a process that ended had not died of its start."""


class _Session:
    """One caller's ear. Over once it has told its last word, or was closed."""

    def __init__(self, process: HearingProcess, number: int, tell: Callable[[EarEvent], None]) -> None:
        self._process = process
        self.number = number
        self.tell = tell
        self.listens = True
        """Sound is still wanted."""
        self.deadline: asyncio.TimerHandle | None = None

    def feed(self, pcm: bytes) -> None:
        if self.listens:
            self._process._feed(self, pcm)

    def close(self) -> None:
        self._process._forget(self)


class HearingProcess:
    """Owns one process and the callers it listens to. Belongs to one event loop; :meth:`close` it."""

    def __init__(self, language: str, choice: EngineChoice, *, most: int = MOST_SESSIONS) -> None:
        """``most``: callers listened to at once; more are told that there is no capacity."""
        self._arguments = [choice.engine, language, *([] if choice.model is None else [str(choice.model)])]
        self._name = f"{language} ({choice.engine})"
        self._most = most
        self._numbers = count(1)
        self._sessions: dict[int, _Session] = {}
        self._checks: dict[int, asyncio.Future[tuple[tuple[str, ...], ...]]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._ready = False
        self._keeping: asyncio.Task[None] | None = None
        self._ping: asyncio.TimerHandle | None = None
        self._unanswered_since: float | None = None
        self._lost = ""
        """Why there is no process."""

    @property
    def pid(self) -> int | None:
        """The process that listens, None while there is none."""
        return self._process.pid if self._process and self._ready else None

    @property
    def listening(self) -> int:
        """Callers."""
        return len(self._sessions)

    async def start(self) -> str:
        """Load the model; the engine's version. Raises :class:`RecognitionError`, and there is no process then."""
        self._loop = asyncio.get_running_loop()
        try:
            version = await self._started()
        except BaseException:
            await self._end_process()
            raise
        self._keeping = asyncio.create_task(self._keep(), name=f"hearing {self._name}")
        return version

    async def complaints(self, several: Sequence[Wanted]) -> tuple[tuple[str, ...], ...]:
        """For each, what the engine cannot hear of it, as sentences. Raises :class:`RecognitionError`."""
        if not self._ready:
            raise RecognitionError(self._absence())
        number = next(self._numbers)
        answer = self._checks[number] = self._loop.create_future()
        self._send(Kind.CHECK, number, tuple(several))
        try:
            async with asyncio.timeout(_START_LIMIT):
                checked: tuple[tuple[str, ...], ...] = await answer
                return checked
        except TimeoutError:
            raise RecognitionError(f"the process that listens in {self._name} does not answer") from None
        finally:
            self._checks.pop(number, None)

    def listen(self, wanted: Wanted, tell: Callable[[EarEvent], None]) -> Ear:
        """As :class:`ivr.hearing.Ears` has it."""
        session = _Session(self, next(self._numbers), tell)
        if not self._ready:
            self._sessions[session.number] = session
            self._fails_soon(session, self._absence())
        elif len(self._sessions) >= self._most:
            self._sessions[session.number] = session
            self._fails_soon(session, f"no capacity: {self._most} callers are being listened to in {self._name}")
        else:
            self._sessions[session.number] = session
            self._send(Kind.OPEN, session.number, wanted)
            if self._ping is None:
                self._ping = self._loop.call_later(_PING_EVERY, self._pings)
        return session

    async def close(self) -> None:
        """End the process. Who is being listened to is told."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None
        await self._end_process()
        self._all_fail("listening has been shut down")

    # Sound and what comes of it -----------------------------------------------------------------------

    def _feed(self, session: _Session, pcm: bytes) -> None:
        if not self._ready or self._process is None or self._process.stdin is None:
            return
        # Written at once if the pipe has room: what is here is what it had no room for.
        if self._process.stdin.transport.get_write_buffer_size() > _BACKLOG * len(self._sessions):
            self._fails_soon(session, f"listening in {self._name} cannot keep up: sound of some seconds waits")
        else:
            self._send(Kind.SOUND, session.number, pcm)

    def _fails_soon(self, session: _Session, reason: str) -> None:
        """Not now: whoever asked is in the middle of something."""
        session.listens = False
        self._loop.call_soon(self._ends, session, NotHeard(reason))

    def _ends(self, session: _Session, event: Recognition | NotHeard) -> None:
        if session.number in self._sessions:
            self._forget(session)
            self._told(session, event)

    def _told(self, session: _Session, event: EarEvent) -> None:
        try:
            session.tell(event)
        except Exception:
            # One call's mistake must not make all others deaf.
            log.exception("listening in %s: a call failed on %s", self._name, type(event).__name__)

    def _forget(self, session: _Session) -> None:
        session.listens = False
        if session.deadline is not None:
            session.deadline.cancel()
            session.deadline = None
        if self._sessions.pop(session.number, None) is not None:
            self._send(Kind.CLOSE, session.number)

    def _all_fail(self, reason: str) -> None:
        for session in list(self._sessions.values()):
            self._ends(session, NotHeard(reason))
        for answer in self._checks.values():
            if not answer.done():
                answer.set_exception(RecognitionError(reason))

    def _take(self, kind: int, number: int, body: Body) -> None:
        session = self._sessions.get(number)
        match kind:
            case Kind.PONG:
                self._unanswered_since = None
            case Kind.CHECKED:
                answer = self._checks.get(number)
                if answer is not None and not answer.done():
                    answer.set_result(body)  # type: ignore[arg-type]
            case _ if session is None:
                pass  # it was closed meanwhile
            case Kind.BEGAN:
                assert isinstance(body, int)
                self._told(session, SpeechBegan(body))
            case Kind.ENDED:
                session.listens = False
                session.deadline = self._loop.call_later(
                    _RESULT_LIMIT,
                    self._ends,
                    session,
                    NotHeard(f"recognition in {self._name} took longer than {_RESULT_LIMIT:g} s"),
                )
            case Kind.HEARD:
                assert isinstance(body, Recognition)
                self._ends(session, body)
            case Kind.FAILED:
                self._ends(session, NotHeard(str(body)))

    # The process --------------------------------------------------------------------------------------

    def _absence(self) -> str:
        return f"nobody listens in {self._name}: {self._lost or 'it has not been started'}"

    async def _keep(self) -> None:
        """Read what the process tells, for ever; start another when it has ended."""
        tries = 0
        while True:
            began = self._loop.time()
            await self._read_on()
            self._ready = False
            self._lost = "the process ended and is being started again"
            self._all_fail(f"the process that listens in {self._name} ended")
            status = await self._end_process()
            log.error("listening in %s: the process ended (%s) and is started again", self._name, _cause(status))
            tries = 0 if self._loop.time() - began > _WELL_AFTER else tries
            while not self._ready:
                await asyncio.sleep(_BACK_OFF[min(tries, len(_BACK_OFF) - 1)])
                tries += 1
                try:
                    await self._started()
                except RecognitionError as error:
                    await self._end_process()
                    self._lost = str(error)
                    log.error("listening in %s: %s", self._name, error)
            log.info("listening in %s again", self._name)

    async def _started(self) -> str:
        try:
            self._process = process = await child.start(_PROGRAM, *self._arguments)
            async with asyncio.timeout(_START_LIMIT):
                kind, _, body = await _read(process)
        except (OSError, EOFError, TimeoutError) as error:
            why = "it takes too long" if isinstance(error, TimeoutError) else "see its last lines above"
            raise RecognitionError(f"the process that listens in {self._name} does not start: {why}") from error
        if kind != Kind.LOADED:
            raise RecognitionError(str(body))
        self._ready, self._lost = True, ""
        return str(body)

    async def _read_on(self) -> None:
        """Until the process has ended."""
        assert self._process is not None
        with contextlib.suppress(OSError, EOFError):
            while True:
                self._take(*await _read(self._process))

    def _pings(self) -> None:
        self._ping = None
        if not self._ready or not (self._sessions or self._unanswered_since is not None):
            return
        now = self._loop.time()
        if self._unanswered_since is None:
            self._unanswered_since = now
            self._send(Kind.PING)
        elif now - self._unanswered_since > _HUNG_AFTER and self._process is not None:
            log.error("listening in %s: the process does not answer and is ended", self._name)
            child.kill(self._process)
            return
        self._ping = self._loop.call_later(_PING_EVERY, self._pings)

    def _send(self, kind: Kind, session: int = 0, body: Body | bytes = None) -> None:
        if self._ready and self._process is not None and self._process.stdin is not None:
            # Never waits; a process that has died is found by reading.
            self._process.stdin.write(frame(kind, session, body))

    async def _end_process(self) -> int | None:
        """Kill and reap; the exit status, negative for a signal."""
        process, self._process, self._ready = self._process, None, False
        self._unanswered_since = None
        if self._ping is not None:
            self._ping.cancel()
            self._ping = None
        return None if process is None else await child.kill_and_reap(process)


def _cause(status: int | None) -> str:
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    return f"status {status}"


async def _read(process: asyncio.subprocess.Process) -> tuple[int, int, Body]:
    assert process.stdout is not None
    kind, session, size = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
    body = await process.stdout.readexactly(size)
    return kind, session, unpacked(body) if size else None
