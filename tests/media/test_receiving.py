"""What a leg believes, counts and reports of what it is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.media.engine import (
    KeyReceived,
    MediaBack,
    MediaEngine,
    MediaLost,
    MediaStarted,
)
from tests.media.conftest import EngineMaker, PeerMaker, Watch, wait_until
from tests.media.rtp_peer import RtpPeer
from tests.media.spectrum import share_at, sine


class TestSource:
    def test_sound_follows_the_phone_behind_its_nat(
        self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker
    ) -> None:
        signalled, real = make_peer(), make_peer()
        leg = engine.open_leg()
        signalled.talks_to(leg)
        signalled.receives(3)
        real.aims_at(leg)
        real.says(sine(500, 20), repeat=True)
        assert watch.one(MediaStarted).leg_id == leg.id
        real.receives(10)
        heard = len(signalled.packets)
        real.receives(10, more=True)
        assert len(signalled.packets) <= heard + 1

    def test_nobody_else_takes_the_sound_over(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        phone, thief = make_peer(), make_peer(ssrc=0x6666)
        leg = engine.open_leg()
        phone.talks_to(leg)
        phone.says(sine(500, 20), repeat=True)
        watch.one(MediaStarted)
        leg.listen(True)
        thief.aims_at(leg)
        thief.sends_all(thief.frames(sine(900, 1000)))
        thief.presses("99")
        wait_until(lambda: leg.statistics().ignored == 50 + 14)
        phone.receives(10, more=True)
        assert not thief.packets
        watch.none_more(KeyReceived, 0)

    def test_whoever_was_quicker_yields_to_the_address_that_was_signalled(
        self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker
    ) -> None:
        phone, thief = make_peer(), make_peer(ssrc=0x6666)
        leg = engine.open_leg()
        thief.aims_at(leg)
        phone.talks_to(leg)
        thief.says(sine(900, 20), repeat=True)
        thief.receives(3)
        phone.says(sine(500, 20), repeat=True)
        wait_until(lambda: leg.statistics().ignored > 5)
        taken = len(thief.packets)
        phone.receives(10, more=True)
        assert len(thief.packets) <= taken + 1

    def test_nor_with_the_same_ssrc(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        phone, thief = make_peer(), make_peer()
        leg = engine.open_leg()
        phone.talks_to(leg)
        phone.sends_all(phone.frames(sine(500, 40)))
        watch.one(MediaStarted)
        thief.aims_at(leg)
        thief.sends_all(thief.frames(sine(500, 200)))
        wait_until(lambda: leg.statistics().ignored == 10)
        assert leg.statistics().packets_received == 2

    def test_another_ssrc_of_the_same_phone(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        peer.sends_all(peer.frames(sine(500, 200)))
        late = peer.packet(b"\xff" * 160)
        peer.ssrc, peer.sequence, peer.timestamp = 0x9999, 5, 77
        peer.sends_all(peer.frames(sine(500, 200)))
        peer.presses("5")
        assert watch.one(KeyReceived).key == "5"
        peer.sends(bytes(late))
        wait_until(lambda: leg.statistics().ignored == 1)
        statistics = leg.statistics()
        assert statistics.packets_received == 20 + 7
        assert statistics.lost == 0

    def test_signalling_moves_the_far_end(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        before, after = make_peer(), make_peer(ssrc=0x2000, sequence=9)
        leg = engine.open_leg()
        before.talks_to(leg)
        before.says(sine(500, 20), repeat=True)
        watch.one(MediaStarted)
        after.talks_to(leg)
        after.receives(5)
        assert leg.statistics().ignored > 0
        received = leg.statistics().packets_received
        after.sends_all(after.frames(sine(500, 100)))
        wait_until(lambda: leg.statistics().packets_received >= received + 5)
        after.receives(5, more=True)

    def test_signalled_again_it_stays_where_it_is(
        self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker
    ) -> None:
        signalled, real = make_peer(), make_peer()
        leg = engine.open_leg()
        signalled.talks_to(leg)
        real.aims_at(leg)
        real.sends_all(real.frames(sine(500, 40)))
        watch.one(MediaStarted)
        real.receives(3)
        signalled.talks_to(leg, send=False)
        signalled.talks_to(leg)
        heard = len(signalled.packets)
        real.receives(5, more=True)
        assert len(signalled.packets) == heard

    def test_after_some_seconds_of_silence_another_source_is_believed(
        self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker
    ) -> None:
        before, after = make_peer(), make_peer()
        leg = engine.open_leg()
        before.talks_to(leg)
        before.sends_all(before.frames(sine(500, 40)))
        watch.one(MediaStarted)
        after.aims_at(leg)
        after.says(sine(500, 20), repeat=True)
        first = after.receives(1)[0]
        assert first.arrival - before.packets[0].arrival > 2.9
        assert leg.statistics().ignored > 100

    def test_nothing_before_the_far_end_is_known(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.aims_at(leg)
        peer.sends_all(peer.frames(sine(500, 100)))
        wait_until(lambda: leg.statistics().ignored == 5)
        watch.none_more(MediaStarted, 0)


class TestCounting:
    def test_loss_duplicates_and_reordering(self, engine: MediaEngine, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        packets = peer.frames(sine(500, 2000))
        kept = [packet for index, packet in enumerate(packets) if index not in (10, 11, 50)]
        kept[20], kept[21] = kept[21], kept[20]
        kept[30:33] = kept[32], kept[30], kept[31]
        kept.insert(60, kept[58])
        kept.insert(70, kept[69])
        peer.sends_all(kept)
        wait_until(lambda: leg.statistics().packets_received == 99)
        statistics = leg.statistics()
        assert (statistics.lost, statistics.duplicates, statistics.reordered) == (3, 2, 3)
        assert statistics.audio_received_ms == 97 * 20
        assert statistics.bytes_received == 99 * 160
        assert statistics.malformed == statistics.ignored == 0

    def test_jitter_of_an_even_stream_is_small(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        peer.says(sine(500, 1000))
        peer.has_said_it()
        assert leg.statistics().jitter_ms < 20

    def test_rubbish(self, engine: MediaEngine, watch: Watch, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        good = bytes(peer.packet(b"\xff" * 160))
        rubbish = [
            b"",
            b"\x80",
            good[:11],
            b"\x40" + good[1:],
            b"\x8f" + good[1:20],  # 15 CSRCs that are not there
            b"\x90" + good[1:12] + b"\xbe\xde\xff\xff",  # an extension of 256 kB
            b"\xa0" + good[1:-1] + b"\x00",  # padding of nothing
            b"\xa0" + good[1:-1] + b"\xff",  # padding of more than there is
            good[:1] + b"\x60" + good[2:],  # payload type 96, never agreed on
            good[:12],  # no sound
            good + b"\xff" * 1400,
            bytes(replace(peer.packet(b"\x05\x00"), payload_type=101)),
        ]
        for data in rubbish:
            peer.sends(data)
        wait_until(lambda: leg.statistics().malformed == len(rubbish))
        watch.none_more(MediaStarted, 0)
        peer.sends(good)
        watch.one(MediaStarted)
        assert leg.statistics().packets_received == 1

    def test_csrcs_extension_and_padding(self, engine: MediaEngine, peer: RtpPeer) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        plain = bytes(peer.packet(b""))
        dressed = b"\xb2" + plain[1:] + bytes(8) + b"\xbe\xde\x00\x01" + bytes(4) + b"\xff" * 160 + b"\x00\x00\x03"
        peer.sends(dressed)
        wait_until(lambda: leg.statistics().packets_received == 1)
        assert leg.statistics().bytes_received == 160

    @pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
    def test_packets_of_any_length(self, engine: MediaEngine, peer: RtpPeer, ptime_ms: int) -> None:
        leg = engine.open_leg()
        peer.talks_to(leg)
        peer.sends_all(peer.frames(sine(500, 600), ptime_ms=ptime_ms))
        wait_until(lambda: leg.statistics().audio_received_ms == 600)

    def test_a_flood_holds_nobody_up(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
        flooder, listener = make_peer(), make_peer()
        leg, other = engine.open_leg(), engine.open_leg()
        flooder.talks_to(leg)
        listener.talks_to(other)
        packets = [bytes(packet) for packet in flooder.frames(sine(500, 20_000))]
        for _ in range(10):
            for data in packets:
                flooder.sends(data)
        other_packets = listener.receives(20, more=True)
        assert share_at(listener.sound(other_packets), 500) == 0
        assert engine.statistics().events_dropped == 0


class TestSupervision:
    def test_started_lost_and_back(self, make_engine: EngineMaker, peer: RtpPeer) -> None:
        engine = make_engine(media_timeout_s=0.3)
        watch = Watch(engine)
        leg = engine.open_leg()
        peer.talks_to(leg)
        peer.sends_all(peer.frames(sine(500, 20)))
        watch.all_of(MediaLost)
        peer.sends_all(peer.frames(sine(500, 20)))
        watch.all_of(MediaBack)
        watch.all_of(MediaLost, 2)
        assert [type(event) for event in watch.events] == [MediaStarted, MediaLost, MediaBack, MediaLost]

    def test_never_heard_at_all(self, make_engine: EngineMaker, peer: RtpPeer) -> None:
        engine = make_engine(media_timeout_s=0.2)
        watch = Watch(engine)
        peer.talks_to(engine.open_leg())
        watch.one(MediaLost)

    def test_not_missed_while_it_is_not_to_send(self, make_engine: EngineMaker, peer: RtpPeer) -> None:
        engine = make_engine(media_timeout_s=0.2)
        watch = Watch(engine)
        leg = engine.open_leg()
        peer.talks_to(leg, receive=False)
        peer.receives(25)
        watch.none_more(MediaLost, 0)
        peer.talks_to(leg)
        watch.one(MediaLost)

    def test_expected_anew(self, make_engine: EngineMaker, peer: RtpPeer) -> None:
        """What was missed before does not count, and is missed again."""
        engine = make_engine(media_timeout_s=0.3)
        watch = Watch(engine)
        leg = engine.open_leg()
        peer.talks_to(leg)
        watch.all_of(MediaLost)
        leg.expect()
        watch.all_of(MediaLost, 2)
        for _ in range(10):
            peer.receives(5, more=True)
            leg.expect()
        watch.none_more(MediaLost, 2)

    def test_rtcp_is_a_sign_of_life(self, make_engine: EngineMaker, peer: RtpPeer) -> None:
        engine = make_engine(media_timeout_s=0.5)
        watch = Watch(engine)
        leg = engine.open_leg()
        peer.talks_to(leg)
        receiver_report = b"\x80\xc9\x00\x01" + peer.ssrc.to_bytes(4, "big")
        for _ in range(10):
            peer.sends_rtcp(receiver_report)
            peer.receives(5, more=True)
        watch.none_more(MediaLost, 0)
        watch.one(MediaLost)
