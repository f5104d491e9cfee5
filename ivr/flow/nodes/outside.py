"""Verbs that ask the world outside the call: web services, tables, webhooks, plug-ins."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from ivr.flow.kinds import Duration, ListOf, Name, Whole
from ivr.flow.model import Prompt
from ivr.flow.nodes.addresses import (
    Argument,
    Arguments,
    Body,
    DataMapping,
    DataObject,
    Header,
    Headers,
    Statuses,
    WebAddress,
    WebAddressText,
)
from ivr.flow.nodes.kinds import OnePrompt, TemplateText
from ivr.flow.nodes.verb import NEXT, Exit, Fills, Verb
from ivr.flow.settings import Kind, Reader, setting, settings_group
from ivr.flow.source import MappingNode
from ivr.flow.template import Template

Method = Literal["GET", "POST", "PUT"]

_WAIT = ListOf(OnePrompt(), 0, 20)
_WAITING = "played over and over from the first second on, until the answer is there; unset, silence"


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked, and where."""

    method: Method
    address: WebAddress


class MethodGroup:
    """Exactly one of ``get``, ``post`` and ``put``."""

    names: Mapping[str, tuple[Kind[Any], str]] = MappingProxyType(
        {
            "get": (WebAddressText(), "the address asked; values in it are percent-encoded"),
            "post": (WebAddressText(), "the address the body is sent to by POST"),
            "put": (WebAddressText(), "the address the body is sent to by PUT"),
        }
    )

    def read_from(self, node: MappingNode, reader: Reader) -> Asking | None:
        there = [(key, value) for key, value in node.entries if key.text in self.names]
        if len(there) != 1:
            key = there[1][0] if there else node
            message = "http asks one address" if there else "http does not say what to ask"
            reader.problem("E012", key, message, "write one of get:, post: and put:, with an address")
            return None
        key, value = there[0]
        address = WebAddressText().read(value, reader)
        method: Method = "GET" if key.text == "get" else "POST" if key.text == "post" else "PUT"
        return None if address is None else Asking(method, address)


@dataclass(frozen=True, slots=True)
class Http:
    """Ask a web service."""

    asking: Asking = settings_group(MethodGroup(), None)
    headers: tuple[Header, ...] = setting(Headers(), "headers sent with it", default=())
    body: DataObject | Template | None = setting(Body(), "what is sent; with post and put only", default=None)
    timeout: float = setting(Duration(0.1, 60), "the longest it may take, repetitions included", default=5.0)
    retry: int = setting(
        Whole(0, 5), "how often a get is sent again if the service cannot be reached or says 502 to 504", default=0
    )
    while_waiting: tuple[Prompt, ...] = setting(_WAIT, _WAITING, default=())
    into: str | None = setting(Name("the name of a variable"), "the variable that gets the answer, JSON", default=None)
    status: tuple[str, ...] = setting(Statuses(), "answers other than 200 to 299, and where they lead", default=())


@dataclass(frozen=True, slots=True)
class Lookup:
    """Find a row in a table."""

    table: str = setting(Name("the name of a table"), "a table of the site")
    key: Template = setting(TemplateText(), "what is looked for in the table's key column")
    into: str | None = setting(
        Name("the name of a variable"),
        "the variable that gets the table's value column, or the whole row: {row.column}",
        default=None,
    )
    timeout: float = setting(Duration(0.1, 30), "the longest a database may take", default=2.0)
    while_waiting: tuple[Prompt, ...] = setting(_WAIT, _WAITING, default=())


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell another program something."""

    webhook: str = setting(Name("the name of a webhook"), "a webhook of the site")
    data: DataObject = setting(DataMapping(), "what it is told")
    timeout: float = setting(Duration(0.1, 60), "the longest it may take, repetitions included", default=5.0)


@dataclass(frozen=True, slots=True)
class Plugin:
    """Call a function that was installed beside the program."""

    name: str = setting(Name("the name of a plug-in"), "an installed plug-in; ivr plugins lists them")
    args: tuple[Argument, ...] = setting(Arguments(), "its arguments", default=())
    into: str | None = setting(
        Name("the name of a variable"), "the variable that gets what it gives back", default=None
    )
    timeout: float | None = setting(
        Duration(0.1, 60), "the longest it may take; unset, the plug-in's own limit", default=None
    )
    while_waiting: tuple[Prompt, ...] = setting(_WAIT, _WAITING, default=())


VERBS = (
    Verb(
        "http",
        Http,
        "Asks a web service, one address by get, post or put. Scheme and host of the address are fixed; a value in it "
        "stays where it stands, whatever keys it is made of.",
        (
            Exit("ok", "the answer is there, with a status from 200 to 299", "next"),
            Exit("failed", "no answer in time, no connection, not JSON, too large, or another status", "on_error"),
        ),
        wires_keys=True,
        waits=True,
        fills=Fills("json", ("json", "text"), ("failed", "status")),
        example="""\
- http:
    get: 'https://crm.example/orders/{call.did}'
    headers: {Authorization: 'Bearer {secret:crm_token}'}
    timeout: 3s
    while_waiting: one_moment
    into: info
    status: {'404': operator}
    failed: operator""",
    ),
    Verb(
        "lookup",
        Lookup,
        "Looks in a table of the site, a file or a database, for the row with a key.",
        (
            Exit("hit", "there is such a row", "next"),
            Exit("miss", "there is none"),
            Exit("failed", "the table could not be asked", "on_error"),
        ),
        waits=True,
        fills=Fills("json", (), ("failed", "miss")),
        order=("table", "by key", "into into"),
        example="- lookup: {table: vip, key: '{caller.number}', into: tier, miss: continue, failed: continue}",
    ),
    Verb(
        "notify",
        Notify,
        "Tells a webhook of the site something. Goes on at once, unless failed is written: then it waits for the "
        "outcome. Can stand in what on_hangup leads to, where it never waits.",
        (NEXT, Exit("failed", "the webhook could not be told", "next")),
        example="- notify: {webhook: crm, data: {event: \"'missed'\", number: caller.number}}",
    ),
    Verb(
        "plugin",
        Plugin,
        "Calls a plug-in: a Python function that was installed beside the program.",
        (
            Exit("next", "it is done", "next"),
            Exit("failed", "it raised an error, took too long, or gave back what cannot be used", "on_error"),
        ),
        short="name",
        waits=True,
        further="those that the plug-in declares",
        fills=Fills("json"),
        example="- plugin: {name: score, args: {number: caller.number}, into: points, failed: operator}",
    ),
)
