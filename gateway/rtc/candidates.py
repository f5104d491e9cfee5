"""Which addresses a media port can be reached at, as ICE candidates of the host (RFC 8445 section 5.1.1)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from aioice import Candidate
from aioice.candidate import candidate_foundation
from aioice.ice import get_host_addresses

__all__ = ["host_candidates", "reachable_addresses"]

_TYPE_HOST = 126
_COMPONENT = 1


def reachable_addresses(bound: str, advertised: str | None) -> tuple[str, ...]:
    """Where browsers reach a port bound to ``bound``, the best first. A wildcard stands for every interface.

    Loopback is only offered where there is nothing else: a browser on another machine would waste checks on it.
    """
    address = ipaddress.ip_address(bound)
    if not address.is_unspecified:
        found = [bound]
    else:
        found = get_host_addresses(use_ipv4=address.version == 4, use_ipv6=address.version == 6)
        found = found or ["127.0.0.1" if address.version == 4 else "::1"]
    return tuple(dict.fromkeys([advertised, *found] if advertised else found))


def host_candidates(addresses: Sequence[str], port: int) -> list[Candidate]:
    """One for each address, in falling priority (RFC 8445 section 5.1.2.1)."""
    return [
        Candidate(
            foundation=candidate_foundation("host", "udp", address),
            component=_COMPONENT,
            transport="udp",
            priority=(_TYPE_HOST << 24) | ((65535 - rank) << 8) | (256 - _COMPONENT),
            host=address,
            port=port,
            type="host",
        )
        for rank, address in enumerate(addresses)
    ]
