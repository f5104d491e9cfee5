"""Two peers over real media legs on the loopback: they connect, are heard, restart, and end, and nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Literal

import aioice.ice
import aioice.stun
import pytest
from aioice import Candidate
from aiortc import RTCCertificate

import gateway.rtc.peer as peer_module
from gateway.media.engine import Datagram, MediaEngine, MediaLeg, RtpRemote
from gateway.media.tone import tone
from gateway.rtc.candidates import host_candidates, reachable_addresses
from gateway.rtc.peer import LocalCandidate, PeerConnected, PeerEvent, PeerLost, RtcPeer
from gateway.sdp import DtlsSrtp, Fingerprint
from tests.media.conftest import PORTS
from tests.media.rtp_peer import RtpPeer
from tests.media.spectrum import share_at

PATIENCE_S = 20.0
CERTIFICATES = [RTCCertificate.generateCertificate() for _ in range(2)]


class End:
    """One of the two: its leg, its transport, and what that told."""

    def __init__(self, line: Line, number: int, **settings: Any) -> None:
        self.leg: MediaLeg = line.engine.open_leg(ice=True)
        self.told: list[PeerEvent] = []
        self.datagrams: list[bytes] = []
        self.deaf = False
        self.transport = RtcPeer(
            self.leg, certificate=CERTIFICATES[number], addresses=["127.0.0.1"], tell=self._tell, **settings
        )
        self.leg.set_remote(RtpRemote("127.0.0.1", 9, "PCMU", 0, rtcp_mux=True))

    def _tell(self, event: PeerEvent) -> None:
        self.told.append(event)

    def takes(self, event: Datagram) -> None:
        self.datagrams.append(event.data)
        if not self.deaf:
            self.transport.datagram(event.data, event.address, event.port)

    async def is_told(self, event: PeerEvent) -> None:
        await until(lambda: event in self.told, lambda: f"{event} did not come, but {self.told}")


class Line:
    """An engine and two ends; what the engine hands up goes where it belongs, as in the gateway."""

    def __init__(self, **second: Any) -> None:
        self.engine = MediaEngine(address="127.0.0.1", ports=PORTS, rest_s=0.0)
        self.engine.start()
        self.one, self.other = End(self, 0), End(self, 1, **second)
        self._ends = {end.leg.id: end for end in (self.one, self.other)}
        asyncio.get_running_loop().add_reader(self.engine.event_fd, self._ready)

    def _ready(self) -> None:
        for event in self.engine.events():
            if isinstance(event, Datagram) and event.leg_id in self._ends:
                self._ends[event.leg_id].takes(event)

    def describes(self, *, offer_as: Literal["active", "passive", "actpass"] = "actpass") -> tuple[DtlsSrtp, DtlsSrtp]:
        """Offer and answer as SDP would carry them. Nothing is in force yet."""
        offer = replace(self.one.transport.describe(None), setup=offer_as)
        return offer, self.other.transport.describe(offer)

    def negotiates(self, *, offer_as: Literal["active", "passive", "actpass"] = "actpass") -> None:
        offer, answer = self.describes(offer_as=offer_as)
        self.other.transport.apply(offer)
        self.one.transport.apply(answer)

    async def connects(self, *, offer_as: Literal["active", "passive", "actpass"] = "actpass") -> None:
        self.negotiates(offer_as=offer_as)
        for end in (self.one, self.other):
            await end.is_told(PeerConnected())

    async def hears(self, speaker: End, listener: End, frequency: int) -> None:
        """What the one plays is heard by a telephone bridged to the other."""
        phone, extension = RtpPeer(), self.engine.open_leg()
        try:
            phone.talks_to(extension)
            listener.leg.bridge(extension)
            speaker.leg.play(1, [tone(frequency, 200)], loop=True)
            await asyncio.to_thread(
                phone.hears, lambda sound: len(sound) >= 1600 and share_at(sound[-1600:], frequency) > 0.9
            )
        finally:
            listener.leg.unbridge()
            extension.close()
            phone.close()

    async def close(self) -> None:
        for end in (self.one, self.other):
            await end.transport.close()
        asyncio.get_running_loop().remove_reader(self.engine.event_fd)
        self.engine.close()


async def until(true: Callable[[], bool], words: Callable[[], str] = lambda: "it did not happen") -> None:
    """For what is told on the loop: looked at again after everything else had its turn."""
    async with asyncio.timeout(PATIENCE_S):
        try:
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            pytest.fail(words())


def run(story: Callable[[Line], Awaitable[None]], **second: Any) -> None:
    """The story of one line. Afterwards no task and no descriptor is left, and nothing went unseen."""
    unseen: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
        before = len(os.listdir("/proc/self/fd"))
        line = Line(**second)
        try:
            await story(line)
        finally:
            await line.close()
        await until(
            lambda: len(asyncio.all_tasks()) == 1, lambda: f"these are left: {[*map(repr, asyncio.all_tasks())]}"
        )
        assert len(os.listdir("/proc/self/fd")) == before

    asyncio.run(main())
    assert not unseen


class TestConnecting:
    @pytest.mark.parametrize("offer_as", ["actpass", "active", "passive"])
    def test_both_hear_each_other(self, offer_as: Literal["actpass", "active", "passive"]) -> None:
        async def story(line: Line) -> None:
            await line.connects(offer_as=offer_as)
            assert line.one.transport.connected
            assert line.other.transport.connected
            await line.hears(line.one, line.other, 440)
            await line.hears(line.other, line.one, 1040)
            statistics = line.other.leg.statistics()
            assert not statistics.unauthentic

        run(story)

    def test_the_answer_takes_a_part_in_the_handshake(self) -> None:
        async def story(line: Line) -> None:
            for offered, answered in (("actpass", "active"), ("passive", "active"), ("active", "passive")):
                fresh = Line()
                try:
                    offer, answer = fresh.describes(offer_as=offered)  # type: ignore[arg-type]
                    assert (offer.setup, answer.setup) == (offered, answered)
                finally:
                    await fresh.close()

        run(story)

    def test_candidates_that_trickle(self) -> None:
        async def story(line: Line) -> None:
            offer, answer = line.describes()
            line.other.transport.apply(replace(offer, candidates=()))
            line.one.transport.apply(replace(answer, candidates=()))
            for text in answer.candidates:
                line.one.transport.add_candidate(text)
            for end in (line.one, line.other):
                await end.is_told(PeerConnected())

        run(story)

    def test_descriptions_that_change_before_there_is_a_path(self) -> None:
        """A hold while it still rings: there is one handshake nevertheless."""

        async def story(line: Line) -> None:
            offer, answer = line.describes()
            for _ in range(3):
                line.other.transport.apply(offer)
                line.one.transport.apply(answer)
            for end in (line.one, line.other):
                await end.is_told(PeerConnected())
            await line.hears(line.one, line.other, 440)
            assert line.one.told == line.other.told == [PeerConnected()]

        run(story)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "nothing",
            "1 1 udp",
            "1 x udp 1 127.0.0.1 9 typ host",
            "1 1 udp 1 127.0.0.1 0 typ host",
            "1 1 udp 1 127.0.0.1 65536 typ host",
            "1 1 udp 1 127.0.0.1 -7 typ host",
            "1 1 udp 1 no-address 9 typ host",
            "1 1 udp 1 ::1 9 typ host",
            "1 1 udp 1 127.0.0.1 9 typ nonsense",
            "1 2 udp 1 127.0.0.1 9 typ host",
            "1 1 tcp 1 127.0.0.1 9 typ host tcptype active",
            "1 1 udp 1 3f1c-host.local 9 typ host",
            "1 1 udp 1 127.0.0.1 9 typ srflx raddr",
            "1 1 udp 1 127.0.0.1 9 typ srflx raddr x rport y",
            "1 1 udp 99999999999999999999999999999 127.0.0.1 9 typ host",
            "é" * 300,
            "9" * 5000 + " 1 udp " + "9" * 5000 + " 127.0.0.1 9 typ host",
        ],
    )
    def test_candidates_that_are_none_cost_nothing(self, text: str) -> None:
        async def story(line: Line) -> None:
            offer, answer = line.describes()
            line.one.transport.add_candidate(text)
            line.other.transport.apply(offer)
            line.one.transport.apply(replace(answer, candidates=(text, *answer.candidates)))
            line.one.transport.add_candidate(text)
            for end in (line.one, line.other):
                await end.is_told(PeerConnected())

        run(story)

    def test_candidates_without_end(self) -> None:
        async def story(line: Line) -> None:
            offer, answer = line.describes()
            line.other.transport.apply(offer)
            line.one.transport.apply(answer)
            for number in range(1000):
                line.one.transport.add_candidate(f"{number} 1 udp 1 127.0.0.{number % 250 + 1} {number + 1} typ host")
            ice = line.one.transport._ice
            assert ice is not None
            await until(lambda: not any("candidate" in task.get_name() for task in asyncio.all_tasks()))
            assert 1 < len(ice.remote_candidates) <= 2 * peer_module._CANDIDATES_MAX
            for end in (line.one, line.other):
                await end.is_told(PeerConnected())

        run(story)


class TestStun:
    @pytest.mark.parametrize("kind", [0x06, 0x08, 0x09, 0x0D, 0x20, 0x24, 0x25, 0x8028, 0x8029, 0x802A])
    @pytest.mark.parametrize("length", [0, 1, 3, 5, 9])
    def test_broken_attributes_of_a_stranger(self, kind: int, length: int) -> None:
        """Nobody who knows a port only can disturb what runs there, nor fill the memory."""
        value = os.urandom(length)
        attribute = struct.pack("!HH", kind, length) + value + bytes(-length % 4)

        async def story(line: Line) -> None:
            offer, answer = line.describes()
            line.other.transport.apply(offer)
            for at in (0x0001, 0x0011, 0x0101, 0x0111, 0x0003):
                message = struct.pack("!HHI", at, len(attribute), 0x2112A442) + os.urandom(12) + attribute
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                    stranger.sendto(message, ("127.0.0.1", line.other.leg.port))
                await until(lambda sent=message: sent in line.other.datagrams)  # type: ignore[misc]
            ice = line.other.transport._ice
            assert ice is not None
            assert ice._queue.empty()
            line.one.transport.apply(answer)
            for end in (line.one, line.other):
                await end.is_told(PeerConnected())

        run(story)

    def test_checks_from_ever_other_ports(self) -> None:
        async def story(line: Line) -> None:
            await line.connects()
            ice, theirs = line.other.transport._ice, line.one.transport._ice
            assert ice is not None
            assert theirs is not None
            for port in range(10_000, 11_000):
                request = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
                request.attributes["USERNAME"] = f"{ice.local_username}:{theirs.local_username}"
                request.attributes["PRIORITY"] = 1
                request.attributes["ICE-CONTROLLING"] = 1
                request.add_message_integrity(ice.local_password.encode())
                line.other.transport.datagram(bytes(request), "127.0.0.1", port)
            assert 2 < len(ice._check_list) <= 2 * peer_module._CANDIDATES_MAX
            # The ports that are remembered are asked as well, and those nobody has.
            await line.hears(line.one, line.other, 440)

        run(story)

    def test_a_check_without_a_priority(self) -> None:
        async def story(line: Line) -> None:
            await line.connects()
            ice, theirs = line.other.transport._ice, line.one.transport._ice
            assert ice is not None
            assert theirs is not None
            request = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
            request.attributes["USERNAME"] = f"{ice.local_username}:{theirs.local_username}"
            request.add_message_integrity(ice.local_password.encode())
            line.other.transport.datagram(bytes(request), "127.0.0.1", 9999)
            line.other.transport.datagram(b"", "127.0.0.1", 9999)
            await line.hears(line.one, line.other, 440)

        run(story)


class TestRestart:
    def test_sound_goes_on(self) -> None:
        async def story(line: Line) -> None:
            await line.connects()
            before = line.describes()
            line.one.transport.restart()
            after = line.describes()
            assert all(new.ufrag != old.ufrag for new, old in zip(after, before, strict=True))
            assert after[1].setup == before[1].setup
            # Described, and nothing in force: the way there is still goes.
            await line.hears(line.one, line.other, 440)
            former = line.one.transport._former
            assert former is not None
            line.other.transport.apply(after[0])
            line.one.transport.apply(after[1])
            await until(lambda: line.one.transport._former is None and line.other.transport._former is None)
            assert former._closed
            await line.hears(line.one, line.other, 1040)
            await line.hears(line.other, line.one, 440)
            assert line.one.told == line.other.told == [PeerConnected()]

        run(story)

    def test_one_that_was_refused(self) -> None:
        """The answer to a later offer without a restart says what the former one said."""

        async def story(line: Line) -> None:
            await line.connects()
            offer = line.one.transport.describe(None)
            answer = line.other.transport.describe(offer)
            line.other.transport.describe(replace(offer, ufrag="other", password="x" * 24))
            assert line.other.transport.describe(offer) == answer
            line.other.transport.apply(offer)
            await line.hears(line.one, line.other, 440)

        run(story)

    def test_many(self) -> None:
        async def story(line: Line) -> None:
            await line.connects()
            for _ in range(10):
                line.one.transport.restart()
                line.describes()
            line.negotiates()
            await until(lambda: line.one.transport._former is None and line.other.transport._former is None)
            await line.hears(line.one, line.other, 440)

        run(story)

    def test_before_there_is_a_path(self) -> None:
        async def story(line: Line) -> None:
            line.one.deaf = line.other.deaf = True
            line.negotiates()
            line.one.transport.restart()
            offer, answer = line.describes()
            line.one.deaf = line.other.deaf = False
            line.other.transport.apply(offer)
            line.one.transport.apply(answer)
            for end in (line.one, line.other):
                await end.is_told(PeerConnected())
            await line.hears(line.one, line.other, 440)

        run(story)


class TestEnd:
    def test_the_other_closes(self) -> None:
        async def story(line: Line) -> None:
            await line.connects()
            await line.other.transport.close()
            await line.one.is_told(PeerLost("closed"))
            assert not line.one.transport.connected
            # Who closes knows it.
            assert line.other.told == [PeerConnected()]

        run(story)

    def test_the_other_is_told_before_its_leg_is_closed(self) -> None:
        async def story(line: Line) -> None:
            await line.connects()
            line.other.transport.say_goodbye()
            line.other.leg.close()
            await line.one.is_told(PeerLost("closed"))
            line.other.transport.say_goodbye()
            assert line.other.told == [PeerConnected()]

        run(story)

    @pytest.mark.parametrize("when", ["new", "applied", "lost"])
    def test_there_is_nobody_to_say_good_bye_to(self, when: str) -> None:
        async def story(line: Line) -> None:
            if when == "applied":
                line.negotiates()
            elif when == "lost":
                await line.connects()
                await line.other.transport.close()
                await line.one.is_told(PeerLost("closed"))
            told = list(line.one.told)
            line.one.transport.say_goodbye()
            assert line.one.told == told

        run(story)

    def test_a_cancellation_that_gets_lost(self) -> None:
        async def story(line: Line) -> None:
            async def loses_one() -> None:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
                await asyncio.Event().wait()

            line.one.transport._spawn(loses_one(), "dtls")
            await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE_S):
                await line.one.transport.close()

        run(story)

    def test_a_wrong_certificate(self) -> None:
        async def story(line: Line) -> None:
            offer, answer = line.describes()
            line.other.transport.apply(offer)
            wrong = Fingerprint("sha-256", ":".join(["AB"] * 32))
            line.one.transport.apply(replace(answer, fingerprints=(wrong,)))
            await line.one.is_told(PeerLost("dtls_failed"))
            assert not line.one.transport.connected
            line.one.leg.play(1, [tone(440, 200)], loop=True)
            assert not line.one.leg.statistics().packets_sent

        run(story)

    def test_a_fingerprint_of_an_unknown_kind(self) -> None:
        async def story(line: Line) -> None:
            offer, answer = line.describes()
            line.other.transport.apply(offer)
            line.one.transport.apply(
                replace(answer, fingerprints=(replace(answer.fingerprints[0], algorithm="sha-1"),))
            )
            await line.one.is_told(PeerLost("dtls_failed"))

        run(story)

    @pytest.mark.parametrize("candidates", [(), ("1 1 udp 1 127.0.0.1 9 typ host",)])
    def test_nobody_there(self, candidates: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(peer_module, "_CONNECT_TIMEOUT", 0.3)

        async def story(line: Line) -> None:
            _, answer = line.describes()
            line.one.transport.apply(replace(answer, candidates=candidates))
            await line.one.is_told(PeerLost("ice_failed"))
            assert line.one.told == [PeerLost("ice_failed")]

        run(story)

    def test_no_handshake(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """STUN passes, DTLS does not."""

        async def story(line: Line) -> None:
            offer, answer = line.describes()
            line.one.transport._dtls_transport.put = lambda data: None  # type: ignore[method-assign]
            line.other.transport.apply(offer)
            line.one.transport.apply(answer)
            await until(line.one.transport._dtls_transport.ready.is_set)
            await line.one.is_told(PeerLost("dtls_failed"))
            await line.other.is_told(PeerLost("dtls_failed"))

        monkeypatch.setattr(peer_module, "_CONNECT_TIMEOUT", 2.0)
        run(story)

    def test_consent_is_lost(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.02)
        monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 2)
        monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.05)

        async def story(line: Line) -> None:
            await line.connects()
            line.other.deaf = True
            await line.one.is_told(PeerLost("consent_lost"))
            await line.one.transport.close()
            assert line.one.told == [PeerConnected(), PeerLost("consent_lost")]

        run(story)

    def test_loss_is_told_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.02)
        monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 2)
        monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.05)

        async def story(line: Line) -> None:
            await line.connects()
            await line.other.transport.close()
            await line.one.is_told(PeerLost("closed"))
            ice = line.one.transport._ice
            assert ice is not None
            await until(lambda: ice._closed)
            await until(lambda: not line.one.transport._tasks)
            assert line.one.told == [PeerConnected(), PeerLost("closed")]

        run(story)

    @pytest.mark.parametrize("when", ["new", "described", "applied", "connected"])
    def test_closed_at_any_time(self, when: str) -> None:
        async def story(line: Line) -> None:
            if when == "described":
                line.describes()
            elif when == "applied":
                line.negotiates()
            elif when == "connected":
                await line.connects()
            told = list(line.one.told)
            await line.one.transport.close()
            await line.one.transport.close()
            line.one.transport.add_candidate("1 1 udp 1 127.0.0.1 9 typ host")
            line.one.transport.datagram(b"\x16" * 30, "127.0.0.1", 9)
            line.one.transport.datagram(bytes(30), "127.0.0.1", 9)
            assert line.one.told == told

        run(story)


class TestStunServer:
    def test_one_that_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.01)

        async def story(line: Line) -> None:
            offer, answer = line.describes()
            assert answer.trickle
            line.other.transport.apply(offer)
            line.one.transport.apply(answer)
            for end in (line.one, line.other):
                await end.is_told(PeerConnected())
            assert line.other.told == [PeerConnected()]

        run(story, stun=("127.0.0.1", 9))

    def test_what_it_tells_is_a_further_candidate(self) -> None:
        async def story(line: Line) -> None:
            def answers() -> None:
                data, address = server.recvfrom(2000)
                request = aioice.stun.parse_message(data)
                response = aioice.stun.Message(
                    aioice.stun.Method.BINDING, aioice.stun.Class.RESPONSE, transaction_id=request.transaction_id
                )
                response.attributes["XOR-MAPPED-ADDRESS"] = ("192.0.2.77", 4242)
                server.sendto(bytes(response), address)

            asyncio.get_running_loop().add_reader(server, answers)
            line.describes()
            await until(lambda: bool(line.other.told))
            asyncio.get_running_loop().remove_reader(server)
            (told,) = line.other.told
            assert isinstance(told, LocalCandidate)
            found = Candidate.from_sdp(told.candidate)
            assert (found.type, found.host, found.port) == ("srflx", "192.0.2.77", 4242)
            assert (found.related_address, found.related_port) == ("127.0.0.1", line.other.leg.port)

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            run(story, stun=server.getsockname())


class TestCandidates:
    def test_of_a_leg(self) -> None:
        first, second = host_candidates(["192.0.2.1", "2001:db8::1"], 4000)
        assert (first.host, first.port, first.component, first.transport, first.type) == (
            "192.0.2.1",
            4000,
            1,
            "udp",
            "host",
        )
        assert second.host == "2001:db8::1"
        assert 2**31 > first.priority > second.priority > 0
        assert first.foundation != second.foundation
        again = Candidate.from_sdp(first.to_sdp())
        assert (again.host, again.port, again.priority) == (first.host, first.port, first.priority)

    def test_where_a_port_is_reached(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert reachable_addresses("192.0.2.1", None) == ("192.0.2.1",)
        assert reachable_addresses("192.0.2.1", "198.51.100.1") == ("198.51.100.1", "192.0.2.1")
        assert reachable_addresses("192.0.2.1", "192.0.2.1") == ("192.0.2.1",)
        found = {True: ["192.0.2.5", "192.0.2.6"], False: ["2001:db8::5"]}
        monkeypatch.setattr(
            "gateway.rtc.candidates.get_host_addresses", lambda use_ipv4, use_ipv6: found[use_ipv4 and not use_ipv6]
        )
        assert reachable_addresses("0.0.0.0", None) == ("192.0.2.5", "192.0.2.6")
        assert reachable_addresses("::", None) == ("2001:db8::5",)
        assert reachable_addresses("0.0.0.0", "192.0.2.6") == ("192.0.2.6", "192.0.2.5")
        found.update({True: [], False: []})
        assert reachable_addresses("0.0.0.0", None) == ("127.0.0.1",)
        assert reachable_addresses("::", None) == ("::1",)
