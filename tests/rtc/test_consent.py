"""Consent checks as bytes, with aioice as the other side, and on the wire between two peers."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator
from typing import Any

import aioice.ice
import pytest
from aioice import stun
from aiortc import RTCCertificate

from gateway.media.engine import Datagram, MediaEngine
from gateway.rtc.consent import Consent
from gateway.rtc.peer import PeerConnected, PeerEvent, PeerLost, RtcPeer
from tests.peers.ports import free_range

OURS, OUR_PASSWORD = "ours", "our password of 22 bytes"
THEIRS, THEIR_PASSWORD = "theirs", "their password of 22 b."
ADDRESSES = [("192.0.2.7", 4711), ("2001:db8::7", 4711)]
TRANSACTION = b"twelve bytes"


def consent(address: tuple[str, int] = ADDRESSES[0]) -> Consent:
    return Consent(
        address,
        local_username=OURS,
        local_password=OUR_PASSWORD,
        remote_username=THEIRS,
        remote_password=THEIR_PASSWORD,
        controlling=False,
        question=bytes(question())[20:],
    )


def question() -> stun.Message:
    found = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    found.attributes = {"USERNAME": f"{THEIRS}:{OURS}", "PRIORITY": 1845501695, "ICE-CONTROLLED": 1}
    return found


def check(
    attributes: dict[str, Any] | None = None, *, username: str = f"{OURS}:{THEIRS}", password: str = OUR_PASSWORD
) -> stun.Message:
    """As a browser's, whose selected pair is this one."""
    made = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, TRANSACTION)
    made.attributes = {"USERNAME": username, "PRIORITY": 1845501695, **(attributes or {})}
    made.add_message_integrity(password.encode())
    return made


def of_controlling() -> bytes:
    return bytes(check({"ICE-CONTROLLING": 4711, "USE-CANDIDATE": None}))


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_check_is_answered_as_aioice_understands_it(address: tuple[str, int]) -> None:
    answer = consent(address).answer(of_controlling(), address)
    assert answer is not None
    read = stun.parse_message(answer)
    assert read.message_class == stun.Class.RESPONSE
    assert read.transaction_id == TRANSACTION
    assert read.attributes["XOR-MAPPED-ADDRESS"] == address
    assert read.check_message_integrity(OUR_PASSWORD.encode())


def test_attributes_that_need_not_be_understood_do_no_harm() -> None:
    # Chromium's GOOG-NETWORK-INFO; aioice cannot write it.
    plain = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, TRANSACTION, {"USERNAME": f"{OURS}:{THEIRS}"})
    body = bytes(plain)[20:] + bytes.fromhex("c057 0004 0000 03e7")
    covered = b"\x00\x01" + (len(body) + 24).to_bytes(2, "big") + bytes(plain)[4:20] + body
    data = covered + bytes.fromhex("0008 0014") + hmac.digest(OUR_PASSWORD.encode(), covered, "sha1")
    assert consent().answer(data, ADDRESSES[0]) is not None


@pytest.mark.parametrize(
    "data",
    [
        bytes(check(password="another password, 22 b")),
        bytes(check(username=f"{OURS}:another")),
        bytes(check(username=OURS)),
        # A role like ours is a conflict, which is not for bytes to settle.
        bytes(check({"ICE-CONTROLLED": 1})),
        bytes(check({"REALM": "one that must be understood"})),
        bytes(question()),
        b"",
        b"\x00\x01",
    ],
    # Their ids differ from run to run, and tests are named by what they are tried with.
    ids=["password", "username", "half a username", "role", "unknown attribute", "question", "nothing", "two bytes"],
)
def test_what_is_not_the_usual_check_is_left_to_aioice(data: bytes) -> None:
    assert consent().answer(data, ADDRESSES[0]) is None


def test_a_check_from_elsewhere_is_left_to_aioice() -> None:
    assert consent().answer(of_controlling(), ("192.0.2.7", 4712)) is None


def test_no_changed_bit_is_answered() -> None:
    data = of_controlling()
    own = consent()
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        assert own.answer(bytes(changed), ADDRESSES[0]) is None, f"bit {bit}"
    for length in range(len(data)):
        assert own.answer(data[:length], ADDRESSES[0]) is None, f"{length} bytes"
    assert own.answer(data + b"more", ADDRESSES[0]) is None


def test_our_check_is_one_that_aioice_takes_and_its_answer_confirms_once() -> None:
    own = consent()
    request = stun.parse_message(own.request(TRANSACTION))
    assert request.transaction_id == TRANSACTION
    assert request.attributes["USERNAME"] == f"{THEIRS}:{OURS}"
    assert request.check_message_integrity(THEIR_PASSWORD.encode())
    answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, TRANSACTION)
    answer.attributes["XOR-MAPPED-ADDRESS"] = ("198.51.100.1", 9)
    answer.add_message_integrity(THEIR_PASSWORD.encode())
    assert not own.is_confirmed_by(bytes(answer), ("192.0.2.8", 4711))
    assert own.is_confirmed_by(bytes(answer), ADDRESSES[0])
    assert not own.is_confirmed_by(bytes(answer), ADDRESSES[0])


@pytest.mark.parametrize(
    ("transaction", "password", "kind"),
    [
        (b"other twelve", THEIR_PASSWORD, stun.Class.RESPONSE),
        (TRANSACTION, OUR_PASSWORD, stun.Class.RESPONSE),
        (TRANSACTION, THEIR_PASSWORD, stun.Class.ERROR),
    ],
)
def test_nothing_else_is_consent(transaction: bytes, password: str, kind: stun.Class) -> None:
    own = consent()
    own.request(TRANSACTION)
    answer = stun.Message(stun.Method.BINDING, kind, transaction)
    answer.add_message_integrity(password.encode())
    assert not own.is_confirmed_by(bytes(answer), ADDRESSES[0])


# On the wire ----------------------------------------------------------------------------------------------------


class Pair:
    """A browser's peer and ours, each on a leg of one engine, and what they tell."""

    def __init__(self) -> None:
        ports = free_range(4)
        self.engine = MediaEngine(address="127.0.0.1", ports=(ports.start, ports.stop - 1), rest_s=0, realtime=False)
        self.engine.start()
        self.told: dict[str, asyncio.Queue[PeerEvent]] = {"browser": asyncio.Queue(), "ours": asyncio.Queue()}
        self.datagrams: asyncio.Queue[Datagram] = asyncio.Queue()
        self.browser_is_deaf = False
        certificate = RTCCertificate.generateCertificate()
        self.peers: dict[int, RtcPeer] = {}
        for name in self.told:
            leg = self.engine.open_leg(ice=True)
            peer = RtcPeer(leg, certificate=certificate, addresses=("127.0.0.1",), tell=self.told[name].put_nowait)
            self.peers[leg.id] = peer
        self.browser_leg = next(iter(self.peers))
        self.browser, self.ours = self.peers.values()
        asyncio.get_running_loop().add_reader(self.engine.event_fd, self._ready)

    async def connect(self) -> None:
        offer = self.browser.describe(None)
        answer = self.ours.describe(offer)
        self.ours.apply(offer)
        self.browser.apply(answer)
        for queue in self.told.values():
            assert isinstance(await asyncio.wait_for(queue.get(), 20), PeerConnected)

    def _ready(self) -> None:
        for event in self.engine.events():
            if isinstance(event, Datagram):
                if event.leg_id == self.browser_leg and self.browser_is_deaf:
                    continue
                self.datagrams.put_nowait(event)
                self.peers[event.leg_id].datagram(event.data, event.address, event.port)


@contextlib.asynccontextmanager
async def paired() -> AsyncIterator[Pair]:
    pair = Pair()
    try:
        await pair.connect()
        yield pair
    finally:
        for peer in pair.peers.values():
            await peer.close()
        asyncio.get_running_loop().remove_reader(pair.engine.event_fd)
        pair.engine.close()


def test_consent_is_asked_for_and_given_without_aioice(monkeypatch: pytest.MonkeyPatch) -> None:
    # An answer takes up to 20 ms, and must come before the next question.
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.2)
    seen_by_aioice: list[bytes] = []

    async def run() -> None:
        async with paired() as pair:
            for peer in pair.peers.values():
                assert peer._ice is not None
                monkeypatch.setattr(
                    peer._ice.socket, "datagram_received", lambda data, address: seen_by_aioice.append(data)
                )
            # Of both sides: one that is not answered has lost consent after six.
            checks = 0
            while checks < 20:
                event = await asyncio.wait_for(pair.datagrams.get(), 20)
                checks += event.data[:2] == b"\x00\x01"
            assert all(queue.empty() for queue in pair.told.values())

    asyncio.run(run())
    assert not seen_by_aioice


def test_a_browser_that_no_longer_answers_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.02)

    async def run() -> None:
        async with paired() as pair:
            pair.browser_is_deaf = True
            assert await asyncio.wait_for(pair.told["ours"].get(), 20) == PeerLost("consent_lost")

    asyncio.run(run())
