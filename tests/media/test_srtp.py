"""Legs with SRTP against pylibsrtp: sealed both ways, and what is forged, replayed or in the clear goes nowhere."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np
import pytest

from gateway.media import binding
from gateway.media.engine import AudioChunk, KeyReceived, MediaEngine, MediaStarted, Srtp, SrtpUnavailable
from gateway.media.srtp import SrtpProfile, find_libsrtp, key_length
from gateway.media.tone import tone
from tests.media.conftest import EngineMaker, PeerMaker, Watch, wait_until
from tests.media.rtp_peer import RtpPeer, assert_continuous
from tests.media.spectrum import Samples, share_at, sine
from tests.media.srtp_peer import SrtpPeer, fresh_keys, receiver_report

SrtpPeerMaker = Callable[..., SrtpPeer]
PROFILES: tuple[SrtpProfile, ...] = get_args(SrtpProfile)


@pytest.fixture
def make_srtp_peer() -> Iterator[SrtpPeerMaker]:
    with contextlib.ExitStack() as stack:

        def make(**settings: Any) -> SrtpPeer:
            peer = SrtpPeer(**settings)
            stack.callback(peer.close)
            return peer

        yield make


@pytest.fixture
def phone(make_srtp_peer: SrtpPeerMaker) -> SrtpPeer:
    return make_srtp_peer()


def heard_at_the_end(peer: RtpPeer, frequency: float, *, ms: int = 500) -> None:
    peer.hears(lambda sound: len(sound) >= ms * 8 and share_at(sound[-ms * 8 :], frequency) > 0.95)


def sound_of(watch: Watch) -> Samples:
    chunks = [np.frombuffer(event.pcm, np.int16) for event in watch.events if isinstance(event, AudioChunk)]
    return np.concatenate(chunks) if chunks else np.zeros(0, np.int16)


class TestBothWays:
    @pytest.mark.parametrize("profile", PROFILES)
    def test_sound(
        self, engine: MediaEngine, watch: Watch, make_srtp_peer: SrtpPeerMaker, profile: SrtpProfile
    ) -> None:
        phone = make_srtp_peer(keys=fresh_keys(profile))
        leg = engine.open_leg()
        phone.talks_to(leg)
        leg.listen(True)
        leg.play(1, [tone(440, 3000)])
        phone.says(sine(1040, 3000))
        heard_at_the_end(phone, 440)
        watch.waits_for(lambda _: len(sound_of(watch)) > 4000 and share_at(sound_of(watch)[-4000:], 1040) > 0.95)
        assert not phone.refused
        assert_continuous(phone.packets)
        statistics = leg.statistics()
        assert not statistics.unauthentic + statistics.replayed + statistics.malformed + statistics.lost

    def test_nothing_of_it_is_in_the_clear(self, engine: MediaEngine, phone: SrtpPeer) -> None:
        clip = tone(440, 1000)
        leg = engine.open_leg()
        phone.talks_to(leg)
        leg.play(1, [clip])
        phone.receives(20)
        leg.close()
        phone.receives_report()
        sent = phone.received_raw
        assert len(sent) >= 20
        for number in range(0, len(clip.pcmu) - 16, 8):
            assert not any(clip.pcmu[number : number + 16] in data for data in sent)

    def test_keys(self, engine: MediaEngine, watch: Watch, phone: SrtpPeer) -> None:
        leg = engine.open_leg()
        phone.talks_to(leg)
        phone.presses("42#")
        assert [event.key for event in watch.all_of(KeyReceived, 3)] == ["4", "2", "#"]
        leg.send_keys("7")
        assert any(packet.payload_type == 101 for packet in phone.receives(8))

    def test_reports(self, engine: MediaEngine, phone: SrtpPeer) -> None:
        leg = engine.open_leg()
        phone.talks_to(leg)
        phone.sends_all(phone.frames(sine(500, 200)))
        phone.sends_rtcp(receiver_report())
        phone.receives(3)
        wait_until(lambda: leg.statistics().packets_received == 10)
        assert leg.close().malformed == 0
        (report,) = phone.receives_report()
        assert report[1] == 200
        assert report[-7] == 203, "a BYE is the last of it"

    def test_sequence_numbers_begin_far_from_their_end(
        self, engine: MediaEngine, make_srtp_peer: SrtpPeerMaker
    ) -> None:
        for _ in range(12):
            phone = make_srtp_peer()
            phone.talks_to(engine.open_leg())
            assert phone.receives(1)[0].sequence < 1 << 15

    def test_the_far_end_goes_round_its_sequence_numbers(self, engine: MediaEngine, phone: SrtpPeer) -> None:
        assert phone.sequence > 65000
        leg = engine.open_leg()
        phone.talks_to(leg)
        phone.sends_all(phone.frames(sine(500, 2000)))
        wait_until(lambda: leg.statistics().packets_received == 100)
        assert not leg.statistics().lost + leg.statistics().unauthentic


class TestFfmpeg:
    """Which has an SRTP of its own, and takes its keys from SDP as a phone does (RFC 4568)."""

    @pytest.mark.parametrize("profile", PROFILES[:2])
    def test_opens_what_we_send(self, engine: MediaEngine, tmp_path: Path, profile: SrtpProfile) -> None:
        peer = RtpPeer()
        peer.close()
        keys, clip, leg = fresh_keys(profile), tone(440, 1000), engine.open_leg()
        inline = base64.b64encode(keys.send).decode()
        description = tmp_path / "phone.sdp"
        description.write_text(
            f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {peer.port} RTP/SAVP 0\r\na=crypto:1 {profile} inline:{inline}\r\n"
        )
        leg.set_remote(peer.description())
        leg.secure(keys)
        leg.play(1, [clip], loop=True)
        heard = b""
        whitelist = {"protocol_whitelist": "file,rtp,udp,srtp,crypto"}
        with av.open(str(description), options=whitelist, timeout=10) as media:
            for packet in media.demux(media.streams.audio[0]):
                heard += bytes(packet)
                if len(heard) >= 1600:
                    break
        assert heard[:1600] in clip.pcmu * 3


class TestWhatIsNotTheFarEnds:
    @pytest.mark.parametrize("profile", PROFILES)
    def test_the_wrong_keys(
        self, engine: MediaEngine, watch: Watch, make_srtp_peer: SrtpPeerMaker, profile: SrtpProfile
    ) -> None:
        phone, other = make_srtp_peer(keys=fresh_keys(profile)), make_srtp_peer(keys=fresh_keys(profile))
        leg = engine.open_leg()
        phone.talks_to(leg)
        other.aims_at(leg)
        other.sends_all(other.frames(sine(500, 200)))
        other.sends_rtcp(receiver_report())
        wait_until(lambda: leg.statistics().unauthentic == 11)
        assert not leg.statistics().packets_received
        watch.none_more(MediaStarted, 0)

    @pytest.mark.parametrize("profile", PROFILES)
    def test_changed_on_its_way(
        self, engine: MediaEngine, watch: Watch, make_srtp_peer: SrtpPeerMaker, profile: SrtpProfile
    ) -> None:
        phone = make_srtp_peer(keys=fresh_keys(profile))
        leg = engine.open_leg()
        phone.talks_to(leg)
        sealed = phone.seals(bytes(phone.packet(bytes(160))))
        for at in (1, 3, 5, 9, 12, 100, len(sealed) - 1):
            phone.sends_raw(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])
        for size in (12, 16, 28, len(sealed) - 1):
            phone.sends_raw(sealed[:size])
        wait_until(lambda: leg.statistics().unauthentic == 11)
        watch.none_more(MediaStarted, 0)
        phone.sends_raw(sealed)
        watch.one(MediaStarted)

    def test_replayed(self, engine: MediaEngine, watch: Watch, phone: SrtpPeer) -> None:
        leg = engine.open_leg()
        phone.talks_to(leg)
        sealed = [phone.seals(bytes(packet)) for packet in phone.key_packets("5")]
        sealed += [phone.seals(bytes(packet)) for packet in phone.frames(sine(500, 3000))]
        for data in sealed:
            phone.sends_raw(data)
        wait_until(lambda: leg.statistics().packets_received == len(sealed))
        for data in sealed:
            phone.sends_raw(data)
        wait_until(lambda: leg.statistics().replayed == len(sealed))
        assert leg.statistics().packets_received == len(sealed)
        watch.none_more(KeyReceived, 1)

    def test_reordered_is_not_replayed(self, engine: MediaEngine, phone: SrtpPeer) -> None:
        leg = engine.open_leg()
        phone.talks_to(leg)
        sealed = [phone.seals(bytes(packet)) for packet in phone.frames(sine(500, 1000))]
        for data in [sealed[0], *reversed(sealed[1:])]:
            phone.sends_raw(data)
        wait_until(lambda: leg.statistics().packets_received == 50)
        assert not leg.statistics().replayed

    def test_in_the_clear(self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker, phone: SrtpPeer) -> None:
        stranger = make_peer()
        leg = engine.open_leg()
        phone.talks_to(leg)
        stranger.aims_at(leg)
        stranger.sends_all(stranger.frames(sine(500, 200)))
        stranger.presses("1")
        stranger.sends_rtcp(receiver_report())
        wait_until(lambda: leg.statistics().unauthentic == 10 + 7)
        wait_until(lambda: leg.statistics().malformed == 1)
        watch.none_more(KeyReceived, 0)
        phone.receives(10, more=True)
        assert not stranger.packets, "nothing latches on what is not authentic"

    def test_only_the_authentic_latches(
        self, engine: MediaEngine, watch: Watch, make_srtp_peer: SrtpPeerMaker, phone: SrtpPeer
    ) -> None:
        real = make_srtp_peer(keys=phone.keys)
        leg = engine.open_leg()
        phone.talks_to(leg)
        real.aims_at(leg)
        real.says(sine(500, 20), repeat=True)
        watch.one(MediaStarted)
        real.receives(5)

    def test_too_many_sources_under_one_key(self, engine: MediaEngine, phone: SrtpPeer) -> None:
        """Each is remembered, so there is an end to it; those that are known are still heard."""
        leg = engine.open_leg()
        phone.talks_to(leg)
        for ssrc in range(1, 101):
            phone.ssrc = ssrc
            phone.sends_all(phone.frames(sine(500, 20)))
        phone.ssrc = 1
        phone.sends_all(phone.frames(sine(500, 20)))
        wait_until(lambda: leg.statistics().unauthentic == 68)
        wait_until(lambda: leg.statistics().packets_received == 33)


class TestKeysComeAndGo:
    def test_nothing_goes_out_or_is_taken_without_keys(
        self, engine: MediaEngine, watch: Watch, make_peer: PeerMaker
    ) -> None:
        peer = make_peer()
        leg, control = engine.open_leg(), engine.open_leg()
        leg.secure(None)
        peer.talks_to(leg)
        leg.play(1, [tone(440, 1000)])
        leg.send_keys("1")
        peer.sends_all(peer.frames(sine(500, 200)))
        wait_until(lambda: leg.statistics().ignored == 10)
        other = make_peer()
        other.talks_to(control)
        other.receives(10)
        assert not leg.close().packets_sent
        control.close()
        other.receives_report()
        assert not peer.packets
        watch.none_more(MediaStarted, 0)

    def test_a_play_waits_for_them(self, engine: MediaEngine, phone: SrtpPeer) -> None:
        clip = tone(440, 400)
        leg = engine.open_leg()
        leg.secure(None)
        leg.set_remote(phone.description())
        leg.play(1, [clip])
        phone.talks_to(leg)
        first = phone.receives(1)[0]
        assert first.marker
        assert first.payload == clip.pcmu[:160]

    def test_they_are_taken_away(self, engine: MediaEngine, phone: SrtpPeer) -> None:
        leg = engine.open_leg()
        phone.talks_to(leg)
        phone.receives(3)
        leg.secure(None)
        sent = leg.statistics().packets_sent
        phone.sends_all(phone.frames(sine(500, 400)))
        wait_until(lambda: leg.statistics().ignored == 20)
        assert leg.statistics().packets_sent == sent

    def test_the_same_again_disturbs_nothing(self, engine: MediaEngine, phone: SrtpPeer) -> None:
        """As every re-INVITE has it; the far end's rollover counter is 1 by then."""
        leg = engine.open_leg()
        phone.talks_to(leg)
        sealed = [phone.seals(bytes(packet)) for packet in phone.frames(sine(500, 2000))]
        for data in sealed:
            phone.sends_raw(data)
        wait_until(lambda: leg.statistics().packets_received == 100)
        leg.secure(replace(phone.keys))
        phone.sends_raw(sealed[-1])
        phone.sends_all(phone.frames(sine(500, 1000)))
        wait_until(lambda: leg.statistics().packets_received == 150)
        assert leg.statistics().replayed == 1
        count = len(phone.packets)
        assert_continuous(phone.receives(count + 10))
        assert not phone.refused

    @pytest.mark.parametrize("profile", PROFILES)
    @pytest.mark.parametrize("rollovers", [0, 1])
    @pytest.mark.parametrize("goes_on", [True, False])
    def test_a_new_key(
        self,
        engine: MediaEngine,
        make_srtp_peer: SrtpPeerMaker,
        profile: SrtpProfile,
        rollovers: int,
        goes_on: bool,
    ) -> None:
        """Whether the far end's rollover counter goes on or begins anew, and while the old key's are still coming."""
        phone = make_srtp_peer(keys=fresh_keys(profile), sequence=65486 if rollovers else 1000)
        leg = engine.open_leg()
        phone.talks_to(leg)
        phone.sends_all(phone.frames(sine(500, 2000)))
        wait_until(lambda: leg.statistics().packets_received == 100)
        late = [phone.seals(bytes(packet)) for packet in phone.frames(sine(500, 400))]
        fresh = fresh_keys(profile)
        leg.secure(fresh)
        for data in late[:10]:
            phone.sends_raw(data)
        phone.rekeys(fresh)
        if goes_on and rollovers:
            # A sealed packet at the end of the numbers takes pylibsrtp's counter to 1; nobody is sent it.
            for sequence in (40000, 65535):
                packet = replace(phone.packet(bytes(160)), sequence=sequence)
                phone.seals(bytes(packet))
        phone.sends_all(phone.frames(sine(500, 1000)))
        for data in late[10:]:
            phone.sends_raw(data)
        wait_until(lambda: leg.statistics().packets_received == 100 + 20 + 50)
        assert not leg.statistics().unauthentic + leg.statistics().replayed
        refused = len(phone.refused)
        phone.receives(10, more=True)
        assert len({packet.ssrc for packet in phone.packets}) == 1
        assert len(phone.refused) == refused

    def test_a_new_key_just_before_the_numbers_begin_anew(
        self, engine: MediaEngine, make_srtp_peer: SrtpPeerMaker
    ) -> None:
        phone = make_srtp_peer(sequence=65400)
        leg = engine.open_leg()
        phone.talks_to(leg)
        phone.sends_all(phone.frames(sine(500, 2000)))
        wait_until(lambda: leg.statistics().packets_received == 100)
        leg.secure(fresh := fresh_keys())
        phone.rekeys(fresh)
        skipped = [phone.seals(bytes(packet)) for packet in phone.frames(sine(500, 1000))]
        assert len(skipped) == 50
        phone.sends_all(phone.frames(sine(500, 400)))
        wait_until(lambda: leg.statistics().packets_received == 120)

    def test_the_old_key_is_over(self, engine: MediaEngine, phone: SrtpPeer) -> None:
        leg = engine.open_leg()
        phone.talks_to(leg)
        phone.sends_all(phone.frames(sine(500, 200)))
        wait_until(lambda: leg.statistics().packets_received == 10)
        for _ in range(2):
            leg.secure(fresh_keys())
        leg.secure(fresh_keys())
        before = leg.statistics().unauthentic

        def refused() -> bool:
            phone.sends_all(phone.frames(sine(500, 20)))
            return leg.statistics().unauthentic > before

        wait_until(refused)

    def test_another_profile(self, engine: MediaEngine, phone: SrtpPeer) -> None:
        leg = engine.open_leg()
        phone.talks_to(leg)
        phone.receives(2)
        fresh = fresh_keys("AEAD_AES_256_GCM")
        leg.secure(fresh)
        phone.rekeys(fresh)
        phone.sends_all(phone.frames(sine(500, 200)))
        wait_until(lambda: leg.statistics().packets_received == 10)
        phone.receives(5, more=True)

    def test_a_leg_that_was_in_the_clear(self, engine: MediaEngine, phone: SrtpPeer) -> None:
        leg = engine.open_leg()
        leg.set_remote(phone.description())
        wait_until(lambda: len(phone.refused) > 2)
        phone.talks_to(leg)
        phone.receives(10)
        phone.sends_all(phone.frames(sine(500, 200)))
        wait_until(lambda: leg.statistics().packets_received == 10)

    def test_a_closed_leg(self, engine: MediaEngine) -> None:
        leg = engine.open_leg()
        leg.close()
        leg.secure(fresh_keys())
        leg.secure(None)

    def test_thousands_of_keys_leave_nothing_behind(self, engine: MediaEngine) -> None:
        leg = engine.open_leg()
        for _ in range(200):
            leg.secure(fresh_keys())
        before = memory_kb()
        for _ in range(3000):
            leg.secure(fresh_keys())
        for _ in range(300):
            other = engine.open_leg()
            other.secure(fresh_keys())
            other.close()
        assert memory_kb() - before < 4000


def memory_kb() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


class TestBridged:
    @pytest.mark.parametrize("profile", PROFILES)
    def test_with_a_plain_leg(
        self,
        engine: MediaEngine,
        watch: Watch,
        make_peer: PeerMaker,
        make_srtp_peer: SrtpPeerMaker,
        profile: SrtpProfile,
    ) -> None:
        browser, phone = make_srtp_peer(keys=fresh_keys(profile), codec="PCMA"), make_peer()
        self.hear_each_other(engine, browser, phone)
        assert not browser.refused
        browser.falls_silent()
        browser.presses("9")
        watch.one(KeyReceived)
        phone.waits_for(lambda packets: any(packet.payload_type == 101 for packet in packets))

    def test_two_secure_ones(self, engine: MediaEngine, make_srtp_peer: SrtpPeerMaker) -> None:
        one, other = make_srtp_peer(), make_srtp_peer(keys=fresh_keys("AEAD_AES_128_GCM"))
        self.hear_each_other(engine, one, other)
        assert not one.refused + other.refused

    @staticmethod
    def hear_each_other(engine: MediaEngine, one: RtpPeer, other: RtpPeer) -> None:
        legs = engine.open_leg(), engine.open_leg()
        one.talks_to(legs[0])
        other.talks_to(legs[1])
        legs[0].bridge(legs[1])
        one.says(sine(440, 10_000))
        other.says(sine(1040, 10_000))
        heard_at_the_end(other, 440)
        heard_at_the_end(one, 1040)
        assert_continuous(one.packets)
        assert_continuous(other.packets)

    def test_a_new_key_in_the_middle(
        self, engine: MediaEngine, make_peer: PeerMaker, make_srtp_peer: SrtpPeerMaker
    ) -> None:
        browser, phone = make_srtp_peer(), make_peer()
        self.hear_each_other(engine, browser, phone)
        leg = browser._leg
        assert leg is not None
        fresh = fresh_keys()
        leg.secure(fresh)
        browser.rekeys(fresh)
        browser.forgets()
        phone.forgets()
        heard_at_the_end(phone, 440)
        heard_at_the_end(browser, 1040)


class TestLibsrtp:
    def test_it_is_there(self, engine: MediaEngine) -> None:
        assert engine.srtp_problem is None

    @pytest.mark.parametrize(
        ("library", "words"),
        [
            (Path("/nowhere/libsrtp.so"), "cannot be loaded"),
            (binding.LIBRARY, "it has no srtp_init"),
        ],
    )
    def test_without_it_the_engine_works(
        self, make_engine: EngineMaker, peer: RtpPeer, library: Path, words: str
    ) -> None:
        engine = make_engine(libsrtp=library)
        leg = engine.open_leg()
        peer.talks_to(leg)
        peer.receives(3)
        for keys in (fresh_keys(), None):
            with pytest.raises(SrtpUnavailable, match=words) as refused:
                leg.secure(keys)
            assert "pylibsrtp" in str(refused.value)
        peer.receives(3, more=True)

    def test_without_pylibsrtp(self, monkeypatch: pytest.MonkeyPatch, make_engine: EngineMaker) -> None:
        monkeypatch.setattr("gateway.media.srtp.find_spec", lambda name: None)
        leg = make_engine().open_leg()
        with pytest.raises(SrtpUnavailable, match="pip install pylibsrtp"):
            leg.secure(fresh_keys())

    def test_it_is_as_the_engine_was_written_for(self) -> None:
        """Versions and structures that native/libsrtp.h states; the library in use must be one of them."""
        library = ctypes.CDLL(str(find_libsrtp()))
        assert 0x2040000 <= library.srtp_get_version() < 0x2090000
        words = (ctypes.c_uint32 * 8)(*[0xA5A5A5A5] * 8)
        assert library.srtp_crypto_policy_set_from_profile_for_rtp(words, 1) == 0
        assert words[1] == 30, "cipher key length"
        assert list(words[3:6]) == [20, 10, 3], "authentication key and tag, services"
        assert list(words[6:]) == [0xA5A5A5A5] * 2, "nothing lies beyond"
        for number, length in ((1, 30), (2, 30), (7, 28), (8, 44)):
            total = library.srtp_profile_get_master_key_length(number)
            total += library.srtp_profile_get_master_salt_length(number)
            assert total == length


class TestKeys:
    @pytest.mark.parametrize("profile", PROFILES)
    def test_their_length(self, profile: SrtpProfile) -> None:
        good = bytes(key_length(profile))
        Srtp(profile, good, good)
        for bad in (b"", good[:-1], good + b"1"):
            with pytest.raises(ValueError, match="bytes"):
                Srtp(profile, good, bad)
            with pytest.raises(ValueError, match="bytes"):
                Srtp(profile, bad, good)

    def test_no_such_profile(self) -> None:
        with pytest.raises(ValueError, match="F8_128_HMAC_SHA1_80"):
            Srtp("F8_128_HMAC_SHA1_80", bytes(30), bytes(30))  # type: ignore[arg-type]

    def test_they_are_not_printed(self) -> None:
        assert "secret" not in repr(Srtp("AEAD_AES_128_GCM", b"secret" + bytes(22), b"secret" + bytes(22)))
