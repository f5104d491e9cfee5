"""Where a message came from, or goes to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hop:
    """One neighbour on the wire. What is received from a hop can be answered by sending to that hop."""

    transport: str
    """`udp`, `tcp`, `tls`, `ws`, `wss`: lower case."""
    host: str
    """Address or name; IPv6 without brackets."""
    port: int
    connection: int | None = None
    """For stream transports: the number of the connection. None: any connection to there, opened on demand."""
    local: tuple[str, int] | None = None
    """Our listening address that it belongs to; None: the transports choose."""

    @property
    def reliable(self) -> bool:
        """Whether the transport itself retransmits: then transactions do not (RFC 3261 17)."""
        return self.transport != "udp"

    @property
    def secure(self) -> bool:
        """Whether nobody on the way can read what is sent: what keys of media may travel by (RFC 4568 section 7)."""
        return self.transport in ("tls", "wss")

    @property
    def only_connection(self) -> bool:
        """Whether its connection alone leads there: nobody can be called by WebSocket (RFC 7118 section 5)."""
        return self.transport in ("ws", "wss")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        number = "" if self.connection is None else f"#{self.connection}"
        return f"{self.transport}:{host}:{self.port}{number}"
