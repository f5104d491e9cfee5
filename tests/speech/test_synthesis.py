"""What the engine's clips sound like on a telephone."""

from __future__ import annotations

import re

import pytest

from ivr.speech.synthesis import EspeakSynthesizer, create
from ivr.speech.voice import NothingToSay, SpeechError, UnknownVoice, Voice, spoken_by, usual_voice
from tests.speech.listening import energy, level, peak, silence_after, silence_before

TEXTS = {
    "en-us": "Thank you for calling. For sales, press one. For support, press two.",
    "en-gb": "Yes.",
    "cmn": "您好，欢迎致电。销售请按一。",
    "ko": "전화해 주셔서 감사합니다. 상담원 연결은 일 번을 눌러 주세요.",
    "ja": "おでんわありがとうございます。",
    "de": "Vielen Dank für Ihren Anruf.",
    "fr-fr": "Merci de votre appel.",
    "es": "Gracias por su llamada.",
    "ru": "Спасибо за звонок.",
    "ar": "شكرا لاتصالك",
    "hi": "कॉल करने के लिए धन्यवाद",
    "vi": "Cảm ơn bạn đã gọi.",
}


@pytest.fixture(scope="module")
def espeak() -> EspeakSynthesizer:
    return EspeakSynthesizer()


@pytest.mark.parametrize("voice", TEXTS)
def test_speech_has_the_telephones_level_and_band_and_comes_at_once(espeak: EspeakSynthesizer, voice: str) -> None:
    clip = espeak.render(TEXTS[voice], Voice(voice=voice))
    assert clip.name == TEXTS[voice][:60]
    assert 300 < clip.duration_ms < 12_000
    assert -24 < level(clip) < -18.5
    assert peak(clip) < -3
    assert silence_before(clip) <= 50
    assert 50 < silence_after(clip) < 300
    assert energy(clip, 200, 3400) > 0.6
    assert energy(clip, 0, 60) < 0.01
    # The last hertz below 4,000 belong to the filter.
    assert energy(clip, 3850, 4001) < 0.01


def test_volume_is_heard_and_does_not_change_the_length(espeak: EspeakSynthesizer) -> None:
    loud, soft = (espeak.render(TEXTS["en-us"], Voice(volume=volume)) for volume in (1.0, 0.5))
    assert level(loud) - level(soft) == pytest.approx(6, abs=0.7)
    assert abs(loud.duration_ms - soft.duration_ms) < 60


def test_two_hundred_prompts_of_one_process_each_have_their_own_voice_and_rate(espeak: EspeakSynthesizer) -> None:
    voices = [Voice(voice=name, rate=rate) for name in ("en-us", "en-us+f3", "de", "ko") for rate in (100, 300)]
    words = "one two three four five six seven eight nine ten"
    expected = {voice: espeak.render(words, voice).duration_ms for voice in voices}
    for number in range(200):
        voice = voices[number * 7 % len(voices)]
        # Another text in between, as a call centre would have it.
        espeak.render(f"You are number {number} in the queue.", voices[number % len(voices)])
        assert espeak.render(words, voice).duration_ms == pytest.approx(expected[voice], abs=100)
    for name in ("en-us", "de", "ko"):
        slow, fast = (expected[Voice(voice=name, rate=rate)] for rate in (100, 300))
        assert slow > 2 * fast


@pytest.mark.parametrize("text", ["", "   \n", "...", "---"])
def test_nothing_to_say_is_said_so(espeak: EspeakSynthesizer, text: str) -> None:
    with pytest.raises(NothingToSay):
        espeak.render(text, Voice())


def test_errors_name_what_is_wrong_and_the_next_text_is_spoken(espeak: EspeakSynthesizer) -> None:
    with pytest.raises(UnknownVoice, match=r"no voice 'en-uk' .*en-u"):
        espeak.render("hello", Voice(voice="en-uk"))
    with pytest.raises(UnknownVoice, match=r"no variant 'anie' .*Annie"):
        espeak.render("hello", Voice(voice="en-us+anie"))
    with pytest.raises(SpeechError, match="5001 characters"):
        espeak.render("a" * 5001, Voice())
    assert espeak.render("hello", Voice()).duration_ms > 300


@pytest.mark.parametrize(
    "text", ["\x00\x01\x02 hello", "\ud800 hello", "😀 hello", "[[h@l'oU]] hello", "<b>hello", "a" * 500]
)
def test_odd_texts_are_spoken(espeak: EspeakSynthesizer, text: str) -> None:
    assert espeak.render(text, Voice()).duration_ms > 300


def test_an_engine_is_known_by_name_or_by_place() -> None:
    assert create("espeak").prepare(Voice()).startswith("1.")
    assert create("tests.speech.engines:Patient").prepare(Voice()) == "1"
    with pytest.raises(SpeechError, match=r"no speech engine 'festival'; there are espeak"):
        create("festival")
    with pytest.raises(SpeechError, match="does not load: No module named 'nowhere'"):
        create("nowhere:Engine")
    with pytest.raises(SpeechError, match=r"does not start: libvoice\.so\.3"):
        create("tests.speech.engines:Broken")


LANGUAGES = """
    af ar az be bg bn bs ca cs cy da de el en en-AU en-GB en-US eo es es-MX es-419 et eu fa fi fr fr-BE fr-CA fr-CH ga
    gu he hi hr hu hy id is it iw ja ka kk kn ko lt lv mk ml mr ms mt nb ne nl nn no pa pl pt pt-BR ro ru sk sl sq sr
    sv sw ta te th tr uk ur uz vi vi-VN yue zh zh-CN zh-HK zh-TW zh-Hant-TW zh_CN
"""


@pytest.mark.parametrize("language", LANGUAGES.split())
def test_languages_have_a_voice_without_being_configured(espeak: EspeakSynthesizer, language: str) -> None:
    assert usual_voice(language, espeak.voices()).voice in espeak.voices()


def test_the_usual_voices(espeak: EspeakSynthesizer) -> None:
    known = espeak.voices()
    chosen = {
        code: usual_voice(code, known).voice for code in ("en", "EN-gb", "zh", "zh-TW", "zh-HK", "ko", "fr", "pt-BR")
    }
    assert chosen == {
        "en": "en-us",
        "EN-gb": "en-gb",
        "zh": "cmn",
        "zh-TW": "cmn",
        "zh-HK": "yue",
        "ko": "ko",
        "fr": "fr",
        "pt-BR": "pt-br",
    }
    with pytest.raises(UnknownVoice, match="no voice for language 'xx'"):
        usual_voice("xx", known)


def test_a_sites_voices_go_by_the_nearest_code() -> None:
    british, mandarin = Voice(voice="en-gb"), Voice(voice="cmn", rate=120)
    site = {"en_GB": british, "zh": mandarin}
    assert spoken_by("en-gb", site, ()) == british
    assert spoken_by("zh-TW", site, ()) == mandarin
    assert spoken_by("en", site, {"en-us"}) == Voice()
    assert spoken_by("de-AT", {"de": Voice(voice="", rate=120, pitch=60)}, {"de"}) == Voice(
        "espeak", "de", 120, pitch=60
    )
    with pytest.raises(UnknownVoice, match="engine piper has no voice of its own for 'en'"):
        spoken_by("en", {"en": Voice("piper", "")}, {"en-us"})


@pytest.mark.parametrize("wrong", [{"rate": 79}, {"rate": 451}, {"volume": 1.1}, {"pitch": 100}])
def test_a_voice_has_limits(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="voice"):
        Voice(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("document", "like"),
    [
        ("one <break time='2s'/> two", 1.9),
        ("<prosody rate='50%'>one two three four</prosody>", 0.7),
        ("<sub alias='one two three four five six'>x</sub>", 1.2),
        ("<say-as interpret-as='tts:digits'>98765</say-as>", 1.2),
    ],
    ids=["break", "rate", "sub", "digits"],
)
def test_a_document_is_spoken_as_its_tags_say(espeak: EspeakSynthesizer, document: str, like: float) -> None:
    plain = re.sub("<[^>]*>", "", document)
    differs = espeak.render(f"<speak>{document}</speak>", Voice(), ssml=True).duration_ms
    differs -= espeak.render(plain, Voice()).duration_ms
    assert abs(differs) > like * 500
    # The next text is spoken as it stands again.
    assert espeak.render(f"<speak>{document}</speak>", Voice()).duration_ms > 3000


def test_what_is_passed_over_of_a_document_is_known(espeak: EspeakSynthesizer) -> None:
    assert espeak.unread("break", {"time": "500ms"}) is None
    assert espeak.unread("voice", {"xml:lang": "de"}) is None
    assert espeak.unread("phoneme", {"ph": "x"}) == (
        "the voices of eSpeak NG pass over <phoneme>",
        'write <sub alias="as it sounds">word</sub>',
    )
    assert espeak.unread("say-as", {"interpret-as": "digits"}) == (
        'the voices of eSpeak NG do not know interpret-as="digits" of <say-as>',
        "write tts:digits",
    )
    assert (espeak.unread("break", {"time": "1h"}) or ("", ""))[1] == "write 500ms or 2s, 10s at most"
    assert (espeak.unread("prosody", {"contour": "x"}) or ("",))[0].endswith("pass over contour of <prosody>")
    assert (espeak.unread("p", {"xml:lang": "klingon"}) or ("",))[0].startswith("eSpeak NG has no voice for xml:lang")
