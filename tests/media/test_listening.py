"""Where sound is decoded: the jitter buffer, the chunks that come out of it, keys heard as tones."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import numpy as np
import pytest

from gateway.media.engine import AudioChunk, KeyReceived, MediaEngine, MediaLeg
from tests.media.coders import Codec
from tests.media.conftest import PeerMaker, Watch
from tests.media.rtp_peer import RtpPacket, RtpPeer
from tests.media.spectrum import Samples, key_tones, loudness, share_at, sine

KEYPAD = {
    key: (low, high)
    for low, row in zip((697, 770, 852, 941), ("123A", "456B", "789C", "*0#D"), strict=True)
    for high, key in zip((1209, 1336, 1477, 1633), row, strict=True)
}


def heard(watch: Watch, leg: MediaLeg, ms: int) -> Samples:
    chunks = watch.all_of(AudioChunk, ms // 100)
    assert all(chunk.leg_id == leg.id and len(chunk.pcm) == 1600 for chunk in chunks)
    return np.frombuffer(b"".join(chunk.pcm for chunk in chunks), dtype=np.int16)


def sends_at(peer: RtpPeer, schedule: Sequence[tuple[float, RtpPacket]]) -> None:
    """Packets at their milliseconds from now."""
    start = time.monotonic()
    for when, packet in sorted(schedule, key=lambda each: each[0]):
        time.sleep(max(0.0, start + when / 1000 - time.monotonic()))
        peer.sends(bytes(packet))


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 60])
def test_what_is_said_is_heard(
    engine: MediaEngine, watch: Watch, make_peer: PeerMaker, codec: Codec, ptime_ms: int
) -> None:
    peer = make_peer(codec=codec)
    leg = engine.open_leg()
    peer.talks_to(leg)
    leg.listen(True)
    peer.says(sine(640, 1500), ptime_ms=ptime_ms, ahead_ms=100)
    sound = heard(watch, leg, 1000)[-4000:]
    assert share_at(sound, 640) > 0.97
    assert loudness(sound) == pytest.approx(8000 / 2**0.5, rel=0.05)


def test_with_our_packets_of_another_length(engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
    leg = engine.open_leg()
    peer.talks_to(leg, ptime_ms=30)
    leg.listen(True)
    peer.says(sine(640, 1500), ahead_ms=100)
    assert share_at(heard(watch, leg, 1000)[-4000:], 640) > 0.97


def test_reordered_and_jittery(engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
    leg = engine.open_leg()
    peer.talks_to(leg)
    leg.listen(True)
    chance = random.Random(1)
    packets = peer.frames(sine(640, 4000))
    sends_at(peer, [(index * 20 + chance.uniform(0, 60), packet) for index, packet in enumerate(packets)])
    sound = heard(watch, leg, 3800)
    assert leg.statistics().reordered > 20
    assert share_at(sound[-16000:], 640, width=30) > 0.9


def test_a_lost_packet_is_covered_up(engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
    leg = engine.open_leg()
    peer.talks_to(leg)
    leg.listen(True)
    packets = peer.frames(sine(650, 1500))
    # five packets at once to begin with: the buffer is deep enough for a thread that is held up
    sends_at(peer, [(index * 20 - 100, packet) for index, packet in enumerate(packets) if index != 40])
    sound = heard(watch, leg, 1200)[2400:]
    quietest = min(loudness(sound[at : at + 160]) for at in range(0, len(sound) - 160, 80))
    assert quietest > 2000


def test_silence_when_the_far_end_stops(engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
    leg = engine.open_leg()
    peer.talks_to(leg)
    leg.listen(True)
    peer.says(sine(640, 500), ahead_ms=100)
    sound = heard(watch, leg, 1200)
    assert loudness(sound[:4000]) > 3000
    assert loudness(sound[-2400:]) < 10


def test_timestamps_that_jump(engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
    leg = engine.open_leg()
    peer.talks_to(leg)
    leg.listen(True)
    peer.says(sine(640, 500), ahead_ms=100)
    peer.has_said_it()
    peer.timestamp = (peer.timestamp + 12_345_678) & 0xFFFFFFFF
    peer.says(sine(840, 1000), ahead_ms=100)
    peer.has_said_it()
    assert share_at(heard(watch, leg, 1400)[-2400:], 840) > 0.95


def test_no_more_when_told_so(engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
    leg = engine.open_leg()
    peer.talks_to(leg)
    leg.listen(True)
    peer.says(sine(640, 1000), repeat=True, ahead_ms=100)
    heard(watch, leg, 300)
    leg.listen(False)
    watch.events += engine.events()
    before = len(watch.events)
    peer.receives(15, more=True)
    assert engine.events() == []
    leg.listen(True)
    watch.all_of(AudioChunk, before + 1)


def test_while_bridged(engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
    caller, agent = make_peer(), make_peer()
    leg, other = engine.open_leg(), engine.open_leg()
    caller.talks_to(leg)
    agent.talks_to(other)
    leg.bridge(other)
    leg.listen(True)
    caller.says(sine(640, 1500), ahead_ms=100)
    assert share_at(heard(watch, leg, 1000)[-4000:], 640) > 0.97


class TestTones:
    def phone(self, engine: MediaEngine, make_peer: PeerMaker, codec: Codec = "PCMU") -> RtpPeer:
        peer = make_peer(codec=codec, telephone_event=None)
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.detect_inband_keys(True)
        return peer

    def test_every_key(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        peer = self.phone(engine, make_peer, "PCMA")
        pause = np.zeros(640, dtype=np.int16)
        chance = np.random.default_rng(1)
        sound = np.concatenate([part for tones in KEYPAD.values() for part in (key_tones(*tones, 90), pause)])
        noisy = (sound + chance.normal(0, 150, len(sound))).astype(np.int16)
        peer.says(noisy, ahead_ms=100)
        pressed = watch.all_of(KeyReceived, 16)
        assert "".join(event.key for event in pressed) == "".join(KEYPAD)
        assert all(event.inband for event in pressed)

    def test_a_long_press_is_one(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        peer = self.phone(engine, make_peer)
        pause = np.zeros(1600, dtype=np.int16)
        peer.says(
            np.concatenate([key_tones(*KEYPAD["5"], 1500), pause, key_tones(*KEYPAD["6"], 100), pause]), ahead_ms=100
        )
        assert [event.key for event in watch.all_of(KeyReceived, 2)] == ["5", "6"]

    def test_what_is_no_key(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        peer = self.phone(engine, make_peer)
        chance = np.random.default_rng(2)
        parts = [
            sine(697, 200),
            sine(1209, 200),
            sine(440, 200) + sine(480, 200),
            chance.normal(0, 4000, 4000).astype(np.int16),
            key_tones(697, 1209, 200) // 400,
            np.zeros(1600, dtype=np.int16),
            key_tones(*KEYPAD["1"], 100),
            np.zeros(1600, dtype=np.int16),
        ]
        peer.says(np.concatenate(parts), ahead_ms=100)
        assert [event.key for event in watch.all_of(KeyReceived)] == ["1"]

    def test_not_where_rfc_4733_was_agreed_on(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.detect_inband_keys(True)
        peer.says(np.concatenate([key_tones(*KEYPAD["1"], 300), np.zeros(1600, dtype=np.int16)]), ahead_ms=100)
        peer.has_said_it()
        peer.presses("2")
        assert [event.key for event in watch.all_of(KeyReceived)] == ["2"]
