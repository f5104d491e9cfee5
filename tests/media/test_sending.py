"""What a far end hears: plays, silence, hold, keys, and one stream all along."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest

from gateway.media import tone
from gateway.media.clip import Clip
from gateway.media.engine import MediaEngine, PlayEnded
from gateway.media.g711 import decode_pcma, decode_pcmu, encode_pcma
from tests.media.conftest import EngineMaker, PeerMaker, Watch
from tests.media.rtp_peer import KeyEvent, RtpPacket, RtpPeer, assert_continuous
from tests.media.spectrum import loudness, share_at


def gaps_ms(packets: list[RtpPacket]) -> list[float]:
    return [(after.arrival - before.arrival) * 1000 for before, after in pairwise(packets)]


class TestPlaying:
    def test_heard_as_it_was_made(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        clip = tone.tone(800, 300)
        leg.play(7, [clip])
        peer.talks_to(leg)
        assert watch.one(PlayEnded) == PlayEnded(leg.id, 7, 300, True)
        packets = peer.receives(15)
        assert b"".join(packet.payload for packet in packets) == clip.pcmu
        assert packets[0].marker
        assert not any(packet.marker for packet in packets[1:])
        assert_continuous(packets)

    def test_pcma_through_the_table(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        peer = make_peer(codec="PCMA")
        leg = engine.open_leg()
        every_code = bytes(range(256)) * 5
        leg.play(1, [Clip(every_code)])
        peer.talks_to(leg)
        watch.one(PlayEnded)
        sent = b"".join(packet.payload for packet in peer.receives(8))
        assert sent == encode_pcma(decode_pcmu(every_code))

    def test_even_pace(self, engine: MediaEngine, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.play(1, [tone.ringback()], loop=True)
        gaps = gaps_ms(peer.receives(100))
        assert abs(float(np.mean(gaps)) - 20) < 1.5
        assert abs(float(np.median(gaps)) - 20) < 1.0

    def test_clips_without_a_gap(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        parts = [Clip(bytes([code]) * length) for code, length in ((1, 100), (2, 333), (3, 47), (4, 160))]
        leg.play(1, [parts[0], Clip(b""), *parts[1:]])
        peer.talks_to(leg)
        assert watch.one(PlayEnded).heard_ms == 80
        sent = b"".join(packet.payload for packet in peer.receives(4))
        assert sent == b"".join(part.pcmu for part in parts)

    def test_the_end_is_filled_with_silence(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        leg.play(1, [Clip(b"\x01" * 200)])
        peer.talks_to(leg)
        assert watch.one(PlayEnded).heard_ms == 25
        assert peer.receives(2)[1].payload == b"\x01" * 40 + b"\xff" * 120

    def test_loop_until_stopped(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        leg.play(3, [Clip(b"\x01" * 240), Clip(b"\x02" * 120)], loop=True)
        peer.talks_to(leg)
        packets = peer.receives(9)
        assert b"".join(packet.payload for packet in packets) == (b"\x01" * 240 + b"\x02" * 120) * 4
        watch.none_more(PlayEnded, 0)
        leg.stop_playing()
        ended = watch.one(PlayEnded)
        assert not ended.completed
        assert ended.heard_ms >= 180
        peer.waits_for(lambda packets: packets[-1].payload == b"\xff" * 160)

    def test_replaced(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.play(1, [Clip(b"\x01" * 8000)])
        peer.receives(5)
        leg.play(2, [Clip(b"\x02" * 320)])
        first, second = watch.all_of(PlayEnded, 2)
        assert (first.play_id, first.completed) == (1, False)
        assert (second.play_id, second.completed, second.heard_ms) == (2, True, 40)
        assert_continuous(peer.packets)

    def test_clips_that_come_later_follow_without_a_gap(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        parts = [Clip(bytes([code]) * 1000) for code in range(1, 6)]
        leg.play(1, parts[:1], more=True)
        peer.talks_to(leg)
        for part in parts[1:]:
            leg.extend_play(1, [part], more=True)
        leg.extend_play(2, [Clip(b"\x07" * 160)], more=False)
        watch.none_more(PlayEnded, 0)
        peer.waits_for(lambda packets: bool(packets) and packets[-1].payload == b"\xff" * 160)
        leg.extend_play(1, [], more=False)
        assert watch.one(PlayEnded) == PlayEnded(leg.id, 1, 625, True)
        sent = b"".join(packet.payload for packet in peer.packets)
        assert sent.startswith(b"".join(part.pcmu for part in parts))
        leg.extend_play(1, [Clip(b"\x07" * 160)], more=False)
        assert b"\x07" not in b"".join(packet.payload for packet in peer.packets)

    def test_the_first_play_waits_for_who_is_not_heard_yet(
        self, engine: MediaEngine, watch: Watch, peer: RtpPeer
    ) -> None:
        leg = engine.open_leg()
        leg.wait_for_far_end(10_000)
        leg.play(1, [tone.tone(800, 100)])
        peer.talks_to(leg)
        assert all(packet.payload == b"\xff" * 160 for packet in peer.receives(10))
        watch.none_more(PlayEnded, 0)
        peer.sends_all([peer.packet(b"\x55" * 160)])
        assert watch.one(PlayEnded).completed

    def test_each_play_ends_once(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.play(1, [])
        leg.play(2, [Clip(b"")], loop=True)
        leg.play(3, [tone.silence(1000)])
        leg.play(4, [tone.silence(20)])
        watch.all_of(PlayEnded, 4)
        leg.stop_playing()
        leg.play(5, [tone.silence(1000)])
        leg.close()
        leg.close()
        leg.play(6, [tone.silence(1000)])
        ended = watch.all_of(PlayEnded, 5)
        assert [event.play_id for event in ended] == [1, 2, 3, 4, 5]
        assert [event.completed for event in ended] == [True, True, False, True, False]

    def test_waits_for_the_far_end_to_be_known(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        leg.play(1, [tone.silence(100)])
        other = engine.open_leg()
        other.set_remote(peer.description())
        peer.receives(10)
        watch.none_more(PlayEnded, 0)
        leg.set_remote(peer.description())
        assert watch.one(PlayEnded).heard_ms == 100

    def test_the_clips_are_let_go(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        clip = tone.silence(5000)
        before = sys.getrefcount(clip)
        leg.play(1, [clip, clip])
        assert sys.getrefcount(clip) > before
        leg.play(2, [tone.silence(20)])
        assert sys.getrefcount(clip) == before
        leg.play(3, [clip])
        leg.stop_playing()
        assert sys.getrefcount(clip) == before
        leg.play(4, [clip])
        leg.close()
        assert sys.getrefcount(clip) == before

    def test_the_clips_are_kept(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        leg.play(1, [Clip(bytes(np.full(8000, code, np.uint8))) for code in (1, 2)], loop=True)
        peer.talks_to(leg)
        rubbish = [bytes([code]) * 8000 for code in range(3, 200)]
        heard = {packet.payload for packet in peer.receives(120)}
        assert heard == {b"\x01" * 160, b"\x02" * 160}
        assert rubbish


class TestStream:
    def test_silence_when_nothing_plays(self, engine: MediaEngine, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        packets = peer.receives(10)
        assert {packet.payload for packet in packets} == {b"\xff" * 160}
        assert_continuous(packets)

    def test_silence_in_pcma_is_the_quietest_code(self, engine: MediaEngine, make_peer: PeerMaker) -> None:
        peer = make_peer(codec="PCMA")
        peer.talks_to(engine.open_leg())
        assert loudness(decode_pcma(peer.receives(1)[0].payload)) <= 8

    def test_no_silence_when_told_so(self, make_engine: EngineMaker, peer: RtpPeer) -> None:
        engine = make_engine(send_silence=False)
        watch = Watch(engine)
        leg = engine.open_leg()
        peer.talks_to(leg)
        for play_id in (1, 2):
            leg.play(play_id, [tone.tone(400, 100)])
            watch.all_of(PlayEnded, play_id)
        assert leg.close().packets_sent == 10
        for before, after in pairwise(peer.receives(10)):
            assert (after.sequence - before.sequence) & 0xFFFF == 1

    def test_one_stream_through_every_switch(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        caller, agent = make_peer(), make_peer(ssrc=0x2000, sequence=1, timestamp=1)
        leg, other = engine.open_leg(), engine.open_leg()
        caller.talks_to(leg)
        agent.talks_to(other)
        caller.receives(3)
        leg.play(1, [tone.tone(400, 200)])
        watch.all_of(PlayEnded, 1)
        agent.says(tone_of(1000, 20_000))
        leg.bridge(other)
        caller.hears(lambda sound: len(sound) > 4000 and share_at(sound[-4000:], 1000) > 0.9)
        leg.play(2, [tone.tone(600, 200)])
        watch.all_of(PlayEnded, 2)
        caller.hears(lambda sound: share_at(sound[-4000:], 1000) > 0.9)
        leg.unbridge()
        packets = caller.receives(10, more=True)
        assert_continuous(packets)
        leg.play(3, [tone.tone(600, 100)])
        watch.all_of(PlayEnded, 3)
        assert_continuous(caller.packets)

        caller.talks_to(leg, send=False)
        held = caller.packets[-1]
        sent = leg.statistics().packets_sent
        agent.receives(25, more=True)
        assert leg.statistics().packets_sent == sent
        caller.talks_to(leg)
        resumed = caller.waits_for(lambda packets: len(packets) > sent)[sent]
        assert resumed.ssrc == held.ssrc
        assert resumed.sequence == (packets[0].sequence + sent) & 0xFFFF
        assert resumed.marker
        # RFC 3550 5.1: the timestamp goes on with the time, though nothing was sent
        elapsed_ms = ((resumed.timestamp - held.timestamp) & 0xFFFFFFFF) / 8
        assert elapsed_ms == pytest.approx((resumed.arrival - held.arrival) * 1000, abs=30)
        assert elapsed_ms >= 400

    def test_a_play_waits_while_held(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.play(1, [tone.tone(600, 400)])
        peer.receives(5)
        peer.talks_to(leg, send=False)
        other = engine.open_leg()
        peer.forgets()
        other.set_remote(peer.description())
        peer.receives(25)
        watch.none_more(PlayEnded, 0)
        peer.talks_to(leg)
        assert watch.one(PlayEnded).heard_ms == 400

    @pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 50, 60])
    def test_packets_as_long_as_wanted(self, engine: MediaEngine, watch: Watch, peer: RtpPeer, ptime_ms: int) -> None:
        leg = engine.open_leg()
        clip = tone.tone(600, 600)
        leg.play(1, [clip])
        peer.talks_to(leg, ptime_ms=ptime_ms)
        assert watch.one(PlayEnded).heard_ms == 600
        packets = peer.receives(600 // ptime_ms)
        assert b"".join(packet.payload for packet in packets) == clip.pcmu
        assert_continuous(packets, samples=ptime_ms * 8)
        assert abs(float(np.median(gaps_ms(packets))) - ptime_ms) < 2

    def test_the_codec_may_change(self, engine: MediaEngine, make_peer: PeerMaker) -> None:
        peer = make_peer()
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.play(1, [tone.tone(500, 10_000)])
        peer.receives(10)
        leg.set_remote(peer.description(codec="PCMA", payload_type=8))
        packets = peer.waits_for(lambda packets: sum(packet.payload_type == 8 for packet in packets) > 20)
        assert_continuous(packets)
        assert share_at(peer.sound(packets), 500) > 0.95

    def test_nobody_listens(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        peer = make_peer()
        gone = peer.description()
        peer.close()
        leg = engine.open_leg()
        leg.set_remote(gone)
        leg.play(1, [tone.silence(500)])
        assert watch.one(PlayEnded).completed

    def test_ipv6(self, make_engine: EngineMaker, make_peer: PeerMaker) -> None:
        engine = make_engine(address="::1")
        peer = make_peer("::1")
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.play(1, [tone.tone(700, 2000)])
        assert share_at(peer.sound(peer.receives(25)), 700) > 0.95
        with pytest.raises(ValueError, match="cannot be reached"):
            leg.set_remote(peer.description(address="127.0.0.1"))


def tone_of(frequency: float, duration_ms: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return decode_pcmu(tone.tone(frequency, duration_ms).pcmu)


def events_of(packets: list[RtpPacket]) -> list[tuple[RtpPacket, KeyEvent]]:
    return [(packet, KeyEvent.parse(packet.payload)) for packet in packets if packet.payload_type == 101]


class TestKeys:
    def test_as_rfc_4733_has_them(self, engine: MediaEngine, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        peer.receives(5)
        leg.send_keys("1#", duration_ms=90, gap_ms=80)
        peer.waits_for(lambda packets: sum(event.end for _, event in events_of(packets)) == 6)
        packets = peer.receives(8, more=True)
        for before, after in pairwise(packets):
            assert after.sequence == (before.sequence + 1) & 0xFFFF
            assert after.ssrc == before.ssrc
        events = events_of(packets)
        starts = sorted({packet.timestamp for packet, _ in events}, key=[p.timestamp for p, _ in events].index)
        assert len(starts) == 2
        for start, key in zip(starts, "1#", strict=True):
            of_key = [(packet, event) for packet, event in events if packet.timestamp == start]
            assert {event.key for _, event in of_key} == {key}
            assert [packet.marker for packet, _ in of_key] == [True] + [False] * (len(of_key) - 1)
            assert [event.end for _, event in of_key] == [False] * 4 + [True] * 3
            assert [event.duration for _, event in of_key] == [160, 320, 480, 640, 720, 720, 720]
        assert ((starts[1] - starts[0]) & 0xFFFFFFFF) / 8 == pytest.approx(170, abs=21)
        last_event, first_sound = events[-1][0], packets[packets.index(events[-1][0]) + 1]
        assert first_sound.payload_type == 0
        assert (first_sound.timestamp - last_event.timestamp) & 0xFFFFFFFF >= 720

    def test_a_play_waits_for_them(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        clip = tone.tone(500, 400)
        leg.play(1, [clip])
        peer.receives(3)
        leg.send_keys("5")
        assert watch.one(PlayEnded).heard_ms == 400
        sound = b"".join(packet.payload for packet in peer.packets if packet.payload_type == 0)
        assert sound.replace(b"\xff" * 160, b"").startswith(clip.pcmu[:160])
        assert len(events_of(peer.packets)) == 7

    @pytest.mark.parametrize(("key", "low", "high"), [("1", 697, 1209), ("0", 941, 1336), ("D", 941, 1633)])
    def test_as_tones_without_rfc_4733(
        self, engine: MediaEngine, make_peer: PeerMaker, key: str, low: int, high: int
    ) -> None:
        peer = make_peer(telephone_event=None)
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.send_keys(key, duration_ms=200)
        loud = peer.waits_for(lambda packets: sum(p.payload != b"\xff" * 160 for p in packets) == 10)
        sound = peer.sound([packet for packet in loud if packet.payload != b"\xff" * 160])
        assert share_at(sound, low) > 0.3
        assert share_at(sound, high) > 0.4
        assert share_at(sound, low) + share_at(sound, high) > 0.95

    def test_what_cannot_be_pressed(self, engine: MediaEngine) -> None:
        leg = engine.open_leg()
        for keys in ("12x", "é", "\0"):
            with pytest.raises(ValueError, match="not all keys"):
                leg.send_keys(keys)
        with pytest.raises(ValueError, match="too short or too long"):
            leg.send_keys("1", duration_ms=10)
        leg.send_keys("1" * 128)
        with pytest.raises(ValueError, match="send_keys"):
            leg.send_keys("1")
