"""Where speech begins and ends: people of other voices than the program's own, and everything that is no speech."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ivr.hearing import SpeechBegan
from ivr.speech.recognition.endpointer import Endpointer, EndpointEvent, SpeechEnded, SpeechSound
from ivr.speech.recognition.key_tones import is_key_tone
from ivr.speech.recognition.voice import VoicePool
from tests.media.spectrum import RATE, key_tones, sine
from tests.peers.speakers import VOICES, Voice, says
from tests.peers.speech import spoken

Line = NDArray[np.floating[Any]]
KEYS = {"1": (697, 1209), "5": (770, 1336), "#": (941, 1477), "D": (941, 1633)}
SENTENCE = "I would like to speak to somebody please"

_POOL = VoicePool(1)


def hears(
    line: Line, *, chunk: int = 1600, deaf_for: float = 0.0, speech_timeout: float = 0.6, longest: float = 15.0
) -> list[EndpointEvent]:
    """All that is told of the line, which is fed in chunks of so many bytes."""
    voice = _POOL.stream()
    endpointer = Endpointer(voice, deaf_for=deaf_for, speech_timeout=speech_timeout, longest=longest)
    pcm = (np.clip(line, -1, 1) * 32767).astype(np.int16).tobytes()
    told = [event for at in range(0, len(pcm), chunk) for event in endpointer.feed(pcm[at : at + chunk])]
    voice.close()
    return told


def words(told: list[EndpointEvent]) -> list[SpeechBegan | SpeechEnded]:
    return [event for event in told if isinstance(event, SpeechBegan | SpeechEnded)]


def sound(told: list[EndpointEvent]) -> Line:
    pcm = b"".join(event.pcm for event in told if isinstance(event, SpeechSound))
    return np.frombuffer(pcm, np.int16).astype(np.float32) / 32767


def line(*parts: Line | float) -> Line:
    """Sounds, and seconds of silence between them."""
    return np.concatenate(
        [np.zeros(round(part * RATE), np.float32) if isinstance(part, float) else part for part in parts]
    )


def speech(text: str, voice: Voice = "slt") -> Line:
    """Without the silence that the voice puts around it."""
    samples = says(text, voice).samples
    loud = np.flatnonzero(np.abs(samples) > 0.05 * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1]


def louder(sound: Line, db: float) -> Line:
    return (sound * 10 ** (db / 20)).astype(np.float32)


@cache
def prompt() -> Line:
    return line(
        0.2,
        spoken("Welcome to the bicycle shop. For opening hours, press one. For sales, press two.").samples,
        0.4,
        spoken("To speak to somebody, press four, or say agent.").samples,
    )


def tones(*frequencies: float, seconds: float = 3.0, peak: int = 8000) -> Line:
    return (
        sum((sine(hz, round(seconds * 1000), peak=peak) for hz in frequencies), np.zeros(1)).astype(np.float32) / 32768
    )


# People. --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("voice", VOICES)
def test_a_sentence(voice: Voice) -> None:
    said = speech(SENTENCE, voice)
    told = hears(line(1.0, said, 1.5))
    began, ended = words(told)
    assert isinstance(began, SpeechBegan)
    assert isinstance(ended, SpeechEnded)
    assert ended.counts
    assert began.at_ms == ended.began_ms == pytest.approx(1000, abs=200)
    assert ended.ended_ms == pytest.approx(1000 + len(said) / 8, abs=150)
    # All of it reaches the recogniser, and what is before the beginning.
    assert ended.sound_from_ms <= ended.began_ms - 200
    heard = sound(told)
    at = round((1.0 - ended.sound_from_ms / 1000) * RATE)
    assert np.abs(heard[at : at + len(said)] - said).max() < 1e-3


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("word", ["yes", "no", "two", "eight", "sales"])
def test_a_short_word_is_an_utterance(word: str, voice: Voice) -> None:
    ended = words(hears(line(0.5, speech(word, voice), 1.5)))[-1]
    assert isinstance(ended, SpeechEnded)
    assert ended.began_ms >= 400


def test_speech_begins_before_it_is_over_and_ends_after_the_silence() -> None:
    said = speech(SENTENCE)
    whole = line(0.5, said, 3.0)
    voice = _POOL.stream()
    endpointer = Endpointer(voice, deaf_for=0, speech_timeout=0.5, longest=15)
    pcm = (whole * 32767).astype(np.int16).tobytes()
    came: dict[type, float] = {}
    for at in range(0, len(pcm), 320):
        for event in endpointer.feed(pcm[at : at + 320]):
            came.setdefault(type(event), at / 16000 + 0.02)
    voice.close()
    assert came[SpeechBegan] == pytest.approx(0.5 + 0.25, abs=0.25)
    assert came[SpeechEnded] == pytest.approx(0.5 + len(said) / RATE + 0.5, abs=0.2)
    assert endpointer.over


def test_a_pause_within_the_time_out_is_part_of_it() -> None:
    said = line(0.5, speech("one two three"), 0.5, speech("four five six"), 2.0)
    assert len(words(hears(said, speech_timeout=0.9))) == 2
    ended = words(hears(said, speech_timeout=0.3))[-1]
    assert isinstance(ended, SpeechEnded)
    assert ended.ended_ms < 2500


@pytest.mark.parametrize("quieter", [-6, -10, -14])
def test_a_quiet_caller(quieter: float) -> None:
    assert isinstance(words(hears(line(0.5, louder(speech(SENTENCE), quieter), 1.5)))[0], SpeechBegan)


def test_a_caller_who_shouts_so_that_it_clips() -> None:
    began, ended = words(hears(line(0.5, louder(speech(SENTENCE), 40), 1.5)))
    assert isinstance(began, SpeechBegan)
    assert isinstance(ended, SpeechEnded)


@pytest.mark.parametrize("below", [10, 20])
def test_a_noisy_line(below: float) -> None:
    said = line(2.0, speech(SENTENCE, "rms"), 2.0)
    noise = np.random.default_rng(1).normal(0, 10 ** ((-26 - below) / 20), len(said))
    began, ended = words(hears((said + noise).astype(np.float32)))
    assert isinstance(began, SpeechBegan)
    assert isinstance(ended, SpeechEnded)
    assert ended.began_ms >= 1900


def test_ten_minutes_without_a_breath_are_cut() -> None:
    endless = np.tile(speech(SENTENCE), 300)[: 600 * RATE]
    told = hears(endless, longest=4.0)
    began, ended = words(told)
    assert isinstance(began, SpeechBegan)
    assert isinstance(ended, SpeechEnded)
    assert ended.ended_ms - ended.began_ms <= 4100
    assert len(sound(told)) <= 4.5 * RATE


def test_speech_that_is_not_enough_keeps_nothing() -> None:
    """Bits of voice for ever, never enough of them to count: what is kept of it has an end."""

    class Now:
        at = 0

        def probability(self, pcm: bytes, samples: Line) -> float:
            self.at += 1
            return float(self.at % 8 == 0)

    endpointer = Endpointer(Now(), deaf_for=0, speech_timeout=0.7, longest=3.0)
    noise = (louder(np.random.default_rng(1).normal(0, 1, 60 * RATE).astype(np.float32), -20) * 32767).astype(np.int16)
    told = list(endpointer.feed(noise.tobytes()))
    assert len(endpointer._kept) < 110
    assert not any(isinstance(event, SpeechBegan) for event in told)


# No people. -----------------------------------------------------------------------------------------------


def _music() -> Line:
    """Chords with attack and decay, a beat under them."""
    chance = np.random.default_rng(3)
    bars = []
    for root in (220, 262, 196, 247) * 3:
        when = np.arange(RATE // 2) / RATE
        chord = sum(np.sin(2 * np.pi * root * ratio * when) for ratio in (1, 1.25, 1.5, 2, 3))
        drum = chance.normal(0, 1, len(when)) * np.exp(-40 * when)
        bars.append(0.06 * chord * np.exp(-3 * when) + 0.1 * drum)
    return np.concatenate(bars).astype(np.float32)


def _clicks() -> Line:
    line = np.zeros(5 * RATE, np.float32)
    line[::2000] = 0.9
    return line


NO_SPEECH = {
    "silence": lambda: np.zeros(5 * RATE, np.float32),
    "comfort noise": lambda: np.random.default_rng(1).normal(0, 1e-3, 5 * RATE).astype(np.float32),
    "loud noise": lambda: np.random.default_rng(1).normal(0, 0.03, 5 * RATE).astype(np.float32),
    "dial tone": lambda: tones(350, 440),
    "ring-back tone": lambda: tones(440, 480),
    "busy": lambda: np.tile(line(tones(480, 620, seconds=0.5), 0.5), 5),
    "fax": lambda: tones(1100),
    "hum": lambda: tones(50, 100, 150),
    "music": _music,
    "clicks": _clicks,
    "a constant": lambda: np.full(3 * RATE, 0.5, np.float32),
    "full scale": lambda: np.sign(tones(150)).astype(np.float32),
}


@pytest.mark.parametrize("what", NO_SPEECH)
def test_what_is_no_speech(what: str) -> None:
    assert not words(hears(NO_SPEECH[what]()))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("ms", [40, 100, 2000])
def test_keys_are_no_speech(key: str, ms: int) -> None:
    presses = np.tile(line(key_tones(*KEYS[key], ms).astype(np.float32) / 32768, 0.15), 4)
    assert not words(hears(line(0.5, presses, 1.0)))


def test_a_key_within_speech_does_not_reach_the_recogniser() -> None:
    key = key_tones(*KEYS["5"], 200).astype(np.float32) / 32768
    told = hears(line(0.5, speech("one two three"), key, speech("four five six"), 1.0))
    heard = sound(told) * 32768
    assert len(heard) > 2 * RATE
    windows = [heard[at : at + 256] for at in range(0, len(heard) - 255, 32)]
    assert not any(is_key_tone(window.astype(np.float32)) for window in windows)


@pytest.mark.parametrize("voice", VOICES)
def test_speech_is_no_key(voice: Voice) -> None:
    said = says("nineteen eighty four, my number is oh two five six eight seven", voice).samples * 32768
    assert not any(is_key_tone(said[at : at + 256].astype(np.float32)) for at in range(0, len(said) - 255, 64))


# Our own prompt. ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [20, 25, 30, 40])
def test_the_echo_of_a_prompt_does_not_cut_it(loss: float) -> None:
    told = words(hears(louder(prompt(), -loss), deaf_for=0.3))
    assert not any(isinstance(event, SpeechBegan) for event in told)


@pytest.mark.parametrize("loss", [20, 30, 40])
@pytest.mark.parametrize("at", [1.0, 3.0])
def test_a_caller_speaks_over_the_echo(loss: float, at: float) -> None:
    echo, said, start = louder(prompt(), -loss), speech(SENTENCE, "rms"), round(at * RATE)
    mixed = echo[: start + len(said)].copy()
    mixed[start : start + len(said)] += said
    told = words(hears(line(mixed, 1.0), deaf_for=0.3))
    assert any(isinstance(event, SpeechBegan) for event in told)


def test_nothing_counts_while_deaf() -> None:
    said = speech(SENTENCE)
    began = words(hears(line(said, 1.0), deaf_for=1.0))[0]
    assert isinstance(began, SpeechBegan)
    assert began.at_ms >= 1000
    assert not words(hears(line(said, 1.0), deaf_for=10.0))


# Any way that the sound may come. -------------------------------------------------------------------------


@cache
def _any_line() -> Line:
    key = key_tones(*KEYS["1"], 90).astype(np.float32) / 32768
    noise = np.random.default_rng(2).normal(0, 0.002, 5 * RATE).astype(np.float32)
    whole = line(0.3, speech("no", "awb"), 1.0, key, 0.3, speech("speak to an agent", "kal16"), 1.0)
    return whole + noise[: len(whole)]


@settings(deadline=None, max_examples=15)
@given(sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=5))
def test_pieces_of_any_size_make_no_difference(sizes: list[int]) -> None:
    whole = _any_line()
    pcm = (whole * 32767).astype(np.int16).tobytes()

    def cut() -> Iterator[bytes]:
        at, turn = 0, 0
        while at < len(pcm):
            size = sizes[turn % len(sizes)] + 200
            yield pcm[at : at + size]
            at, turn = at + size, turn + 1

    voice = _POOL.stream()
    endpointer = Endpointer(voice, deaf_for=0.1, speech_timeout=0.6, longest=15)
    told = [event for piece in cut() for event in endpointer.feed(piece)]
    voice.close()
    assert told == hears(whole, deaf_for=0.1)


@settings(deadline=None, max_examples=30)
@given(pcm=st.binary(max_size=20_000), longest=st.floats(0.0, 3.0), timeout=st.floats(0.0, 2.0))
def test_any_bytes(pcm: bytes, longest: float, timeout: float) -> None:
    voice = _POOL.stream()
    endpointer = Endpointer(voice, deaf_for=0, speech_timeout=timeout, longest=longest)
    told = list(endpointer.feed(pcm * 3))
    voice.close()
    assert sum(isinstance(event, SpeechBegan) for event in told) <= 1
    for event in told:
        if isinstance(event, SpeechEnded):
            assert 0 <= event.sound_from_ms <= event.began_ms < event.ended_ms


def test_streams_that_share_a_judge_know_nothing_of_each_other() -> None:
    first = hears(_any_line())
    hears(louder(speech(SENTENCE), 20))
    assert hears(_any_line()) == first
