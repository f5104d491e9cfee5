"""How the world outside answers a call that is played: nobody is there, but web services say what they are told to."""

from __future__ import annotations

from ivr.run.requests import Asked, HttpRequest, Notification, PluginCall, TableLookup
from ivr.run.testing.mocks import HttpMock, HttpReply, LookupMock, Mock, NotifyMock, PluginMock


def mock_of(asked: Asked, http: HttpReply | None) -> Mock:
    """What stands in for whoever is asked; ``http`` is what web services say, if that was told."""
    match asked:
        case HttpRequest(method=method, url=url):
            return HttpMock(url, http or HttpReply(refused=True), method)
        case TableLookup(table=table, key=key):
            return LookupMock(table, key, fails=True)
        case Notification(webhook=webhook):
            return NotifyMock(webhook)
        case PluginCall(plugin=plugin):
            return PluginMock(plugin, fails=True)
