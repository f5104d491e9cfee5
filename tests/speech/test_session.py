"""One caller in the process that listens, with an engine that writes down what is asked of it: what it is given, and
when. The sound is a person's; the clock and the threads are the test's."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from ivr.hearing import Hypothesis, Phrase, Recognition, Wanted
from ivr.speech.recognition.session import Session
from ivr.speech.recognition.voice import VoicePool
from ivr.speech.recognition.wire import Body, Kind
from tests.peers.speakers import says

WANTED = Wanted("en", (Phrase("1", ("sales",)),), speech_timeout=0.7)
_POOL = VoicePool(1)


class Engine:
    """Understands how much sound it was given, in milliseconds."""

    version = "1"

    def __init__(self, *, streams: bool) -> None:
        self.streams = streams
        self.utterances: list[int] = []
        """Bytes that each was given."""
        self.finished: list[int] = []
        self.says: Hypothesis | None = None

    def complaints(self, wanted: Wanted) -> Sequence[str]:
        return ()

    def utterance(self, wanted: Wanted) -> _Utterance:
        self.utterances.append(0)
        return _Utterance(self, len(self.utterances) - 1)


class _Utterance:
    def __init__(self, engine: Engine, number: int) -> None:
        self._engine = engine
        self._number = number

    def feed(self, pcm: bytes) -> None:
        self._engine.utterances[self._number] += len(pcm)

    def finish(self) -> Sequence[Hypothesis]:
        heard = self._engine.utterances[self._number]
        self._engine.finished.append(heard)
        return [self._engine.says or Hypothesis(str(heard // 16), 0.8)]


class Stage:
    def __init__(self, *, streams: bool, idle: bool = True, works: bool = True, wanted: Wanted = WANTED) -> None:
        self.engine = Engine(streams=streams)
        self.told: list[tuple[Kind, Body]] = []
        self.ready: deque[Session] = deque()
        self.works = works
        self.now = 0.0
        self.session = Session(
            wanted,
            recogniser=self.engine,
            judge=_POOL.stream(),
            tell=lambda kind, body: self.told.append((kind, body)),
            ready=self.ready.append,
            idle=lambda: idle,
            clock=lambda: self.now,
        )

    def hears(self, *parts: str | float | NDArray[np.float32]) -> None:
        """Words, sound, and seconds of silence; work is done as soon as there is some."""
        for part in parts:
            if isinstance(part, np.ndarray):
                samples = part
            else:
                samples = says(part).samples if isinstance(part, str) else np.zeros(round(part * 8000), np.float32)
            pcm = (samples * 32767).astype(np.int16).tobytes()
            for at in range(0, len(pcm), 1600):
                self.session.feed(pcm[at : at + 1600])
                while self.works and self.ready:
                    self.ready.popleft().work()
                self.now += 0.1

    @property
    def kinds(self) -> list[Kind]:
        return [kind for kind, _ in self.told]

    def recognition(self) -> Recognition:
        kind, body = self.told[-1]
        assert kind == Kind.HEARD
        assert isinstance(body, Recognition)
        return body


@pytest.mark.parametrize("streams", [True, False])
def test_an_utterance(streams: bool) -> None:
    stage = Stage(streams=streams)
    stage.hears(0.5, "speak to an agent", 1.0)
    assert stage.kinds == [Kind.BEGAN, Kind.ENDED, Kind.HEARD]
    # Engines of both kinds get the same sound, once.
    assert len(stage.engine.utterances) == len(stage.engine.finished) == 1
    length = (stage.recognition().ended_ms - stage.recognition().began_ms) * 16
    assert length < stage.engine.finished[0] < length + 16 * 700


def test_what_is_heard_at_the_end_is_known_before_the_time_out_is_over() -> None:
    stage = Stage(streams=False)
    stage.hears(0.5, "speak to an agent", 0.2)
    assert stage.kinds == [Kind.BEGAN]
    stage.hears(0.2)
    assert len(stage.engine.finished) == 1
    assert stage.kinds == [Kind.BEGAN]
    stage.hears(0.8)
    assert stage.kinds == [Kind.BEGAN, Kind.ENDED, Kind.HEARD]
    assert len(stage.engine.finished) == 1
    assert stage.recognition().took_ms == 0


ORDERS = Wanted("en", (Phrase("1", ("order",)), Phrase("2", ("Order status", "returns"))), speech_timeout=0.7)


@pytest.mark.parametrize(
    ("said", "confidence", "at_once"),
    [
        ("order status", 0.95, True),
        ("returns", 0.95, True),
        ("returns", 0.8, False),  # it may have been something else
        ("order", 0.99, False),  # he may be about to say "status"
    ],
)
def test_who_has_said_all_there_is_to_say_is_not_waited_for(said: str, confidence: float, at_once: bool) -> None:
    stage = Stage(streams=False, wanted=ORDERS)
    stage.engine.says = Hypothesis(said, confidence, "2")
    # The voice ends with a fifth of a second of silence.
    stage.hears(0.5, "order status", 0.3)
    assert (Kind.HEARD in stage.kinds) == at_once
    stage.hears(0.5)
    assert stage.recognition().hypotheses[0].text == said


def without_silence(words: str) -> NDArray[np.float32]:
    samples = says(words).samples
    loud = np.flatnonzero(np.abs(samples) > 0.02)
    return samples[loud[0] : loud[-1]]


def test_who_goes_on_after_all_is_waited_for_again() -> None:
    stage = Stage(streams=False, wanted=ORDERS)
    stage.engine.says = Hypothesis("returns", 0.95, "2")
    stage.hears(0.5, without_silence("returns"), 0.3)
    # It was enough, and he speaks on: the next pause is judged by what is said by then.
    stage.engine.says = Hypothesis("returns of my order", 0.3)
    stage.hears(without_silence("of my order"), 0.5)
    assert Kind.HEARD not in stage.kinds
    stage.hears(0.5)
    assert stage.recognition().hypotheses[0].confidence == 0.3


def test_a_type_is_waited_for_however_sure_it_is() -> None:
    stage = Stage(streams=False, wanted=Wanted("en", type="digits", speech_timeout=0.7))
    stage.engine.says = Hypothesis("one two", 0.99)
    stage.hears(0.5, "one two", 0.3)
    assert Kind.HEARD not in stage.kinds


def test_a_caller_who_says_more_is_heard_anew_and_whole() -> None:
    stage = Stage(streams=False)
    stage.hears(0.5, "speak to", "somebody else", 1.0)
    first, last = stage.engine.finished
    assert last > first + 8000
    assert stage.kinds == [Kind.BEGAN, Kind.ENDED, Kind.HEARD]
    assert stage.recognition().hypotheses[0].text == str(last // 16)


def test_nobody_waits_for_a_guess() -> None:
    stage = Stage(streams=False, idle=False)
    stage.hears(0.5, "speak to", "somebody else", 1.0)
    assert len(stage.engine.finished) == 1


def test_two_short_words_are_two_utterances() -> None:
    stage = Stage(streams=False)
    engine = stage.engine
    engine.utterance = lambda wanted: _Nothing(engine)  # type: ignore[method-assign]
    stage.hears(0.5, "eight", 1.5)
    assert not stage.told
    del engine.utterance
    stage.hears("eight", 1.5)
    assert stage.kinds == [Kind.HEARD]
    assert stage.recognition().began_ms > 2000


class _Nothing(_Utterance):
    def __init__(self, engine: Engine) -> None:
        engine.utterances.append(0)
        super().__init__(engine, len(engine.utterances) - 1)

    def finish(self) -> Sequence[Hypothesis]:
        return ()


@pytest.mark.parametrize("streams", [True, False])
def test_recognition_that_cannot_keep_up_costs_this_caller(streams: bool) -> None:
    stage = Stage(streams=streams, works=False)
    stage.hears(0.5, *["I would like to speak to somebody about my bicycle"] * 3)
    assert stage.kinds == [Kind.BEGAN, Kind.FAILED]
    assert "cannot keep up: it is 3 s behind" in str(stage.told[-1][1])
    stage.hears("sales", 1.0)
    assert len(stage.told) == 2
    stage.ready.popleft().work()
    assert not stage.ready
    assert len(stage.told) == 2


def test_nothing_is_told_of_who_is_gone() -> None:
    stage = Stage(streams=True, works=False)
    stage.hears(0.5, "speak to an agent", 1.0)
    stage.told.clear()
    stage.session.close()
    stage.ready.popleft().work()
    stage.hears("sales", 1.0)
    assert not stage.told
    assert not stage.engine.finished


def test_sound_that_cannot_be_judged() -> None:
    stage = Stage(streams=True)
    stage.session._endpointer._judge = None  # type: ignore[assignment]
    stage.hears(1.0)
    assert stage.kinds == [Kind.FAILED]
