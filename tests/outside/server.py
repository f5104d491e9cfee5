"""A web service on this machine that behaves as badly as it is asked to, and a certificate made for it."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web


class Service:
    """What arrived, and where it is."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = ""
        self.arrived = asyncio.Event()
        self.gone = asyncio.Event()
        """A request was given up by whoever sent it."""
        self.failures = 0
        """So many further answers are 503."""

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((request.method, request.raw_path, dict(request.headers), body))
        self.arrived.set()
        if self.failures:
            self.failures -= 1
            return web.Response(status=503)
        match request.path.strip("/").split("/")[0]:
            case "hang":
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.gone.set()
                    raise
            case "huge":
                response = web.StreamResponse()
                await response.prepare(request)
                while True:
                    await response.write(b"x" * 65_536)
            case "drop":
                assert request.transport is not None
                request.transport.abort()
            case "text":
                return web.Response(text="not json")
            case "deep":
                return web.Response(text="[" * 500 + "]" * 500)
            case "nan":
                return web.Response(text='{"x": NaN}')
            case "missing":
                return web.Response(status=404, text="<html>")
            case "gzip":
                return web.Response(body=b"junk", headers={"Content-Encoding": "gzip"})
            case "to":
                return web.Response(status=302, headers={"Location": request.query["url"]})
            case "round":
                return web.Response(status=307, headers={"Location": "/round"})
        return web.json_response({"total": 1280.5, "names": ["a", "b"]})


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Service]:
    service = Service()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", service._answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    service.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"
    try:
        yield service
    finally:
        await runner.cleanup()


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 and localhost that only this test trusts."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*request.split(), *names], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return cert, context
