"""RTC clients of a site in service, on real sockets: who may call what, and what becomes of it on both sides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from ivr.records.database import open_database
from ivr.records.query import CallSummary, finished_calls
from tests.live.served import Running
from tests.peers.patience import SLACK, until
from tests.peers.ports import free_port
from tests.peers.wire import Wire

_FINGERPRINT = ":".join(["AB"] * 32)


def described(kind: str) -> dict[str, str]:
    """As a browser describes itself; nobody is behind it."""
    setup = "actpass" if kind == "offer" else "active"
    lines = (
        "v=0",
        "o=- 1 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0 8 101",
        "c=IN IP4 0.0.0.0",
        "a=rtcp-mux",
        "a=ice-ufrag:Abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuvwx",
        "a=ice-options:trickle",
        f"a=fingerprint:sha-256 {_FINGERPRINT}",
        f"a=setup:{setup}",
        "a=mid:0",
        "a=sendrecv",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
    )
    return {"type": kind, "sdp": "\r\n".join(lines) + "\r\n"}


class Client:
    """A browser, as far as signalling sees it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = 0
        self.told: list[dict[str, Any]] = []

    async def asks(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._ids += 1
        number = self._ids
        await self._socket.send_json({"type": kind, "id": number, **fields})
        return await self.hears(lambda message: message.get("re") == number)

    async def hears(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for the first such message that nobody has waited for."""
        while (found := next(filter(wanted, self.told), None)) is None:
            async with asyncio.timeout(SLACK):
                self.told.append(json.loads((await self._socket.receive()).data))
        self.told.remove(found)
        return found

    async def invites(self, to: str, **fields: Any) -> str:
        answer = await self.asks("invite", to=to, description=described("offer"), **fields)
        assert answer["type"] == "ok", answer
        return str(answer["invitation"])

    async def is_told(self, invitation: str, state: str) -> dict[str, Any]:
        """What is said of an invitation once it is in that state."""
        return await self.hears(
            lambda one: (one["type"], one.get("invitation"), one.get("state")) == ("invitation", invitation, state)
        )

    async def is_refused(self, to: str, **fields: Any) -> tuple[str, int]:
        told = await self.is_told(await self.invites(to, **fields), "refused")
        return told["response"], told["status"]

    async def is_invited(self) -> dict[str, Any]:
        invited = await self.hears(lambda one: one["type"] == "invited")
        await self.asks("received", invitation=invited["invitation"])
        return invited


class Exchange:
    """The service, its clients, and who calls from a telephone."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.running = Running(
            folder,
            numbers={
                "1000": "main",
                "1500": {"flow": "main", "callers": "seats"},
                "1600": {"flow": "main", "callers": "clients"},
            },
            seats={"2001": "a-long-password", "2002": "a-long-password"},
            rtc={"listen": f"http:127.0.0.1:{port}", "accounts": "200[1-2]", "guests": ["1000"]},
            clients={
                "alice": {"password": "alices-password", "number": "3001", "call_out": ["200X", "rtc:bob"]},
                "bob": {"password": "bobs-password", "number": "3002"},
                "carl": {"password": "carls-password", "call_in": False, "call_out": "2001"},
            },
        )

    def plays(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.running.awaits(story())

    def client(self, user: str) -> AbstractAsyncContextManager[Client]:
        return self._client({"user": user, "password": f"{user}s-password"})

    def guest(self, to: str) -> AbstractAsyncContextManager[Client]:
        return self._client({"to": to})

    @asynccontextmanager
    async def _client(self, who: dict[str, Any]) -> AsyncIterator[Client]:
        async with aiohttp.ClientSession() as web:
            async with web.post(f"{self.url}/rtc/token", json=who) as told:
                assert told.status == 200, await told.text()
                token = (await told.json())["token"]
            async with web.ws_connect(f"{self.url}/rtc", protocols=["ivr.rtc.1"]) as socket:
                client = Client(socket)
                assert (await client.asks("login", token=token, device="test"))["type"] == "ok"
                yield client

    def call(self, number: int = 0) -> CallSummary:
        """What the records say of the call that ended as that one."""
        engine = open_database(self.running.settings["records"], writing=False)
        try:
            return until(
                lambda: next(iter(list(finished_calls(engine))[number : number + 1]), None),
                lambda: "no such call in the records",
            )
        finally:
            engine.dispose()


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    exchange = Exchange(tmp_path)
    yield exchange
    exchange.running.close()


def test_a_client_calls_a_flow(exchange: Exchange) -> None:
    async def story() -> None:
        async with exchange.client("alice") as alice:
            invitation = await alice.invites("1000")
            await alice.hears(lambda one: one["type"] == "media" and one["description"]["type"] == "answer")
            await alice.is_told(invitation, "accepted")
            await alice.asks("hangup", invitation=invitation)

    exchange.plays(story)
    call = exchange.call()
    assert (call.caller, call.did, call.flow, call.path, call.ended_by) == ("3001", "1000", "main", ("menu",), "caller")
    [leg] = call.legs
    assert (leg.kind, leg.role, leg.account, leg.sip_status) == ("rtc", "caller", "alice", 200)
    assert leg.invitation_end == "accepted"
    assert leg.invitation


def test_who_may_call_what(exchange: Exchange) -> None:
    async def story() -> None:
        async with exchange.client("alice") as alice, exchange.client("carl") as carl:
            assert await carl.is_refused("1000") == ("refused", 403)
            assert await alice.is_refused("1500") == ("refused", 403)
            assert await alice.is_refused("9999") == ("offline", 404)
            assert await alice.is_refused("not a user") == ("offline", 404)
            assert await alice.is_refused("9999", content='{"Pstn": 1}') == ("offline", 404)
            assert await alice.is_refused("carl") == ("refused", 403)
            assert await alice.is_refused("nobody") == ("refused", 403)
            assert await alice.is_refused("bob") == ("offline", 480)
            accepted = await alice.invites("1600")
            await alice.is_told(accepted, "accepted")

    exchange.plays(story)


def test_a_guest_calls_one_number(exchange: Exchange) -> None:
    async def story() -> None:
        async with exchange.guest("1000") as guest:
            assert await guest.is_refused("1600") == ("refused", 403)
            assert await guest.is_refused("3002") == ("refused", 403)
            accepted = await guest.invites("1000")
            await guest.is_told(accepted, "accepted")
        with pytest.raises(AssertionError, match="not_allowed"):
            async with exchange.guest("1600"):
                pass

    exchange.plays(story)


def test_a_client_calls_a_seat_that_is_not_there(exchange: Exchange) -> None:
    async def story() -> None:
        async with exchange.client("alice") as alice:
            assert await alice.is_refused("2001") == ("offline", 480)

    exchange.plays(story)
    call = exchange.call()
    assert (call.flow, call.path, call.answered_at) == ("direct-call", ("ring", "offline"), None)
    caller, seat = call.legs
    assert (caller.sip_status, caller.invitation_end) == (480, "refused: offline")
    assert (seat.kind, seat.account, seat.outcome, seat.sip_status) == ("sip", "2001", "offline", 480)
    assert seat.invitation_end is None


@pytest.mark.parametrize(
    ("response", "told", "path", "end"),
    [
        ("busy", ("busy", 486), ("ring", "busy"), "refused: busy"),
        ("in a meeting", ("refused", 603), ("ring", "refused"), "refused: in a meeting"),
    ],
)
@pytest.mark.parametrize("number", ["3002", "bob"])
def test_a_client_refuses_another(
    exchange: Exchange, number: str, response: str, told: tuple[str, int], path: tuple[str, ...], end: str
) -> None:
    async def story() -> None:
        async with exchange.client("alice") as alice, exchange.client("bob") as bob:
            invitation = await alice.invites(number)
            invited = await bob.is_invited()
            assert (invited["from"], invited["number"]) == ("3001", number)
            await bob.asks("refuse", invitation=invited["invitation"], response=response)
            answer = await alice.is_told(invitation, "refused")
            assert (answer["response"], answer["status"]) == told

    exchange.plays(story)
    call = exchange.call()
    assert (call.path, call.ended_by) == (path, "flow")
    caller, callee = call.legs
    assert (caller.kind, caller.invitation_end) == ("rtc", f"refused: {told[0]}")
    assert (callee.kind, callee.account, callee.sip_status, callee.invitation_end) == ("rtc", "bob", told[1], end)


def test_two_clients_talk_and_one_hangs_up(exchange: Exchange) -> None:
    async def story() -> None:
        async with exchange.client("alice") as alice, exchange.client("bob") as bob:
            invitation = await alice.invites("3002")
            invited = await bob.is_invited()
            await alice.hears(lambda one: one["type"] == "progress" and one["ringing"])
            state = await alice.asks("state", invitation=invitation)
            assert state["state"] == "received_by_remote"
            await bob.asks("accept", invitation=invited["invitation"], description=described("answer"))
            await alice.is_told(invitation, "accepted")
            await bob.asks("hangup", invitation=invited["invitation"])
            await alice.hears(lambda one: one["type"] == "ended")

    exchange.plays(story)
    call = exchange.call()
    assert (call.path, call.ended_by) == (("ring", "talked"), "agent")
    assert [leg.invitation_end for leg in call.legs] == ["accepted", "accepted"]
    assert call.answered_at is not None


def test_a_client_gives_up_calling(exchange: Exchange) -> None:
    async def story() -> None:
        async with exchange.client("alice") as alice, exchange.client("bob") as bob:
            invitation = await alice.invites("3002")
            invited = await bob.is_invited()
            await alice.asks("cancel", invitation=invitation)
            await alice.is_told(invitation, "cancelled")
            await bob.is_told(invited["invitation"], "cancelled")

    exchange.plays(story)
    call = exchange.call()
    assert (call.path, call.ended_by) == (("ring",), "caller")
    assert [leg.invitation_end for leg in call.legs] == ["cancelled", "cancelled: cancelled"]


def test_a_telephone_calls_clients(exchange: Exchange) -> None:
    wire = Wire(exchange.running.address)

    async def story() -> None:
        async with exchange.client("bob") as bob:
            for response, status in (("busy", 486), ("", 603)):
                dialled = await asyncio.to_thread(wire.invite, "3002")
                invited = await bob.is_invited()
                assert (invited["from"], invited["number"]) == ("wire", "3002")
                await bob.asks("refuse", invitation=invited["invitation"], response=response)
                await asyncio.to_thread(wire.is_refused, dialled, status)

    try:
        exchange.plays(story)
        wire.is_refused(wire.invite("3001"), 480)
        # Strangers reach neither seats that only clients and telephones of the site may dial, nor clients by name.
        for number, status in (("2001", 401), ("1600", 403), ("bob", 404)):
            wire.is_refused(wire.invite(number), status)
    finally:
        wire.close()
    busy, refused, offline = (exchange.call(number) for number in range(3))
    assert [call.path for call in (busy, refused, offline)] == [("ring", one) for one in ("busy", "refused", "offline")]
    caller, callee = busy.legs
    assert (caller.kind, caller.sip_status, caller.invitation_end) == ("sip", 486, None)
    assert (callee.kind, callee.account, callee.sip_status, callee.invitation_end) == (
        "rtc",
        "bob",
        486,
        "refused: busy",
    )
    assert offline.legs[1].outcome == "offline"


def test_clients_of_a_changed_site_file_need_no_restart(exchange: Exchange) -> None:
    settings = exchange.running.settings
    clients = {"dora": {"password": "doras-password", "number": "3004", "call_out": "*"}, **settings["clients"]}
    clients["alice"] = {**clients["alice"], "password": "another-password"}
    exchange.running.file.write_text(yaml.safe_dump({**settings, "clients": clients}))
    until(
        lambda: "dora" in exchange.running.service.release.site.clients,
        lambda: f"not live: {exchange.running.service.complaints}",
        within=30,
    )

    async def story() -> None:
        async with exchange.client("dora") as dora, exchange.client("bob") as bob:
            invitation = await dora.invites("bob")
            invited = await bob.is_invited()
            assert invited["from"] == "3004"
            await bob.asks("refuse", invitation=invited["invitation"])
            await dora.is_told(invitation, "refused")
        with pytest.raises(AssertionError, match='"code": "refused"'):
            async with exchange.client("alice"):
                pass

    exchange.plays(story)
