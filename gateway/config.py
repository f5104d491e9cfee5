"""What the telephone side must be told before it can take calls. Made by whoever reads the site file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.media.clip import Clip

Codec = Literal["PCMU", "PCMA"]
Transport = Literal["udp", "tcp"]

CODECS: tuple[Codec, ...] = ("PCMU", "PCMA")


@dataclass(frozen=True, slots=True)
class ListenAddress:
    transport: Transport
    host: str
    port: int
    """0 takes a free port."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}:{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Seat:
    """A SIP account that may register, be dialled and call."""

    account: str
    password: str = field(repr=False)
    display_name: str = ""
    codecs: tuple[Codec, ...] = CODECS


@dataclass(frozen=True, slots=True)
class Trunk:
    """A carrier: numbers arrive from it and are dialled through it."""

    name: str
    host: str
    port: int = 5060
    transport: Transport = "udp"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    register: bool = False
    numbers: tuple[str, ...] = ()
    """Numbers it brings calls to: they tell it from others at the same address."""
    caller_id: str | None = None
    """The number shown to the called party; the caller's own if None."""
    codecs: tuple[Codec, ...] = CODECS


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Addresses, accounts and limits of one gateway. Times in seconds."""

    listen: tuple[ListenAddress, ...]
    domain: str | None = None
    """The realm, and the domain of the seats' addresses of record; None: any."""
    media_address: str = "0.0.0.0"
    media_advertise: str | None = None
    """The address put into SDP; None: the one that reaches the far end."""
    media_ports: tuple[int, int] = (20000, 29999)
    media_rest: float = 30.0
    """How long a port rests before another call gets it. Those out of use longest come first."""
    media_least_rest: float | None = None
    """How long it rests at least when calls come faster than the range can rest; None: no less than ever."""
    media_timeout: float = 60.0
    """Without a packet for so long, once there were some, a party is taken for lost."""
    realtime: bool = True
    seats: Mapping[str, Seat] = field(default_factory=dict)
    trunks: Mapping[str, Trunk] = field(default_factory=dict)
    max_calls: int = 400
    calls_per_second: float = 100.0
    hold_music: Clip | None = None
    """Played to one party while the other has put it on hold."""
    user_agent: str = "ivr-gateway"
