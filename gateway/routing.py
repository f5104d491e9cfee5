"""By which ways a target is reached, and which trunk a call came through. Knows no calls and no sound."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.call import Codec, LegFailed, Seat, Trunk
from gateway.config import SrtpPolicy
from gateway.sip.digest import DigestClient
from gateway.sip.hop import Hop
from gateway.sip.registrar import Binding
from gateway.sip.registration import TrunkSettings
from gateway.sip.settings import Credentials
from gateway.sip.uri import SipUri

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ways:
    """How a target is reached: every address to send an INVITE to, at the same time."""

    account: str
    """The seat or the trunk."""
    hops: tuple[tuple[SipUri, Hop], ...]
    codecs: tuple[Codec, ...]
    srtp: SrtpPolicy
    address_of_record: SipUri | None = None
    """Whom the INVITE is to; its Request-URI if None."""
    caller_id: str | None = None
    """The number to show; the caller's own if None."""
    credentials: DigestClient | None = None


def ways_to_seat(seat: Seat, bindings: list[Binding], domain: str | None) -> Ways | LegFailed:
    """All telephones on which a seat is signed in."""
    if not bindings:
        return LegFailed("", "offline", 480, f"seat {seat.account} is not registered")
    return Ways(
        account=seat.account,
        hops=tuple((binding.contact, binding.hop) for binding in bindings),
        codecs=seat.codecs,
        srtp=seat.srtp,
        address_of_record=SipUri.build(seat.account, domain or bindings[0].hop.host),
    )


def address_of_seat(seat: Seat, bindings: list[Binding]) -> SipUri | LegFailed:
    """Where somebody else's telephone reaches a seat without us: the telephone that signed in last."""
    ways = ways_to_seat(seat, bindings, None)
    if isinstance(ways, LegFailed):
        return ways
    contact, hop = ways.hops[-1]
    if hop.only_connection or contact.host.endswith(".invalid"):
        return LegFailed("", "failed", None, f"seat {seat.account} can only be reached through us")
    return contact.as_request_uri()


class _Route:
    """A trunk and the addresses its host name stood for when it was last looked up."""

    def __init__(self, trunk: Trunk) -> None:
        self.trunk = trunk
        self.port = None if trunk.port == (5061 if trunk.transport == "tls" else 5060) else trunk.port
        self.hop = Hop(trunk.transport, trunk.host, trunk.port)
        self.addresses: frozenset[str] = frozenset()
        self.credentials: Credentials | None = None
        # Shared by the calls through the trunk: a nonce that served once serves again.
        self.digest: DigestClient | None = None
        if trunk.user is not None and trunk.password is not None:
            self.credentials = Credentials(trunk.user, trunk.password)
            self.digest = DigestClient(trunk.user, trunk.password)


class Trunks:
    """Owns what is known of the trunks of a site, in the order of its file."""

    def __init__(self, trunks: Mapping[str, Trunk]) -> None:
        self._routes = {name: _Route(trunk) for name, trunk in trunks.items()}
        self.hosts: frozenset[str] = frozenset()
        """The addresses of all of them."""

    def __bool__(self) -> bool:
        return bool(self._routes)

    async def look_up(self) -> None:
        """Ask for the addresses of all hosts; one that cannot be had keeps those it had."""
        loop = asyncio.get_running_loop()
        for name, route in self._routes.items():
            try:
                found = await loop.getaddrinfo(route.trunk.host, route.trunk.port, type=socket.SOCK_DGRAM)
            except (OSError, UnicodeError) as error:
                log.warning("trunk %s: %s cannot be looked up: %s", name, route.trunk.host, error)
                continue
            route.addresses = frozenset(str(entry[4][0]) for entry in found)
        self.hosts = frozenset().union(*(route.addresses for route in self._routes.values()))

    def at(self, hop: Hop, did: str) -> str | None:
        """The trunk that a call to ``did`` comes through: by its address, and by its port or one of its numbers.

        The address alone says little: telephones may share it with the trunk (one NAT, one machine).
        """
        for name, route in self._routes.items():
            if hop.host in route.addresses and (hop.port == route.trunk.port or did in route.trunk.numbers):
                return name
        return None

    def ways_to(self, number: str, wanted: str | None = None) -> Ways | LegFailed:
        """Through the trunk that is wanted, else the first that can be reached. ValueError for what is no number."""
        for name, route in self._routes.items():
            if route.addresses and wanted in (None, name):
                return Ways(
                    account=name,
                    hops=((SipUri.build(number, route.trunk.host, route.port), route.hop),),
                    codecs=route.trunk.codecs,
                    srtp=route.trunk.srtp,
                    caller_id=route.trunk.caller_id,
                    credentials=route.digest,
                )
        text = "no trunk can be reached" if wanted is None else f"trunk {wanted} cannot be reached"
        return LegFailed("", "failed", None, text)

    def credentials_at(self, name: str | None) -> DigestClient | None:
        """What a trunk is answered with that asks who we are."""
        route = self._routes.get(name) if name is not None else None
        return None if route is None else route.digest

    def address_at(self, name: str | None, number: str) -> SipUri | None:
        """How a trunk itself is asked for a number; None if there is no such trunk. ValueError: that is no number."""
        route = self._routes.get(name) if name is not None else None
        return None if route is None else SipUri.build(number, route.trunk.host, route.port)

    def registrations(self) -> Iterator[TrunkSettings]:
        """Where we are to register, and as whom."""
        for name, route in self._routes.items():
            trunk = route.trunk
            if trunk.register:
                yield TrunkSettings(
                    name,
                    SipUri.build(None, trunk.host, route.port),
                    SipUri.build(trunk.user, trunk.host, route.port),
                    route.hop,
                    route.credentials,
                )
