"""The edge on real sockets: who gets in, what is served, and what becomes of slow, large and silent clients."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import uvloop
import yaml
from aiohttp import WSMsgType, web

from gateway.rtc.asyncapi import document
from gateway.rtc.events import ClientOffline, ClientUnreachable, HungUp, InvitationReceived
from gateway.rtc.limits import FRAME_BYTES, Limits
from gateway.rtc.line import LineLimits
from gateway.rtc.origins import OriginError, Origins
from gateway.rtc.rights import Rights
from gateway.rtc.websocket import EdgeLimits, Listen
from tests.outside.server import certificate
from tests.rtc.edge import OFFER, Edge, Story, connected, serving, until

Run = Callable[[Story], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """The product runs on uvloop, whose transports are not asyncio's."""

    def told(story: Story) -> None:
        async def whole() -> None:
            await story()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            if others:
                _, pending = await asyncio.wait(others, timeout=3)
                assert not pending, "tasks without an owner"

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(whole())

    return told


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    (folder / "sounds").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>softphone</title>")
    (folder / "call.html").write_text("<!doctype html><title>call</title>")
    (folder / "rtc-client.js").write_text("export const a = 1;")
    (folder / "sounds" / "ring.wav").write_bytes(b"RIFF")
    (folder / ".hidden.html").write_text("no")
    (folder / "notes.txt").write_text("no")
    (tmp_path / "secret.html").write_text("no")
    return folder


# Calls over sockets --------------------------------------------------------------------------------------


def test_a_call_over_a_socket(run: Run) -> None:
    async def story() -> None:
        async with serving() as edge:

            def taken(event: object) -> None:
                if isinstance(event, InvitationReceived):
                    edge.agent.accept(event.invitation, "hello")

            edge.on_event = taken
            async with connected(edge, "alice") as alice:
                assert alice.socket.protocol == "ivr.rtc.1"
                answer = await alice.asks("invite", to="1000", description=OFFER)
                assert (await alice.hears())["state"] == "received_by_remote"
                accepted = await alice.hears()
                assert (accepted["state"], accepted["response"]) == ("accepted", "hello")
                await alice.socket.send_json({"type": "ack", "seq": accepted["seq"]})
                assert (await alice.asks("hangup", invitation=answer["invitation"]))["type"] == "ok"
                assert [event.cause for event in edge.events if isinstance(event, HungUp)] == ["hangup"]
                assert (await alice.asks("logout"))["type"] == "ok"
                assert await alice.is_closed() == 4000
            await edge.empties()
            assert edge.agent.sizes()["calls"] == 0

    run(story)


def test_clients_call_each_other_by_way_of_the_gateway(run: Run) -> None:
    async def story() -> None:
        async with serving() as edge, connected(edge, "alice") as alice, connected(edge, "bob") as bob:
            await alice.asks("invite", to="bob", description=OFFER)
            received = next(event for event in edge.events if isinstance(event, InvitationReceived))
            invitation = edge.agent.invite(received.to, caller=received.user, name="Alice", sdp="v=0 ours")
            edge.pump()
            invited = await bob.hears()
            assert (invited["from"], invited["invitation"]) == ("alice", invitation)

    run(story)


def test_a_timer_that_is_late_already(run: Run) -> None:
    async def story() -> None:
        async with serving() as edge:
            # A busy loop comes to it only now: the login of this one is over.
            edge.agent.connection_opened(1_000_000, asyncio.get_running_loop().time() - 100)
            edge.pump()
            edge.pump()
            await until(lambda: not edge.agent.sizes()["connections"])
            async with connected(edge, "alice"):
                pass

    run(story)


def test_a_connection_that_breaks_is_resumed(run: Run) -> None:
    async def story() -> None:
        async with serving() as edge:
            token = edge.tokens.make("alice", Rights(call_in=True))
            async with connected(edge) as first:
                session = (await first.asks("login", token=token, device="web"))["session"]
                answer = await first.asks("invite", to="1000", description=OFFER)
                invitation = answer["invitation"]
                transport = first.socket.get_extra_info("socket")
                assert transport is not None
                first.socket._conn.transport.abort()  # type: ignore[union-attr]
                await edge.empties()
                edge.agent.accept(invitation)
                edge.pump()
            async with connected(edge) as again:
                resume = {"session": session, "seq": 0}
                answer = await again.asks("login", token=token, device="web", resume=resume)
                assert answer["resumed"] is True
                states = [(await again.hears())["state"] for _ in range(2)]
                assert states == ["received_by_remote", "accepted"]

    run(story)


# Who gets in ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("own", True),
        ("https://www.example.com", True),
        ("https://WWW.example.com:443", True),
        ("http://www.example.com", False),
        ("https://www.example.com.evil.net", False),
        ("https://evil.net", False),
        ("null", False),
        ("", False),
    ],
)
def test_origins(run: Run, origin: str | None, allowed: bool) -> None:
    async def story() -> None:
        async with serving() as edge:
            headers = {} if origin is None else {"Origin": edge.url if origin == "own" else origin}
            if allowed:
                async with connected(edge, "alice", headers=headers):
                    pass
                return
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                async with connected(edge, headers=headers):
                    pass
            assert caught.value.status == 403
            assert edge.agent.sizes()["connections"] == 0

    run(story)


def test_own_origin_behind_a_proxy() -> None:
    origins = Origins(["http://intra:8080"])
    assert origins.allows("https://phone.example.com", "phone.example.com")
    assert origins.allows("https://phone.example.com", "phone.example.com:443")
    assert origins.allows("http://[::1]:8080", "[::1]:8080")
    assert origins.allows("http://intra:8080", "elsewhere")
    assert not origins.allows("http://intra", "elsewhere")
    assert not origins.allows("https://phone.example.com", None)
    assert not origins.allows("ftp://phone.example.com", "phone.example.com")


@pytest.mark.parametrize("text", ["www.example.com", "https://a/b", "https://u@a", "https://", "https://a:x", "*", ""])
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(OriginError, match="is no origin"):
        Origins([text])


def test_the_subprotocol_is_asked_for(run: Run) -> None:
    async def story() -> None:
        async with serving() as edge:
            for protocols in ((), ("ivr.rtc.9",), ("sip",)):
                with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                    async with connected(edge, protocols=protocols):
                        pass
                assert caught.value.status == 400
            async with aiohttp.ClientSession() as session, session.get(f"{edge.url}/rtc") as response:
                assert response.status == 426
                assert "ivr.rtc.1" in await response.text()

    run(story)


def test_who_does_not_log_in_is_put_out(run: Run) -> None:
    async def story() -> None:
        async with serving(limits=Limits(login_time=0.1)) as edge, connected(edge) as stranger:
            assert await stranger.is_closed() == 4001
            await edge.empties()

    run(story)


def test_a_bad_token_is_told_why(run: Run) -> None:
    async def story() -> None:
        async with serving() as edge, connected(edge) as stranger:
            answer = await stranger.asks("login", token="eyJ", device="web")
            assert (answer["code"], answer["type"]) == ("token_invalid", "error")
            assert (await stranger.asks("ping"))["code"] == "not_logged_in"

    run(story)


def test_connections_of_one_address_are_counted(run: Run) -> None:
    async def story() -> None:
        async with serving(edge=EdgeLimits(connections_of_address=2)) as edge:
            async with connected(edge, "alice"), connected(edge, "bob"):
                with pytest.raises(aiohttp.ClientError):
                    async with connected(edge):
                        pass
            await edge.empties()
            async with connected(edge, "alice"):
                pass

    run(story)


def test_who_connects_and_says_nothing_is_put_out(run: Run) -> None:
    async def story() -> None:
        async with serving(edge=EdgeLimits(patience=0.2)) as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                async with asyncio.timeout(5):
                    await reader.readexactly(1)
            writer.close()
            async with connected(edge, "alice") as alice:
                # Patience is for strangers only.
                await asyncio.sleep(0.4)
                assert (await alice.asks("ping"))["type"] == "ok"

    run(story)


def test_who_stops_in_the_middle_of_a_second_request_is_put_out(run: Run) -> None:
    async def story() -> None:
        async with serving(edge=EdgeLimits(keepalive=0.3)) as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"GET / HTTP/1.1\r\nHo")
            async with asyncio.timeout(5):
                await reader.read()
            writer.close()

    run(story)


def test_requests_of_one_address_are_counted(run: Run) -> None:
    async def story() -> None:
        edge_limits = EdgeLimits(requests_at_once=5, requests_per_second=0.001)
        async with serving(edge=edge_limits) as edge, aiohttp.ClientSession() as session:
            seen = []
            for _ in range(7):
                async with session.get(f"{edge.url}/") as response:
                    seen.append(response.status)
            assert seen == [404] * 5 + [429] * 2

    run(story)


# Frames --------------------------------------------------------------------------------------------------


def test_frames_that_are_too_large_or_not_text(run: Run) -> None:
    async def story() -> None:
        async with serving() as edge:
            async with connected(edge, "alice") as alice:
                await alice.socket.send_str("x" * (FRAME_BYTES - 10))
                assert (await alice.hears())["code"] == "not_json"
                await alice.socket.send_str("x" * (FRAME_BYTES + 10))
                assert await alice.is_closed() == 1009
            async with connected(edge, "bob") as bob:
                await bob.socket.send_bytes(b'{"type":"ping","id":1}')
                assert await bob.is_closed() == 1003
            async with connected(edge, "carol") as carol:
                await carol.socket.send_frame(b"\xff\xfe", WSMsgType.TEXT)
                assert await carol.is_closed() == 1007

    run(story)


def test_the_server_pings_and_a_pong_is_life_enough(run: Run) -> None:
    async def story() -> None:
        limits = Limits(unreachable_after=0.5, offline_after=1.0)
        edge_limits = EdgeLimits(line=LineLimits(ping_interval=0.05))
        async with serving(limits=limits, edge=edge_limits) as edge:
            # aiohttp's client answers pings while it reads, as browsers do.
            async with connected(edge, "alice") as alice:
                reading = asyncio.create_task(alice.socket.receive())
                await asyncio.sleep(1.3)
                assert edge.agent.state_of("alice") == "online"
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            async with connected(edge, "bob", autoping=False) as bob:
                assert await bob.is_closed() == 4003
            assert ClientOffline("bob", "web") in edge.events
            assert any(isinstance(event, ClientUnreachable) and event.user == "bob" for event in edge.events)

    run(story)


def test_a_ping_of_the_client_is_answered(run: Run) -> None:
    async def story() -> None:
        async with serving() as edge, connected(edge, "alice", autoping=False) as alice:
            await alice.socket.ping(b"are you there")
            async with asyncio.timeout(5):
                message = await alice.socket.receive()
            assert (message.type, bytes(message.data)) == (WSMsgType.PONG, b"are you there")

    run(story)


def test_who_does_not_read_is_cut_off_and_costs_a_bounded_amount(run: Run) -> None:
    async def story() -> None:
        line = LineLimits(waiting_bytes=200_000, write_time=60.0)
        # Only the edge bounds this one: the agent would, sooner, by what is not confirmed.
        limits = Limits(unconfirmed=10**9, unconfirmed_characters=10**9)
        async with serving(limits=limits, edge=EdgeLimits(line=line)) as edge:
            async with connected(edge, "bob") as bob:
                invitation = edge.agent.invite("bob", caller="x", sdp="v" * 20_000)
                assert isinstance(invitation, str)
                edge.pump()
                await bob.hears()
                await bob.asks("accept", invitation=invitation, description={"type": "answer", "sdp": "v"})
                bob.socket._conn.transport.pause_reading()  # type: ignore[union-attr]
                sent = 0
                while edge.server.sizes()["lines"]:
                    # What the kernel takes is the kernel's; what does not fit there waits here, and then no more.
                    edge.agent.describe(invitation, "offer", "v" * 20_000)
                    edge.pump()
                    sent += 20_000
                    await asyncio.sleep(0)
                    assert sent < 100_000_000
                bob.socket._conn.transport.abort()  # type: ignore[union-attr]
            await edge.empties()
            assert edge.agent.sizes()["sessions"] == 1, "it may come back"

    run(story)


def test_a_flood_of_frames_is_cut_off(run: Run) -> None:
    async def story() -> None:
        async with serving(limits=Limits(frames_at_once=50, frames_per_second=1)) as edge:
            async with connected(edge, "alice") as alice:
                for _ in range(60):
                    await alice.socket.send_str("{}")
                assert await alice.is_closed() == 4004
            async with connected(edge, "bob", autoping=False) as bob:
                for _ in range(60):
                    await bob.socket.ping()
                assert await bob.is_closed() == 4004

    run(story)


def test_the_end_of_the_gateway_is_told_to_all(run: Run) -> None:
    async def story() -> None:
        edge = Edge()
        await edge.server.start()
        async with connected(edge, "alice") as alice, connected(edge) as stranger:
            stopping = asyncio.create_task(edge.server.stop())
            assert await alice.is_closed() == 1001
            assert await stranger.is_closed() == 1001
            await stopping
        await edge.empties()
        assert edge.agent.sizes()["timers"] <= 1, "what is left is a rate to be forgotten"

    run(story)


def test_connections_that_come_and_go_leave_nothing_behind(run: Run) -> None:
    async def story() -> None:
        async with serving(limits=Limits(logins_per_second=1e6)) as edge:

            async def one(number: int) -> None:
                async with connected(edge, f"user{number % 20}" if number % 3 else None) as phone:
                    if number % 3 == 1:
                        await phone.sends("invite", to="1000", description=OFFER)
                    if number % 3 == 2:
                        assert (await phone.asks("logout"))["type"] == "ok"

            for batch in range(15):
                await asyncio.gather(*(one(batch * 20 + number) for number in range(20)))
            await edge.empties()
            edge.agent.log_out("nobody")
            for number in range(20):
                edge.agent.log_out(f"user{number}")
            edge.pump()
            await until(lambda: edge.agent.sizes()["timers"] <= 1)
            sizes = edge.agent.sizes()
            assert {name: sizes[name] for name in ("sessions", "calls", "connections")} == {
                "sessions": 0,
                "calls": 0,
                "connections": 0,
            }

    run(story)


# Tokens by password --------------------------------------------------------------------------------------


def test_a_password_gets_a_token_that_logs_in(run: Run) -> None:
    async def story() -> None:
        async with serving() as edge, aiohttp.ClientSession() as session:
            body = {"user": "alice", "password": "right"}
            async with session.post(f"{edge.url}/rtc/token", json=body) as response:
                assert response.status == 200
                assert response.headers["Cache-Control"] == "no-store"
                answer = await response.json()
            assert answer["expires_in"] == 600
            async with connected(edge) as phone:
                login = await phone.asks("login", token=answer["token"], device="web")
                assert (login["user"], login["name"]) == ("alice", "Alice")

    run(story)


def test_refused_passwords(run: Run) -> None:
    async def story() -> None:
        async with serving() as edge, aiohttp.ClientSession() as session:
            url = f"{edge.url}/rtc/token"
            for user in ("alice", "bob"):
                async with session.post(url, json={"user": user, "password": "wrong"}) as response:
                    assert response.status == 401
                    assert (await response.json()) == {"code": "refused", "text": "user or password is wrong"}
            for body in (b"", b"[]", b"{", b'{"user":"alice"}', b'{"user":1,"password":"x"}', b"[" * 4000, b"\xff"):
                async with session.post(url, data=body) as response:
                    assert response.status == 400, body
            async with session.post(url, data=b"x" * 5000) as response:
                assert response.status == 400
                assert "longer than 4096" in (await response.json())["text"]
            for _ in range(8):
                async with session.post(url, json={"user": "alice", "password": "wrong"}) as response:
                    assert response.status == 401
            async with session.post(url, json={"user": "alice", "password": "right"}) as response:
                assert response.status == 429
                assert 1 <= int(response.headers["Retry-After"]) <= 6
            async with session.get(url) as response:
                assert response.status == 405

    run(story)


def test_pages_of_the_sites_origins_may_get_tokens(run: Run) -> None:
    async def story() -> None:
        async with serving() as edge, aiohttp.ClientSession() as session:
            url, ours = f"{edge.url}/rtc/token", {"Origin": "https://www.example.com"}
            async with session.options(url, headers=ours) as response:
                assert response.status == 204
                assert response.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
                assert response.headers["Access-Control-Allow-Headers"] == "Content-Type"
            async with session.post(url, headers=ours, json={"user": "alice", "password": "right"}) as response:
                assert response.status == 200
                assert response.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
            async with session.post(url, headers={"Origin": "https://evil.net"}, json={}) as response:
                assert response.status == 403

    run(story)


def test_a_body_that_does_not_come(run: Run) -> None:
    async def story() -> None:
        async with serving(edge=EdgeLimits(patience=0.2)) as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(b"POST /rtc/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            async with asyncio.timeout(5):
                assert b" 408 " in await reader.readline()
            writer.close()

    run(story)


# Pages ---------------------------------------------------------------------------------------------------


def test_pages_are_served_with_what_browsers_must_know(run: Run, pages: Path) -> None:
    async def story() -> None:
        async with serving(pages=pages) as edge, aiohttp.ClientSession() as session:
            for path, kind in {
                "/": "text/html",
                "/index.html": "text/html",
                "/call": "text/html",
                "/rtc-client.js": "text/javascript",
                "/sounds/ring.wav": "audio/wav",
                "/rtc/asyncapi.yaml": "application/yaml",
            }.items():
                async with session.get(edge.url + path) as response:
                    assert response.status == 200, path
                    assert response.content_type == kind
                    assert response.headers["Cache-Control"] == "no-cache"
                    assert response.headers["X-Content-Type-Options"] == "nosniff"
                    etag = response.headers["ETag"]
                    if kind == "text/html":
                        policy = response.headers["Content-Security-Policy"]
                        assert "script-src 'self';" in policy
                        assert "frame-ancestors 'self' https://www.example.com" in policy
                        assert "microphone=(self" in response.headers["Permissions-Policy"]
                async with session.get(edge.url + path, headers={"If-None-Match": etag}) as response:
                    assert response.status == 304
                async with session.head(edge.url + path) as response:
                    assert response.status == 200
                    assert await response.read() == b""
            async with session.post(edge.url + "/") as response:
                assert response.status == 405
            async with session.get(f"{edge.url}/rtc/asyncapi.yaml") as response:
                assert yaml.safe_load(await response.text()) == json.loads(json.dumps(document()))
            library = f"{edge.url}/rtc-client.js"
            async with session.get(library, headers={"Origin": "https://www.example.com"}) as response:
                assert response.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
            async with session.get(library, headers={"Origin": "https://evil.net"}) as response:
                assert "Access-Control-Allow-Origin" not in response.headers

    run(story)


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.html",
        "/%2e%2e/secret.html",
        "/sounds/../../secret.html",
        "/.hidden.html",
        "/notes.txt",
        "//etc/passwd",
    ],
)
def test_nothing_else_is_served(run: Run, pages: Path, path: str) -> None:
    async def story() -> None:
        async with serving(pages=pages) as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            async with asyncio.timeout(5):
                assert b" 404 " in await reader.readline()
            writer.close()

    run(story)


@pytest.mark.parametrize(
    "request_text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000,
    ],
)
def test_what_is_no_http_is_refused(run: Run, request_text: bytes) -> None:
    async def story() -> None:
        async with serving(edge=EdgeLimits(patience=0.3)) as edge:
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(request_text)
            try:
                async with asyncio.timeout(5):
                    answer = await reader.read(4096)
            except ConnectionError:
                answer = b""
            assert not answer or answer.split()[1].startswith(b"4")
            writer.close()
            async with connected(edge, "alice"):
                pass

    run(story)


def test_others_may_serve_paths_of_their_own(run: Run) -> None:
    async def story() -> None:
        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(text="theirs")

        async with (
            serving(more={"/sip": handler}) as edge,
            aiohttp.ClientSession() as session,
            session.get(f"{edge.url}/sip") as response,
        ):
            assert await response.text() == "theirs"

    run(story)


# TLS and addresses ---------------------------------------------------------------------------------------


def test_wss(run: Run, tmp_path: Path) -> None:
    cert, tls = certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=str(cert))

    async def story() -> None:
        async with serving(listen=[Listen("127.0.0.1", 0, tls)]) as edge:
            assert edge.url.startswith("https://")
            async with connected(edge, "alice", ssl=trusting, headers={"Origin": edge.url}) as alice:
                assert (await alice.asks("ping"))["type"] == "ok"

    run(story)


def test_an_address_that_is_taken_is_told_and_nothing_stays_open(run: Run) -> None:
    async def story() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            edge = Edge(listen=[Listen("127.0.0.1", 0), Listen("127.0.0.1", taken.getsockname()[1])])
            with pytest.raises(OSError, match=r"[Aa]ddress already in use"):
                await edge.server.start()
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", edge.port)

    run(story)
