"""One INVITE of the peer while we answer it: provisionals, reliable ones (RFC 3262), the 2xx until its ACK.

Serves the INVITE that begins a session and those within it alike. What the answer says is the session's affair.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from gateway.sip.capabilities import SDP
from gateway.sip.grammar import parse_uint
from gateway.sip.message import Request, Response, SipParseError
from gateway.sip.session_host import SessionHost
from gateway.sip.transaction import ServerTransaction

__all__ = ["InviteServer", "InviteServerOwner"]

REPEAT_PROVISIONAL = 60.0
"""Seconds between provisionals, lest a proxy give the call up after three minutes (RFC 3261 13.3.1.1)."""
MAX_WAITING_PROVISIONALS = 4

_Headers = list[tuple[str, str]]


class InviteServerOwner(Protocol):
    def unacknowledged(self, server: InviteServer) -> None:
        """No ACK came to the 2xx (RFC 3261 13.3.1.4)."""

    def unpracked(self, server: InviteServer) -> None:
        """No PRACK came to a reliable provisional (RFC 3262 section 3)."""


class InviteServer:
    """Owns the responses to one INVITE and their repetition."""

    def __init__(
        self, host: SessionHost, owner: InviteServerOwner, transaction: ServerTransaction, local_tag: str
    ) -> None:
        self.transaction = transaction
        self.request: Request = transaction.request
        self.number = self.request.cseq.number
        self.answered = False
        """A 2xx was sent, or waits for a PRACK."""
        self.over = False
        """Refused, acknowledged, or given up."""
        self.made_offer = False
        """The 2xx carries our offer: the ACK brings the answer."""
        self._host = host
        self._owner = owner
        self._local_tag = local_tag
        self._requires_reliable = "100rel" in self.request.require
        self._takes_reliable = self._requires_reliable or "100rel" in self.request.supported
        self._interval = 0.0
        self._final: Response | None = None
        self._last: tuple[int, str | None, _Headers, bytes | None] | None = None
        self._unpracked: tuple[int, Response] | None = None
        self._waiting: deque[tuple[int, str | None, _Headers, bytes | None]] = deque(maxlen=MAX_WAITING_PROVISIONALS)
        self._rseq = int(host.random() * 2**30) + 1
        self._answered_early = False

    @property
    def answered_early(self) -> bool:
        """Our answer went out in a reliable provisional and was acknowledged: the 2xx carries none."""
        return self._answered_early and self._unpracked is None

    def provisional(self, status: int, reason: str | None, headers: _Headers, sdp: bytes | None) -> None:
        """Send a provisional response (RFC 3262 section 3): reliably if the peer requires it, or if it carries our
        answer and the peer can take it so: who misses that one hears nothing of what is played to him."""
        if self.answered or self.over:
            return
        if self._requires_reliable and not self.request.body:
            # A reliable provisional to an INVITE without offer would have to bring ours, and PRACK the answer;
            # an unreliable one is forbidden. Silence is allowed: 100 has told the peer that we are there.
            return
        if self._unpracked is not None:
            self._waiting.append((status, reason, headers, sdp))
            return
        self._last = (status, reason, headers, sdp)
        reliable = self._requires_reliable or (self._takes_reliable and sdp is not None)
        if reliable:
            self._rseq += 1
            headers = [*headers, ("Require", "100rel"), ("RSeq", str(self._rseq))]
            if self._answered_early:
                sdp = None
        response = self._respond(status, reason, headers, sdp)
        if reliable:
            self._stop("ringing")
            self._answered_early = self._answered_early or sdp is not None
            self._unpracked = (self._rseq, response)
            self._interval = self._host.config.t1
            self._start("1xx", self._interval)
            self._start("no PRACK", 64 * self._host.config.t1)
        else:
            self._start("ringing", REPEAT_PROVISIONAL)
        self._host.send_response(self.transaction, response)

    def pracked(self, prack: Request) -> bool:
        """Take a PRACK; False if it is for nothing we wait for (481, RFC 3262 section 3).

        Raises:
            SipParseError: a broken RAck.
        """
        words = (prack.headers.get("rack") or "").split()
        if len(words) != 3:
            raise SipParseError("bad RAck")
        number, invite = parse_uint(words[0], "RAck"), parse_uint(words[1], "RAck")
        if self._unpracked is None or (number, invite, words[2]) != (self._unpracked[0], self.number, "INVITE"):
            return False
        self._unpracked = None
        self._stop("1xx", "no PRACK")
        return True

    def prack_answered(self) -> None:
        """The 200 to the PRACK is out: what waited for it goes on."""
        if self.over:
            return
        if self._final is not None:
            self._send_final()
        elif self._waiting:
            self.provisional(*self._waiting.popleft())
        else:
            self._start("ringing", REPEAT_PROVISIONAL)

    def accept(self, headers: _Headers, sdp: bytes | None) -> None:
        """Send the 200, and again until the ACK comes."""
        if self.answered or self.over:
            return
        self.answered = True
        self.made_offer = not self.request.body
        self._waiting.clear()
        self._stop("ringing")
        # The peer has the answer already: a second one would be taken for a new offer (RFC 3262 section 5).
        self._final = self._respond(200, None, headers, None if self._answered_early else sdp)
        if self._unpracked is None:
            self._send_final()

    def refuse(self, status: int, reason: str | None, headers: _Headers) -> None:
        """Send the final refusal; nothing, if there was a final response."""
        if self.answered and self._unpracked is None:
            return
        if not self.over:
            self.stop()
            self._host.send_response(self.transaction, self._respond(status, reason, headers, None))

    def acknowledged(self, ack: Request) -> bool:
        """Whether this is the first ACK to our 2xx."""
        if not self.answered or self.over or ack.cseq.number != self.number:
            return False
        self.stop()
        return True

    def stop(self) -> None:
        """Nothing is repeated any more."""
        self.over = True
        self._stop("1xx", "no PRACK", "2xx", "no ACK", "ringing")

    def timer_expired(self, name: str, now: float) -> None:
        match name:
            case "1xx" if self._unpracked is not None:
                self._host.send_response(self.transaction, self._unpracked[1])
                # Unlike the 2xx's, this pause is not bounded by T2 (RFC 3262 section 3).
                self._interval *= 2
                self._start("1xx", self._interval)
            case "ringing" if self._last is not None:
                self.provisional(*self._last)
            case "2xx" if self._final is not None:
                self._host.send_response(self.transaction, self._final)
                self._interval = min(2 * self._interval, self._host.config.t2)
                self._start("2xx", self._interval)
            case "no ACK":
                self.stop()
                self._owner.unacknowledged(self)
            case "no PRACK":
                self._owner.unpracked(self)
            case _:
                pass

    def _send_final(self) -> None:
        if self._final is None:
            return
        # On every transport: the ACK comes end to end, the transport's care ends at the next hop (13.3.1.4).
        self._interval = self._host.config.t1
        self._start("2xx", self._interval)
        self._start("no ACK", 64 * self._host.config.t1)
        self._host.send_response(self.transaction, self._final)

    def _respond(self, status: int, reason: str | None, headers: _Headers, sdp: bytes | None) -> Response:
        return self.request.respond(
            status,
            reason,
            to_tag=self._local_tag,
            headers=headers,
            body=sdp or b"",
            content_type=SDP if sdp else None,
        )

    def _start(self, name: str, seconds: float) -> None:
        self._host.timers.start((self, name), self._host.now() + seconds)

    def _stop(self, *names: str) -> None:
        for name in names:
            self._host.timers.stop((self, name))
