"""The process that speaks: what calls get from it when it works, dies, hangs or is in a hurry."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from ivr.speech.voice import NothingToSay, SpeechBusy, SpeechError, SpeechTimeout, UnknownVoice, Voice
from ivr.speech.worker import SpeechWorker
from tests.speech.listening import energy

PATIENT = Voice(engine="tests.speech.engines:Patient")
DEADLY = Voice(engine="tests.speech.engines:Deadly")


@asynccontextmanager
async def working(limit: float = 10.0, waiting: int = 256) -> AsyncIterator[SpeechWorker]:
    worker = SpeechWorker(limit=limit, waiting=waiting)
    try:
        yield worker
    finally:
        await worker.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie is not alive, only not yet counted.
    return " Z " not in Path(f"/proc/{pid}/stat").read_text()


def happens(condition: Callable[[], bool], within: float = 10.0) -> bool:
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"], autouse=True)
def loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are what event loops differ in most."""
    monkeypatch.setitem(_loop, "factory", request.param)


_loop: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {}


def run(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=_loop["factory"]) as runner:
        runner.run(scenario())


def test_a_text_is_spoken() -> None:
    async def scenario() -> None:
        async with working() as worker:
            assert worker.pid is None  # nothing is started before it is needed
            clip = await worker.synthesize("Thank you for calling.", Voice())
            assert clip.name == "Thank you for calling."
            assert 800 < clip.duration_ms < 2500
            assert energy(clip, 200, 3400) > 0.6

    run(scenario)


def test_an_engine_describes_itself() -> None:
    async def scenario() -> None:
        async with working() as worker:
            assert {"en-us", "cmn", "zh", "ko", "fr"} <= await worker.voices("espeak")
            assert (await worker.prepare(Voice())).startswith("1.")
            with pytest.raises(UnknownVoice, match="no variant 'anie'"):
                await worker.prepare(Voice(voice="en+anie"))

    run(scenario)


def test_errors_come_back_as_what_they_are() -> None:
    async def scenario() -> None:
        async with working() as worker:
            with pytest.raises(NothingToSay):
                await worker.synthesize("...", Voice())
            pid = worker.pid
            with pytest.raises(UnknownVoice, match="no voice 'en-uk'"):
                await worker.synthesize("hello", Voice(voice="en-uk"))
            with pytest.raises(SpeechError, match="no speech engine 'nobody'"):
                await worker.voices("nobody")
            with pytest.raises(SpeechError, match="does not start"):
                await worker.voices("tests.speech.engines:Broken")
            assert worker.pid == pid

    run(scenario)


def test_what_an_engine_prints_is_not_taken_for_a_reply() -> None:
    async def scenario() -> None:
        async with working() as worker:
            chatty = "tests.speech.engines:Chatty"
            assert await worker.voices(chatty) == {"anna", "bruno"}
            assert (await worker.synthesize("hello", Voice(engine=chatty))).pcmu == b"hello"

    run(scenario)


def test_many_texts_at_once_each_get_their_own_sound() -> None:
    async def scenario() -> None:
        async with working() as worker:
            texts = [f"text {number}" for number in range(200)]
            clips = await asyncio.gather(*(worker.synthesize(text, PATIENT) for text in texts))
            assert [clip.pcmu.decode() for clip in clips] == texts

    run(scenario)


def test_a_process_killed_while_idle_is_replaced_unnoticed() -> None:
    async def scenario() -> None:
        async with working() as worker:
            await worker.synthesize("one", PATIENT)
            first = worker.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            assert (await worker.synthesize("two", PATIENT)).pcmu == b"two"
            assert worker.pid not in (None, first)

    run(scenario)


def test_a_process_killed_in_the_middle_starts_the_text_again() -> None:
    async def scenario() -> None:
        async with working() as worker:
            await worker.synthesize("warm", PATIENT)
            first = worker.pid
            assert first is not None
            speaking = asyncio.create_task(worker.synthesize("sleep 0.3", PATIENT))
            await asyncio.sleep(0.1)
            os.kill(first, signal.SIGKILL)
            assert (await speaking).pcmu == b"sleep 0.3"

    run(scenario)


def test_a_text_that_kills_twice_is_an_error_and_the_next_is_spoken(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with working() as worker:
            deadly, after = (
                asyncio.create_task(worker.synthesize("poison", DEADLY)),
                asyncio.create_task(worker.synthesize("after", PATIENT)),
            )
            with pytest.raises(SpeechError, match=r"died of this text \(status -9\)"):
                await deadly
            assert (await after).pcmu == b"after"
            assert (await worker.synthesize(str(tmp_path / "died once"), DEADLY)).pcmu == b"alive"

    run(scenario)


def test_a_hung_process_is_ended_and_the_next_text_is_spoken() -> None:
    async def scenario() -> None:
        async with working(limit=2.0) as worker:
            await worker.synthesize("warm", PATIENT)
            hung = worker.pid
            assert hung is not None
            with pytest.raises(SpeechTimeout, match="hung"):
                await worker.synthesize("sleep 600", PATIENT, deadline=20)
            assert not alive(hung)
            assert (await worker.synthesize("next", PATIENT)).pcmu == b"next"

    run(scenario)


def test_a_deadline_ends_the_wait_but_not_the_process() -> None:
    async def scenario() -> None:
        async with working() as worker:
            await worker.synthesize("warm", PATIENT)
            pid = worker.pid
            with pytest.raises(SpeechTimeout, match=r"within 0\.1 s"):
                await worker.synthesize("sleep 0.5", PATIENT, deadline=0.1)
            # The late sound of the first text must not be given to the second.
            assert (await worker.synthesize("second", PATIENT)).pcmu == b"second"
            assert worker.pid == pid

    run(scenario)


def test_a_caller_who_leaves_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        async with working() as worker:
            await worker.synthesize("warm", PATIENT)
            tasks = [asyncio.create_task(worker.synthesize("sleep 0.2", PATIENT)) for _ in range(50)]
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # Were the other 49 still spoken, this would take ten seconds.
            assert (await worker.synthesize("next", PATIENT, deadline=5)).pcmu == b"next"

    run(scenario)


def test_more_than_may_wait_is_refused_at_once() -> None:
    async def scenario() -> None:
        async with working(waiting=3) as worker:
            await worker.synthesize("warm", PATIENT)
            busy = asyncio.create_task(worker.synthesize("sleep 0.3", PATIENT))
            await asyncio.sleep(0.1)
            waiting = [asyncio.create_task(worker.synthesize(f"{number}", PATIENT)) for number in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(SpeechBusy, match="3 texts are waiting"):
                await worker.synthesize("one too many", PATIENT)
            await asyncio.gather(busy, *waiting)
            assert (await worker.synthesize("room again", PATIENT)).pcmu == b"room again"

    run(scenario)


def test_closing_ends_the_process_and_whoever_waits() -> None:
    async def scenario() -> None:
        worker = SpeechWorker()
        await worker.synthesize("warm", PATIENT)
        pid = worker.pid
        assert pid is not None
        tasks = [asyncio.create_task(worker.synthesize("sleep 600", PATIENT)) for _ in range(3)]
        await asyncio.sleep(0.1)
        await worker.close()
        await worker.close()
        assert not alive(pid)
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(outcome, SpeechError)
        with pytest.raises(SpeechError, match="shut down"):
            await worker.synthesize("late", PATIENT)

    run(scenario)


def test_a_process_that_does_not_start_is_an_error_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with working() as worker:
            with monkeypatch.context() as broken:
                broken.setattr(sys, "executable", "/nowhere/python")
                with pytest.raises(SpeechError, match="does not start"):
                    await worker.synthesize("hello", PATIENT)
            assert (await worker.synthesize("hello", PATIENT)).pcmu == b"hello"

    run(scenario)


def test_an_interrupt_is_not_for_the_process() -> None:
    async def scenario() -> None:
        async with working() as worker:
            await worker.synthesize("warm", PATIENT)
            pid = worker.pid
            assert pid is not None
            assert os.getpgid(pid) != os.getpgid(0)
            os.kill(pid, signal.SIGINT)
            assert (await worker.synthesize("unmoved", PATIENT)).pcmu == b"unmoved"
            assert worker.pid == pid

    run(scenario)


PROGRAM = """
import asyncio
from ivr.speech.voice import Voice
from ivr.speech.worker import SpeechWorker

async def main():
    worker = SpeechWorker()
    await worker.synthesize("warm", Voice(engine="tests.speech.engines:Patient"))
    print(worker.pid, flush=True)
    await worker.synthesize({text!r}, Voice(engine="tests.speech.engines:Patient"), deadline=600)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("text", ["idle", "sleep 600"])
def test_the_process_ends_with_a_program_that_is_killed_even_if_it_hangs(text: str) -> None:
    root = Path(__file__).parents[2]
    program = subprocess.Popen([sys.executable, "-c", PROGRAM.format(text=text)], stdout=subprocess.PIPE, cwd=root)
    assert program.stdout is not None
    try:
        pid = int(program.stdout.readline())
        time.sleep(0.2)
        assert alive(pid)
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
    assert happens(lambda: not alive(pid))


def test_the_event_loop_turns_while_texts_are_spoken() -> None:
    async def scenario() -> None:
        async with working() as worker:
            await worker.synthesize("warm", Voice())
            turns = 0

            async def turn() -> None:
                nonlocal turns
                while True:
                    await asyncio.sleep(0.005)
                    turns += 1

            turning = asyncio.create_task(turn())
            turns_between: list[int] = []
            for number in range(50):
                before = turns
                await worker.synthesize(f"You are number {number} in the queue. Please hold the line. " * 8, Voice())
                turns_between.append(turns - before)
            turning.cancel()
            # Each of these texts takes some 80 ms: a loop that waited for them would not turn at all.
            assert min(turns_between) >= 2

    run(scenario)
