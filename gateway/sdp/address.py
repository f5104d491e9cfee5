"""Literal addresses, read once: nearly every call names the same few, several times."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

__all__ = ["IpAddress", "read_address"]

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=1024)
def read_address(text: str) -> IpAddress:
    """Raises ValueError if it is none, a name for instance."""
    return ipaddress.ip_address(text)
