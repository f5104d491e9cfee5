"""What the site lets flows reach: every public address, and of the others only what the site file allows."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]*)(\.[a-z0-9_]([a-z0-9_-]*))*")
_EMBEDDED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"))
"""IPv6 addresses that stand for IPv4 ones."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Hosts, networks and origins (``http://127.0.0.1:8080``) that are allowed though they are not public."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[_Network, ...] = ()
    origins: frozenset[tuple[str, str, int]] = frozenset()

    def names(self, scheme: str, host: str, port: int) -> bool:
        """Whether it is allowed by its name, wherever that leads."""
        return host in self.hosts or (scheme, host, port) in self.origins

    def admits(self, address: str) -> bool:
        """Whether an address may be connected to that a name not allowed as such has led to."""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return is_public(found) or any(found.version == one.version and found in one for one in self.networks)

    def local(self, host: str) -> bool:
        """Whether a host that is an address, or means this machine, is one that is not public."""
        if host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            return not is_public(ipaddress.ip_address(host))
        except ValueError:
            return False


def is_public(address: IPAddress) -> bool:
    """Whether an address is anybody's: not of this machine, of a private network, of a link, or of a group."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in _EMBEDDED):
            return False
    return address.is_global and not address.is_multicast


def parse_reach(texts: tuple[str, ...]) -> Reach:
    """Raises ValueError naming the first entry that is none of the three."""
    hosts, networks, origins = set(), [], set()
    for text in texts:
        if "://" in text:
            origins.add(_origin(text))
            continue
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError:
            if not _HOST.fullmatch(text.lower()):
                raise ValueError(f"'{text[:60]}' is no host, network or address of a service") from None
            hosts.add(text.lower())
    return Reach(frozenset(hosts), tuple(networks), frozenset(origins))


def _origin(text: str) -> tuple[str, str, int]:
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = -1
    host = (parts.hostname or "").lower()
    if parts.scheme not in ("http", "https") or not host or port == -1 or parts.path.strip("/") or parts.username:
        raise ValueError(f"'{text[:60]}' is not http://host:port or https://host:port")
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80)
