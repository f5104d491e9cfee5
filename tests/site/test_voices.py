"""Who speaks at a site: how it is written, and what is said of texts that a voice cannot speak as they ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr.flow.loader import load_flows
from ivr.site import Site, check_site, load_site
from ivr.speech.checking import VoiceCheck
from ivr.speech.voice import Voice

SITE = "numbers: {'1000': main}\nseats: {'2001': a-long-password}\n"
FLOW = """\
flow: main
languages: [%s]
start: welcome
blocks:
  welcome:
    - say: '<speak>One <break time="1s"/> <phoneme ph="x">two</phoneme> <breth/></speak>'
    - say: 'Goodbye.'
    - hangup
"""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def site(text: str) -> Site:
    Path("site.yaml").write_text(SITE + text)
    found = load_site(Path("site.yaml"), {})
    assert found.site is not None, "\n".join(map(str, found.problems))
    return found.site


def told(text: str, languages: str) -> list[str]:
    Path("flows").mkdir()
    Path("flows/main.yaml").write_text(FLOW % languages)
    one = site(text)
    problems = check_site(one, load_flows(one.flows), voices=VoiceCheck())
    return [f"{problem.code} {problem.place} {problem.message} ({problem.help})" for problem in problems]


def test_voice_rate_pitch_and_volume_are_the_sites() -> None:
    voices = site(
        "speech: {voices: {en: {voice: en-gb, rate: 120, pitch: 40, volume: 80}, de: {pitch: 60}, zh: cmn}}"
    ).voices
    assert voices == {
        "en": Voice(voice="en-gb", rate=120, pitch=40, volume=0.8),
        "de": Voice(voice="", pitch=60),
        "zh": Voice(voice="cmn"),
    }


def test_a_voice_of_piper_is_found_beside_the_site_file(tmp_path: Path) -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere/site.yaml").write_text(SITE + "speech: {voices: {en: {engine: piper, voice: voices/joe.onnx}}}")
    found = load_site(Path("elsewhere/site.yaml"), {}).site
    assert found is not None
    assert found.voices["en"] == Voice("piper", str(tmp_path / "elsewhere/voices/joe.onnx"))


def test_a_language_that_nobody_speaks_is_told_of_once() -> None:
    assert told("", "en, xx")[0] == (
        "E152 flows/main.yaml:6:7 no voice for language 'xx' (nearest: xex) (name one under voices)"
    )


def test_tags_that_a_voice_passes_over_are_told_of_where_they_stand() -> None:
    assert told("", "en, en-gb") == [
        "E152 flows/main.yaml:6:43 the voices of eSpeak NG pass over <phoneme> "
        '(write <sub alias="as it sounds">word</sub>)',
        "E152 flows/main.yaml:6:73 the voices of eSpeak NG pass over <breth> (did you mean 'break'?)",
    ]


def test_a_voice_that_reads_no_tags_says_so_once_for_a_text() -> None:
    (problem,) = told("speech: {voices: {en: {engine: 'tests.site.test_voices:Wordy', voice: anna}}}", "en")
    assert problem == "E152 flows/main.yaml:6:13 no tags, please (leave them out)"


class Wordy:
    """An engine without SSML."""

    def voices(self) -> tuple[str, ...]:
        return ("anna",)

    def prepare(self, voice: Voice) -> str:
        return "1"

    def unread(self, element: str, attributes: object) -> tuple[str, str]:
        return "no tags, please", "leave them out"
