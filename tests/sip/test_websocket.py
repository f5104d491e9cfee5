"""SIP WebSockets on loopback: frames, keep-alives, who may connect, and those who send too much, or nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import WSMsgType, web

from gateway.sip.hop import Hop
from gateway.sip.transport import SipTransports, TransportLimits
from gateway.sip.websocket import SipWebSockets, WebSocketLimits

OPTIONS = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n"
OWN = "https://own.example"


class Stand:
    """A server, and all that it heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, Hop]] = []
        self.lost: list[Hop] = []
        self.transports: SipTransports
        self.session: aiohttp.ClientSession
        self.url = ""

    def connects(self, **how: Any) -> Any:
        return self.session.ws_connect(self.url, **{"protocols": ("sip",), **how})


@contextlib.asynccontextmanager
async def standing(
    limits: TransportLimits | None = None, sockets: WebSocketLimits | None = None
) -> AsyncIterator[Stand]:
    stand = Stand()
    stand.transports = SipTransports(
        [], received=lambda data, hop: stand.heard.append((data, hop)), hop_lost=stand.lost.append, limits=limits
    )
    await stand.transports.start()
    websockets = SipWebSockets(
        stand.transports, allows=lambda origin, host: origin in (None, OWN), limits=sockets or WebSocketLimits()
    )
    application = web.Application()
    application.router.add_get("/sip", websockets.serve)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stand.url = f"http://127.0.0.1:{runner.addresses[0][1]}/sip"
    stand.session = aiohttp.ClientSession()
    try:
        yield stand
    finally:
        await stand.session.close()
        await stand.transports.close()
        await runner.cleanup()


def run(story: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        async def told() -> None:
            async with asyncio.timeout(20):
                await story()

        runner.run(told())


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110  # sockets set no event
        await asyncio.sleep(0.005)


def test_a_message_is_a_frame_and_is_answered_on_the_same_connection() -> None:
    async def story() -> None:
        async with standing() as stand, stand.connects() as socket:
            assert socket.protocol == "sip"
            await socket.send_str(OPTIONS.decode())
            await socket.send_bytes(OPTIONS + b"\xff")
            await until(lambda: len(stand.heard) == 2)
            assert [data for data, _ in stand.heard] == [OPTIONS, OPTIONS + b"\xff"]
            hop = stand.heard[0][1]
            assert (hop.transport, hop.reliable, hop.secure, hop.only_connection) == ("ws", True, False, True)
            stand.transports.send(b"SIP/2.0 200 OK\r\n\r\n", hop)
            stand.transports.send(b"SIP/2.0 200 \xff\r\n\r\n", hop)
            first, second = await socket.receive(), await socket.receive()
            assert (first.type, first.data) == (WSMsgType.TEXT, "SIP/2.0 200 OK\r\n\r\n")
            assert (second.type, second.data) == (WSMsgType.BINARY, b"SIP/2.0 200 \xff\r\n\r\n")
            await socket.close()
            await until(lambda: stand.lost == [hop])
            assert stand.transports.connections == 0

    run(story)


def test_keep_alives_are_answered_and_are_no_messages() -> None:
    async def story() -> None:
        async with standing() as stand, stand.connects() as socket:
            for data in ("\r\n\r\n", "\r\n", ""):
                await socket.send_str(data)
            await socket.send_bytes(b"\r\n\r\n")
            assert (await socket.receive()).data == "\r\n"
            assert (await socket.receive()).data == "\r\n"
            await socket.send_str(OPTIONS.decode())
            await until(lambda: stand.heard)
            assert len(stand.heard) == 1

    run(story)


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"protocols": ("ivr.rtc.1",)}, 400),
        ({"protocols": ()}, 400),
    ],
)
def test_who_may_not_connect(how: dict[str, object], status: int) -> None:
    async def story() -> None:
        async with standing() as stand:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await stand.connects(**how)
            assert refused.value.status == status
            async with stand.session.get(stand.url) as answer:
                assert answer.status == 426
            async with stand.connects(origin=OWN):
                assert stand.transports.connections == 1

    run(story)


def test_a_frame_that_is_too_large_ends_the_connection() -> None:
    async def story() -> None:
        async with standing() as stand, stand.connects() as socket:
            await socket.send_bytes(b"x" * 70_000)
            assert (await socket.receive()).data == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
            await until(lambda: len(stand.lost) == 1)
            assert not stand.heard

    run(story)


def test_a_flood_ends_the_connection_and_no_other() -> None:
    async def story() -> None:
        limits = WebSocketLimits(messages_per_second=10, messages_at_once=20)
        async with standing(sockets=limits) as stand, stand.connects() as flood, stand.connects() as other:
            with contextlib.suppress(ConnectionError):
                for _ in range(200):
                    await flood.send_bytes(OPTIONS)
            assert (await flood.receive()).data == aiohttp.WSCloseCode.POLICY_VIOLATION
            assert 20 <= len(stand.heard) <= 40
            stand.heard.clear()
            await other.send_bytes(OPTIONS)
            await until(lambda: stand.heard)

    run(story)


def test_who_says_nothing_is_closed() -> None:
    async def story() -> None:
        limits = TransportLimits(first_message_time=0.2)
        async with standing(limits) as stand, stand.connects() as silent, stand.connects() as talking:
            await talking.send_bytes(OPTIONS)
            await silent.send_bytes(b"\r\n\r\n")
            while (await silent.receive()).type is WSMsgType.TEXT:
                pass
            await until(lambda: stand.transports.connections == 1)
            await talking.send_bytes(OPTIONS)
            await until(lambda: len(stand.heard) == 2)

    run(story)


def test_one_who_does_not_read_is_cut_off() -> None:
    async def story() -> None:
        async with standing(TransportLimits(unsent_bytes=200_000)) as stand, stand.connects() as socket:
            await socket.send_bytes(OPTIONS)
            await until(lambda: stand.heard)
            hop = stand.heard[0][1]
            # No turn of the loop between them: nothing of it can have been written.
            for _ in range(10):
                stand.transports.send(b"x" * 30_000, hop)
            await until(lambda: stand.lost == [hop])
            stand.transports.send(b"x", hop)
            await until(lambda: len(stand.lost) == 2)

    run(story)


def test_there_are_so_many_connections_and_no_more() -> None:
    async def story() -> None:
        async with standing(TransportLimits(connections_per_host=2)) as stand:
            async with stand.connects(), stand.connects():
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await stand.connects()
                assert refused.value.status == 503
            await until(lambda: stand.transports.connections == 0)
            async with stand.connects():
                assert stand.transports.connections == 1

    run(story)


def test_one_that_answers_no_ping_is_gone() -> None:
    async def story() -> None:
        async with (
            standing(sockets=WebSocketLimits(ping_interval=0.2)) as stand,
            stand.connects(autoping=False) as socket,
        ):
            await socket.send_bytes(OPTIONS)
            await until(lambda: stand.lost)

    run(story)


def test_nobody_is_called_by_websocket() -> None:
    async def story() -> None:
        async with standing() as stand, stand.connects() as socket:
            await socket.send_bytes(OPTIONS)
            await until(lambda: stand.heard)
            hop = stand.heard[0][1]
            for nobody in (Hop("ws", "x.invalid", 80), replace(hop, connection=None), replace(hop, connection=99)):
                stand.lost.clear()
                stand.transports.send(OPTIONS, nobody)
                await until(lambda: stand.lost)
                assert stand.lost == [nobody]

    run(story)
