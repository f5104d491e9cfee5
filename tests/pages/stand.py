"""A gateway whose calls follow a script, and pages in a real Chromium that call it and are called by it.

The gateway is the product's own, with its signalling and its sound; instead of flows, the last two digits of a number
say what becomes of a call.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from gateway.call import Answered, CallEnded, CallerLeft, CallEvent, KeyPressed, LegAnswered, LegEnded, LegFailed, Rights, Target
from gateway.config import Client, RtcConfig, RtcListen
from gateway.media.tone import tone
from tests.gateway.exchange import Exchange, Owned
from tests.peers.ports import free_port

__all__ = ["PASSWORD", "Stand", "chromium", "open_context"]

PASSWORD = "open sesame"
_EVERYTHING = Rights(call_in=True, be_called=True, call_out=("*",), peers=True)
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
)
HELLO = tone(440.0, 60_000)


def chromium(playwright: Playwright, *more: str) -> Browser:
    """Headless, with a microphone that beeps; it is not allowed unless the context says so."""
    return playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*_FLAGS, *more])


def open_context(browser: Browser, *, microphone: bool = True, **more: Any) -> BrowserContext:
    return browser.new_context(permissions=["microphone"] if microphone else [], **more)


class Stand:
    """Owns the gateway. Numbers: 00 answers and plays a tone, 01 rings, 02 is busy, 03 refuses, 04 plays before it
    answers, 05 hangs up when a key is pressed, 06 rings until it is answered by :meth:`answer`; a user's name calls
    him."""

    def __init__(self, folder: Path, *, users: Sequence[str] = ("alice", "bob"), **config: Any) -> None:
        self.port = free_port()
        self.keys: list[str] = []
        clients = {user: Client(user, user.title(), PASSWORD, rights=_EVERYTHING) for user in users}
        rtc = RtcConfig(listen=(RtcListen("http", "127.0.0.1", self.port),), state=folder, clients=clients, **config)
        self.exchange = Exchange(rtc=rtc, seats={})
        self.exchange.greets = self._greet
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.exchange.close()

    def calls(self, user: str, *, caller: str = "+4930123456", name: str = "Anna Maier") -> Owned:
        """Somebody calls a user. He is not on a telephone: his side of the call is the script's."""
        raise NotImplementedError

    def _greet(self, owned: Owned) -> None:
        owned.react = lambda event: self._react(owned, event)
        call = owned.call
        script: dict[str, Callable[[], object]] = {
            "00": call.answer,
            "01": call.ringing,
            "02": lambda: call.reject(486),
            "03": lambda: call.reject(603),
            "04": lambda: (call.early(), call.play(1, [HELLO])),
            "05": call.answer,
            "06": call.ringing,
        }
        act = script.get(call.did[-2:])
        if act is not None:
            act()
        else:
            call.ringing()
            call.dial("callee", Target("rtc", call.did))

    def _react(self, owned: Owned, event: CallEvent) -> None:
        call = owned.call
        match event:
            case Answered() if call.did.endswith("00"):
                call.play(1, [HELLO])
            case KeyPressed(key):
                self.keys.append(key)
                if call.did.endswith("05"):
                    call.hangup()
            case LegAnswered(leg_id):
                call.answer()
                call.connect(leg_id)
            case LegFailed(_, _, status):
                call.reject(status or 480)
            case LegEnded():
                call.hangup()
            case CallerLeft():
                call.hangup()
            case CallEnded():
                pass
            case _:
                pass


def log_in(page: Page, url: str, user: str = "alice", password: str = PASSWORD) -> None:
    page.goto(f"{url}/softphone")
    page.get_by_label("User", exact=True).fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
