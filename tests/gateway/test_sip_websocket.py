"""What a SIP WebSocket carries, byte for byte: names that are none, broken messages, connections that come and go."""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.call import LegAnswered, LegFailed, LegRinging, Target
from gateway.config import RtcConfig, RtcListen, TlsConfig
from gateway.sdp import parse_sdp
from tests.gateway.exchange import PASSWORD, Exchange, Owned
from tests.peers.patience import SLACK, until
from tests.peers.trace import Message
from tests.peers.wire import Wire

SEAT = Target("sip", "2001")


class WebWire(Wire):
    """A telephone on a WebSocket that sends what the test writes."""

    def __init__(self, exchange: Exchange, user: str) -> None:
        super().__init__(exchange.address, user=user)
        self._exchange = exchange
        self._came: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.name = "df7jal23ls0d.invalid"
        self.is_open = False
        self.connects()

    def connects(self) -> None:
        self._exchange.awaits(self._connect())

    def disconnects(self) -> None:
        self._exchange.awaits(self._session.close())

    def close(self) -> None:
        self.disconnects()
        super().close()

    def sends(self, data: bytes | str) -> None:
        encoded = data.encode() if isinstance(data, str) else data
        self._exchange.awaits(self._socket.send_bytes(encoded))

    def receives(self, within: float = SLACK) -> Message | None:
        try:
            data = self._came.get(timeout=within)
        except queue.Empty:
            return None
        return Message(False, data.decode(errors="replace").replace("\r", ""))

    def via(self, branch: str | None = None) -> str:
        return super().via(branch).replace("/UDP ", "/WS ").replace(f"{self.host}:{self.port}", self.name)

    def contact(self) -> str:
        return f"Contact: <sip:k3jf9@{self.name};transport=ws>"

    async def _connect(self) -> None:
        address = self._exchange.gateway.rtc_addresses[0]
        self._session = aiohttp.ClientSession()
        url = f"http://{address.host}:{address.port}/sip"
        self._socket = await self._session.ws_connect(url, protocols=("sip",))
        self.is_open = True
        self._task = self._exchange.soon(self._read(self._socket))

    async def _read(self, socket: Any) -> None:
        async for frame in socket:
            self._came.put(frame.data.encode() if isinstance(frame.data, str) else frame.data)
        self.is_open = False


@pytest.fixture
def exchange(open_exchange: Callable[..., Exchange], tmp_path: Path) -> Exchange:
    return open_exchange(rtc=RtcConfig(listen=(RtcListen("http", "127.0.0.1", 0),), state=tmp_path, secret="s" * 40))


@pytest.fixture
def seat(exchange: Exchange) -> Iterator[WebWire]:
    seat = WebWire(exchange, "2001")
    yield seat
    seat.close()


def registers(seat: WebWire) -> tuple[Message, str]:
    answer, request = seat.registers("2001", PASSWORD, contact=seat.contact())
    assert answer.status == 200, answer.text
    return answer, request


def calls(exchange: Exchange) -> tuple[Wire, Owned]:
    exchange.greets = lambda owned: owned.call.answer()
    anna = exchange.wire()
    dialled = anna.invite()
    anna.takes(dialled, anna.is_answered(dialled))
    return anna, exchange.takes()


def test_a_name_that_is_none_is_copied_back(exchange: Exchange, seat: WebWire) -> None:
    answer, request = registers(seat)
    via = next(line for line in request.split("\r\n") if line.startswith("Via"))
    assert answer.header("Via").startswith(via.partition(": ")[2].partition(";")[0])
    assert f"<sip:k3jf9@{seat.name};transport=ws>;expires=" in answer.header("Contact")
    assert exchange.gateway.registered_seats == {"2001"}


def test_a_seat_is_called_through_its_connection_as_browsers_are(exchange: Exchange, seat: WebWire) -> None:
    registers(seat)
    _, owned = calls(exchange)
    owned.asks(lambda call: call.dial("leg1", SEAT))
    invite = seat.sees("INVITE")
    assert invite.start_line == f"INVITE sip:k3jf9@{seat.name};transport=ws SIP/2.0"
    assert invite.header("Via").startswith("SIP/2.0/WS 127.0.0.1:")
    assert ";transport=ws>" in invite.header("Contact")
    body = invite.text.partition("\n\n")[2]
    line = parse_sdp(body.encode()).media[0]
    assert line.protocol == "UDP/TLS/RTP/SAVPF"
    assert {"rtcp-mux", "ice-ufrag", "ice-pwd", "fingerprint", "setup", "candidate", "mid"} <= {
        name for name, _ in line.attributes
    }
    seat.replies(invite, "180 Ringing")
    owned.hears(LegRinging)
    seat.replies(invite, "486 Busy Here")
    assert owned.hears(LegFailed).outcome == "busy"
    owned.asks(lambda call: call.hangup())


def test_an_answer_that_no_browser_gives_is_none(exchange: Exchange, seat: WebWire) -> None:
    registers(seat)
    _, owned = calls(exchange)
    owned.asks(lambda call: call.dial("leg1", SEAT))
    invite = seat.sees("INVITE")
    seat.replies(
        invite, sdp="v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
    )
    assert owned.hears(LegFailed).status == 488
    seat.replies(seat.sees("BYE"))
    assert not owned.has(LegAnswered)
    owned.asks(lambda call: call.hangup())


def test_a_lost_connection_is_a_lost_telephone(exchange: Exchange, seat: WebWire) -> None:
    registers(seat)
    _, owned = calls(exchange)
    owned.asks(lambda call: call.dial("leg1", SEAT))
    seat.sees("INVITE")
    seat.disconnects()
    assert owned.hears(LegFailed).outcome in ("failed", "offline")
    until(lambda: not exchange.gateway.registered_seats, "the seat is still reachable")
    owned.asks(lambda call: call.dial("leg2", SEAT))
    until(lambda: sum(isinstance(each, LegFailed) for each in owned.told) == 2, "the seat is still rung")
    seat.connects()
    registers(seat)
    owned.asks(lambda call: call.dial("leg3", SEAT))
    seat.sees("INVITE")
    owned.asks(lambda call: call.hangup())


BROKEN = [
    b"\x00",
    b"x" * 60_000,
    b"SIP/2.0",
    b"SIP/2.0 200 OK\r\n\r\n",
    b"INVITE\r\n\r\n",
    b"INVITE sip:1000@localhost SIP/2.0\r\n\r\n",
    b"INVITE sip:1000@localhost SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bK1\r\nContent-Length: 999\r\n\r\n",
    b"INVITE sip:1000@localhost SIP/2.0\r\nVia: \xff\xfe\r\nFrom: <\r\nTo: >\r\nCall-ID:\r\nCSeq: -1 X\r\n\r\n",
    b"REGISTER sip:localhost SIP/2.0\r\n" * 500,
    b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/WS 192.0.2.1:9;branch=z9hG4bK" + b"a" * 5000 + b"\r\n\r\n",
    b"GET /sip HTTP/1.1\r\nHost: x\r\n\r\n",
    b'{"type":"login"}',
]


def test_broken_messages_harm_nobody(exchange: Exchange, seat: WebWire) -> None:
    registers(seat)
    other = WebWire(exchange, "2001")
    for data in BROKEN:
        other.sends(data)
    # Whole ones in between, and after: each frame is a message of its own.
    anna, owned = calls(exchange)
    owned.asks(lambda call: call.dial("leg1", SEAT))
    invite = seat.sees("INVITE")
    seat.replies(invite, "603 Decline")
    assert owned.hears(LegFailed).outcome == "refused"
    owned.asks(lambda call: call.hangup())
    anna.replies(anna.sees("BYE"))
    assert other.is_open
    other.close()
    exchange.is_clean()


def test_many_come_and_go(exchange: Exchange) -> None:
    seat = WebWire(exchange, "2001")
    for _ in range(40):
        registers(seat)
        seat.disconnects()
        seat.connects()
    seat.disconnects()
    until(lambda: not exchange.gateway.registered_seats, "a seat is left")
    assert exchange.do(lambda: exchange.gateway._telephones._transports.connections) == 0
    seat.close()


def test_who_never_shakes_hands_at_https_is_counted(open_exchange: Callable[..., Exchange], tmp_path: Path) -> None:
    exchange = open_exchange(
        rtc=RtcConfig(listen=(RtcListen("https", "127.0.0.1", 0),), state=tmp_path, secret="s" * 40),
        tls=TlsConfig(tmp_path),
    )
    address = exchange.gateway.rtc_addresses[0]

    def connections() -> int:
        return exchange.do(lambda: exchange.gateway.sizes()["rtc_open connections"])

    with socket.create_connection((address.host, address.port)):
        until(lambda: connections() == 1, "it is not counted")
    until(lambda: connections() == 0, "it is counted for ever")
