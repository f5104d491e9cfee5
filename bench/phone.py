"""A process full of telephones for the benches, made of the same stack as the server: user agent and sockets.

Sound is not its affair: whoever places a call says by a session description where it wants it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from subject import PHONES_PORT, SIP_PORT

from gateway.sip.agent import UserAgent
from gateway.sip.events import Event
from gateway.sip.header import NameAddr
from gateway.sip.hop import Hop
from gateway.sip.session import Session
from gateway.sip.settings import UserAgentConfig
from gateway.sip.uri import SipUri

__all__ = ["Telephones"]

_TIMESTAMP_BYTES = socket.CMSG_SPACE(16)
_SO_TIMESTAMPNS = 35


def stamped_socket(port: int) -> socket.socket:
    """A datagram socket whose messages tell when the kernel took them in."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.bind(("127.0.0.1", port))
    made.setblocking(False)
    return made


def received(sock: socket.socket) -> tuple[bytes, float] | None:
    """The next datagram and when it came, seconds since the epoch."""
    try:
        data, ancillary, _, _ = sock.recvmsg(4096, _TIMESTAMP_BYTES)
    except (BlockingIOError, ConnectionRefusedError):
        return None
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds = int.from_bytes(content[:8], "little")
            return data, seconds + int.from_bytes(content[8:16], "little") / 1e9
    return data, time.time()


class Telephones:
    """Owns one SIP socket and the calls placed over it. Driven by its owner: ``poll`` whenever there may be news."""

    def __init__(self, tell: Callable[[Event, float], None]) -> None:
        """``tell`` hears what happens, and when the message that made it happen came."""
        self.socket = stamped_socket(PHONES_PORT)
        self._tell = tell
        local = ("127.0.0.1", PHONES_PORT)
        self._hop = Hop("udp", "127.0.0.1", SIP_PORT, None, local)
        self._agent = UserAgent(
            UserAgentConfig(contact=lambda hop: SipUri.build("bench", *local), max_sessions=100_000),
            clock=time.monotonic,
        )
        self._placed = 0

    def place(self, sdp: bytes) -> Session:
        self._placed += 1
        session = self._agent.invite(
            SipUri.build("1000", "127.0.0.1", SIP_PORT),
            self._hop,
            from_=NameAddr.build(SipUri.build(f"caller{self._placed}", "127.0.0.1")),
            sdp=sdp,
        )
        self._send()
        return session

    def hang_up(self, session: Session) -> None:
        session.bye()
        self._send()

    def poll(self) -> None:
        """Take what came, do what is due."""
        while (message := received(self.socket)) is not None:
            data, at = message
            self._agent.receive(data, self._hop, time.monotonic())
            self._drain(at)
        due = self._agent.next_timer()
        if due is not None and due <= time.monotonic():
            self._agent.handle_timer(time.monotonic())
            self._drain(time.time())

    def _drain(self, at: float) -> None:
        while (event := self._agent.next_event()) is not None:
            self._tell(event, at)
        self._send()

    def _send(self) -> None:
        for data, hop in self._agent.messages_to_send():
            self.socket.sendto(data, (hop.host, hop.port))
