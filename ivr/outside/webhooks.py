"""Telling webhooks: a POST of JSON, signed so that the other side knows whom it is from and that it is no repetition.

``X-IVR-Timestamp`` is the time in seconds since 1970, ``X-IVR-Delivery`` the same for every attempt at one message,
``X-IVR-Signature`` is ``sha256=`` and the hexadecimal HMAC-SHA256, by the webhook's secret, of the timestamp, a full
stop and the body.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Mapping

from ivr.outside.web import Web
from ivr.run.requests import Delivered, HttpRequest, HttpResponse, NoReply, Notification, Reply
from ivr.site.model import Webhook

ATTEMPTS = 3
_PAUSE = 0.2
"""Seconds before the second attempt; doubled for the third."""


class Webhooks:
    def __init__(self, webhooks: Mapping[str, Webhook], web: Web) -> None:
        self._webhooks = webhooks
        self._web = web

    async def tell(self, asked: Notification) -> Reply:
        webhook = self._webhooks.get(asked.webhook)
        if webhook is None:
            return NoReply(f"the site has no webhook '{asked.webhook}'")
        request = _request(webhook, asked)
        reason = f"it took more than {asked.timeout:g} s"
        try:
            async with asyncio.timeout(asked.timeout):
                for attempt in range(ATTEMPTS):
                    if attempt:
                        await asyncio.sleep(_PAUSE * 2 ** (attempt - 1))
                    reply = await self._web.ask(request)
                    if isinstance(reply, HttpResponse):
                        if 200 <= reply.status < 300:
                            return Delivered()
                        reason = f"the answer was {reply.status}"
                        if reply.status < 500 and reply.status != 429:
                            break
                    elif isinstance(reply, NoReply):
                        reason = reply.reason
        except TimeoutError:
            pass
        return NoReply(f"webhook {webhook.name} was not told: {reason}")


def _request(webhook: Webhook, asked: Notification) -> HttpRequest:
    body = json.dumps(asked.body, ensure_ascii=False)
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "X-IVR-Timestamp": timestamp,
        "X-IVR-Delivery": uuid.uuid4().hex,
    }
    if webhook.secret is not None:
        headers["X-IVR-Signature"] = signature(webhook.secret, timestamp, body)
    return HttpRequest("POST", webhook.url, headers, body=body, timeout=asked.timeout, wants="nothing")


def signature(secret: str, timestamp: str, body: str) -> str:
    """What proves that a message is from whoever knows the secret, and from that time."""
    return f"sha256={hmac.new(secret.encode(), f'{timestamp}.{body}'.encode(), hashlib.sha256).hexdigest()}"
