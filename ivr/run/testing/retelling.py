"""Mocks made of answers, such that a call gets the same answers again, each in its turn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

from ivr.run.requests import (
    Asked,
    HttpRequest,
    HttpResponse,
    NoReply,
    Notification,
    PluginCall,
    PluginResult,
    Reply,
    TableLookup,
    TableRow,
)
from ivr.run.testing.mocks import Given, HttpMock, HttpReply, LookupMock, Mock, NotifyMock, PluginMock


def mock_of(asked: Asked, reply: Reply, seconds: float) -> Mock:
    """The mock that answers so, after that time."""
    after = min(round(seconds, 3), 600.0)
    match asked, reply:
        case HttpRequest(method=method, url=url), HttpResponse(status, body):
            said = HttpReply(status, after=after)
            if asked.wants == "text" and isinstance(body, str):
                said = replace(said, text=body)
            elif asked.wants != "nothing" and body is not None:
                said = replace(said, json=Given(body))
            return HttpMock(url, said, method)
        case HttpRequest(method=method, url=url), NoReply(reason):
            if "did not answer within" in reason:
                return HttpMock(url, HttpReply(timeout=True), method)
            if reason.endswith("is not JSON"):
                return HttpMock(url, HttpReply(text="no JSON", after=after), method)
            return HttpMock(url, HttpReply(refused=True, after=after), method)
        case TableLookup(table=table, key=key), TableRow(row):
            if row is None:
                return LookupMock(table, key, miss=True, after=after)
            if row and all(isinstance(value, str) and value.isprintable() for value in row.values()):
                return LookupMock(table, key, row, after=after)
            return LookupMock(table, key, json=Given(row), after=after)
        case TableLookup(table=table, key=key), _:
            return LookupMock(table, key, fails=True, after=after)
        case PluginCall(plugin=plugin), PluginResult(exit, value):
            return PluginMock(plugin, exit, None if value is None else Given(value), after=after)
        case PluginCall(plugin=plugin), _:
            return PluginMock(plugin, fails=True, after=after)
        case Notification(webhook=webhook), _:
            return NotifyMock(webhook, fails=isinstance(reply, NoReply), after=after)
        case HttpRequest(method=method, url=url), _:
            return HttpMock(url, HttpReply(refused=True, after=after), method)


def in_order(given: Iterable[Mock]) -> list[Mock]:
    """Mocks that give these answers again to the same questions, asked in the same order."""
    questions: dict[tuple[object, ...], list[Mock]] = {}
    for mock in given:
        questions.setdefault(_question(mock), []).append(mock)
    found: list[Mock] = []
    for mocks in questions.values():
        runs = [(mock, len(list(run))) for mock, run in groupby(mocks)]
        found += [mocks[0]] if len(runs) == 1 else [replace(mock, times=times) for mock, times in runs]
    return found


def _question(mock: Mock) -> tuple[object, ...]:
    match mock:
        case HttpMock(match=url, method=method):
            return "http", url, method
        case LookupMock(table=table, key=key):
            return "lookup", table, key
        case PluginMock(name=name):
            return "plugin", name
        case NotifyMock(webhook=webhook):
            return "notify", webhook
