"""The process that listens: one engine with its model of one language, for all callers who are spoken to in it.

``python -m ivr.speech.recognition.worker_process ENGINE LANGUAGE [MODEL]``. It reads frames from its input and writes
frames to its output (:mod:`ivr.speech.recognition.wire`), and ends when its input ends. One thread reads and finds
where speech begins and ends; :data:`THREADS` recognise. A recogniser that does not come back from one piece of work
for :data:`STUCK` seconds ends the process: another is started in its place.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from typing import IO, Final

from ivr.hearing import Wanted
from ivr.speech.recognition import engines
from ivr.speech.recognition.port import Recogniser, RecognitionError
from ivr.speech.recognition.session import Session
from ivr.speech.recognition.voice import Voice, VoicePool
from ivr.speech.recognition.wire import HEAD, Body, Kind, frame, unpacked

__all__ = ["STUCK", "THREADS", "main"]

THREADS: Final = 2
STUCK: Final = 20.0


class _Replies:
    """The output, for all threads."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def send(self, kind: Kind, session: int = 0, body: Body = None) -> None:
        with self._lock, contextlib.suppress(BrokenPipeError):
            self._pipe.write(frame(kind, session, body))
            self._pipe.flush()


class _Recognising(threading.Thread):
    """Takes sessions that have work, one piece of it at a time."""

    def __init__(self, ready: queue.SimpleQueue[Session]) -> None:
        super().__init__(daemon=True)
        self._ready = ready
        self.busy_since: float | None = None

    def run(self) -> None:
        while True:
            session = self._ready.get()
            self.busy_since = time.monotonic()
            session.work()
            self.busy_since = None


class _Listening:
    """Owns the sessions, by their numbers."""

    def __init__(self, recogniser: Recogniser, replies: _Replies) -> None:
        self._recogniser = recogniser
        self._replies = replies
        self._voices = VoicePool()
        self._sessions: dict[int, tuple[Session, Voice]] = {}
        self._ready: queue.SimpleQueue[Session] = queue.SimpleQueue()
        self._threads = [_Recognising(self._ready) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def take(self, kind: int, number: int, body: bytes) -> None:
        match kind:
            case Kind.SOUND:
                if number in self._sessions:
                    self._sessions[number][0].feed(body)
            case Kind.OPEN:
                wanted = unpacked(body)
                assert isinstance(wanted, Wanted)
                voice = self._voices.stream()
                session = Session(
                    wanted,
                    recogniser=self._recogniser,
                    judge=voice,
                    tell=lambda kind, body: self._replies.send(kind, number, body),
                    ready=self._ready.put,
                    idle=self._ready.empty,
                )
                self._sessions[number] = session, voice
            case Kind.CLOSE:
                if number in self._sessions:
                    session, voice = self._sessions.pop(number)
                    session.close()
                    voice.close()
            case Kind.CHECK:
                several = unpacked(body)
                assert isinstance(several, tuple)
                complaints = tuple(
                    tuple(self._recogniser.complaints(one)) for one in several if isinstance(one, Wanted)
                )
                self._replies.send(Kind.CHECKED, number, complaints)
            case Kind.PING:
                self._end_if_stuck()
                self._replies.send(Kind.PONG)

    def _end_if_stuck(self) -> None:
        now = time.monotonic()
        for thread in self._threads:
            since = thread.busy_since
            if since is not None and now - since > STUCK:
                print(f"hearing: the recogniser has not come back for {STUCK:.0f} s", file=sys.stderr, flush=True)
                os._exit(1)


def main() -> None:
    engine, language, *model = sys.argv[1:]
    # Who presses Ctrl-C ends the program; the program ends this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Signalling goes first where a core is short.
    os.nice(5)
    replies = _Replies(os.fdopen(os.dup(1), "wb"))
    # Whatever a library prints must not get between the frames.
    os.dup2(2, 1)
    try:
        recogniser = engines.load(engine, language, *model)
        _warm_up(recogniser, language)
        listening = _Listening(recogniser, replies)
    except RecognitionError as error:
        replies.send(Kind.REFUSED, 0, str(error))
        sys.exit(1)
    replies.send(Kind.LOADED, 0, recogniser.version)
    requests = sys.stdin.buffer
    while len(head := requests.read(HEAD.size)) == HEAD.size:
        kind, number, size = HEAD.unpack(head)
        listening.take(kind, number, requests.read(size))
    # Recognisers may be at work in native code.
    os._exit(0)


def _warm_up(recogniser: Recogniser, language: str) -> None:
    """The first utterance must not wait for what engines make at their first: half a second of silence."""
    with contextlib.suppress(RecognitionError):
        utterance = recogniser.utterance(Wanted(language, type="text"))
        utterance.feed(bytes(8000))
        utterance.finish()


if __name__ == "__main__":
    main()
