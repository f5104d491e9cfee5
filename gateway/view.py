"""What the telephone side looks like at one moment: for those who watch it run. Nothing here changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.media.engine import EngineStatistics

__all__ = ["ClientView", "GatewayView", "SeatView", "TrunkView"]


@dataclass(frozen=True, slots=True)
class SeatView:
    name: str
    title: str
    telephones: tuple[str, ...]
    """Those that are registered: ``Yealink SIP-T46S at 10.0.0.7:5060``. None: it cannot be reached."""


@dataclass(frozen=True, slots=True)
class TrunkView:
    name: str
    registration: Literal["none", "registered", "failed", "waiting"]
    """``none``: none is wanted there."""
    status: int | None
    """Of the last answer to a REGISTER."""


@dataclass(frozen=True, slots=True)
class ClientView:
    user: str
    presence: str
    """``online``, ``busy``, ``unreachable`` or ``offline``."""


@dataclass(frozen=True, slots=True)
class GatewayView:
    seats: tuple[SeatView, ...]
    trunks: tuple[TrunkView, ...]
    clients: tuple[ClientView, ...]
    """Those of the site file, and whoever else is logged in."""
    media: EngineStatistics
    draining: bool
