"""One caller being listened to, in the process that listens: his sound cut to utterances, and what came of them.

Where speech begins and ends is found by the thread that reads (:meth:`Session.feed`), so that a prompt is cut without
waiting for anybody's recognition; recognising is the work of other threads (:meth:`Session.work`), one at a time.

An engine that does all its work at the end begins it when the caller pauses, if no other caller's work waits: when the
time-out is over and he has said no more, what he said is known already. If it is one of the phrases beyond doubt, and
no other goes on from there, the time-out is not waited for.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ivr.hearing import Hypothesis, Recognition, SpeechBegan, Wanted
from ivr.speech.recognition.endpointer import Endpointer, EndpointEvent, Judge, SpeechEnded, SpeechPaused, SpeechSound
from ivr.speech.recognition.port import Recogniser, RecognitionError, Utterance
from ivr.speech.recognition.wire import Body, Kind
from ivr.understanding.phrases import normalised

__all__ = ["Session"]

_BEHIND: Final = 3.0
"""Seconds that sound of speech may wait for its recogniser."""
_HYPOTHESES: Final = 5
_SURE: Final = 0.85
_SILENCE_IF_SURE: Final = 0.35
"""Seconds. Within a phrase people are silent for less."""


@dataclass(frozen=True, slots=True)
class _Work:
    what: EndpointEvent
    since: float


class Session:
    """Owns the caller's endpointer and his utterance. ``tell`` may be called from any thread."""

    def __init__(
        self,
        wanted: Wanted,
        *,
        recogniser: Recogniser,
        judge: Judge,
        tell: Callable[[Kind, Body], None],
        ready: Callable[[Session], None],
        idle: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``ready`` is told when there is work, and again only when that has been done. ``idle``: no work waits."""
        self._wanted = wanted
        self._recogniser = recogniser
        self._tell = tell
        self._ready = ready
        self._idle = idle
        self._clock = clock
        self._endpointer = Endpointer(
            judge, deaf_for=wanted.deaf_for, speech_timeout=wanted.speech_timeout, longest=wanted.longest
        )
        self._utterance: Utterance | None = None
        self._sound: list[bytes] = []
        """Of the utterance, for an engine that hears it at the end."""
        self._early: Sequence[Hypothesis] | None = None
        """What he said if he says no more."""
        self._lock = threading.Lock()
        self._work: deque[_Work] = deque()
        self._at_work = False
        self.over = False
        """Nothing more is told of it."""

    def feed(self, pcm: bytes) -> None:
        """Some more sound. For the thread that reads."""
        if self.over:
            return
        try:
            self._hear(pcm)
        except Exception as error:
            # One caller's sound must not end the listening to all others.
            traceback.print_exc(file=sys.stderr)
            self._fails(f"the sound could not be judged: {type(error).__name__}: {error}")

    def _hear(self, pcm: bytes) -> None:
        for event in self._endpointer.feed(pcm):
            if isinstance(event, SpeechBegan):
                self._tell(Kind.BEGAN, event.at_ms)
            else:
                if isinstance(event, SpeechEnded) and event.counts:
                    self._tell(Kind.ENDED, None)
                self._put(_Work(event, self._clock()))

    def close(self) -> None:
        with self._lock:
            self.over = True
            self._work.clear()

    def work(self) -> None:
        """Do the next piece of work. For one thread at a time."""
        with self._lock:
            work = self._work.popleft() if self._work else None
        if work is not None:
            try:
                self._do(work)
            except RecognitionError as error:
                self._fails(str(error))
            except Exception as error:
                traceback.print_exc(file=sys.stderr)
                self._fails(f"the recogniser failed: {type(error).__name__}: {error}")
        with self._lock:
            self._at_work = bool(self._work) and not self.over
            more = self._at_work
        if more:
            self._ready(self)

    def _put(self, work: _Work) -> None:
        with self._lock:
            behind = work.since - self._work[0].since if self._work else 0.0
            if behind <= _BEHIND:
                self._work.append(work)
            begin = not self._at_work
            self._at_work = True
        if behind > _BEHIND:
            self._fails(f"recognition cannot keep up: it is {behind:.0f} s behind")
        elif begin:
            self._ready(self)

    def _do(self, work: _Work) -> None:
        match work.what:
            case SpeechSound(pcm) if self._recogniser.streams:
                if self._utterance is None:
                    self._utterance = self._recogniser.utterance(self._wanted)
                self._utterance.feed(pcm)
            case SpeechSound(pcm):
                self._sound.append(pcm)
                self._early = None
            case SpeechPaused(pause) if not self._recogniser.streams and self._idle():
                self._early = self._finished()
                if self._is_sure(self._early):
                    self._endpointer.enough(pause, _SILENCE_IF_SURE)
            case SpeechEnded() as ended:
                hypotheses = self._finished() if self._early is None else self._early
                self._utterance, self._early = None, None
                self._sound.clear()
                # Of a short noise that means nothing nobody need know.
                if ended.counts or hypotheses:
                    heard = _from_the_start(hypotheses[:_HYPOTHESES], ended.sound_from_ms)
                    took = round((self._clock() - work.since) * 1000)
                    self._ends(Kind.HEARD, Recognition(heard, ended.began_ms, ended.ended_ms, took))

    def _is_sure(self, hypotheses: Sequence[Hypothesis]) -> bool:
        """Whether more of it could only be something else than the caller was asked for."""
        wanted = self._wanted
        if wanted.type is not None or not hypotheses or hypotheses[0].confidence < _SURE:
            return False
        said = _words(hypotheses[0].text, wanted)
        forms = [_words(form, wanted) for phrase in wanted.phrases for form in phrase.forms]
        return not any(len(form) > len(said) and form[: len(said)] == said for form in forms)

    def _finished(self) -> Sequence[Hypothesis]:
        utterance = self._utterance
        if utterance is None:
            utterance = self._recogniser.utterance(self._wanted)
            utterance.feed(b"".join(self._sound))
        return utterance.finish()

    def _fails(self, reason: str) -> None:
        self._ends(Kind.FAILED, reason)

    def _ends(self, kind: Kind, body: Body) -> None:
        with self._lock:
            over, self.over = self.over, True
            self._work.clear()
        if not over:
            self._tell(kind, body)


def _words(text: str, wanted: Wanted) -> list[str]:
    return normalised(text, wanted.language).split()


def _from_the_start(hypotheses: Sequence[Hypothesis], ms: int) -> tuple[Hypothesis, ...]:
    """Times of words from the start of listening, not of the utterance."""
    return tuple(
        replace(
            one,
            words=tuple(replace(word, start_ms=word.start_ms + ms, end_ms=word.end_ms + ms) for word in one.words),
        )
        for one in hypotheses
    )
