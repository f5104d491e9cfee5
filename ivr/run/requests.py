"""What a flow asks of the world outside the call, and what comes back. Nothing here acts.

Whoever owns the call performs a request and answers with :class:`ivr.run.events.RequestDone`, once, unless it was
cancelled before. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ivr.flow.nodes.addresses import SecretName

# Asked. ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request to a web service; ``timeout`` is for all of it, repetitions included."""

    method: Literal["GET", "POST", "PUT"]
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Without secrets."""
    secret_headers: Mapping[str, tuple[str | SecretName, ...]] = field(default_factory=dict)
    """Texts and names of secrets, to be put together by the sender only."""
    body: str | None = None
    timeout: float = 5.0
    retries: int = 0
    """How often it is sent again after a failure; only GET is."""
    wants: Literal["json", "text", "nothing"] = "json"
    """What the body of an answer from 200 to 299 must be. One that is not is no reply."""


@dataclass(frozen=True, slots=True)
class TableLookup:
    """Look for a row by its key in a table of the site."""

    table: str
    key: str
    timeout: float = 2.0


@dataclass(frozen=True, slots=True)
class Notification:
    """Tell a webhook of the site something; it is not waited for what comes of it there."""

    webhook: str
    body: Mapping[str, object]
    timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class PluginCall:
    """Call a function of an installed plug-in."""

    plugin: str
    arguments: Mapping[str, object]
    timeout: float | None = None
    """None: the plug-in's own limit."""


Asked = HttpRequest | TableLookup | Notification | PluginCall


# Answered. ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What a web service said, whatever the status."""

    status: int
    body: object = None
    """JSON as Python objects, or text, as was wanted; None if it was empty or not wanted."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """The row with that key: column to value. ``row`` is None if there is none."""

    row: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The notification arrived."""


@dataclass(frozen=True, slots=True)
class PluginResult:
    """The exit that the plug-in took, and what it gives back."""

    exit: str
    value: object = None


@dataclass(frozen=True, slots=True)
class NoReply:
    """It could not be done. ``reason`` is for operators."""

    reason: str


Reply = HttpResponse | TableRow | Delivered | PluginResult | NoReply
