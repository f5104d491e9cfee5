"""A gateway whose calls follow a script, and pages in a real Chromium that call it and are called by it.

The gateway is the product's own, with its signalling and its sound; instead of flows, the end of a number says what
becomes of a call. Between pages and gateway is a relay that can be cut.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

from gateway.call import (
    Answered,
    Call,
    CallerLeft,
    CallEvent,
    KeyPressed,
    LegAnswered,
    LegEnded,
    LegFailed,
    LegRinging,
    Rights,
    Target,
)
from gateway.config import Client, RtcConfig, RtcListen
from gateway.media.tone import tone
from tests.gateway.exchange import Exchange, Owned
from tests.peers.patience import SLACK, until
from tests.peers.ports import free_port

__all__ = ["HELLO_HZ", "PASSWORD", "Relay", "Stand", "Telephone"]

PASSWORD = "open sesame"
HELLO_HZ = 440.0
_HELLO = tone(HELLO_HZ, 60_000)
_EVERYTHING = Rights(call_in=True, be_called=True, call_out=("*",), peers=True)
expect.set_options(timeout=SLACK * 1000)


class Relay:
    """Carries TCP connections to the gateway until it is cut. Runs on the gateway's loop."""

    def __init__(self, exchange: Exchange, target: int) -> None:
        self._exchange = exchange
        self._target = target
        self._whole = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.port = free_port()
        self._server: asyncio.Server = exchange.awaits(asyncio.start_server(self._carry, "127.0.0.1", self.port))

    def cut(self) -> None:
        """Break all connections, and take no new ones."""
        self._exchange.do(self._cut)

    def mend(self) -> None:
        self._exchange.do(lambda: setattr(self, "_whole", True))

    def close(self) -> None:
        self._exchange.do(self._cut)
        self._exchange.do(self._server.close)
        until(lambda: not self._tasks, "the relay still carries connections")

    def _cut(self) -> None:
        self._whole = False
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers |= {writer, there_writer}
            await asyncio.gather(self._pour(reader, there_writer), self._pour(there_reader, writer))
            self._writers -= {writer, there_writer}
        finally:
            self._tasks.discard(task)

    @staticmethod
    async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


class Stand:
    """Owns gateway and relay. Ends of numbers: 00 answers and plays a tone, 01 rings, 02 is busy, 03 refuses, 04 plays
    before it answers, 05 answers and hangs up at a #; all other numbers are names of users, who are called."""

    def __init__(self, folder: Path, *, users: Sequence[str] = ("alice", "bob"), **config: Any) -> None:
        port = free_port()
        self.keys: list[str] = []
        """Those that callers pressed."""
        clients = {user: Client(user, user.title(), PASSWORD, rights=_EVERYTHING) for user in users}
        rtc = RtcConfig(listen=(RtcListen("http", "127.0.0.1", port),), state=folder, clients=clients, **config)
        self.exchange = Exchange(rtc=rtc, seats={})
        self.exchange.greets = self._greet
        self.relay = Relay(self.exchange, port)
        self.url = f"http://127.0.0.1:{self.relay.port}"

    def close(self) -> None:
        self.relay.close()
        self.exchange.close()

    def takes(self, number: int = 1) -> Owned:
        return self.exchange.takes(number)

    def _greet(self, owned: Owned) -> None:
        owned.react = lambda event: self._react(owned, event)
        call = owned.call
        script: dict[str, Callable[[], object]] = {
            "00": call.answer,
            "01": call.ringing,
            "02": lambda: call.reject(486),
            "03": lambda: call.reject(603),
            "04": lambda: _plays_early(call),
            "05": call.answer,
        }
        act = script.get(call.did[-2:])
        if act is not None:
            act()
        else:
            call.dial("callee", Target("rtc", call.did))

    def _react(self, owned: Owned, event: CallEvent) -> None:
        call = owned.call
        match event:
            case Answered() if call.did.endswith("00"):
                call.play(1, [_HELLO])
            case KeyPressed(key, leg_id=None):
                self.keys.append(key)
                if key == "#" and call.did.endswith("05"):
                    call.hangup()
            case LegRinging():
                call.ringing()
            case LegAnswered(leg_id):
                call.answer()
                call.connect(leg_id)
            case LegFailed(_, _, status):
                call.reject(status or 480)
            case LegEnded() | CallerLeft():
                call.hangup()
            case _:
                pass


def _plays_early(call: Call) -> None:
    call.early()
    call.play(1, [_HELLO])


class Telephone:
    """A softphone page as who uses it sees it."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.page: Page = context.new_page()
        self.troubles: list[str] = []
        """What no page may do: throw, or be stopped by its own policy."""
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", lambda message: self._look(message.text))
        self.page.goto(f"{url}/softphone")

    def _look(self, text: str) -> None:
        if "Content Security Policy" in text or "rtc-client:" in text:
            self.troubles.append(text)

    def logs_in(self, user: str, password: str = PASSWORD) -> Telephone:
        self.page.get_by_label("User", exact=True).fill(user)
        self.page.get_by_label("Password").fill(password)
        self.presses("Log in")
        return self

    def is_online(self) -> Telephone:
        expect(self.page.locator("#presence")).to_have_text("Online")
        return self

    def dials(self, number: str) -> None:
        self.page.get_by_label("Number or user to call").fill(number)
        self.page.keyboard.press("Enter")

    def presses(self, button: str) -> None:
        self.page.get_by_role("button", name=button, exact=True).click()

    def sees(self, words: str) -> None:
        """Where the call stands."""
        expect(self.page.locator(".call-state").first).to_contain_text(words)

    def rings(self, words: str) -> None:
        """Who cannot see is told."""
        expect(self.page.get_by_role("alert").filter(has_text=words).first).to_be_attached()
        expect(self.page.get_by_role("button", name="Accept")).to_be_visible()

    def remembers(self, who: str, outcome: str) -> None:
        """In the first line of its history."""
        expect(self.page.locator("#history li").first).to_contain_text(who)
        expect(self.page.locator("#history li").first).to_contain_text(outcome)

    def is_told(self, words: str) -> None:
        expect(self.page.locator(".notice").filter(has_text=words)).to_be_visible()
