"""What the telephone side must be told before it can take calls. Made by whoever reads the site file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gateway.media.clip import Clip
from gateway.rtc.rights import Rights

Codec = Literal["PCMU", "PCMA", "G722", "opus"]
Transport = Literal["udp", "tcp", "tls"]
SrtpPolicy = Literal["require", "prefer", "off"]
"""Whether media is encrypted (SRTP). ``require``: or there is no call. ``prefer``: where the far end can. ``off``:
never, but for browsers, which speak nothing else."""

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
    srtp: SrtpPolicy = "prefer"


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
    srtp: SrtpPolicy = "prefer"
    verify: bool = True
    """Over TLS: it must prove to be ``host`` by a certificate that is trusted."""


@dataclass(frozen=True, slots=True)
class RtcListen:
    """Where browsers find us: pages and signalling on one port."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    """0 takes a free port."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}:{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server that browsers are told of."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Client:
    """An RTC user of the site. Others may come with tokens that a site's own backend has signed."""

    user: str
    name: str = ""
    password: str | None = field(default=None, repr=False)
    """With it, a token is to be had from us; None: tokens come from elsewhere."""
    number: str | None = None
    """Shown to those he calls; his user name if None."""
    rights: Rights = field(default_factory=Rights)


@dataclass(frozen=True, slots=True)
class RtcConfig:
    """The side of the gateway that browsers see."""

    listen: tuple[RtcListen, ...]
    state: Path
    """The folder where what is made at the first start is kept: the key of the tokens."""
    origins: tuple[str, ...] = ()
    """Pages of these origins may log in, besides our own."""
    ice_servers: tuple[IceServer, ...] = ()
    stun: tuple[str, int] | None = None
    """A server that tells us our own public address, where that is not known."""
    secret: str | None = field(default=None, repr=False)
    """Signs the tokens (HS256); None: one is made."""
    codecs: tuple[Codec, ...] = ("PCMU", "PCMA", "opus", "G722")
    """Wanted first."""
    guests: tuple[str, ...] = ()
    """Numbers that anybody may call from the call page, without an account."""
    clients: Mapping[str, Client] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """What we show to those who connect by TLS (SIP, https, wss), and whom we believe."""

    state: Path
    """The folder where a certificate for local use is made if none is given."""
    certificate: Path | None = None
    """PEM, with its chain; with ``key``. Looked at again while we run."""
    key: Path | None = None
    ca: Path | None = None
    """Certificates that trunks may show, beside those the system trusts."""


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
    greeting_wait: float = 0.5
    """How long what is played first after an answer waits for the party's first packet: who is not heard yet may not
    hear yet either, and the first word would be cut."""
    realtime: bool = True
    tls: TlsConfig | None = None
    """None: nothing listens for TLS."""
    srtp_without_tls: bool = False
    """Take SRTP for encrypted even where its keys travel in the clear (RFC 4568 section 7 forbids that)."""
    rtc: RtcConfig | None = None
    """None: no RTC clients."""
    seats: Mapping[str, Seat] = field(default_factory=dict)
    trunks: Mapping[str, Trunk] = field(default_factory=dict)
    max_calls: int = 400
    calls_per_second: float = 100.0
    hold_music: Clip | None = None
    """Played to one party while the other has put it on hold."""
    user_agent: str = "ivr-gateway"
