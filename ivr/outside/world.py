"""Performs what flows ask of the world outside, whichever kind it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from ivr.outside.databases import Databases
from ivr.outside.plugins import Plugins
from ivr.outside.web import Web
from ivr.outside.webhooks import Webhooks
from ivr.run.requests import Asked, HttpRequest, NoReply, Notification, PluginCall, Reply, TableLookup
from ivr.site.model import HttpSettings, SqlTable, Webhook

log = logging.getLogger("ivr.outside")

_DETACHED_LIMIT = 1_000
"""Notifications under way that nobody waits for; further ones are lost, and the log says so."""
_LAST_WORDS = 5.0
"""Seconds that notifications under way get when the program stops."""


class World:
    """Answers requests; what goes wrong is an answer too. Needs a running event loop for its first request."""

    def __init__(
        self,
        *,
        http: HttpSettings | None = None,
        secrets: Mapping[str, str] | None = None,
        tables: Mapping[str, SqlTable] | None = None,
        webhooks: Mapping[str, Webhook] | None = None,
        plugins: Plugins | None = None,
    ) -> None:
        self._web = Web(http or HttpSettings(), secrets or {})
        self._databases = Databases(tables or {})
        self._webhooks = Webhooks(webhooks or {}, self._web)
        self._plugins = plugins or Plugins({})
        self._detached: set[asyncio.Task[None]] = set()

    async def perform(self, asked: Asked) -> Reply:
        match asked:
            case HttpRequest():
                return await self._web.ask(asked)
            case TableLookup():
                return await self._databases.look_up(asked)
            case Notification():
                return await self._webhooks.tell(asked)
            case PluginCall():
                return await self._plugins.call(asked)

    def send(self, asked: Asked, call_id: str) -> None:
        """Perform it although nobody waits for the answer; it goes on when the call is over."""
        if len(self._detached) >= _DETACHED_LIMIT:
            log.error("call %s: a notification is lost, %d are under way", call_id, len(self._detached))
            return
        task = asyncio.get_running_loop().create_task(self._perform_detached(asked, call_id))
        self._detached.add(task)
        task.add_done_callback(self._detached.discard)

    async def _perform_detached(self, asked: Asked, call_id: str) -> None:
        try:
            reply = await self.perform(asked)
        except Exception:
            log.exception("call %s: a request failed in an unforeseen way", call_id)
            return
        if isinstance(reply, NoReply):
            log.warning("call %s: %s", call_id, reply.reason)

    async def close(self) -> None:
        """Let notifications under way arrive, for a few seconds; then let go of connections."""
        if self._detached:
            _, late = await asyncio.wait(self._detached, timeout=_LAST_WORDS)
            for task in late:
                task.cancel()
            if late:
                log.error("%d notifications had not arrived when the program stopped", len(late))
                await asyncio.wait(late)
        await self._web.close()
        self._databases.close()
