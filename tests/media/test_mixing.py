"""Several legs that hear each other: each all the others, and nobody himself."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from gateway.media import tone
from gateway.media.engine import AudioChunk, KeyReceived, MediaEngine, MediaLeg, Mix, PlayEnded
from gateway.media.mix import MEMBERS_MAX
from tests.media.coders import Codec
from tests.media.conftest import EngineMaker, PeerMaker, Watch
from tests.media.rtp_peer import RtpPeer, assert_continuous
from tests.media.spectrum import Samples, key_tones, loudness, share_at, sine

TONES = (440.0, 840.0, 1240.0, 1640.0)
LAST = 3200
"""Samples at the end that are judged."""


class Conference:
    """A mix, and people in it who each say one frequency without end."""

    def __init__(self, engine: MediaEngine, make_peer: PeerMaker, codecs: list[Codec], **changes: Any) -> None:
        self.engine, self._make_peer = engine, make_peer
        self.mix: Mix = engine.open_mix()
        self.people: list[tuple[RtpPeer, MediaLeg, float]] = []
        for codec in codecs:
            self.mix.add(self.enters(codec, **changes)[1])

    def enters(self, codec: Codec = "PCMU", **changes: Any) -> tuple[RtpPeer, MediaLeg, float]:
        """One more person, who is not in the mix yet."""
        frequency = TONES[len(self.people)]
        peer = self._make_peer(codec=codec, ssrc=0x1000 + len(self.people))
        leg = self.engine.open_leg()
        peer.talks_to(leg, **changes)
        peer.says(sine(frequency, 1000, peak=6000), repeat=True)
        self.people.append((peer, leg, frequency))
        return self.people[-1]


def hears(peer: RtpPeer, *frequencies: float, width: float = 30) -> None:
    """Wait until it hears these to about the same part, and nothing else."""
    expected = 1 / len(frequencies) if frequencies else 0

    def so(sound: Samples) -> bool:
        if len(sound) < LAST:
            return False
        last = sound[-LAST:]
        if not frequencies:
            return loudness(last) < 40
        shares = [share_at(last, frequency, width=width) for frequency in frequencies]
        return sum(shares) > 0.95 and all(share > expected / 3 for share in shares)

    peer.hears(so)


def test_each_hears_the_others_and_not_himself(engine: MediaEngine, make_peer: PeerMaker) -> None:
    conference = Conference(engine, make_peer, ["PCMU", "PCMU", "PCMU"])
    for peer, _, own in conference.people:
        hears(peer, *(frequency for frequency in TONES[:3] if frequency != own))
    for peer, _, own in conference.people:
        assert share_at(peer.sound()[-LAST:], own) < 0.001
        assert_continuous(peer.packets)


def test_of_any_codecs(engine: MediaEngine, make_peer: PeerMaker) -> None:
    conference = Conference(engine, make_peer, ["PCMU", "PCMA", "G722", "opus"])
    for peer, _, own in conference.people:
        hears(peer, *(frequency for frequency in TONES if frequency != own))
    for peer, _, own in conference.people:
        assert share_at(peer.sound()[-LAST:], own) < 0.01
        assert_continuous(peer.packets, samples=160 * peer.scale)


@pytest.mark.parametrize("ptime_ms", [10, 30, 60])
def test_of_any_packet_length(engine: MediaEngine, make_peer: PeerMaker, ptime_ms: int) -> None:
    conference = Conference(engine, make_peer, ["PCMU", "PCMU"])
    peer, leg, _ = conference.enters("PCMU", ptime_ms=ptime_ms)
    conference.mix.add(leg)
    hears(peer, TONES[0], TONES[1])
    assert_continuous(peer.packets, samples=ptime_ms * 8)
    hears(conference.people[0][0], TONES[1], TONES[2])


def test_joining_and_leaving(engine: MediaEngine, make_peer: PeerMaker) -> None:
    conference = Conference(engine, make_peer, ["PCMU", "opus"])
    one, two = (peer for peer, _, _ in conference.people)
    hears(one, TONES[1])
    hears(two, TONES[0])
    three, third, _ = conference.enters("PCMA")
    hears(three)
    conference.mix.add(third)
    conference.mix.add(third)
    hears(one, TONES[1], TONES[2])
    hears(two, TONES[0], TONES[2])
    hears(three, TONES[0], TONES[1])
    conference.mix.remove(third)
    conference.mix.remove(third)
    hears(one, TONES[1])
    hears(three)
    conference.people[1][1].close()
    hears(one)
    conference.mix.add(conference.people[1][1])
    conference.mix.close()
    conference.mix.close()
    conference.mix.add(third)
    hears(three)
    for peer, _, _ in conference.people:
        assert_continuous(peer.packets, samples=160 * peer.scale)


def test_either_bridged_or_in_one_mix(engine: MediaEngine, make_peer: PeerMaker) -> None:
    conference = Conference(engine, make_peer, ["PCMU", "PCMU"])
    (one, first, _), (two, second, _) = conference.people
    three, third, _ = conference.enters()
    four, fourth, _ = conference.enters()
    third.bridge(fourth)
    hears(three, TONES[3])
    conference.mix.add(third)
    hears(three, TONES[0], TONES[1])
    hears(four)
    second.bridge(fourth)
    hears(two, TONES[3])
    hears(one, TONES[2])
    other = engine.open_mix()
    other.add(first)
    other.add(second)
    hears(one, TONES[1])
    hears(three)
    hears(four)


def test_loud_voices_are_limited_and_do_not_wrap(engine: MediaEngine, make_peer: PeerMaker) -> None:
    mix = engine.open_mix()
    for frequency in (250, 200, 150, 100):
        peer = make_peer(ssrc=int(frequency))
        leg = engine.open_leg()
        peer.talks_to(leg)
        peer.says(sine(frequency, 1000, peak=30000), repeat=True)
        mix.add(leg)

    def so(sound: Samples) -> bool:
        return len(sound) > LAST and loudness(sound[-LAST:]) > 15000

    sound = peer.hears(so)[-LAST:].astype(int)
    # At such frequencies no sample is far from the one before it: a sum that wraps jumps from end to end.
    assert np.abs(sound).max() > 31000
    assert np.abs(np.diff(sound)).max() < 25000
    assert sum(share_at(sound.astype(np.int16), frequency) for frequency in (250, 200, 150)) > 0.6


def test_a_play_goes_before_the_mix(engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
    conference = Conference(engine, make_peer, ["PCMU", "PCMU", "opus"])
    (one, first, _), (two, _, _), (three, _, _) = conference.people
    hears(one, TONES[1], TONES[2])
    first.play(1, [tone.tone(2000, 800)])
    hears(one, 2000)
    hears(two, TONES[0], TONES[2])
    hears(three, TONES[0], TONES[1])
    assert watch.one(PlayEnded).heard_ms == 800
    hears(one, TONES[1], TONES[2])
    assert_continuous(one.packets)


@pytest.mark.parametrize("changes", [{"receive": False}, {"send": False}, {"receive": False, "send": False}])
def test_on_hold(engine: MediaEngine, make_peer: PeerMaker, changes: dict[str, bool]) -> None:
    conference = Conference(engine, make_peer, ["PCMU", "PCMU", "PCMU"])
    (one, first, _), (two, _, _), _ = conference.people
    hears(two, TONES[0], TONES[2])
    one.talks_to(first, **changes)
    hears(two, TONES[2])
    if "send" in changes:
        two.receives(2, more=True)
        before = len(one.packets)
        two.receives(10, more=True)
        assert len(one.packets) == before
    else:
        hears(one, TONES[1], TONES[2])
    one.talks_to(first)
    hears(two, TONES[0], TONES[2])


def test_keys_are_reported_and_not_heard(engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
    conference = Conference(engine, make_peer, ["PCMU", "opus"])
    (one, first, _), (two, second, _) = conference.people
    hears(two, TONES[0])
    one.presses("5")
    two.presses("8")
    pressed = watch.all_of(KeyReceived, 2)
    assert {(event.leg_id, event.key, event.inband) for event in pressed} == {
        (first.id, "5", False),
        (second.id, "8", False),
    }
    for peer in (one, two):
        assert {packet.payload_type for packet in peer.packets} == {peer.payload_type}


def test_keys_as_tones_in_a_mix(engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
    mix = engine.open_mix()
    peers = [make_peer(codec=codec, telephone_event=None) for codec in ("PCMU", "PCMU")]
    for peer in peers:
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.detect_inband_keys(True)
        mix.add(leg)
    pause = np.zeros(800, dtype=np.int16)
    peers[0].says(np.concatenate([key_tones(770, 1336, 200), pause, key_tones(852, 1477, 200), pause]), ahead_ms=100)
    assert "".join(event.key for event in watch.all_of(KeyReceived, 2)) == "59"
    assert all(event.inband for event in watch.events if isinstance(event, KeyReceived))


def test_sent_keys_go_before_the_mix(engine: MediaEngine, make_peer: PeerMaker) -> None:
    conference = Conference(engine, make_peer, ["PCMU", "PCMU"])
    one, first, _ = conference.people[0]
    hears(one, TONES[1])
    first.send_keys("7")
    packets = one.waits_for(
        lambda packets: sum(p.payload_type == 101 for p in packets) == 7 and packets[-1].payload_type == 0
    )
    assert {(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(packets)} == {1}
    hears(one, TONES[1])


@pytest.mark.parametrize("codec", ["PCMU", "opus"])
def test_loss(engine: MediaEngine, make_peer: PeerMaker, codec: Codec) -> None:
    conference = Conference(engine, make_peer, ["PCMU", "PCMU"])
    speaker = make_peer(codec=codec, ssrc=0x9000)
    leg = engine.open_leg()
    speaker.talks_to(leg)
    conference.mix.add(leg)
    packets = speaker.frames(sine(2000, 3000, peak=6000))
    speaker.sends_paced(packet for index, packet in enumerate(packets) if index % 10 != 7)
    one = conference.people[0][0]
    sound = one.sound()[-8000:]
    assert share_at(sound, TONES[1]) + share_at(sound, 2000, width=80) > 0.9
    assert share_at(sound, 2000, width=80) > 0.25
    assert_continuous(one.packets)


def test_while_listened_to(engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
    conference = Conference(engine, make_peer, ["PCMU", "opus"])
    one, first, own = conference.people[0]
    first.listen(True)
    chunks = watch.all_of(AudioChunk, 8)
    assert {chunk.leg_id for chunk in chunks} == {first.id}
    sound = np.frombuffer(b"".join(chunk.pcm for chunk in chunks), dtype=np.int16)
    assert share_at(sound[-4000:], own) > 0.97
    conference.mix.remove(first)
    before = len([event for event in watch.events if isinstance(event, AudioChunk)])
    watch.all_of(AudioChunk, before + 5)
    conference.mix.add(first)
    first.listen(False)
    hears(one, TONES[1])


def test_the_quiet_add_no_noise(engine: MediaEngine, make_peer: PeerMaker) -> None:
    conference = Conference(engine, make_peer, ["PCMU"])
    one = conference.people[0][0]
    chance = np.random.default_rng(1)
    for codec in ("PCMU", "opus"):
        peer = make_peer(codec=codec, ssrc=0x8000)
        leg = engine.open_leg()
        peer.talks_to(leg)
        peer.says(chance.normal(0, 20, 8000).astype(np.int16), repeat=True)
        conference.mix.add(leg)
        hears(peer, TONES[0])
    assert one.sound()[-1600:].any() == np.False_


def test_limits(make_engine: EngineMaker, make_peer: PeerMaker) -> None:
    engine = make_engine()
    mix = engine.open_mix()
    legs = [engine.open_leg() for _ in range(MEMBERS_MAX + 1)]
    for leg in legs[:-1]:
        mix.add(leg)
    with pytest.raises(ValueError, match="32 legs at most"):
        mix.add(legs[-1])
    mix.add(legs[0])
    mix.remove(legs[0])
    mix.add(legs[-1])
    other = make_engine()
    with pytest.raises(ValueError, match="two engines"):
        other.open_mix().add(legs[0])
    ids = {engine.open_mix().id for _ in range(100)}
    assert len(ids) == 100
    engine.close()
    mix.add(legs[0])
    mix.close()
    with pytest.raises(RuntimeError):
        engine.open_mix()


def test_as_many_mixes_as_legs(make_engine: EngineMaker) -> None:
    engine = make_engine(max_legs=3)
    mixes = [engine.open_mix() for _ in range(3)]
    with pytest.raises(OSError, match="user"):
        engine.open_mix()
    for mix in mixes:
        mix.close()
    for _ in range(1000):
        engine.open_mix().close()


def test_thirty_two_in_one(engine: MediaEngine, make_peer: PeerMaker) -> None:
    """Two of them speak: everybody else hears both, in step with each other."""
    mix = engine.open_mix()
    peers: list[RtpPeer] = []
    codecs: list[Codec] = ["PCMU", "opus", "G722", "PCMA"]
    for number in range(MEMBERS_MAX):
        peer = make_peer(codec=codecs[number % 4], ssrc=0x1000 + number)
        leg = engine.open_leg()
        peer.talks_to(leg)
        mix.add(leg)
        peers.append(peer)
    peers[0].says(sine(TONES[0], 1000), repeat=True)
    peers[1].says(sine(TONES[1], 1000), repeat=True)
    hears(peers[0], TONES[1])
    hears(peers[1], TONES[0])
    for peer in peers[2:10] + peers[-4:]:
        hears(peer, TONES[0], TONES[1])
        assert_continuous(peer.packets, samples=160 * peer.scale)
    assert math.isclose(loudness(peers[4].sound()[-LAST:]), loudness(peers[8].sound()[-LAST:]), rel_tol=0.05)
