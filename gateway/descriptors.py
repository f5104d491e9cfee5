"""Room for sockets: every leg takes two, every connection one, and shells commonly allow 1,024 in all."""

from __future__ import annotations

import resource

__all__ = ["make_room"]


def make_room(wanted: int) -> int:
    """Let this process open so many files, as far as its hard limit goes. Returns how many it may open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
