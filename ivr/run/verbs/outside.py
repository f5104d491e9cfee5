"""Asking the world outside: web services, tables, webhooks, plug-ins.

While an answer is awaited, keys are kept for the next question. From the first second on the caller hears the
prompt of ``while_waiting`` over and over, if there is one and the call has been taken; the answer cuts it. A caller
who leaves takes his question with him.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ivr.flow.expression import Expression
from ivr.flow.model import Prompt, Step
from ivr.flow.nodes import outside
from ivr.flow.nodes.addresses import Data, DataObject, SecretName
from ivr.flow.template import Template
from ivr.flow.values import EvaluationError, as_text, as_type
from ivr.run.activity import Activity, Exit, Outcome
from ivr.run.conversation import Conversation, Row, StepError
from ivr.run.events import Event, RequestDone
from ivr.run.requests import (
    Asked,
    Delivered,
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
from ivr.run.verbs.behaviour import Behaviour

QUIET = 1.0
"""Seconds of silence before ``while_waiting`` begins: most answers are there by then."""
RESULT_LIMIT = 4_096
"""Characters of an answer that are kept in the record, as JSON."""
BODY_LIMIT = 100_000
"""Characters of what is sent."""


class Asking(Activity):
    """One question to the world outside."""

    def __init__(
        self, talk: Conversation, step: Step, asked: Asked, waiting: tuple[Prompt, ...], detail: Mapping[str, object]
    ) -> None:
        super().__init__(talk, step)
        self._asked = asked
        self._waiting = talk.items(waiting)
        self._detail: dict[str, object] = dict(detail)
        self._request_id: int | None = None
        self._play_at: float | None = None
        self._play_id: int | None = None

    def start(self, now: float) -> Outcome | None:
        self._request_id = self.talk.request(self._asked)
        if self._waiting and self.talk.answered:
            self._play_at = now + QUIET
        return None

    def next_timer(self) -> float | None:
        return self._play_at

    def handle_timer(self, now: float) -> Outcome | None:
        self._play_at = None
        self._play_id = self.talk.play(self._waiting, loop=True)
        return None

    def handle(self, event: Event, now: float) -> Outcome | None:
        if not isinstance(event, RequestDone) or event.request_id != self._request_id:
            return None
        self._request_id = None
        self._detail["seconds"] = round(event.seconds, 3)
        outcome = self._judged(event.reply)
        self.talk.stop_playing()
        return outcome

    def cancel(self) -> None:
        self.talk.stop_playing()
        if self._request_id is not None:
            self.talk.cancel_request(self._request_id)
            self._request_id = None

    def row(self) -> Row:
        if self._play_id is None:
            return Row(detail=self._detail)
        return Row(barged_in=False, play_id=self._play_id, heard_ms=self.talk.playing_for_ms(), detail=self._detail)

    def _judged(self, reply: Reply) -> Exit:
        verb = self.step.verb
        match reply:
            case NoReply(reason):
                return Exit("failed", error=f"{verb}: {reason}", row=self.row())
            case HttpResponse(status, body):
                return self._http(status, body)
            case TableRow(row):
                return found(self.talk, self.step, row, self._detail, self.row)
            case Delivered():
                return Exit(row=self.row())
            case PluginResult(exit, value):
                self._detail["exit"] = exit
                keep(self.talk, self.step, value, self._detail)
                return Exit(exit, row=self.row())

    def _http(self, status: int, body: object) -> Exit:
        settings: outside.Http = self.step.settings
        self._detail["status"] = status
        if 200 <= status < 300:
            keep(self.talk, self.step, body, self._detail)
            return Exit("ok", row=self.row())
        for wanted in (str(status), f"{status // 100}XX"):
            if wanted in settings.status:
                return Exit(f"status {wanted}", row=self.row())
        return Exit("failed", error=f"http: the answer was {status}", row=self.row())


def keep(talk: Conversation, step: Step, value: object, detail: dict[str, object]) -> None:
    """Give the variable of ``into`` its value, in its type. Raises EvaluationError if it cannot have it."""
    into: str | None = step.settings.into
    if into is None:
        return
    variable = talk.flow.variables.get(into)
    if value is None and variable is not None and variable.type != "json":
        raise StepError(f"{step.verb}: the answer is empty, and '{into}' needs a value")
    talk.variables[into] = value if variable is None else as_type(value, variable.type)
    if into in talk.secret_variables:
        return
    try:
        text = json.dumps(value, ensure_ascii=False, default=_as_json)
    except (TypeError, ValueError, RecursionError, EvaluationError):
        return
    if len(text) <= RESULT_LIMIT:
        detail["result"] = json.loads(text)


def found(
    talk: Conversation, step: Step, row: Mapping[str, object] | None, detail: dict[str, object], made: Any
) -> Exit:
    """What comes of a look-up. A row of one column is its value."""
    if row is None:
        return Exit("miss", row=made())
    value: object = dict(row)
    if len(row) == 1:
        value = next(iter(row.values()))
    keep(talk, step, value, detail)
    return Exit("hit", row=made())


def http(talk: Conversation, step: Step) -> Activity:
    settings: outside.Http = step.settings
    scope = talk.scope()
    address = settings.asking.address
    headers: dict[str, str] = {}
    secret_headers: dict[str, tuple[str | SecretName, ...]] = {}
    for header in settings.headers:
        parts = header.fill(scope)
        if header.secrets:
            secret_headers[header.name] = parts
        else:
            headers[header.name] = "".join(str(part) for part in parts)
    body = None
    if isinstance(settings.body, DataObject):
        body = _json(settings.body, scope)
        _default(headers, "Content-Type", "application/json")
    elif settings.body is not None:
        body = settings.body.fill(scope)
        _default(headers, "Content-Type", "text/plain; charset=utf-8")
    if body is not None and len(body) > BODY_LIMIT:
        raise StepError(f"http: the body is longer than {BODY_LIMIT} characters")
    variable = talk.flow.variables.get(settings.into or "")
    wants = "nothing" if settings.into is None else "text" if variable and variable.type == "text" else "json"
    asked = HttpRequest(
        settings.asking.method,
        address.fill(scope),
        headers,
        secret_headers,
        body,
        settings.timeout,
        settings.retry,
        "json" if wants == "json" else "text" if wants == "text" else "nothing",
    )
    # As written: the values in the address are the caller's.
    detail = {"method": settings.asking.method, "url": address.template.text}
    return Asking(talk, step, asked, settings.while_waiting, detail)


def _default(headers: dict[str, str], name: str, value: str) -> None:
    if name.lower() not in {one.lower() for one in headers}:
        headers[name] = value


def lookup(talk: Conversation, step: Step) -> Outcome | Activity:
    settings: outside.Lookup = step.settings
    key = settings.key.fill(talk.scope()).strip()
    table = talk.environment.tables.get(settings.table)
    detail: dict[str, object] = {"table": settings.table}
    if table is None:
        asked = TableLookup(settings.table, key, settings.timeout)
        return Asking(talk, step, asked, settings.while_waiting, detail)
    return found(talk, step, table.row(key), detail, lambda: Row(detail=detail))


def notify(talk: Conversation, step: Step) -> Outcome | Activity:
    settings: outside.Notify = step.settings
    body = computed(settings.data, talk.scope())
    assert isinstance(body, dict)
    asked = Notification(settings.webhook, {"call": talk.facts.call_id, **body}, settings.timeout)
    detail = {"webhook": settings.webhook}
    if "failed" in step.exits and not talk.over:
        return Asking(talk, step, asked, (), detail)
    talk.tell(asked)
    return Exit(row=Row(detail=detail))


def plugin(talk: Conversation, step: Step) -> Activity:
    settings: outside.Plugin = step.settings
    scope = talk.scope()
    arguments = {argument.name: argument.value.evaluate(scope) for argument in settings.args}
    asked = PluginCall(settings.name, arguments, settings.timeout)
    return Asking(talk, step, asked, settings.while_waiting, {"plugin": settings.name})


def computed(data: Data | Template, scope: Mapping[str, object]) -> object:
    """The data with its values, as JSON can hold it. Raises EvaluationError."""
    if isinstance(data, Expression):
        return _as_json(data.evaluate(scope))
    if isinstance(data, DataObject):
        return {name: computed(value, scope) for name, value in data.entries}
    if isinstance(data, Template):
        return data.fill(scope)
    return [computed(item, scope) for item in data.items]


def _json(data: DataObject, scope: Mapping[str, object]) -> str:
    return json.dumps(computed(data, scope), ensure_ascii=False)


def _as_json(value: object) -> object:
    match value:
        case None | bool() | str() | int() | float():
            return value
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case list() | tuple():
            return [_as_json(item) for item in value]
        case Mapping():
            return {str(name): _as_json(item) for name, item in value.items()}
        case _:
            return as_text(value)


BEHAVIOURS = {
    "http": Behaviour(http),
    "lookup": Behaviour(lookup),
    "notify": Behaviour(notify),
    "plugin": Behaviour(plugin),
}
