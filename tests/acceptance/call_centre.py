"""The call centre the acceptance tests telephone with: its flow, its prompts, its people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.peers.chaos import Relay
from tests.peers.company import Company, Make
from tests.peers.phone import KeyMode, Phone, Transport
from tests.peers.server import Record, Server, Site
from tests.peers.sipp import Sipp

__all__ = [
    "BUSY",
    "FAILED",
    "GOODBYE",
    "HOLD",
    "MENU",
    "NO_ANSWER",
    "OFFLINE",
    "PASSWORDS",
    "REFUSED",
    "CallCentre",
    "site",
]

# What each prompt sounds like, in Hz. Apart from each other, from all telephones and from ring-back tones.
MENU, GOODBYE, BUSY, REFUSED, NO_ANSWER, OFFLINE, FAILED, HOLD = 700, 880, 1060, 1240, 1420, 1600, 1780, 1960

PASSWORDS = {"2001": "first-secret", "2002": "second:secret", "2003": "third_secret"}

_PROMPTS = {
    "main_menu": MENU,
    "goodbye": GOODBYE,
    "busy": BUSY,
    "refused": REFUSED,
    "no_answer": NO_ANSWER,
    "offline": OFFLINE,
    "failed": FAILED,
    "music/default": HOLD,
}

_MAIN = """\
flow: main
title: Main line
languages: [en]
start: menu
on_error: failed

input: {timeout: 10s, gap: 2s, tries: 3}

blocks:
  menu:
    - answer
    - menu:
        prompt: [main_menu, main_menu, main_menu]
        keys:
          '1': desk
          '2': everybody
          '3': in_order
          '4': outside
          '9': bye
        failed: bye
  desk:
    - transfer: {to: 'sip:2001', ring: 8s, answered: bye, busy: busy, refused: refused,
                 no_answer: no_answer, offline: offline, failed: failed}
  everybody:
    - ring: {group: everybody, ring: 8s, answered: bye, busy: busy, no_answer: no_answer, failed: failed}
  in_order:
    - ring: {group: everybody, strategy: order, ring: 4s, answered: bye, busy: busy, no_answer: no_answer,
             failed: failed}
  outside:
    - transfer: {to: 'tel:13800138000', ring: 8s, answered: bye, busy: busy, refused: refused,
                 no_answer: no_answer, offline: offline, failed: failed}
  bye:
    - play: goodbye
    - hangup
  busy:
    - play: busy
    - hangup
  refused:
    - play: refused
    - hangup
  no_answer:
    - play: no_answer
    - hangup
  offline:
    - play: offline
    - hangup
  failed:
    - play: failed
    - hangup
"""


def site(**changes: Any) -> Site:
    """The usual site, with what a test wants different."""
    usual: dict[str, Any] = {
        "flows": {"main": _MAIN},
        "prompts": _PROMPTS,
        "numbers": {"1000": "main"},
        "seats": PASSWORDS,
        "groups": {"everybody": [f"sip:{seat}" for seat in PASSWORDS]},
        # Nobody listens on the discard port; tests of trunks bring a carrier of their own.
        "trunks": trunk(9),
    }
    return Site(**{**usual, **changes})


class CallCentre:
    """The running server and the company around it. A test's words for placing and taking calls."""

    def __init__(self, company: Company, like: Site | None = None) -> None:
        self.company = company
        self.server: Server = company.server(like or site())

    def caller(
        self,
        name: str = "anna",
        *,
        make: Make = "baresip",
        transport: Transport = "udp",
        codecs: tuple[str, ...] = (),
        keys: KeyMode = "rfc4733",
        prack: bool = False,
        behind: Relay | None = None,
    ) -> Phone:
        """Somebody from outside, not known to the site."""
        return self.company.phone(
            name,
            self.server.address,
            make=make,
            transport=transport,
            codecs=codecs,
            keys=keys,
            prack=prack,
            behind=behind,
        )

    def seat(
        self,
        account: str = "2001",
        *,
        make: Make = "baresip",
        transport: Transport = "udp",
        domain: str | None = None,
        codecs: tuple[str, ...] = (),
        behind: Relay | None = None,
    ) -> Phone:
        """A registered seat."""
        seat = self.company.phone(
            account,
            self.server.address,
            make=make,
            password=PASSWORDS[account],
            transport=transport,
            domain=domain,
            codecs=codecs,
            behind=behind,
        )
        seat.register()
        return seat

    def scripted_seat(self, scenario: str, account: str = "2001", **values: Any) -> Sipp:
        """A registered seat that does exactly what one of SIPp's scenarios says."""
        registering = self.company.sipp(
            "registers", server=self.server.address, caller=account, password=PASSWORDS[account]
        )
        registering.finishes()
        # From the port it registered from, or it would be behind a NAT of its own.
        return self.company.sipp(scenario, port=registering.port, **values)

    def scripted_caller(self, scenario: str = "caller", *, number: str = "1000", **values: Any) -> Sipp:
        return self.company.sipp(scenario, server=self.server.address, number=number, **values)

    def relay(self, **weather: Any) -> Relay:
        return self.company.relay(self.server.address, self.server.media_ports, **weather)

    def record(self, caller: str = "anna") -> Record:
        return self.server.record(caller)

    def reaches_menu(self, caller: Phone) -> Phone:
        caller.dials("1000")
        caller.is_connected()
        caller.hears(MENU)
        return caller


def trunk(port: int, **more: object) -> Mapping[str, Mapping[str, object]]:
    """A carrier on that port of loopback."""
    return {
        "carrier": {
            "host": "127.0.0.1",
            "port": port,
            "user": "acme",
            "password": "trunk secret",
            "numbers": ["4008200000"],
            **more,
        }
    }
