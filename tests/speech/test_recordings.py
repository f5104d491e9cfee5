"""Sound files that people bring: any WAV is heard, anything else is named."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ivr.speech.recordings import RecordingError, RecordingLibrary, length
from tests.speech.listening import energy, level, loudest_frequency, peak, samples, tone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "en").mkdir()
    return tmp_path


@pytest.fixture
def library(folder: Path) -> RecordingLibrary:
    return RecordingLibrary(folder)


def record(
    path: Path, frequency: float = 1000, seconds: float = 0.5, rate: int = 8000, subtype: str = "PCM_16"
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(frequency, seconds, rate), rate, subtype=subtype)


def test_the_length_of_a_recording_is_known_without_reading_it(folder: Path) -> None:
    record(folder / "welcome.wav", seconds=1.5)
    (folder / "broken.wav").write_bytes(b"no sound")
    assert length(folder / "welcome.wav") == pytest.approx(1.5)
    assert length(folder / "broken.wav") is None
    assert length(folder / "none.wav") is None


def test_a_languages_own_recording_goes_before_that_of_all(folder: Path, library: RecordingLibrary) -> None:
    record(folder / "welcome.wav", 500)
    record(folder / "en" / "welcome.wav", 1000)
    assert loudest_frequency(library.load("en", "welcome")) == pytest.approx(1000, abs=5)
    assert loudest_frequency(library.load("zh", "welcome")) == pytest.approx(500, abs=5)
    assert library.find("zh", "welcome") == folder / "welcome.wav"
    assert library.looked_for("zh", "welcome") == [folder / "zh" / "welcome.wav", folder / "welcome.wav"]
    assert library.load("en", "welcome").name == "welcome"


def test_names_may_have_folders_and_the_ending(folder: Path, library: RecordingLibrary) -> None:
    record(folder / "en" / "sales" / "offer.wav")
    for name in ("sales/offer", "sales/offer.wav"):
        assert library.find("en", name) == folder / "en" / "sales" / "offer.wav"


def test_a_missing_recording_says_where_it_was_looked_for(folder: Path, library: RecordingLibrary) -> None:
    assert library.find("en", "welcome") is None
    with pytest.raises(RecordingError) as error:
        library.load("en", "welcome")
    assert str(folder / "en" / "welcome.wav") in str(error.value)
    assert str(folder / "welcome.wav") in str(error.value)


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("en", "../secret"),
        ("en", "a/../../secret"),
        ("..", "secret"),
        ("en/../..", "secret"),
        ("en", "/etc/secret"),
        ("/etc", "secret"),
        ("en", "..\\secret"),
        ("en", "a\0b"),
        ("en", ""),
        ("en", "."),
    ],
)
def test_no_name_leads_out_of_the_folder(folder: Path, language: str, name: str) -> None:
    inside = folder / "prompts"
    inside.mkdir()
    record(folder / "secret.wav")
    with pytest.raises(RecordingError, match="name"):
        RecordingLibrary(inside).find(language, name)


@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM"]
)
@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_any_wav_sounds_the_same(folder: Path, library: RecordingLibrary, subtype: str, rate: int) -> None:
    record(folder / "tone.wav", 1000, 0.5, rate, subtype)
    clip = library.load("en", "tone")
    assert clip.duration_ms == pytest.approx(500, abs=45)  # ADPCM fills its last block
    assert loudest_frequency(clip) == pytest.approx(1000, abs=5)
    assert energy(clip, 950, 1050) > 0.99
    assert level(clip) == pytest.approx(-9, abs=0.3)


@pytest.mark.parametrize("rate", [6000, 7350, 11025, 16000, 32000, 44100, 96000, 192000])
def test_any_rate_keeps_pitch_and_length(folder: Path, library: RecordingLibrary, rate: int) -> None:
    record(folder / "tone.wav", 1000, 1.0, rate)
    clip = library.load("en", "tone")
    assert clip.duration_ms == pytest.approx(1000, abs=2)
    assert loudest_frequency(clip) == pytest.approx(1000, abs=2)


def test_what_a_line_cannot_carry_is_not_folded_into_what_it_can(folder: Path, library: RecordingLibrary) -> None:
    sound = tone(1000, 1, 48000, 0.1) + tone(5000, 1, 48000, 0.4) + tone(7000, 1, 48000, 0.4)
    soundfile.write(folder / "bright.wav", sound, 48000)
    clip = library.load("en", "bright")
    assert energy(clip, 950, 1050) > 0.995


def test_channels_are_mixed(folder: Path, library: RecordingLibrary) -> None:
    soundfile.write(folder / "stereo.wav", np.stack([tone(500, 1, 44100), tone(1500, 1, 44100)], axis=1), 44100)
    clip = library.load("en", "stereo")
    assert energy(clip, 450, 550) == pytest.approx(0.5, abs=0.02)
    assert energy(clip, 1450, 1550) == pytest.approx(0.5, abs=0.02)


def test_full_scale_is_not_clipped_on_the_way(folder: Path, library: RecordingLibrary) -> None:
    square = np.sign(tone(440, 1, 44100, 1.0))
    soundfile.write(folder / "square.wav", square, 44100, subtype="FLOAT")
    soundfile.write(folder / "hot.wav", square * 3, 44100, subtype="FLOAT")
    for name in ("square", "hot"):
        clip = library.load("en", name)
        # A filter rings along every plateau: were the rings cut, half of the samples would sit at the top.
        assert (np.abs(samples(clip)) > 0.97).mean() < 0.15
        assert peak(clip) > -0.5


def test_a_quiet_recording_stays_as_quiet_as_it_is(folder: Path, library: RecordingLibrary) -> None:
    soundfile.write(folder / "quiet.wav", tone(1000, 1, 16000, 0.01), 16000)
    assert level(library.load("en", "quiet")) == pytest.approx(-43, abs=1)


def broken_wavs() -> dict[str, bytes]:
    """Contents by what is wrong with them, in words of the message."""
    header = b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    return {
        "not a sound file": b"<html>404 Not Found</html>" * 100,
        "not a sound file ": b"",
        "not a sound file  ": b"RIFF",
        "not a sound file   ": header[:30],
        "not a sound file    ": header.replace(struct.pack("<HH", 1, 1), struct.pack("<HH", 0x1234, 1))
        + b"data\4\0\0\0aaaa",
        "empty": header + b"data" + struct.pack("<I", 0),
    }


@pytest.mark.parametrize("wrong", broken_wavs())
def test_a_broken_file_is_named_with_what_is_wrong(folder: Path, library: RecordingLibrary, wrong: str) -> None:
    path = folder / "en" / "broken.wav"
    path.write_bytes(broken_wavs()[wrong])
    with pytest.raises(RecordingError) as error:
        library.load("en", "broken")
    assert str(error.value).startswith(f"{path}: {wrong.strip()}")


def test_a_float_file_of_no_numbers_is_named(folder: Path, library: RecordingLibrary) -> None:
    soundfile.write(folder / "nan.wav", np.full(800, np.nan), 8000, subtype="FLOAT")
    with pytest.raises(RecordingError, match=r"nan\.wav: damaged"):
        library.load("en", "nan")


def test_a_long_recording_is_refused_before_it_is_read(folder: Path) -> None:
    record(folder / "long.wav", seconds=3)
    with pytest.raises(RecordingError, match=r"long\.wav: 3 s long, 2 s is the most"):
        RecordingLibrary(folder, longest_s=2).load("en", "long")


def test_a_header_that_promises_a_day_is_not_believed(folder: Path, library: RecordingLibrary) -> None:
    record(folder / "cut.wav", seconds=1)
    content = bytearray((folder / "cut.wav").read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", 0x7FFFFFFF)
    (folder / "cut.wav").write_bytes(content[: len(content) // 2])
    assert library.load("en", "cut").duration_ms == pytest.approx(500, abs=20)


def test_a_file_that_may_not_be_read_is_named(folder: Path, library: RecordingLibrary) -> None:
    path = folder / "secret.wav"
    record(path)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("the super-user may read everything")
    with pytest.raises(RecordingError, match=r"secret\.wav: cannot be read"):
        library.load("en", "secret")


def test_a_folder_of_that_name_is_no_recording(folder: Path, library: RecordingLibrary) -> None:
    (folder / "welcome.wav").mkdir()
    assert library.find("en", "welcome") is None
