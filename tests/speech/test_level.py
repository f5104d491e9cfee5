"""Whole utterances brought to the telephone's rate and level, and clips made of samples."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.call import Clip
from ivr.speech.level import NoSound, for_telephone
from tests.speech.listening import energy, level, loudest_frequency, peak, samples, silence_after, silence_before, tone

RATE = 22050


def silence(seconds: float) -> NDArray[np.float64]:
    return np.zeros(round(seconds * RATE))


def heard(*parts: NDArray[np.float64], volume: float = 1.0) -> Clip:
    return Clip.from_pcm(for_telephone((np.concatenate(parts) * 32767).astype(np.int16), RATE, volume))


@pytest.mark.parametrize("amplitude", [0.01, 0.1, 0.9])
def test_loud_and_soft_come_out_the_same(amplitude: float) -> None:
    clip = heard(tone(1000, 1, RATE, amplitude))
    assert level(clip) == pytest.approx(-20, abs=0.3)
    assert loudest_frequency(clip) == pytest.approx(1000, abs=2)


def test_pauses_do_not_count_for_the_level() -> None:
    spoken = tone(1000, 0.5, RATE, 0.3)
    assert level(heard(spoken, silence(5), spoken)) == pytest.approx(-20, abs=0.5)


def test_a_peak_keeps_below_the_limit_at_the_price_of_the_level() -> None:
    clip = heard(tone(1000, 1, RATE, 0.06), tone(1000, 0.002, RATE, 0.9), tone(1000, 1, RATE, 0.06))
    assert -6 < peak(clip) < -3


def test_silence_around_is_cut_and_within_is_kept() -> None:
    spoken = tone(1000, 0.5, RATE)
    clip = heard(silence(0.8), spoken, silence(0.7), spoken, silence(2))
    assert silence_before(clip) <= 50
    assert 100 <= silence_after(clip) <= 200
    assert clip.duration_ms == pytest.approx(20 + 500 + 700 + 500 + 150, abs=30)


def test_what_a_line_cannot_carry_is_not_folded_into_what_it_can() -> None:
    assert energy(heard(tone(1000, 1, RATE, 0.1) + tone(5000, 1, RATE, 0.4)), 950, 1050) > 0.99


def test_half_the_volume_is_six_decibels() -> None:
    assert level(heard(tone(1000, 1, RATE), volume=0.5)) == pytest.approx(-26, abs=0.3)
    assert not samples(heard(tone(1000, 1, RATE), volume=0)).any()


@pytest.mark.parametrize("seconds", [0, 0.0001, 1])
def test_silence_is_no_sound(seconds: float) -> None:
    with pytest.raises(NoSound):
        heard(silence(seconds))


def test_a_click_is_a_sound() -> None:
    assert heard(tone(1000, 0.003, RATE)).duration_ms > 0


def test_a_long_clip_is_as_its_pieces() -> None:
    sound = (tone(440, 25, 8000) * 32767).astype(np.int16)
    assert Clip.from_pcm(sound).pcmu == b"".join(
        Clip.from_pcm(sound[at : at + 999]).pcmu for at in range(0, 200_000, 999)
    )


@pytest.mark.parametrize("wrong", [np.zeros((2, 8), np.int16), np.zeros(8), np.zeros(8, np.int32)])
def test_a_clip_is_made_of_one_channel_of_16_bits(wrong: NDArray[np.int16]) -> None:
    with pytest.raises(ValueError, match="one channel of int16"):
        Clip.from_pcm(wrong)


def test_a_clip_gives_back_what_it_was_made_of() -> None:
    clip = Clip(bytes(range(256)) * 3)
    assert Clip.from_pcm(clip.to_pcm()).to_pcm().tolist() == clip.to_pcm().tolist()
    assert len(clip.to_pcm()) == 8 * clip.duration_ms
