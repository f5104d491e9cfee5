"""The registrar of the seats (RFC 3261 section 10): where each telephone can be reached.

A binding keeps the neighbour its REGISTER came from, and requests to the seat go back there: through the NAT or
over the connection that the telephone opened (RFC 3581, RFC 5626), whatever its Contact says.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from gateway.deadlines import Deadlines
from gateway.sip.authentication import SeatAuthentication
from gateway.sip.dialog import hop_towards
from gateway.sip.grammar import SipParseError, parse_uint
from gateway.sip.header import NameAddr
from gateway.sip.hop import Hop
from gateway.sip.message import Request
from gateway.sip.session_host import TimerOwner
from gateway.sip.settings import Refuse, UserAgentConfig
from gateway.sip.uri import SipUri

__all__ = ["Binding", "Registrar"]


@dataclass(frozen=True, slots=True)
class Binding:
    """One telephone of a seat."""

    account: str
    contact: SipUri
    """The Request-URI for requests to it."""
    hop: Hop
    """Where to send them."""
    expires_at: float
    """Seconds of the monotonic clock."""
    q: float
    """Preference, 0 to 1."""
    user_agent: str
    call_id: str
    cseq: int
    instance: str | None
    """`+sip.instance` and `reg-id` (RFC 5626): the telephone, whatever its address."""
    behind_nat: bool
    """Its Contact is not where its messages come from."""


Changed = Callable[[str, tuple[Binding, ...]], None]


class Registrar:
    """Owns the bindings of all seats."""

    def __init__(
        self,
        config: UserAgentConfig,
        authentication: SeatAuthentication,
        timers: Deadlines[tuple[TimerOwner, str]],
        changed: Changed,
    ) -> None:
        self._config = config
        self._settings = config.registrar
        self._authentication = authentication
        self._timers = timers
        self._changed = changed
        self._bindings: dict[str, list[Binding]] = {}
        self._by_hop: dict[Hop, set[str]] = {}

    def __len__(self) -> int:
        """How many seats have a binding."""
        return len(self._bindings)

    def accounts(self) -> list[str]:
        """The seats that have a binding."""
        return list(self._bindings)

    def bindings(self, account: str) -> list[Binding]:
        """The telephones of a seat, the preferred first; of equal ones the latest first."""
        return sorted(self._bindings.get(account, ()), key=lambda binding: -binding.q)

    def account_at(self, hop: Hop) -> str | None:
        """A seat that is registered from there."""
        return next(iter(self._by_hop.get(hop, ())), None)

    def register(self, request: Request, hop: Hop, now: float) -> Refuse | list[tuple[str, str]]:
        """Take a REGISTER: the headers of the 200, or the refusal (RFC 3261 10.3).

        Raises:
            SipParseError: a broken header (400).
        """
        to = request.to.uri
        domains = self._config.domains
        if to.scheme not in ("sip", "sips") or (domains and to.host not in domains):
            return Refuse(404)
        verdict = self._authentication.check(request, hop, now, claimed=to.user_text)
        if isinstance(verdict, Refuse):
            return verdict
        account = verdict
        if account != to.user_text:
            return Refuse(403)
        before = self._bindings.get(account, [])
        after = self._updated(account, before, request, hop, now)
        if isinstance(after, Refuse):
            return after
        self._store(account, after)
        return [
            ("Contact", f"<{binding.contact}>;expires={max(1, round(binding.expires_at - now))}{_q(binding.q)}")
            for binding in self.bindings(account)
        ]

    def hop_lost(self, hop: Hop) -> None:
        """A connection is gone, and with it what was registered over it."""
        for account in list(self._by_hop.get(hop, ())):
            self._store(account, [b for b in self._bindings.get(account, ()) if b.hop != hop])

    def drop(self, binding: Binding) -> None:
        """Forget a telephone that answers no more."""
        kept = [b for b in self._bindings.get(binding.account, ()) if not b.contact.matches(binding.contact)]
        self._store(binding.account, kept)

    def unregister(self, account: str) -> None:
        """Forget a seat, as when it was taken out of the configuration."""
        self._store(account, [])

    def timer_expired(self, name: str, now: float) -> None:
        """The timers go by account: its earliest binding is over."""
        self._store(name, [b for b in self._bindings.get(name, ()) if b.expires_at > now])

    def _updated(
        self, account: str, before: list[Binding], request: Request, hop: Hop, now: float
    ) -> list[Binding] | Refuse:
        """The bindings as they would be; all of the request is taken or nothing (RFC 3261 10.3, step 7)."""
        call_id, number = request.call_id, request.cseq.number

        def out_of_order(binding: Binding) -> bool:
            return binding.call_id == call_id and number <= binding.cseq

        if request.contact_is_star:
            if request.expires != 0:
                return Refuse(400, "Contact: * needs Expires: 0")
            return Refuse(500) if any(map(out_of_order, before)) else []
        if any(line.strip().startswith("*") for line in request.headers.get_all("contact")):
            return Refuse(400, "Contact: * among others")
        contacts = request.contacts
        if len(contacts) > self._settings.max_bindings:
            return Refuse(403, "Too many contacts")
        after = list(before)
        for contact in contacts:
            if contact.uri.scheme not in ("sip", "sips"):
                return Refuse(400, "Contact is no SIP URI")
            expires = self._expires(contact, request)
            instance = _instance(contact)
            same = [b for b in after if _same(b, contact.uri, instance)]
            if any(map(out_of_order, same)):
                return Refuse(500)
            after = [b for b in after if b not in same]
            if expires == 0:
                continue
            if expires < self._settings.min_expires:
                return Refuse(423, headers=(("Min-Expires", str(self._settings.min_expires)),))
            seconds = min(expires, self._settings.max_expires)
            binding = self._binding(account, contact, instance, request, hop, now + seconds)
            after.insert(0, binding)
        # A telephone that lost its memory comes back under another port: the one not heard of longest makes room.
        return after[: self._settings.max_bindings]

    def _binding(
        self, account: str, contact: NameAddr, instance: str | None, request: Request, hop: Hop, until: float
    ) -> Binding:
        uri = contact.uri.as_request_uri()
        behind_nat = not _is_at(uri, hop)
        # A telephone on UDP that did not ask for its answers at the source port listens where its Contact says.
        plain = hop.transport == "udp" and len(request.vias) == 1 and not request.top_via.wants_rport
        if plain and uri.address == hop.host:
            hop, behind_nat = hop_towards(uri, hop), False
        return Binding(
            account=account,
            contact=uri,
            hop=hop,
            expires_at=until,
            q=_quality(contact),
            user_agent=(request.headers.get("user-agent") or "")[:200],
            call_id=request.call_id,
            cseq=request.cseq.number,
            instance=instance,
            behind_nat=behind_nat,
        )

    def _expires(self, contact: NameAddr, request: Request) -> int:
        value = contact.params.get("expires")
        if value is not None:
            try:
                return parse_uint(value, "expires")
            except SipParseError:
                # RFC 3261 20.19, 10.2.1.1: what is malformed counts as the default.
                return self._settings.default_expires
        try:
            header = request.expires
        except SipParseError:
            header = None
        return self._settings.default_expires if header is None else header

    def _store(self, account: str, after: list[Binding]) -> None:
        before = self._bindings.get(account, [])
        if after:
            self._bindings[account] = after
            self._timers.start((self, account), min(b.expires_at for b in after))
        else:
            self._bindings.pop(account, None)
            self._timers.stop((self, account))
        hops = {b.hop for b in after}
        for hop in {b.hop for b in before} - hops:
            seats = self._by_hop.get(hop, set())
            seats.discard(account)
            if not seats:
                self._by_hop.pop(hop, None)
        for hop in hops:
            self._by_hop.setdefault(hop, set()).add(account)
        if {(b.contact, b.hop) for b in before} != {(b.contact, b.hop) for b in after}:
            self._changed(account, tuple(after))


def _same(binding: Binding, uri: SipUri, instance: str | None) -> bool:
    if instance is not None and binding.instance == instance:
        return True
    return binding.contact.matches(uri)


def _instance(contact: NameAddr) -> str | None:
    instance = contact.params.get("+sip.instance")
    return None if instance is None else f"{instance};{contact.params.get('reg-id') or ''}"


def _quality(contact: NameAddr) -> float:
    try:
        q = float(contact.params.get("q") or 1.0)
    except ValueError:
        return 1.0
    return q if 0.0 <= q <= 1.0 else 1.0


def _q(q: float) -> str:
    return "" if q == 1.0 else f";q={q:.3f}".rstrip("0").rstrip(".")


def _is_at(uri: SipUri, hop: Hop) -> bool:
    """Whether a Contact names the place its message came from."""
    try:
        same = ipaddress.ip_address(uri.address) == ipaddress.ip_address(hop.host)
    except ValueError:
        return False
    return same and (hop.transport != "udp" or (uri.port or 5060) == hop.port)
