"""Our registration at a trunk: made, refreshed, repaired, taken back (RFC 3261 10.2, RFC 5626 4.5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.sip.capabilities import ALLOW
from gateway.sip.challenged import again, prepare, with_credentials
from gateway.sip.digest import DigestClient
from gateway.sip.events import TrunkRegistered, TrunkRegistrationFailed
from gateway.sip.grammar import SipParseError, parse_uint
from gateway.sip.hop import Hop
from gateway.sip.message import Request, Response
from gateway.sip.session_host import SessionHost
from gateway.sip.settings import Credentials
from gateway.sip.transaction import ClientTransaction
from gateway.sip.uri import SipUri

__all__ = ["TrunkRegistration", "TrunkSettings"]

REFRESH_AT = 0.75
"""Of the time that was granted: leaves a quarter for a lost packet and a new nonce."""
SHORTEST_REFRESH = 5.0
"""Seconds; a trunk that grants less is asked no more often."""
BASE_PAUSE = 30.0
LONGEST_PAUSE = 1800.0
"""Seconds between attempts (RFC 5626 4.5)."""
RECONNECT_PAUSE = 2.0
"""Seconds, at most, until we register again after a connection broke."""
MAX_CHALLENGES = 3
LONGEST_EXPIRES = 86_400


@dataclass(frozen=True, slots=True)
class TrunkSettings:
    """Where and as whom to register. Seconds."""

    name: str
    registrar: SipUri
    """Request-URI, without a user: ``sip:example.net``."""
    address: SipUri
    """The address of record: ``sip:user@example.net``."""
    hop: Hop
    credentials: Credentials | None = field(default=None, repr=False)
    expires: int = 600


class TrunkRegistration:
    """Owns one registration. ``digest`` may be shared with the calls through the trunk."""

    def __init__(self, host: SessionHost, settings: TrunkSettings) -> None:
        self.settings = settings
        self.registered = False
        self.status: int | None = None
        """Of the last final response."""
        credentials = settings.credentials
        self.digest = DigestClient(credentials.username, credentials.password) if credentials else None
        self._host = host
        self._hop = settings.hop
        self._call_id = host.new_tag()
        self._tag = host.new_tag()
        self._number = 0
        self._expires = settings.expires
        self._failures = 0
        self._challenges = 0
        self._too_brief = 0
        self._stopped = False
        self._current: ClientTransaction | None = None

    @property
    def waiting(self) -> bool:
        """Whether a REGISTER is under way."""
        return self._current is not None

    @property
    def failed(self) -> bool:
        """Whether the last attempt came to nothing."""
        return self._failures > 0

    def start(self) -> None:
        """Register, and stay so."""
        self._stopped = False
        self._send(self._expires)

    def stop(self) -> None:
        """Take the registration back, if there is one; no attempt follows."""
        self._stopped = True
        self._host.timers.stop((self, "register"))
        if self.registered:
            self.registered = False
            self._send(0)
        else:
            self._current = None

    def hop_lost(self, hop: Hop) -> None:
        """A connection broke: if it was the trunk's, calls will not find us until we register again."""
        same = (hop.transport, hop.host, hop.port) == (self._hop.transport, self._hop.host, self._hop.port)
        if same and not self._stopped and self._current is None:
            self._again(self._host.random() * RECONNECT_PAUSE)

    def timer_expired(self, name: str, now: float) -> None:
        if not self._stopped:
            self._send(self._expires)

    def response(self, transaction: ClientTransaction, response: Response) -> None:
        if transaction is not self._current or response.is_provisional:
            return
        self.status = response.status
        try:
            retry = self._retry(transaction.request, response)
        except SipParseError:
            retry = None
        if retry is not None:
            self._number += 1
            self._current = self._host.send_request(retry, self._hop, self)
            return
        self._current = None
        if self._stopped:
            return
        if response.is_success:
            self._succeeded(response)
        else:
            self._failed(response.status, response.reason, _retry_after(response))

    def no_response(self, transaction: ClientTransaction, *, transport: bool) -> None:
        if transaction is self._current:
            self._current = None
            if not self._stopped:
                self._failed(None, "transport" if transport else "timeout", None)

    def _send(self, expires: int) -> None:
        self._host.timers.stop((self, "register"))
        self._challenges = 0
        self._too_brief = 0
        self._number += 1
        contact = self._host.config.contact(self._hop)
        request = Request(
            "REGISTER",
            self.settings.registrar,
            [
                ("From", f"<{self.settings.address}>;tag={self._tag}"),
                ("To", f"<{self.settings.address}>"),
                ("Call-ID", self._call_id),
                ("CSeq", f"{self._number} REGISTER"),
                ("Contact", f"<{contact}>;expires={expires}"),
                ("Expires", str(expires)),
                ("Allow", ALLOW),
            ],
        )
        prepare(request, self.digest)
        self._current = self._host.send_request(request, self._hop, self)

    def _retry(self, request: Request, response: Response) -> Request | None:
        if self._challenges < MAX_CHALLENGES:
            retry = with_credentials(request, response, self.digest, self._number + 1)
            if retry is not None:
                self._challenges += 1
                return retry
        if response.status == 423 and self._too_brief < 2:
            lowest = parse_uint(response.headers.get("min-expires") or "", "Min-Expires", LONGEST_EXPIRES)
            if lowest > self._expires and not self._stopped:
                self._too_brief += 1
                self._expires = lowest
                retry = again(request, self._number + 1)
                contact = self._host.config.contact(self._hop)
                retry.headers.set("Contact", f"<{contact}>;expires={lowest}")
                retry.headers.set("Expires", str(lowest))
                # Credentials are good for one request; a new challenge costs less than a refused nonce.
                retry.headers.remove("Authorization")
                retry.headers.remove("Proxy-Authorization")
                prepare(retry, self.digest)
                return retry
        return None

    def _succeeded(self, response: Response) -> None:
        granted = self._granted(response)
        self.registered = True
        self._failures = 0
        self._again(max(SHORTEST_REFRESH, granted * REFRESH_AT))
        self._host.emit(TrunkRegistered(self.settings.name, granted))

    def _granted(self, response: Response) -> int:
        """What our Contact got; the response may list those of others too."""
        ours = self._host.config.contact(self._hop)
        try:
            contacts = response.contacts
            own = next((c for c in contacts if c.uri.matches(ours)), contacts[0] if len(contacts) == 1 else None)
            value = own.params.get("expires") if own is not None else None
            granted = parse_uint(value, "expires") if value is not None else response.expires
        except SipParseError:
            granted = None
        return min(granted or self._expires, LONGEST_EXPIRES)

    def _failed(self, status: int | None, reason: str, retry_after: float | None) -> None:
        self.registered = False
        pause = min(LONGEST_PAUSE, BASE_PAUSE * 2 ** min(self._failures, 10))
        pause *= 0.5 + self._host.random() / 2
        self._failures += 1
        pause = max(pause, min(retry_after or 0.0, LONGEST_PAUSE))
        self._again(pause)
        self._host.emit(TrunkRegistrationFailed(self.settings.name, status, reason, pause))

    def _again(self, pause: float) -> None:
        self._host.timers.start((self, "register"), self._host.now() + pause)


def _retry_after(response: Response) -> float | None:
    value = (response.headers.get("retry-after") or "").split(";")[0].split("(")[0].strip()
    return float(value) if value.isascii() and value.isdigit() and len(value) <= 9 else None
