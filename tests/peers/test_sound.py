"""The ear of the tests: it finds what is there, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.peers.rtp import Key, Tone, packets, write_pcap
from tests.peers.sound import RATE, Sound, write_tone


def _sounds(*parts: tuple[float, float]) -> Sound:
    """Stretches of (Hz, seconds); 0 Hz is silence."""
    waves = [0.3 * np.sin(2 * np.pi * hz * np.arange(round(s * RATE)) / RATE) for hz, s in parts]
    return Sound(np.concatenate(waves).astype(np.float32))


def test_a_tone_is_found_where_it_ends_being_long_enough() -> None:
    sound = _sounds((0, 1.0), (700, 1.0), (880, 1.0))
    assert sound.finds_tone(700, 0.5) == pytest.approx(1.5, abs=0.15)
    assert sound.finds_tone(880, 0.5) == pytest.approx(2.5, abs=0.15)
    assert not sound.contains_tone(700, 1.5)
    assert not sound.contains_tone(790)


def test_a_known_sound_is_found_behind_others_with_a_hole_and_quieter() -> None:
    speech = _speech(seed=1)
    holed = speech.samples.copy()
    holed[8_000:8_160] = 0
    before = _sounds((440, 1.5))
    heard = Sound(np.concatenate([before.samples, 0.4 * holed, _sounds((0, 1.0)).samples]).astype(np.float32))
    assert heard.finds(speech) == pytest.approx(1.5 + speech.seconds, abs=0.02)
    assert heard.after(2.5).finds(speech) is None
    assert heard.finds(_speech(seed=2)) is None
    assert before.finds(speech) is None


def _speech(seed: int) -> Sound:
    """Three seconds as irregular as speech is."""
    noise = np.random.default_rng(seed).normal(size=3 * RATE)
    return Sound((0.2 * np.convolve(noise, np.ones(6) / 6, "same")).astype(np.float32))


def test_silence_is_told_from_sound() -> None:
    ((begin, end),) = _sounds((700, 0.5), (0, 0.6), (700, 0.5)).silences(0.3)
    assert begin == pytest.approx(0.5, abs=0.06)
    assert end == pytest.approx(1.1, abs=0.06)


def test_the_louder_of_two_tones_is_heard() -> None:
    quiet, loud = _sounds((700, 1.0)), _sounds((880, 1.0))
    both = Sound(quiet.samples * np.float32(0.3) + loud.samples)
    assert both.contains_tone(880)
    assert not both.contains_tone(700)


def test_a_tone_with_holes_is_still_a_tone() -> None:
    samples = _sounds((700, 2.0)).samples.copy()
    for hole in range(0, len(samples), 20 * 160):
        samples[hole : hole + 160] = 0
    assert Sound(samples).contains_tone(700, 1.0)


def test_a_growing_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    file = write_tone(tmp_path / "tone.wav", 700, 1.0)
    file.write_bytes(file.read_bytes()[:8044])
    assert Sound.read(file).seconds == pytest.approx(0.5)
    file.write_bytes(file.read_bytes()[:20])
    assert Sound.read(file, tmp_path / "absent.wav").seconds == 0


def test_the_story_of_a_sound_can_be_read() -> None:
    story = _sounds((700, 1.0), (0, 1.0)).story()
    assert [stretch.hz for stretch in story if stretch.seconds > 0.5] == [700, 0]


def test_a_key_is_one_event_with_three_ends() -> None:
    stream = list(packets([Tone(700, 0.1), Key("5"), Tone(700, 0.1)]))
    keys = [packet.data for packet in stream if packet.data[1] & 0x7F == 101]
    assert [data[1] >> 7 for data in keys] == [1, 0, 0, 0, 0, 0, 0, 0]
    assert {data[4:8] for data in keys} == {keys[0][4:8]}, "one timestamp"
    assert [data[13] >> 7 for data in keys] == [0] * 5 + [1] * 3
    assert keys[-1][12] == 5
    sequence = [int.from_bytes(packet.data[2:4], "big") for packet in stream]
    assert sequence == [sequence[0] + n & 0xFFFF for n in range(len(stream))]
    assert stream[-1].at_s == pytest.approx(0.34)


def test_a_capture_has_a_record_a_packet(tmp_path: Path) -> None:
    stream = list(packets([Tone(700, 0.1)], payload=8))
    data = write_pcap(tmp_path / "speech.pcap", iter(stream)).read_bytes()
    assert len(data) == 24 + len(stream) * (16 + 42 + 172)
