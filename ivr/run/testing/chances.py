"""What the world outside can answer to a question: as the tests have it, and in the ways it fails one day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ivr.run.requests import Asked, HttpRequest, Notification, PluginCall, TableLookup
from ivr.run.testing.mocks import HttpMock, HttpReply, LookupMock, Mock, NotifyMock, PluginMock

FAILURES: Final = (HttpReply(timeout=True), HttpReply(refused=True), HttpReply(status=404), HttpReply(status=500))
"""What any web service does one day."""


def chances(mocks: Sequence[Mock], asked: Asked) -> tuple[Mock, ...]:
    """Mocks of which each fits what was asked: those written, narrowed to it, and ways to fail."""
    written = tuple(replace(mock, times=None) for mock in mocks if mock.answer(asked) is not None)
    match asked:
        case HttpRequest(method=method, url=url):
            ours = tuple(replace(mock, match=url, method=method) for mock in written if isinstance(mock, HttpMock))
            return (*ours, *(HttpMock(url, reply, method) for reply in FAILURES))
        case TableLookup(table=table, key=key):
            rows = tuple(replace(mock, key=key) for mock in written if isinstance(mock, LookupMock))
            return (*rows, LookupMock(table, key, miss=True), LookupMock(table, key, fails=True))
        case Notification(webhook=webhook):
            return (NotifyMock(webhook), NotifyMock(webhook, fails=True))
        case PluginCall(plugin=plugin):
            return (*written, PluginMock(plugin, fails=True))
