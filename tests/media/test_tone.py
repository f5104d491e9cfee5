"""Tones that are made, not recorded."""

from __future__ import annotations

from gateway.media import tone
from gateway.media.g711 import decode_pcmu
from tests.media.spectrum import loudness, share_at


def test_ringback_is_one_second_in_five() -> None:
    clip = tone.ringback()
    assert clip.duration_ms == 5000
    sound = decode_pcmu(clip.pcmu)
    assert share_at(sound[:8000], 425) > 0.99
    assert loudness(sound[8000:]) == 0


def test_busy() -> None:
    clip = tone.busy()
    assert clip.duration_ms == 1000
    sound = decode_pcmu(clip.pcmu)
    assert share_at(sound[:4000], 425) > 0.99
    assert loudness(sound[4000:]) == 0


def test_silence() -> None:
    clip = tone.silence(250)
    assert clip.duration_ms == 250
    assert set(clip.pcmu) == {0xFF}


def test_level() -> None:
    loud, quiet = (decode_pcmu(tone.tone(1000, 500, level_dbm0=level).pcmu) for level in (0.0, -20.0))
    assert 9.5 < loudness(loud) / loudness(quiet) < 10.5


def test_no_click_at_either_end() -> None:
    sound = decode_pcmu(tone.tone(1000, 100, level_dbm0=0.0).pcmu)
    assert abs(int(sound[0])) < 1000
    assert abs(int(sound[-1])) < 1000
