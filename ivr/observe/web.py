"""Where other programs watch: ``/metrics`` for Prometheus, ``/healthz`` and ``/readyz`` for whoever restarts us.

    GET /healthz   200 while the server runs: its loop answers
    GET /readyz    200 while new calls are taken, 503 with the reasons while they are not
    GET /metrics   everything that is measured

For the machine itself and those who watch it: there is no password, so that it belongs on an inner address.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry

from ivr.observe.metrics import page
from ivr.observe.now import Now, alarms_of

__all__ = ["Monitoring"]

log = logging.getLogger(__name__)

_AT_A_TIME: Final = 4
"""Pages made side by side; who asks more often waits."""


class Monitoring:
    """Owns the listener. ``look`` is called on the event loop for each request."""

    def __init__(self, host: str, port: int, *, look: Callable[[], Now], counters: CollectorRegistry) -> None:
        self._host, self._port = host, port
        self._look = look
        self._counters = counters
        self._before: Now | None = None
        self._making = asyncio.Semaphore(_AT_A_TIME)
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, with the port it got."""
        assert self._runner is not None
        host, port, *_ = self._runner.addresses[0]
        return str(host), int(port)

    async def start(self) -> None:
        """Raises OSError if the address cannot be had."""
        app = web.Application(client_max_size=1024)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=30.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _healthz(self, _: web.Request) -> web.Response:
        return _json({"status": "ok"}, 200)

    async def _readyz(self, _: web.Request) -> web.Response:
        now = self._look()
        told = {
            "ready": now.ready,
            "calls": len(now.calls),
            "alarms": [f"{alarm.severity}: {alarm.text}" for alarm in alarms_of(now)],
        }
        return _json(told, 200 if now.ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        async with self._making:
            now = self._look()
            before, self._before = self._before, now
            # Some milliseconds of work for a page that nobody hears: not on the loop of the calls.
            body = await asyncio.to_thread(page, self._counters, now, before)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _json(told: dict[str, object], status: int) -> web.Response:
    return web.Response(text=json.dumps(told) + "\n", status=status, content_type="application/json")
