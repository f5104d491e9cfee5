"""Dialogs (RFC 3261 section 12): who talks to whom, by which route, and in which order. What they say to each
other is not known here."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from gateway.sip.header import NameAddr
from gateway.sip.hop import Hop
from gateway.sip.message import Request, Response, SipParseError
from gateway.sip.uri import SipUri

__all__ = ["Dialog", "DialogId", "hop_towards"]

MAX_FORWARDS = "70"
"""RFC 3261 8.1.1.6."""

_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
)
"""Addresses that mean something only behind their own router (RFC 1918, RFC 6598, RFC 3927)."""

_DEFAULT_PORTS = {"tls": 5061}


class DialogId(NamedTuple):
    """What names a dialog from our side (RFC 3261 section 12). A peer of RFC 2543 has no tag: an empty one."""

    call_id: str
    local_tag: str
    remote_tag: str


class Dialog:
    """The state of one dialog, early or confirmed.

    Local is always our side, whichever side made the dialog.
    """

    __slots__ = (
        "call_id",
        "hop",
        "local",
        "local_seq",
        "remote",
        "remote_seq",
        "remote_target",
        "route_set",
        "symmetric",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local: NameAddr,
        remote: NameAddr,
        local_seq: int,
        remote_seq: int | None,
        remote_target: SipUri,
        route_set: tuple[NameAddr, ...],
        hop: Hop,
        symmetric: bool,
    ) -> None:
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.local_seq = local_seq
        self.remote_seq = remote_seq
        self.remote_target = remote_target
        self.route_set = route_set
        self.hop = hop
        """The neighbour the dialog was made through."""
        self.symmetric = symmetric
        """The peer itself sits at ``hop`` and must be reached there, whatever its Contact says (RFC 3581)."""

    @classmethod
    def of_request(cls, request: Request, hop: Hop, local_tag: str) -> Dialog:
        """The dialog that answering ``request`` makes, seen from the UAS (RFC 3261 12.1.1).

        Raises:
            SipParseError: the request has no Contact to send requests to, or a broken header.
        """
        contacts = request.contacts
        if not contacts:
            raise SipParseError("no Contact in a request that makes a dialog")
        # The only Via is the peer's own, and it asked to be answered where it sent from: it listens there.
        direct = len(request.vias) == 1 and request.top_via.wants_rport
        return cls(
            call_id=request.call_id,
            local=request.to.with_tag(local_tag),
            remote=request.from_,
            local_seq=0,
            remote_seq=request.cseq.number,
            remote_target=contacts[0].uri.as_request_uri(),
            route_set=request.record_routes,
            hop=hop,
            symmetric=direct and not request.record_routes,
        )

    @classmethod
    def of_response(cls, request: Request, response: Response, hop: Hop, *, symmetric: bool = False) -> Dialog:
        """The dialog that a response to our request makes, seen from the UAC (RFC 3261 12.1.2).

        Raises:
            SipParseError: the response has a broken header.
        """
        contacts = response.contacts
        route_set = tuple(reversed(response.record_routes))
        return cls(
            call_id=request.call_id,
            local=request.from_,
            remote=response.to,
            local_seq=request.cseq.number,
            remote_seq=None,
            # A provisional without Contact is seen; the request got there by this URI, so will the next.
            remote_target=contacts[0].uri.as_request_uri() if contacts else request.uri,
            route_set=route_set,
            hop=hop,
            symmetric=symmetric and not route_set,
        )

    @property
    def id(self) -> DialogId:
        return DialogId(self.call_id, self.local.tag or "", self.remote.tag or "")

    @property
    def next_hop(self) -> Hop:
        """Where the next request of this dialog is to be sent (RFC 3261 12.2.1.1, 8.1.2)."""
        if self.symmetric:
            return self.hop
        return hop_towards(self.route_set[0].uri if self.route_set else self.remote_target, self.hop)

    def request(self, method: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """The next request within this dialog, without Via (RFC 3261 12.2.1.1)."""
        self.local_seq += 1
        return self._request(method, self.local_seq, headers, body)

    def ack(self, number: int, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """The ACK to a 2xx, without Via: its CSeq number is the INVITE's (RFC 3261 13.2.2.4)."""
        return self._request("ACK", number, headers, body)

    def _request(self, method: str, number: int, headers: Iterable[tuple[str, str]], body: bytes) -> Request:
        uri, routes = self.remote_target, [str(route) for route in self.route_set]
        if self.route_set and not self.route_set[0].uri.is_loose_router:
            # A strict router wants to be named in the Request-URI, and the target comes last (12.2.1.1).
            uri = self.route_set[0].uri.as_request_uri()
            routes = [*routes[1:], f"<{self.remote_target}>"]
        items = [
            ("Max-Forwards", MAX_FORWARDS),
            *(("Route", route) for route in routes),
            ("From", str(self.local)),
            ("To", str(self.remote)),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
            *headers,
        ]
        return Request(method, uri, items, body)

    def takes(self, request: Request) -> bool:
        """Note the peer's CSeq; False if the request is older than one before it (RFC 3261 12.2.2: 500)."""
        number = request.cseq.number
        if self.remote_seq is not None and number < self.remote_seq:
            return False
        self.remote_seq = number
        return True

    def refresh_target(self, message: Request | Response) -> None:
        """The peer moved: a target refresh request or its 2xx carried a new Contact (RFC 3261 12.2).

        Raises:
            SipParseError: a broken Contact.
        """
        contacts = message.contacts
        if contacts:
            self.remote_target = contacts[0].uri.as_request_uri()

    def hop_lost(self) -> None:
        """The connection it was made over is gone: from now on the peer is sought where its Contact says."""
        self.hop = replace(self.hop, connection=None)
        self.symmetric = False

    @property
    def is_lost(self) -> bool:
        """Nothing leads to the peer until it connects again."""
        return self.hop.only_connection and self.hop.connection is None

    def came_back(self, hop: Hop) -> None:
        """A peer on a WebSocket has another one. What comes over it proves that: nobody else knows the dialog."""
        if self.hop.only_connection:
            self.hop = hop


def hop_towards(uri: SipUri, known: Hop) -> Hop:
    """The neighbour that ``uri`` names, given one through which its owner was reached.

    A WebSocket leads to its owner, whatever that is called (RFC 7118 section 5). Names are not looked up here: for
    them, and for addresses that cannot be right from where we stand (a private one behind a public neighbour), the
    known neighbour is the answer.
    """
    if known.only_connection:
        return known
    try:
        address = ipaddress.ip_address(uri.params.get("maddr") or uri.address)
        neighbour = ipaddress.ip_address(known.host)
    except ValueError:
        return known
    transport = (uri.params.get("transport") or known.transport).lower()
    if uri.scheme == "sips" and transport == "tcp":
        transport = "tls"
    if transport == known.transport and known.connection is not None and address == neighbour:
        # A connection is used in both directions; its far port is not the one a Contact names.
        return known
    unusable = address.is_unspecified or address.is_multicast or address.version != neighbour.version
    hidden = _is_private(address) and not _is_private(neighbour)
    inward = address.is_loopback and not neighbour.is_loopback
    if unusable or hidden or inward or transport not in ("udp", "tcp", "tls"):
        return known
    port = uri.port or _DEFAULT_PORTS.get(transport, 5060)
    return Hop(transport, str(address), port, None, known.local if transport == known.transport else None)


def _is_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if address.is_loopback:
        return True
    if isinstance(address, ipaddress.IPv6Address):
        # Unique local addresses (RFC 4193); what else Python calls private is documentation.
        return address.is_link_local or address.packed[0] & 0xFE == 0xFC
    return any(address in network for network in _PRIVATE)
