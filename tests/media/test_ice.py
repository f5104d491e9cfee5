"""Legs with ICE: one port for STUN, DTLS, RTP and RTCP, and a path that only signalling moves."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.media.engine import (
    Datagram,
    KeyReceived,
    MediaEngine,
    MediaLeg,
    MediaLost,
    MediaStarted,
    NoPortsLeft,
    PlayEnded,
)
from gateway.media.tone import tone
from tests.media.coders import Codec
from tests.media.conftest import EngineMaker, PeerMaker, Watch, wait_until
from tests.media.rtp_peer import assert_continuous
from tests.media.spectrum import share_at, sine
from tests.media.srtp_peer import SrtpPeer, fresh_keys, receiver_report

BrowserMaker = Callable[..., SrtpPeer]
ALLOWANCE = 101
"""Datagrams that may come at once."""


@pytest.fixture
def make_browser() -> Iterator[BrowserMaker]:
    with contextlib.ExitStack() as stack:

        def make(**settings: Any) -> SrtpPeer:
            peer = SrtpPeer(mux=True, **settings)
            stack.callback(peer.close)
            return peer

        yield make


@pytest.fixture
def browser(make_browser: BrowserMaker) -> SrtpPeer:
    return make_browser()


@pytest.fixture
def leg(engine: MediaEngine) -> MediaLeg:
    return engine.open_leg(ice=True)


@pytest.fixture
def far() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(10)
        yield opened


def stun(kind: int = 0x0001, attributes: bytes = b"") -> bytes:
    """RFC 8489 5: a Binding request unless told otherwise."""
    return struct.pack("!HHI", kind, len(attributes), 0x2112A442) + os.urandom(12) + attributes


def dtls(content: int = 22, size: int = 100) -> bytes:
    """RFC 6347 4.1, one record."""
    return struct.pack("!BHHHIH", content, 0xFEFD, 0, 0, 0, size) + bytes(size)


NEITHER = {
    "nothing": b"",
    "one byte": b"\x00",
    "no cookie": bytes(20),
    "short STUN": stun()[:-1],
    "long STUN": stun() + b"1",
    "beyond STUN": stun(0x0401),
    "before DTLS": bytes([19]) + dtls()[1:],
    "short DTLS": dtls()[:12],
    "TURN channel": bytes([64]) + bytes(50),
    "before RTP": bytes([127]) + bytes(50),
    "after RTP": bytes([192]) + bytes(50),
    "ones": b"\xff" * 1400,
    "SIP keep-alive": b"\r\n\r\n",
}


class TestDatagrams:
    def test_stun_and_dtls_are_handed_up_as_they_came(self, leg: MediaLeg, watch: Watch, far: socket.socket) -> None:
        sent = [stun(), stun(0x0101, bytes(64)), stun(0x0011), dtls(), dtls(20, 1), dtls(63, 1487 - 13)]
        for data in sent:
            far.sendto(data, (leg.address, leg.port))
        address, port = far.getsockname()
        assert watch.all_of(Datagram, len(sent)) == [Datagram(leg.id, data, address, port) for data in sent]

    def test_they_go_out_from_the_port_of_the_leg(self, leg: MediaLeg, far: socket.socket) -> None:
        for data in (stun(), dtls(size=1400)):
            leg.send_datagram(data, *far.getsockname())
            assert far.recvfrom(2000) == (data, (leg.address, leg.port))

    @pytest.mark.parametrize("data", NEITHER.values(), ids=NEITHER)
    def test_anything_else_is_dropped_and_counted(
        self, leg: MediaLeg, watch: Watch, far: socket.socket, data: bytes
    ) -> None:
        far.sendto(data, (leg.address, leg.port))
        wait_until(lambda: leg.statistics().malformed == 1)
        watch.none_more(Datagram, 0)
        with pytest.raises(ValueError, match="send_datagram"):
            leg.send_datagram(data, *far.getsockname())

    def test_too_long(self, leg: MediaLeg, watch: Watch, far: socket.socket) -> None:
        far.sendto(dtls(size=1500), (leg.address, leg.port))
        wait_until(lambda: leg.statistics().malformed == 1)
        with pytest.raises(ValueError, match="send_datagram"):
            leg.send_datagram(dtls(size=1500), *far.getsockname())
        watch.none_more(Datagram, 0)

    def test_no_media_goes_out_as_a_datagram(self, leg: MediaLeg, browser: SrtpPeer) -> None:
        for data in (bytes(browser.packet(bytes(160))), receiver_report()):
            with pytest.raises(ValueError, match="send_datagram"):
                leg.send_datagram(data, "127.0.0.1", browser.port)

    def test_where_nobody_is(self, leg: MediaLeg) -> None:
        for _ in range(20):
            leg.send_datagram(stun(), "127.0.0.1", 9)
        leg.send_datagram(stun(), "240.0.0.1", 9)
        assert leg.statistics().send_errors == 1

    @pytest.mark.parametrize(("address", "port"), [("::1", 9), ("127.0.0.1", 0), ("127.0.0.1", 65536), ("host", 9)])
    def test_addresses_that_are_none(self, leg: MediaLeg, address: str, port: int) -> None:
        with pytest.raises(ValueError, match=r"host|set_path|reached"):
            leg.set_path(address, port)
        with pytest.raises(ValueError, match=r"host|send_datagram|reached"):
            leg.send_datagram(stun(), address, port)

    def test_ipv6(self, make_engine: EngineMaker) -> None:
        engine = make_engine(address="::1")
        leg, watch = engine.open_leg(ice=True), Watch(engine)
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as far:
            far.bind(("::1", 0))
            far.settimeout(10)
            far.sendto(data := stun(), ("::1", leg.port))
            event = watch.one(Datagram)
            assert event == Datagram(leg.id, data, "::1", far.getsockname()[1])
            leg.send_datagram(data, event.address, event.port)
            assert far.recv(100) == data

    def test_an_ordinary_leg_has_none_of_it(self, engine: MediaEngine, watch: Watch, far: socket.socket) -> None:
        leg = engine.open_leg()
        with pytest.raises(ValueError, match="set_path"):
            leg.set_path("127.0.0.1", 9)
        with pytest.raises(ValueError, match="send_datagram"):
            leg.send_datagram(stun(), "127.0.0.1", 9)
        far.sendto(stun(), (leg.address, leg.port))
        wait_until(lambda: leg.statistics().ignored == 1)
        watch.none_more(Datagram, 0)

    def test_a_closed_leg(self, leg: MediaLeg) -> None:
        leg.close()
        leg.set_path("127.0.0.1", 9)
        leg.send_datagram(stun(), "127.0.0.1", 9)


def floods(far: socket.socket, leg: MediaLeg, data: bytes, count: int) -> None:
    """That many, and all of them have been looked at."""
    looked_at = leg.statistics().malformed
    for at in range(0, count, 20):
        for _ in range(min(20, count - at)):
            far.sendto(data, (leg.address, leg.port))
        far.sendto(b"nothing", (leg.address, leg.port))
        looked_at += 1
        wait_until(lambda: leg.statistics().malformed == looked_at)  # noqa: B023


class TestFloods:
    def test_at_one_leg(
        self, engine: MediaEngine, leg: MediaLeg, watch: Watch, browser: SrtpPeer, far: socket.socket
    ) -> None:
        """It is told of as many as there may be; another leg's keys and datagrams are all there."""
        other = engine.open_leg(ice=True)
        browser.talks_to(other)
        floods(far, leg, stun(), 2000)
        browser.presses("123")
        browser.sends_raw(consent := stun())
        assert [event.key for event in watch.all_of(KeyReceived, 3)] == ["1", "2", "3"]
        watch.waits_for(lambda events: Datagram(other.id, consent, "127.0.0.1", browser.port) in events)
        handed_up = sum(isinstance(event, Datagram) and event.leg_id == leg.id for event in watch.events)
        assert handed_up >= ALLOWANCE
        assert handed_up + leg.statistics().datagrams_dropped == 2000
        assert not other.statistics().datagrams_dropped

    def test_the_far_end_is_still_heard(
        self, leg: MediaLeg, watch: Watch, browser: SrtpPeer, far: socket.socket
    ) -> None:
        browser.talks_to(leg)
        floods(far, leg, stun(), 400)
        assert leg.statistics().datagrams_dropped
        browser.sends_raw(consent := stun())
        watch.waits_for(lambda events: Datagram(leg.id, consent, "127.0.0.1", browser.port) in events)

    def test_nobody_reads_the_events(self, engine: MediaEngine, browser: SrtpPeer, far: socket.socket) -> None:
        """Datagrams have a room of their own: keys and the ends of plays come through."""
        legs = [engine.open_leg(ice=True) for _ in range(10)]
        caller = engine.open_leg(ice=True)
        browser.talks_to(caller)
        for leg in legs:
            floods(far, leg, dtls(size=1400), ALLOWANCE)
        browser.presses("5")
        caller.play(7, [tone(440, 20)])
        wait_until(lambda: caller.statistics().packets_received == 7)
        sent = caller.statistics().packets_sent
        wait_until(lambda: caller.statistics().packets_sent > sent + 1)
        events = engine.events()
        assert sum(isinstance(event, KeyReceived) for event in events) == 1
        assert sum(isinstance(event, PlayEnded) for event in events) == 1
        held = sum(len(event.data) for event in events if isinstance(event, Datagram))
        assert 900_000 < held < 1 << 20
        assert sum(leg.statistics().datagrams_dropped for leg in legs) > 200
        assert not engine.statistics().events_dropped
        far.sendto(stun(), (legs[-1].address, legs[-1].port))
        Watch(engine).one(Datagram)


class TestMedia:
    def test_both_ways(self, leg: MediaLeg, watch: Watch, browser: SrtpPeer) -> None:
        browser.talks_to(leg)
        leg.play(1, [tone(440, 3000)])
        browser.presses("8")
        assert watch.one(MediaStarted).leg_id == leg.id
        assert watch.one(KeyReceived).key == "8"
        browser.hears(lambda sound: len(sound) >= 4000 and share_at(sound[-4000:], 440) > 0.95)
        assert_continuous(browser.packets)
        browser.sends_rtcp(receiver_report())
        leg.close()
        assert browser.receives_report()[-1][1] == 200
        assert not browser.refused

    def test_nothing_without_keys_and_path(self, engine: MediaEngine, make_browser: BrowserMaker, watch: Watch) -> None:
        keys = fresh_keys()
        browser, control = make_browser(keys=keys), make_browser()
        without_keys, without_path = engine.open_leg(ice=True), engine.open_leg(ice=True)
        for leg in (without_keys, without_path):
            leg.set_remote(browser.description())
            leg.play(1, [tone(440, 20)])
            leg.send_keys("1")
        without_keys.set_path("127.0.0.1", browser.port)
        without_path.secure(keys)
        ready = engine.open_leg(ice=True)
        control.talks_to(ready)
        control.receives(10)
        assert not without_keys.close().packets_sent + without_path.close().packets_sent
        ready.close()
        control.receives_report()
        assert not browser.received_raw

    def test_it_follows_only_the_path(self, leg: MediaLeg, watch: Watch, make_browser: BrowserMaker) -> None:
        """A browser that changes its network is heard from where it is then, and hears once ICE has moved there."""
        wifi = make_browser()
        mobile = make_browser(keys=wifi.keys)
        wifi.talks_to(leg)
        wifi.sends_all(wifi.frames(sine(500, 100)))
        wait_until(lambda: leg.statistics().packets_received == 5)
        mobile._out = wifi._out
        mobile.aims_at(leg)
        mobile.sequence, mobile.timestamp = wifi.sequence, wifi.timestamp
        mobile.sends_all(mobile.frames(sine(500, 100)))
        wait_until(lambda: leg.statistics().packets_received == 10)
        assert not leg.statistics().lost + leg.statistics().ignored
        wifi.receives(5, more=True)
        assert not mobile.received_raw
        leg.set_path("127.0.0.1", mobile.port)
        mobile.receives(5)

    def test_what_sdp_says_of_addresses_does_not_matter(self, leg: MediaLeg, browser: SrtpPeer) -> None:
        browser.talks_to(leg)
        for address, port in (("0.0.0.0", 9), ("::1", 0), ("3f1c-host.local", 9), ("é", 9)):
            leg.set_remote(browser.description(address=address, port=port))
            browser.receives(3, more=True)

    def test_in_the_clear(self, leg: MediaLeg, watch: Watch, browser: SrtpPeer, make_peer: PeerMaker) -> None:
        stranger = make_peer()
        browser.talks_to(leg)
        stranger.aims_at(leg)
        stranger.sends_all(stranger.frames(sine(500, 200)))
        wait_until(lambda: leg.statistics().unauthentic == 10)
        browser.receives(5, more=True)
        assert not stranger.packets
        watch.none_more(MediaStarted, 0)

    def test_bridged_with_a_phone(
        self, engine: MediaEngine, leg: MediaLeg, browser: SrtpPeer, make_peer: PeerMaker
    ) -> None:
        phone, other = make_peer(codec="PCMA"), engine.open_leg()
        browser.talks_to(leg)
        phone.talks_to(other)
        leg.bridge(other)
        browser.says(sine(440, 10_000))
        phone.says(sine(1040, 10_000))
        phone.hears(lambda sound: len(sound) >= 4000 and share_at(sound[-4000:], 440) > 0.95)
        browser.hears(lambda sound: len(sound) >= 4000 and share_at(sound[-4000:], 1040) > 0.95)
        leg.unbridge()
        browser.receives(10, more=True)

    @pytest.mark.parametrize("codec", ["opus", "G722"])
    def test_codecs_of_browsers(
        self, engine: MediaEngine, leg: MediaLeg, make_browser: BrowserMaker, make_peer: PeerMaker, codec: Codec
    ) -> None:
        browser, phone, other = make_browser(codec=codec), make_peer(), engine.open_leg()
        browser.talks_to(leg)
        phone.talks_to(other)
        leg.bridge(other)
        browser.says(sine(440, 10_000))
        phone.says(sine(1040, 10_000))
        phone.hears(lambda sound: len(sound) >= 4000 and share_at(sound[-4000:], 440) > 0.95)
        browser.hears(lambda sound: len(sound) >= 4000 and share_at(sound[-4000:], 1040) > 0.95)
        assert not browser.refused

    def test_several_and_a_phone_in_one_mix(
        self, engine: MediaEngine, make_browser: BrowserMaker, make_peer: PeerMaker
    ) -> None:
        browsers, phone = [make_browser(), make_browser(codec="opus")], make_peer(codec="PCMA")
        mix = engine.open_mix()
        for peer in (*browsers, phone):
            leg = engine.open_leg(ice=peer is not phone)
            peer.talks_to(leg)
            mix.add(leg)
        for peer, frequency in zip((*browsers, phone), (440, 1040, 1640), strict=True):
            peer.says(sine(frequency, 10_000, peak=4000))
        for peer, heard in ((browsers[0], (1040, 1640)), (browsers[1], (440, 1640)), (phone, (440, 1040))):
            peer.hears(
                lambda sound, heard=heard: (  # type: ignore[misc]
                    len(sound) >= 4000 and all(share_at(sound[-4000:], frequency) > 0.4 for frequency in heard)
                )
            )
        assert not browsers[0].refused + browsers[1].refused

    def test_datagrams_beside_media(self, leg: MediaLeg, watch: Watch, browser: SrtpPeer) -> None:
        browser.talks_to(leg)
        browser.says(sine(440, 20), repeat=True)
        for count in range(1, 6):
            browser.sends_raw(stun())
            watch.all_of(Datagram, count)
        assert not leg.statistics().malformed


class TestLoss:
    def test_nothing_is_missed_before_there_are_keys(self, make_engine: EngineMaker, browser: SrtpPeer) -> None:
        """ICE and DTLS may take longer than the time-out, and the callee's answer longer still."""
        engine = make_engine(media_timeout_s=0.5)
        watch = Watch(engine)
        early, phone = engine.open_leg(ice=True), engine.open_leg()
        phone.set_remote(browser.description())
        early.set_remote(browser.description())
        assert watch.one(MediaLost).leg_id == phone.id
        early.secure(browser.keys)
        secured = time.monotonic()
        assert watch.all_of(MediaLost, 2)[-1].leg_id == early.id
        assert time.monotonic() - secured > 0.4


class TestPorts:
    def test_one_is_taken(self, engine: MediaEngine) -> None:
        leg = engine.open_leg(ice=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as beside:
            beside.bind((leg.address, leg.port + 1))

    def test_they_come_back(self, make_engine: EngineMaker) -> None:
        engine = make_engine(ports=(30010, 30013))
        for _ in range(50):
            legs = [engine.open_leg(ice=ice) for ice in (True, False)]
            with pytest.raises(NoPortsLeft):
                engine.open_leg(ice=True)
            for leg in legs:
                leg.close()
        assert not engine.statistics().legs
