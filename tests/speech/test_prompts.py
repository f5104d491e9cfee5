"""What a live call asks for: prompts made ready before, texts as they come, hold music."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gateway.call import Clip
from ivr.speech.cache import SpeechCache
from ivr.speech.prompts import PromptItem, PromptLibrary
from ivr.speech.recordings import RecordingError, RecordingLibrary
from ivr.speech.voice import SpeechError, SpeechTimeout, UnknownVoice, Voice
from ivr.speech.worker import SpeechWorker
from tests.speech.listening import energy, level, peak, samples, tone


class CountingWorker(SpeechWorker):
    """Remembers what it was asked to speak."""

    def __init__(self) -> None:
        super().__init__()
        self.spoken: list[str] = []

    async def synthesize(self, text: str, voice: Voice, *, ssml: bool = False, deadline: float = 10.0) -> Clip:
        self.spoken.append(text)
        return await super().synthesize(text, voice, ssml=ssml, deadline=deadline)


class NoWorker(CountingWorker):
    """The speech process is out of order."""

    async def voices(self, engine: str) -> frozenset[str]:
        raise SpeechError("the speech process does not start: no such luck")


@asynccontextmanager
async def site(
    folder: Path, worker: CountingWorker | None = None, voices: dict[str, Voice] | None = None
) -> AsyncIterator[tuple[PromptLibrary, CountingWorker]]:
    worker = worker or CountingWorker()
    library = PromptLibrary(RecordingLibrary(folder / "prompts"), worker, SpeechCache(folder / "cache"), voices=voices)
    try:
        yield library, worker
    finally:
        await library.close()
        await worker.close()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario()

    asyncio.run(main())


def record(path: Path, frequency: float = 1000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(frequency, 0.5, 16000), 16000)


ITEMS: list[PromptItem] = [
    ("recording", "welcome", "en"),
    ("text", "For sales, press one.", "en"),
    ("text", "销售请按一。", "zh"),
    ("text", "For sales, press one.", "en"),
]


def test_preloaded_prompts_are_there_at_once_and_again_after_a_restart(tmp_path: Path) -> None:
    record(tmp_path / "prompts" / "en" / "welcome.wav")
    steps: list[tuple[int, int]] = []

    async def first_start() -> None:
        async with site(tmp_path) as (library, worker):
            assert library.get(language="en", recording="welcome") is None
            prepared = await library.preload(ITEMS, lambda done, of: steps.append((done, of)))
            assert prepared.problems == ()
            welcome = library.get(language="en", recording="welcome")
            sales = library.get(language="en", text="For sales, press one.")
            assert welcome is not None
            assert welcome.duration_ms == 500
            assert sales is not None
            assert sales.duration_ms > 800
            assert library.get(language="zh", text="销售请按一。") is not None
            assert library.get(language="zh", text="For sales, press one.") is None
            assert sorted(worker.spoken) == ["For sales, press one.", "销售请按一。"]

    async def second_start() -> None:
        async with site(tmp_path) as (library, worker):
            await library.preload(ITEMS)
            assert library.get(language="en", text="For sales, press one.") is not None
            assert worker.spoken == []

    run(first_start)
    # Three prompts and the hold music.
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    run(second_start)


def test_every_bad_prompt_is_reported_and_the_set_before_stays(tmp_path: Path) -> None:
    record(tmp_path / "prompts" / "en" / "welcome.wav")
    record(tmp_path / "prompts" / "en" / "closed.wav")
    (tmp_path / "prompts" / "en" / "broken.wav").write_text("not a sound")

    async def scenario() -> None:
        async with site(tmp_path) as (library, _):
            await library.preload([("recording", "welcome", "en")])
            bad = await library.preload(
                [
                    ("recording", "closed", "en"),
                    ("recording", "gone", "en"),
                    ("recording", "broken", "en"),
                    ("recording", "../../etc", "en"),
                    ("text", "...", "en"),
                    ("text", "nuqneH", "xx"),
                    ("music", "jazz", ""),
                ]
            )
            assert [(problem.item[1], problem.message.partition(" (")[0]) for problem in bad.problems] == [
                ("gone", "recording 'gone' is missing"),
                ("broken", f"{tmp_path}/prompts/en/broken.wav: not a sound file"),
                ("../../etc", f"'../../etc' is no name of a recording: it leaves {tmp_path}/prompts"),
                ("...", "voice en-us has no sound for the text '...'"),
                ("nuqneH", "no voice for language 'xx'"),
                ("jazz", "recording 'music/jazz' is missing"),
            ]
            assert library.get(language="en", recording="welcome") is not None
            assert library.get(language="en", recording="closed") is None

    run(scenario)


def test_a_reload_brings_the_new_take_and_leaves_running_calls_theirs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as (library, _):
            record(tmp_path / "prompts" / "en" / "welcome.wav", 500)
            record(tmp_path / "prompts" / "en" / "old.wav", 500)
            await library.preload([("recording", "welcome", "en"), ("recording", "old", "en")])
            record(tmp_path / "prompts" / "en" / "welcome.wav", 1000)
            await library.preload([("recording", "welcome", "en")])
            welcome = library.get(language="en", recording="welcome")
            assert welcome is not None
            assert energy(welcome, 900, 1100) > 0.9
            assert library.get(language="en", recording="old") is not None

    run(scenario)


def test_a_text_as_it_comes_is_spoken_once_for_all_who_ask(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as (library, worker):
            text = "You are number four in the queue."
            clips = await asyncio.gather(*(library.speak(text, "en") for _ in range(20)))
            assert len({id(clip) for clip in clips}) == 1
            assert await library.speak(text, "en") is clips[0]
            assert worker.spoken == [text]
            assert (await library.speak(text, "en-GB")).pcmu != clips[0].pcmu

    run(scenario)


def test_one_caller_who_leaves_does_not_take_the_text_from_the_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as (library, worker):
            await library.start()
            first = asyncio.create_task(library.speak("Your balance is ten dollars.", "en"))
            second = asyncio.create_task(library.speak("Your balance is ten dollars.", "en"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            first.cancel()
            assert (await second).duration_ms > 800
            assert len(worker.spoken) == 1

    run(scenario)


def test_a_caller_waits_no_longer_than_his_deadline(tmp_path: Path) -> None:
    async def scenario() -> None:
        slow = {"en": Voice(engine="tests.speech.engines:Patient")}
        async with site(tmp_path, voices=slow) as (library, _):
            await library.speak("warm", "en")
            with pytest.raises(SpeechTimeout, match=r"within 0\.1 s"):
                await library.speak("sleep 0.4", "en", deadline=0.1)
            # It is finished nevertheless, and there for the next who asks.
            assert (await library.speak("sleep 0.4", "en", deadline=5)).pcmu == b"sleep 0.4"

    run(scenario)


@pytest.mark.parametrize("text", ["", " ", "..."])
def test_a_text_with_nothing_in_it_is_a_moment_of_silence(tmp_path: Path, text: str) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as (library, _):
            clip = await library.speak(text, "en")
            assert clip.duration_ms == 20
            assert not samples(clip).any()

    run(scenario)


def test_a_long_text_comes_sentence_by_sentence(tmp_path: Path) -> None:
    async def scenario() -> None:
        text = "Your order is ready. You can collect it until six. Goodbye."
        async with site(tmp_path) as (library, worker):
            clips = []
            async for clip in library.speak_on(text, "en"):
                clips.append(clip)
                # What has come is not waiting for what is to come.
                assert len(worker.spoken) == len(clips)
            assert worker.spoken == ["Your order is ready.", "You can collect it until six.", "Goodbye."]
            whole = await library.speak(text, "en")
            assert sum(clip.duration_ms for clip in clips) == pytest.approx(whole.duration_ms, abs=300)
            await library.preload([("text", text, "en")])
            assert [clip async for clip in library.speak_on(text, "en")] == [whole]

    run(scenario)


def test_a_document_is_another_prompt_than_the_same_text(tmp_path: Path) -> None:
    async def scenario() -> None:
        text = "<speak>One <break time='2s'/> two.</speak>"
        async with site(tmp_path) as (library, worker):
            prepared = await library.preload([("ssml", text, "en"), ("text", text, "en")])
            assert not prepared.problems
            assert prepared.clips["ssml", text, "en"] != prepared.clips["text", text, "en"]
            assert await library.speak(text, "en", ssml=True) is prepared.clips["ssml", text, "en"]
            assert len(worker.spoken) == 2

    run(scenario)


def test_a_sites_own_voices_speak(tmp_path: Path) -> None:
    async def scenario() -> None:
        text = "one two three four five six seven"
        async with site(tmp_path, voices={"en": Voice(rate=300)}) as (library, _):
            fast = await library.speak(text, "en-US")
        async with site(tmp_path) as (library, _):
            usual = await library.speak(text, "en-US")
        assert usual.duration_ms > 1.5 * fast.duration_ms

    run(scenario)


def test_the_usual_voice_speaks_as_fast_as_a_site_says(tmp_path: Path) -> None:
    async def scenario() -> None:
        text = "one two three four five six seven"
        worker = CountingWorker()
        library = PromptLibrary(RecordingLibrary(tmp_path), worker, voices={"en": Voice(voice="", rate=300)})
        try:
            fast, usual = await library.speak(text, "en-GB"), await library.speak(text, "de")
        finally:
            await library.close()
            await worker.close()
        assert usual.duration_ms > 1.5 * fast.duration_ms

    run(scenario)


def test_a_voice_nobody_knows_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path, voices={"en": Voice(voice="en-uk")}) as (library, _):
            prepared = await library.preload([("text", "hello", "en")])
            (problem,) = prepared.problems
            assert "has no voice 'en-uk' (nearest: en-u" in problem.message
            with pytest.raises(UnknownVoice):
                await library.speak("hello", "en")

    run(scenario)


def test_without_a_speech_process_recordings_and_music_still_play(tmp_path: Path) -> None:
    record(tmp_path / "prompts" / "en" / "welcome.wav")

    async def scenario() -> None:
        async with site(tmp_path, NoWorker()) as (library, _):
            assert not (await library.preload([("recording", "welcome", "en")])).problems
            assert library.get(language="en", recording="welcome") is not None
            assert library.music().duration_ms >= 20_000
            prepared = await library.preload([("text", "one", "en"), ("text", "two", "en")])
            assert ["no such luck" in problem.message for problem in prepared.problems] == [True, True]

    run(scenario)


def test_the_event_loop_turns_while_prompts_are_made_ready(tmp_path: Path) -> None:
    rate = 44100
    (tmp_path / "prompts").mkdir()
    for number in range(3):
        soundfile.write(tmp_path / "prompts" / f"long{number}.wav", tone(440, 60, rate), rate)
    items: list[PromptItem] = [("text", f"You are number {number} in the queue.", "en") for number in range(50)]
    items += [("recording", f"long{number}", "en") for number in range(3)]

    async def scenario() -> None:
        async with site(tmp_path) as (library, _):
            await library.start()
            loop = asyncio.get_running_loop()
            lags: list[float] = []

            async def tick() -> None:
                while True:
                    before = loop.time()
                    await asyncio.sleep(0.005)
                    lags.append(loop.time() - before - 0.005)

            ticking = asyncio.create_task(tick())
            assert not (await library.preload(items)).problems
            ticking.cancel()
            assert len(lags) > 20
            # Of a machine that is busy with other things, a few ticks may be late.
            assert sum(lag > 0.05 for lag in lags) <= len(lags) // 50

    run(scenario)


def test_the_music_that_needs_no_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as (library, _):
            with pytest.raises(RecordingError, match="not preloaded"):
                library.music()
            await library.preload([])
            music = library.music()
            assert music.duration_ms >= 20_000
            assert -30 < level(music) < -24
            assert peak(music) < -12
            assert energy(music, 150, 3400) > 0.99
            sound = samples(music)
            # No seam where the loop begins again: no step larger than the music itself makes.
            assert abs(sound[0] - sound[-1]) <= np.abs(np.diff(sound)).max()

    run(scenario)


def test_a_file_takes_the_place_of_the_music(tmp_path: Path) -> None:
    record(tmp_path / "prompts" / "music" / "default.wav", 700)
    record(tmp_path / "prompts" / "music" / "jazz.wav", 900)

    async def scenario() -> None:
        async with site(tmp_path) as (library, _):
            await library.preload([("music", "jazz", "")])
            assert energy(library.music(), 650, 750) > 0.9
            assert energy(library.music("jazz"), 850, 950) > 0.9

    run(scenario)
