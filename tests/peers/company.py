"""Everybody who takes part in one test: started here, stopped with the test, their words shown when it fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from tests.peers.baresip import Baresip
from tests.peers.chaos import CALM, PRIVATE_HOST, Relay, Weather
from tests.peers.phone import KeyMode, Line, Phone, Transport
from tests.peers.pjsua import Pjsua
from tests.peers.ports import free_port
from tests.peers.process import Child
from tests.peers.rtp import Handset, Key, Tone
from tests.peers.server import Server, Site
from tests.peers.sipp import Sipp
from tests.peers.turn import TurnServer

__all__ = ["Company", "Make"]

Make = Literal["baresip", "pjsua"]


class _Closes(Protocol):
    def close(self) -> None: ...


Member = TypeVar("Member", bound=_Closes)

_TAIL = 12_000
_TONES = (340, 2320, 2500, 2680, 2860, 3040)


class Company:
    """Owns all peers of a test. Every telephone gets a tone of its own, apart from all prompts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._members: list[_Closes] = []
        self._tones = iter(_TONES)

    def server(self, site: Site) -> Server:
        return self._joins(Server(site, folder=self.folder))

    def phone(
        self,
        user: str,
        server: str,
        *,
        make: Make = "baresip",
        password: str | None = None,
        transport: Transport = "udp",
        domain: str | None = None,
        codecs: tuple[str, ...] = (),
        keys: KeyMode = "rfc4733",
        prack: bool = False,
        srtp: bool = False,
        silent: bool = False,
        behind: Relay | None = None,
    ) -> Phone:
        """``silent``: it says no tone, only what it is told to."""
        line = Line(
            user,
            server,
            password=password,
            transport=transport,
            domain=domain,
            codecs=codecs,
            srtp=srtp,
            host=PRIVATE_HOST if behind else "127.0.0.1",
            namespace=behind.namespace if behind else None,
        )
        tone = 0 if silent else next(self._tones)
        if make == "pjsua":
            return self._joins(Pjsua(line, tone=tone, folder=self.folder, keys=keys, prack=prack))
        assert keys == "rfc4733", "baresip 1.0 sends no keys by INFO"
        assert not prack, "baresip 1.0 knows no PRACK"
        return self._joins(Baresip(line, tone=tone, folder=self.folder))

    def handset(self) -> Handset:
        return self._joins(Handset(free_port(), tone=next(self._tones), folder=self.folder))

    def sipp(
        self,
        scenario: str,
        *,
        server: str | None = None,
        number: str = "1000",
        calls: int = 1,
        at_once: int | None = None,
        rate: int = 10,
        port: int | None = None,
        transport: Literal["udp", "tcp"] = "udp",
        password: str = "",
        codec: Literal["PCMU", "PCMA"] = "PCMU",
        says: Sequence[Tone | Key] = (),
        handset: Handset | None = None,
        behind: Relay | None = None,
        within: float = 60.0,
        options: Sequence[str] = (),
        **values: str,
    ) -> Sipp:
        return self._joins(
            Sipp(
                scenario,
                folder=self.folder,
                server=server,
                number=number,
                calls=calls,
                at_once=at_once,
                rate=rate,
                port=port,
                transport=transport,
                host=PRIVATE_HOST if behind else "127.0.0.1",
                password=password,
                codec=codec,
                says=says,
                handset=handset,
                namespace=behind.namespace if behind else None,
                within=within,
                options=options,
                **values,
            )
        )

    def relay(
        self, server: str, media_ports: Sequence[int], *, sip: Weather = CALM, media: Weather = CALM, seed: int = 1
    ) -> Relay:
        return self._joins(Relay(server, media_ports, folder=self.folder, sip=sip, media=media, seed=seed))

    def turn_server(self, user: str, password: str) -> TurnServer:
        return self._joins(TurnServer(user, password, folder=self.folder))

    def logs(self) -> list[tuple[str, str]]:
        """Who said what, for a failed test."""
        said: list[tuple[str, str]] = []
        for member in self._members:
            if isinstance(member, Sipp):
                said.append((member.child.name, member.log()[-_TAIL:]))
            elif isinstance(child := getattr(member, "child", None), Child):
                said.append((child.name, child.said()[-_TAIL:]))
            if isinstance(member, Phone):
                heard = ", ".join(map(str, member.recorded().story()))
                said.append((f"{member.name} heard", heard))
        return said

    def close(self) -> None:
        for member in reversed(self._members):
            member.close()
        self._members.clear()

    def _joins(self, member: Member) -> Member:
        self._members.append(member)
        return member
