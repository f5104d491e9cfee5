"""Web services, asked for real: good ones, slow, huge and broken ones, and those that lead elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.flow.nodes.addresses import SecretName
from ivr.outside.web import WAITING_PER_HOST, Refused, Web, parse_json
from ivr.run.requests import HttpRequest, HttpResponse, NoReply, Reply
from ivr.site.model import HttpSettings
from ivr.site.reach import Reach, parse_reach
from tests.outside.server import Service, certificate, serving

TOKEN = "a-token-nobody-may-see"


def asked(path: str, *, method: Any = "GET", allow: bool = True, **more: Any) -> tuple[Reply, Service]:
    """Ask the service once."""

    async def story() -> tuple[Reply, Service]:
        async with serving() as service:
            web = Web(HttpSettings(parse_reach((service.url,)) if allow else Reach()), {"crm": TOKEN})
            try:
                return await web.ask(HttpRequest(method, service.url + path, **more)), service
            finally:
                await web.close()

    return asyncio.run(story())


def reason(reply: Reply) -> str:
    assert isinstance(reply, NoReply), reply
    return reply.reason


def test_an_answer_in_json() -> None:
    reply, service = asked(
        "/orders/1%2F2?x=%26",
        headers={"X-Call": "c1"},
        secret_headers={"Authorization": ("Bearer ", SecretName("crm"))},
    )
    assert reply == HttpResponse(200, {"total": 1280.5, "names": ["a", "b"]})
    [(method, path, headers, _)] = service.seen
    assert (method, path) == ("GET", "/orders/1%2F2?x=%26")
    assert (headers["X-Call"], headers["Authorization"]) == ("c1", f"Bearer {TOKEN}")


def test_a_body_is_sent() -> None:
    reply, service = asked("/", method="POST", body='{"n": "é"}', headers={"Content-Type": "application/json"})
    assert isinstance(reply, HttpResponse)
    assert service.seen[0][3] == '{"n": "é"}'.encode()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/text", "the answer is not JSON"),
        ("/deep", "the answer is nested deeper than 64 levels"),
        ("/nan", "the answer is not JSON"),
        ("/huge", "the answer is larger than 1000000 bytes"),
        ("/gzip", "the answer is compressed although that was not asked for"),
        ("/round", "the service leads on more than 3 times"),
        ("/to?url=http://127.0.0.1:1/", "127.0.0.1 is not public; the site file can allow it (http: allow)"),
        ("/to?url=http://localhost:1/", "localhost is not public; the site file can allow it (http: allow)"),
        (
            "/to?url=http://[::ffff:10.0.0.1]/",
            "::ffff:10.0.0.1 is not public; the site file can allow it (http: allow)",
        ),
        ("/to?url=file:///etc/passwd", "the service leads to what is no web address"),
    ],
)
def test_an_answer_of_no_use(path: str, words: str) -> None:
    assert reason(asked(path)[0]) == words


def test_a_status_is_an_answer_whatever_is_in_it() -> None:
    assert asked("/missing")[0] == HttpResponse(404)


def test_time_is_limited_and_the_request_given_up() -> None:
    async def story() -> None:
        async with serving() as service:
            web = Web(HttpSettings(parse_reach((service.url,))), {})
            reply = await web.ask(HttpRequest("GET", f"{service.url}/hang", timeout=0.05))
            assert reason(reply).endswith("did not answer within 0.05 s")
            service.arrived.clear()
            asking = asyncio.ensure_future(web.ask(HttpRequest("GET", f"{service.url}/hang", timeout=60)))
            await service.arrived.wait()
            asking.cancel()
            await service.gone.wait()
            await web.close()

    asyncio.run(story())


def test_a_broken_connection_is_tried_again_as_often_as_asked() -> None:
    reply, service = asked("/drop", retries=2)
    assert reason(reply).endswith("it broke the connection off")
    assert len(service.seen) >= 3


def test_a_service_that_recovers() -> None:
    async def story() -> None:
        async with serving() as service:
            web = Web(HttpSettings(parse_reach((service.url,))), {})
            service.failures = 1
            assert isinstance(reply := await web.ask(HttpRequest("GET", service.url + "/", retries=1)), HttpResponse)
            assert reply.status == 200
            service.failures = 1
            assert await web.ask(HttpRequest("POST", service.url + "/", retries=1)) == HttpResponse(503)
            await web.close()

    asyncio.run(story())


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        async def story() -> Reply:
            web = Web(HttpSettings(parse_reach((url,))), {})
            try:
                return await web.ask(HttpRequest("GET", f"{url}/secret/abcdef"))
            finally:
                await web.close()

        assert "cannot be reached" in reason(reply := asyncio.run(story()))
        assert "abcdef" not in reason(reply)


def test_addresses_that_are_not_public_are_refused_by_themselves_and_behind_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "127.0.0.1 is not public" in reason(asked("/", allow=False)[0])

    async def story() -> None:
        async with serving() as service:
            port = int(service.url.rpartition(":")[2])

            async def private(self: object, host: str, port: int = 0, family: object = None) -> list[dict[str, Any]]:
                one = {"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 0}
                return [{**one, "flags": socket.AI_NUMERICHOST}]

            monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", private)
            url = f"http://crm.example:{port}/"
            for settings, allowed in ((HttpSettings(), False), (HttpSettings(parse_reach(("crm.example",))), True)):
                web = Web(settings, {})
                reply = await web.ask(HttpRequest("GET", url))
                if allowed:
                    assert isinstance(reply, HttpResponse)
                else:
                    assert "crm.example leads to an address that is not public" in reason(reply)
                await web.close()
            assert len(service.seen) == 1

    asyncio.run(story())


def test_a_secret_is_not_shown_to_where_a_service_leads() -> None:
    async def story() -> None:
        async with serving() as first, serving() as second:
            web = Web(HttpSettings(parse_reach((first.url, second.url))), {"crm": TOKEN})
            headers = {"X-Key": (SecretName("crm"),)}
            reply = await web.ask(
                HttpRequest("GET", f"{first.url}/to?url={second.url}/", secret_headers=headers, wants="nothing")
            )
            assert reply == HttpResponse(200)
            assert first.seen[0][2]["X-Key"] == TOKEN
            assert "X-Key" not in second.seen[0][2]
            assert TOKEN not in repr(HttpRequest("GET", first.url, secret_headers=headers))
            await web.close()

    asyncio.run(story())


def test_certificates_are_checked_and_the_way_does_not_lead_out_of_encryption(tmp_path: Path) -> None:
    cert, tls = certificate(tmp_path)

    async def story() -> None:
        async with serving(tls) as service, serving() as plain:
            reach = parse_reach((service.url, plain.url))
            stranger, friend = Web(HttpSettings(reach), {}), Web(HttpSettings(reach, cert), {})
            assert "certificate" in reason(await stranger.ask(HttpRequest("GET", f"{service.url}/")))
            assert isinstance(await friend.ask(HttpRequest("GET", f"{service.url}/")), HttpResponse)
            leads_out = await friend.ask(HttpRequest("GET", f"{service.url}/to?url={plain.url}/"))
            assert "without encryption" in reason(leads_out)
            assert plain.seen == []
            await stranger.close()
            await friend.close()

    asyncio.run(story())


def test_a_service_that_hangs_cannot_gather_calls_without_end() -> None:
    async def story() -> None:
        async with serving() as service:
            web = Web(HttpSettings(parse_reach((service.url,))), {})
            request = HttpRequest("GET", f"{service.url}/hang", timeout=30)
            waiting = [asyncio.ensure_future(web.ask(request)) for _ in range(WAITING_PER_HOST)]
            await asyncio.sleep(0)
            assert reason(await web.ask(request)).startswith("busy: ")
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            assert isinstance(await web.ask(HttpRequest("GET", f"{service.url}/")), HttpResponse)
            await web.close()

    asyncio.run(story())


@given(st.binary(max_size=100))
def test_any_bytes_are_json_or_refused(data: bytes) -> None:
    with contextlib.suppress(Refused):
        parse_json(data)
