"""Asking web services: HTTP on aiohttp, within bounds of time, size and number, and only where the site lets us.

An address is checked when a connection is made, not before: the name is looked up by the connector itself, it gets
only those addresses that may be connected to, and connects to one of these. So a name that means another address a
moment later gains nothing.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from ivr.run.requests import HttpRequest, HttpResponse, NoReply, Reply
from ivr.site.model import HttpSettings
from ivr.site.reach import Reach

REDIRECTS: Final = 3
PER_HOST: Final = 32
"""Connections to one service."""
WAITING_PER_HOST: Final = 128
"""Requests to one service under way, those that wait for a connection included. Further ones fail at once."""
CONNECTIONS: Final = 256
BACKOFF: Final = 0.1
"""Seconds before the first repetition; doubled for each further one."""
JSON_DEPTH: Final = 64
_AGAIN: Final = frozenset({502, 503, 504})
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


class Refused(Exception):
    """It may not be asked, or its answer is of no use. The text is for operators, and names no value of the call."""


class _Checked(AbstractResolver):
    """Looks names up, and keeps the addresses that may be connected to."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._lookup = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._lookup.resolve(host, port, family)
        if any(self._reach.names(scheme, host, port) for scheme in ("http", "https")):
            return found
        public = [one for one in found if self._reach.admits(one["host"])]
        if found and not public:
            raise Refused(f"{host} leads to an address that is not public; the site file can allow it (http: allow)")
        return public

    async def close(self) -> None:
        await self._lookup.close()


class Web:
    """Owns the connections."""

    def __init__(self, settings: HttpSettings, secrets: Mapping[str, str]) -> None:
        self._settings = settings
        self._secrets = secrets
        self._under_way: Counter[str] = Counter()
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None

    async def ask(self, asked: HttpRequest) -> Reply:
        host = urlsplit(asked.url).netloc.lower()
        if self._under_way[host] >= WAITING_PER_HOST:
            return NoReply(f"busy: {WAITING_PER_HOST} requests to {host} are under way")
        self._under_way[host] += 1
        try:
            async with asyncio.timeout(asked.timeout):
                return await self._with_repetitions(asked)
        except TimeoutError:
            return NoReply(f"{host} did not answer within {asked.timeout:g} s")
        except Refused as error:
            return NoReply(str(error))
        finally:
            self._under_way[host] -= 1
            if not self._under_way[host]:
                del self._under_way[host]

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _with_repetitions(self, asked: HttpRequest) -> Reply:
        retries = asked.retries if asked.method == "GET" else 0
        for number in range(retries + 1):
            last = number == retries
            try:
                reply = await self._follow(asked)
                if last or reply.status not in _AGAIN:
                    return reply
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if last:
                    return NoReply(f"{urlsplit(asked.url).netloc}: {_reason(error)}")
            await asyncio.sleep(BACKOFF * 2**number)
        raise AssertionError("the last repetition returns")

    async def _follow(self, asked: HttpRequest) -> HttpResponse:
        method, url, body = asked.method, asked.url, asked.body
        headers = {**asked.headers, **{name: self._filled(parts) for name, parts in asked.secret_headers.items()}}
        for _ in range(REDIRECTS + 1):
            self._check(url)
            # The address is complete: nothing in it is to be made sense of, or encoded once more.
            async with self._connected().request(
                method,
                URL(url, encoded=True),
                headers={"User-Agent": "ivr", "Accept-Encoding": "identity", **headers},
                data=None if body is None else body.encode(),
                allow_redirects=False,
            ) as response:
                target = response.headers.get("Location")
                if response.status not in _MOVED or target is None:
                    return await self._read(asked, response)
                if asked.method != "GET" and response.status != 303:
                    raise Refused(f"the service answers {response.status}: only a get follows to another address")
            following = urljoin(url, target)
            if _origin(following) != _origin(url):
                # What was meant for one service is not shown to another.
                headers = {
                    name: value
                    for name, value in headers.items()
                    if name not in asked.secret_headers and name.lower() not in ("authorization", "cookie")
                }
            if urlsplit(url).scheme == "https" and urlsplit(following).scheme != "https":
                raise Refused("the service leads from https to an address without encryption")
            method, url, body = "GET", following, None
        raise Refused(f"the service leads on more than {REDIRECTS} times")

    def _check(self, url: str) -> None:
        """What a resolver does not see: other schemes, and addresses in place of names. Raises Refused."""
        scheme, host, port = _origin(url)
        if scheme not in ("http", "https") or not host or port <= 0:
            raise Refused("the service leads to what is no web address")
        reach = self._settings.reach
        if reach.local(host) and not reach.names(scheme, host, port) and not reach.admits(host):
            raise Refused(f"{host} is not public; the site file can allow it (http: allow)")

    def _filled(self, parts: tuple[Any, ...]) -> str:
        text = "".join(part if isinstance(part, str) else self._secret(part.name) for part in parts)
        if any(ord(character) < 32 or ord(character) == 127 for character in text):
            raise Refused("a secret in a header has a line break in it")
        return text

    def _secret(self, name: str) -> str:
        value = self._secrets.get(name)
        if value is None:
            raise Refused(f"secret '{name}' is not there")
        return value

    async def _read(self, asked: HttpRequest, response: aiohttp.ClientResponse) -> HttpResponse:
        data = bytearray()
        async for chunk in response.content.iter_chunked(65_536):
            data += chunk
            if len(data) > self._settings.answer:
                raise Refused(f"the answer is larger than {self._settings.answer} bytes")
        good = 200 <= response.status < 300
        if asked.wants == "nothing" or not good or not data:
            return HttpResponse(response.status)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise Refused("the answer is compressed although that was not asked for")
        if asked.wants == "json":
            return HttpResponse(response.status, parse_json(bytes(data)))
        return HttpResponse(response.status, data.decode(response.get_encoding(), "replace"))

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._tls = ssl.create_default_context()
            if self._settings.ca is not None:
                self._tls.load_verify_locations(self._settings.ca)
            connector = aiohttp.TCPConnector(
                limit=CONNECTIONS,
                limit_per_host=PER_HOST,
                resolver=_Checked(self._settings.reach),
                ssl=self._tls,
                ttl_dns_cache=30,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session


def parse_json(data: bytes) -> object:
    """What JSON says, in bounds. Raises Refused."""
    try:
        found = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refused("the answer is not JSON") from None
    level: list[object] = [found]
    for _ in range(JSON_DEPTH):
        level = [item for one in level for item in _within(one)]
        if not level:
            return found
    raise Refused(f"the answer is nested deeper than {JSON_DEPTH} levels")


def _no_number(text: str) -> object:
    raise ValueError(text)


def _within(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _origin(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", "", 0
    return parts.scheme, (parts.hostname or "").lower(), port


def _reason(error: BaseException) -> str:
    """Why there was no answer, without the address that libraries put into their words: it holds values."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not to be trusted"
        case aiohttp.ClientSSLError():
            return "no encrypted connection could be made"
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be looked up"
        case aiohttp.ClientConnectorError():
            return f"it cannot be reached ({error.strerror or 'no connection'})"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | ConnectionError():
            return "it broke the connection off"
        case _:
            return f"it cannot be talked to ({type(error).__name__})"
