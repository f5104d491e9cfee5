"""Legs that speak Opus and G.722: against FFmpeg's and libopus' own coders, which share nothing with the engine's."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest

from gateway.media import binding, opus, tone
from gateway.media.engine import AudioChunk, KeyReceived, MediaEngine, MediaLeg, PlayEnded
from gateway.media.g711 import decode_pcmu
from tests.media.coders import Codec
from tests.media.conftest import EngineMaker, PeerMaker, Watch, wait_until
from tests.media.rtp_peer import KeyEvent, RtpPacket, RtpPeer, assert_continuous
from tests.media.spectrum import Samples, key_tones, loudness, share_at, sine

WIDE: list[Codec] = ["G722", "opus"]


def heard(watch: Watch, ms: int) -> Samples:
    chunks = watch.all_of(AudioChunk, ms // 100)
    return np.frombuffer(b"".join(chunk.pcm for chunk in chunks), dtype=np.int16)


def is_heard(peer: RtpPeer, frequency: float, *, ms: int = 400) -> None:
    peer.hears(lambda sound: len(sound) >= ms * 8 and share_at(sound[-ms * 8 :], frequency) > 0.95)


def has_come(leg: MediaLeg, packets: int) -> None:
    wait_until(lambda: leg.statistics().packets_received == packets)


def of_type(packets: list[RtpPacket], payload_type: int) -> list[RtpPacket]:
    return [packet for packet in packets if packet.payload_type == payload_type]


def bridged(engine: MediaEngine, caller: RtpPeer, agent: RtpPeer) -> tuple[MediaLeg, MediaLeg]:
    leg, other = engine.open_leg(), engine.open_leg()
    caller.talks_to(leg)
    agent.talks_to(other)
    # The marker of each stream's beginning is over.
    caller.receives(2)
    agent.receives(2)
    leg.bridge(other)
    return leg, other


def test_opus_is_there(engine: MediaEngine) -> None:
    assert engine.codecs == ("PCMU", "PCMA", "G722", "opus")


def test_without_libopus_the_rest_works(
    make_engine: EngineMaker, make_peer: PeerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opus, "load", lambda: False)
    engine = make_engine()
    assert engine.codecs == ("PCMU", "PCMA", "G722")
    leg = engine.open_leg()
    with pytest.raises(ValueError, match="no libopus"):
        leg.set_remote(make_peer(codec="opus").description())
    peer = make_peer(codec="G722")
    peer.talks_to(leg)
    peer.receives(2)


def test_where_libopus_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = opus.library()
    assert shipped is not None
    assert "av.libs" in shipped
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: f"lib{name}.so.0")
    assert opus.library() == "libopus.so.0"
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    assert opus.library() is None


def test_a_library_that_is_none() -> None:
    assert opus.load()
    # The one that is loaded stays, whatever else is asked for.
    assert binding.load().media_load_opus(b"/nowhere/libopus.so") == 0


class TestSending:
    @pytest.mark.parametrize("codec", WIDE)
    @pytest.mark.parametrize("ptime_ms", [10, 20, 30, 50, 60])
    def test_plays(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker, codec: Codec, ptime_ms: int) -> None:
        peer = make_peer(codec=codec)
        leg = engine.open_leg()
        clip = tone.tone(800, 900)
        leg.play(1, [clip])
        peer.talks_to(leg, ptime_ms=ptime_ms)
        assert watch.one(PlayEnded).heard_ms == 900
        packets = peer.receives(900 // ptime_ms)
        assert {packet.payload_type for packet in packets} == {peer.payload_type}
        assert_continuous(packets, samples=ptime_ms * 8 * peer.scale)
        sound = peer.sound(packets)[1200:5600]
        assert share_at(sound, 800) > 0.97
        assert loudness(sound) == pytest.approx(loudness(decode_pcmu(clip.pcmu)[1200:5600]), rel=0.1)

    @pytest.mark.parametrize("codec", WIDE)
    def test_silence(self, engine: MediaEngine, make_peer: PeerMaker, codec: Codec) -> None:
        peer = make_peer(codec=codec)
        peer.talks_to(engine.open_leg())
        packets = peer.receives(30)
        assert_continuous(packets, samples=160 * peer.scale)
        assert loudness(peer.sound(packets)[800:]) < 10

    @pytest.mark.parametrize("codec", WIDE)
    def test_speech_band_is_kept(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker, codec: Codec) -> None:
        """Nothing that is mirrored: each frequency is there as itself, as loud as it was."""
        peer = make_peer(codec=codec)
        leg = engine.open_leg()
        leg.play(1, [tone.tone(frequency, 500) for frequency in (300, 1000, 2000, 3000, 3400)])
        peer.talks_to(leg)
        watch.one(PlayEnded)
        sound = peer.sound(peer.receives(125))
        for at, frequency in enumerate((300, 1000, 2000, 3000, 3400)):
            part = sound[at * 4000 + 1200 : at * 4000 + 3600]
            assert share_at(part, frequency) > 0.9, frequency

    def test_a_codec_changed_in_mid_call(self, engine: MediaEngine, make_peer: PeerMaker) -> None:
        peer = make_peer(codec="PCMU")
        leg = engine.open_leg()
        leg.play(1, [tone.tone(800, 10_000)])
        peer.talks_to(leg)
        peer.receives(10)
        for codec in ("opus", "G722", "PCMA", "opus"):
            other = make_peer(codec=codec)
            other.talks_to(leg)
            packets = other.receives(30)
            assert_continuous(packets, samples=160 * other.scale)
            assert share_at(other.sound(packets)[1000:], 800) > 0.95


class TestListening:
    @pytest.mark.parametrize(
        ("codec", "ptime_ms"), [("G722", 10), ("G722", 20), ("G722", 30), ("opus", 10), ("opus", 20), ("opus", 60)]
    )
    def test_what_is_said_is_heard(
        self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker, codec: Codec, ptime_ms: int
    ) -> None:
        peer = make_peer(codec=codec)
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.listen(True)
        peer.says(sine(640, 1500), ptime_ms=ptime_ms, ahead_ms=120)
        sound = heard(watch, 1000)[-4000:]
        assert share_at(sound, 640) > 0.97
        assert loudness(sound) == pytest.approx(8000 / 2**0.5, rel=0.1)
        assert leg.statistics().malformed == 0

    @pytest.mark.parametrize("codec", WIDE)
    def test_what_lies_above_8000_hz_sampling_is_not_mirrored(
        self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker, codec: Codec
    ) -> None:
        peer = make_peer(codec=codec)
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.listen(True)
        when = np.arange(16000 * 3 // 2) / 16000
        wide = (6000 * np.sin(2 * np.pi * 640 * when) + 6000 * np.sin(2 * np.pi * 5200 * when)).astype(np.int16)
        peer.says_wide(wide, ahead_ms=120)
        assert share_at(heard(watch, 1000)[-4000:], 640) > 0.97

    @pytest.mark.parametrize("codec", WIDE)
    def test_lost_packets_are_covered_up(
        self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker, codec: Codec
    ) -> None:
        peer = make_peer(codec=codec)
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.listen(True)
        packets = peer.frames(sine(650, 1200))
        kept = [packet for index, packet in enumerate(packets) if index % 10 != 7]
        peer.sends_paced(kept, ahead_ms=120)
        sound = heard(watch, 1000)[2400:7000]
        quietest = min(loudness(sound[at : at + 160]) for at in range(0, len(sound) - 160, 80))
        assert quietest > 1000
        assert share_at(sound, 650, width=60) > 0.8

    def test_reordered_opus(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        peer = make_peer(codec="opus")
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.listen(True)
        packets = peer.frames(sine(650, 1200))
        for at in range(10, 50, 10):
            packets[at], packets[at + 1] = packets[at + 1], packets[at]
        peer.sends_paced(packets, ahead_ms=120)
        sound = heard(watch, 1000)[2400:7000]
        assert leg.statistics().reordered == 4
        assert share_at(sound, 650, width=60) > 0.8

    def test_a_pause_without_packets(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        """What a sender with DTX does: numbers go on by one, timestamps by the clock."""
        peer = make_peer(codec="opus")
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.listen(True)
        before = peer.frames(sine(650, 500))
        peer.timestamp += 500 * 48
        after = peer.frames(sine(850, 800))
        peer.sends_paced(before, ahead_ms=100)
        peer.sends_paced(after, ahead_ms=-400)
        sound = heard(watch, 1600)
        assert share_at(sound[1600:3200], 650) > 0.95
        assert share_at(sound[-3200:-800], 850) > 0.95
        assert loudness(sound[6000:7600]) < 50

    @pytest.mark.parametrize("codec", WIDE)
    def test_keys_as_tones(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker, codec: Codec) -> None:
        peer = make_peer(codec=codec, telephone_event=None)
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.detect_inband_keys(True)
        pause = np.zeros(640, dtype=np.int16)
        pairs = [(low, high) for low in (697, 770, 852, 941) for high in (1209, 1336, 1477)]
        sound = np.concatenate([part for pair in pairs for part in (key_tones(*pair, 100), pause)])
        peer.says(sound, ahead_ms=100)
        assert "".join(event.key for event in watch.all_of(KeyReceived, 12)) == "123456789*0#"

    def test_jitter_is_in_milliseconds(self, engine: MediaEngine, make_peer: PeerMaker) -> None:
        jitters = []
        for codec in ("PCMU", "opus"):
            peer = make_peer(codec=codec)
            leg = engine.open_leg()
            peer.talks_to(leg)
            # Forty at once: each comes 20 ms before its time.
            peer.sends_all(peer.frames(sine(640, 800)))
            has_come(leg, 40)
            jitters.append(leg.statistics().jitter_ms)
            assert leg.statistics().audio_received_ms == 800
        assert jitters[0] == pytest.approx(jitters[1], rel=0.05)
        assert jitters[0] == pytest.approx(20, rel=0.2)


class TestBridging:
    @pytest.mark.parametrize("codec", WIDE)
    def test_untouched_between_equal_codecs(self, engine: MediaEngine, make_peer: PeerMaker, codec: Codec) -> None:
        caller, agent = make_peer(codec=codec), make_peer(codec=codec, ssrc=0x2000)
        bridged(engine, caller, agent)
        packets = caller.frames(sine(440, 1000))
        caller.sends_paced(packets)
        payloads = [packet.payload for packet in packets]
        passed = agent.waits_for(lambda came: sum(packet.payload in payloads for packet in came) == len(payloads))
        passed = [packet for packet in passed if packet.payload in payloads]
        assert [packet.payload for packet in passed] == payloads
        assert_continuous(passed, samples=160 * agent.scale)

    def test_stereo_is_passed_on_and_heard(self, engine: MediaEngine, make_peer: PeerMaker) -> None:
        """RFC 7587 4.1: a receiver takes stereo, whatever it asked for."""
        caller, agent = make_peer(codec="opus"), make_peer(codec="PCMU")
        bridged(engine, caller, agent)
        caller.says_stereo(sine(440, 3000))
        is_heard(agent, 440)

    @pytest.mark.parametrize("codec", WIDE)
    def test_our_own_sound_after_that_of_others(self, engine: MediaEngine, make_peer: PeerMaker, codec: Codec) -> None:
        caller, agent = make_peer(codec=codec), make_peer(codec=codec, ssrc=0x2000)
        leg, _ = bridged(engine, caller, agent)
        agent.says(sine(440, 3000))
        is_heard(caller, 440)
        leg.play(1, [tone.tone(1500, 3000)])
        is_heard(caller, 1500)
        leg.stop_playing()
        is_heard(caller, 440)
        assert_continuous(caller.packets, samples=160 * caller.scale)

    @pytest.mark.parametrize(("one", "other"), [("opus", "PCMU"), ("PCMU", "opus"), ("G722", "opus"), ("PCMA", "G722")])
    def test_loss_is_carried_over(self, engine: MediaEngine, make_peer: PeerMaker, one: Codec, other: Codec) -> None:
        caller, agent = make_peer(codec=one), make_peer(codec=other, ssrc=0x2000)
        bridged(engine, caller, agent)
        packets = caller.frames(sine(440, 2000))
        lost = {20, 41, 42, 70}
        caller.sends_paced(packet for index, packet in enumerate(packets) if index not in lost)
        came = agent.waits_for(lambda came: len(after_marker(came)) >= 90)
        numbers = [(packet.sequence, packet.timestamp) for packet in after_marker(came)[:90]]
        steps = [((b[0] - a[0]) & 0xFFFF, (b[1] - a[1]) & 0xFFFFFFFF) for a, b in pairwise(numbers)]
        assert {(step, moved // (160 * agent.scale)) for step, moved in steps} == {(1, 1), (2, 2), (3, 3)}
        assert sum(step > 1 for step, _ in steps) == 3
        assert share_at(agent.sound(after_marker(came)), 440, width=60) > 0.8

    @pytest.mark.parametrize("ptime_ms", [10, 30, 40, 60])
    def test_packets_of_any_length_become_opus(self, engine: MediaEngine, make_peer: PeerMaker, ptime_ms: int) -> None:
        caller, agent = make_peer(codec="PCMU"), make_peer(codec="opus", ssrc=0x2000)
        bridged(engine, caller, agent)
        caller.says(sine(440, 2000), ptime_ms=ptime_ms)
        is_heard(agent, 440)
        assert_continuous(after_marker(agent.packets), samples=ptime_ms * 48)

    def test_mangled_opus_is_as_good_as_lost(self, engine: MediaEngine, make_peer: PeerMaker) -> None:
        caller, agent = make_peer(codec="opus"), make_peer(codec="PCMU", ssrc=0x2000)
        leg, _ = bridged(engine, caller, agent)
        chance = random.Random(3)
        packets = caller.frames(sine(440, 2500))
        broken = [packet.payload for packet in packets[10:60]]
        for at, payload in enumerate(broken):
            bits = bytearray(payload)
            for _ in range(1 + at % 20):
                bits[chance.randrange(len(bits))] = chance.randrange(256)
            broken[at] = bytes(bits[: chance.randrange(len(bits) + 1)])
        mangled = [
            RtpPacket(p.payload_type, p.sequence, p.timestamp, p.ssrc, broken[at - 10] if 10 <= at < 60 else p.payload)
            for at, p in enumerate(packets)
        ]
        caller.sends_paced(mangled)
        is_heard(agent, 440)
        assert leg.statistics().malformed > 0


def after_marker(packets: list[RtpPacket]) -> list[RtpPacket]:
    """From the first packet that was passed on: silence of ours, which began with a marker too, precedes it."""
    start = next((index for index, packet in enumerate(packets) if packet.marker and index), len(packets))
    return packets[start:]


class TestKeys:
    def test_sent_with_the_clock_of_opus(self, engine: MediaEngine, make_peer: PeerMaker) -> None:
        peer = make_peer(codec="opus", telephone_event=110)
        leg = engine.open_leg()
        peer.talks_to(leg)
        peer.receives(3)
        leg.send_keys("5", duration_ms=160)
        came = peer.waits_for(
            lambda packets: len(of_type(packets, 110)) == 10 and packets[-1].payload_type == peer.payload_type
        )
        packets = of_type(came, 110)
        events = [KeyEvent.parse(packet.payload) for packet in packets]
        assert [event.duration for event in events] == [960 * n for n in (1, 2, 3, 4, 5, 6, 7, 8, 8, 8)]
        assert [event.end for event in events] == [False] * 7 + [True] * 3
        assert len({packet.timestamp for packet in packets}) == 1
        sound = of_type(came, peer.payload_type)
        after = next(packet for packet in sound if packet.sequence == (packets[-1].sequence + 1) & 0xFFFF)
        assert (after.timestamp - packets[0].timestamp) & 0xFFFFFFFF == 200 * 48

    def test_a_long_one_in_segments(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        """16 bits hold 1.365 s at 48,000 Hz: RFC 4733 2.5.1.3."""
        peer = make_peer(codec="opus", telephone_event=110)
        leg = engine.open_leg()
        peer.talks_to(leg)
        leg.send_keys("5", duration_ms=3000)
        came = peer.waits_for(lambda packets: len(of_type(packets, 110)) == 152)
        packets = of_type(came, 110)
        start = packets[0].timestamp
        lasted = [(p.timestamp - start) + KeyEvent.parse(p.payload).duration for p in packets]
        assert lasted == [960 * n for n in range(1, 151)] + [960 * 150] * 2
        assert sorted({p.timestamp - start for p in packets}) == [0, 57600, 115200]
        assert [packet.marker for packet in packets] == [True] + [False] * 151
        assert [KeyEvent.parse(p.payload).end for p in packets] == [False] * 149 + [True] * 3
        # Our own end of it takes that for one press.
        echo = make_peer(codec="opus", telephone_event=110)
        echo.talks_to(engine.open_leg())
        echo.sends_all(packets)
        echo.timestamp = (packets[-1].timestamp + 400_000) & 0xFFFFFFFF
        echo.sequence = (packets[-1].sequence + 1) & 0xFFFF
        echo.ssrc = packets[0].ssrc
        echo.presses("9")
        assert [event.key for event in watch.all_of(KeyReceived, 2)] == ["5", "9"]

    def test_reported(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        peer = make_peer(codec="opus", telephone_event=110)
        peer.talks_to(engine.open_leg())
        peer.presses("1122*#")
        assert "".join(event.key for event in watch.all_of(KeyReceived, 6)) == "1122*#"

    def test_a_long_one_of_a_browser(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        """libwebrtc begins a segment where the longest duration is exceeded, with the packet's own timestamp."""
        peer = make_peer(codec="opus", telephone_event=110)
        peer.talks_to(engine.open_leg())
        start = peer.timestamp
        for n in range(1, 151):
            segment = (n - 1) // 69
            begins = segment * 69 * 960 if segment else 0
            event = KeyEvent("7", end=n == 150, volume=10, duration=min(n * 960 - begins, 0xFFFF))
            peer.sends(bytes(RtpPacket(110, peer.sequence, start + begins, peer.ssrc, bytes(event), marker=n == 1)))
            peer.sequence = (peer.sequence + 1) & 0xFFFF
        peer.timestamp = start + 200 * 960
        peer.presses("8")
        assert [event.key for event in watch.all_of(KeyReceived, 2)] == ["7", "8"]

    @pytest.mark.parametrize(("one", "other"), [("opus", "PCMU"), ("PCMU", "opus"), ("opus", "G722")])
    def test_passed_on_at_the_other_clock(
        self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker, one: Codec, other: Codec
    ) -> None:
        """A key of 160 ms stays one of 160 ms."""
        caller = make_peer(codec=one, telephone_event=110)
        agent = make_peer(codec=other, telephone_event=101, ssrc=0x2000)
        bridged(engine, caller, agent)
        caller.sends_paced(caller.frames(sine(440, 200)))
        for key in "59":
            caller.sends_all(caller.key_packets(key, held_ms=160, gap_ms=100))
        caller.sends_all(caller.frames(sine(440, 40)))
        watch.all_of(KeyReceived, 2)
        came = agent.waits_for(lambda packets: len(of_type(packets, 101)) == 20 and after(packets, 101) >= 2)
        packets = of_type(came, 101)
        events = [KeyEvent.parse(packet.payload) for packet in packets]
        step = 160 * agent.scale
        assert [event.duration for event in events] == [step * n for n in (1, 2, 3, 4, 5, 6, 7, 8, 8, 8)] * 2
        assert [packet.marker for packet in packets] == ([True] + [False] * 9) * 2
        assert [event.key for event in events] == ["5"] * 10 + ["9"] * 10
        starts = sorted({packet.timestamp for packet in packets})
        assert [b - a for a, b in pairwise(starts)] == [260 * 8 * agent.scale]
        numbers = [packet.sequence for packet in came[came.index(packets[0]) :]]
        assert {(b - a) & 0xFFFF for a, b in pairwise(numbers)} == {1}

    def test_a_long_one_leaves_its_segments_and_gets_others(
        self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker
    ) -> None:
        browser = make_peer(codec="opus", telephone_event=110)
        phone = make_peer(codec="PCMU", telephone_event=101, ssrc=0x2000)
        leg, other = bridged(engine, browser, phone)
        leg.unbridge()
        leg.send_keys("4", duration_ms=3000)
        browser.waits_for(lambda packets: len(of_type(packets, 110)) == 152)
        pressed = of_type(browser.packets, 110)
        leg.bridge(other)
        browser.sends_all(pressed)
        came = of_type(phone.waits_for(lambda packets: len(of_type(packets, 101)) == 152), 101)
        assert len({packet.timestamp for packet in came}) == 1
        assert [KeyEvent.parse(p.payload).duration for p in came] == [160 * n for n in range(1, 151)] + [24000] * 2
        browser.forgets()
        phone.sends_all(came)
        back = of_type(browser.waits_for(lambda packets: len(of_type(packets, 110)) == 152), 110)
        start = back[0].timestamp
        assert [((p.timestamp - start) & 0xFFFFFFFF) + KeyEvent.parse(p.payload).duration for p in back] == [
            960 * n for n in range(1, 151)
        ] + [144000] * 2


def after(packets: list[RtpPacket], payload_type: int) -> int:
    """Packets that came after the last one of the kind."""
    last = max(index for index, packet in enumerate(packets) if packet.payload_type == payload_type)
    return len(packets) - 1 - last
