"""Loudness and true peak, against ffmpeg's ebur128; recordings made ready by them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ivr.speech.level import HIGHEST_PEAK, LINE_RATE, NoSound
from ivr.speech.loudness import loudness, true_peak
from ivr.speech.mastering import LOUDNESS, mastered, silence_around
from ivr.speech.measuring import measure
from ivr.speech.synthesis import create
from ivr.speech.voice import Voice
from tests.speech.listening import tone

Sound = NDArray[np.float32]


def spoken(text: str = "Welcome to our company. For sales, press 1.", pause_s: float = 0.0) -> Sound:
    voice = create("espeak").render(text, Voice()).to_pcm().astype(np.float32) / 32768
    return np.concatenate([voice, np.zeros(round(pause_s * LINE_RATE), np.float32), voice])


def by_ffmpeg(sound: Sound, rate: int) -> float:
    """The integrated loudness that ffmpeg finds, LUFS."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout="mono", time_base=Fraction(1, rate))
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = av.AudioFrame.from_ndarray(sound[None, :], format="flt", layout="mono")
    frame.sample_rate, frame.pts = rate, 0
    graph.push(frame)
    graph.push(None)
    found = None
    while True:
        try:
            found = graph.pull().metadata.get("lavfi.r128.I", found)
        except (av.error.EOFError, av.error.BlockingIOError):
            break
    assert found is not None
    return float(found)


@pytest.mark.parametrize("pause_s", [0.0, 4.0])
@pytest.mark.parametrize("gain", [0.05, 1.0])
def test_speech_is_as_loud_as_ffmpeg_says(pause_s: float, gain: float) -> None:
    sound = spoken(pause_s=pause_s) * np.float32(gain)
    assert loudness(sound, LINE_RATE) == pytest.approx(by_ffmpeg(sound, LINE_RATE), abs=0.15)


@pytest.mark.parametrize("frequency", [60, 997, 3000])
def test_tones_are_as_loud_as_ffmpeg_says(frequency: int) -> None:
    sound = tone(frequency, 25, 48000, 0.1).astype(np.float32)
    assert loudness(sound, 48000) == pytest.approx(by_ffmpeg(sound, 48000), abs=0.1)


def test_a_full_tone_is_3_db_below_zero() -> None:
    assert loudness(tone(997, 5, 48000, 1.0).astype(np.float32), 48000) == pytest.approx(-3.01, abs=0.02)


def test_the_peak_between_samples_counts() -> None:
    wave = np.sin(np.pi / 2 * np.arange(8000) + np.pi / 4).astype(np.float32)
    assert np.abs(wave).max() == pytest.approx(0.707, abs=0.001)
    assert true_peak(wave[2000:6000] * np.hanning(4000).astype(np.float32)) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("gain", [0.01, 0.3, 1.0])
def test_every_recording_comes_out_as_loud_as_the_others(gain: float) -> None:
    still = np.zeros(LINE_RATE, np.float32)
    made = mastered(np.concatenate([still, spoken() * np.float32(gain), still])[:, None], LINE_RATE)
    result = made.samples.astype(np.float32) / np.float32(32768)
    assert loudness(result, LINE_RATE) == pytest.approx(LOUDNESS, abs=0.1)
    assert true_peak(result) <= 20 * np.log10(HIGHEST_PEAK) + 0.05
    assert made.cut > 1.5
    before, after = silence_around(result)
    assert before <= 0.1
    assert 0.05 <= after <= 0.12


def test_a_peak_is_limited_and_the_rest_is_not() -> None:
    sound = tone(500, 3, LINE_RATE, 0.03).astype(np.float32)
    sound[12000:12040] = tone(500, 0.005, LINE_RATE, 0.95)
    made = mastered(sound, LINE_RATE)
    assert true_peak(made.samples.astype(np.float32) / np.float32(32768)) <= 20 * np.log10(HIGHEST_PEAK) + 0.05
    assert made.loudness == pytest.approx(LOUDNESS, abs=1)


def test_opposite_channels_are_heard() -> None:
    left = spoken()
    made = mastered(np.stack([left, -left], axis=1), LINE_RATE)
    assert made.loudness == pytest.approx(LOUDNESS, abs=0.1)


@pytest.mark.parametrize("samples", [1, 40, 8000])
def test_silence_is_refused(samples: int) -> None:
    with pytest.raises(NoSound):
        mastered(np.zeros((samples, 2), np.float32), LINE_RATE)


def test_what_is_cut_off_is_counted(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "hot.wav", np.clip(tone(200, 1, 48000, 1.5), -1, 1), 48000)
    soundfile.write(tmp_path / "good.wav", tone(200, 1, 48000, 0.9), 48000)
    assert measure(tmp_path / "hot.wav").clipped > 300
    assert measure(tmp_path / "good.wav").clipped == 0
