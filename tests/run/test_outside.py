"""Calls that ask the world outside: what is asked, what the caller hears meanwhile, where each answer leads."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.calendar import Calendar, Closing, Period, Span
from ivr.flow.model import Place
from ivr.flow.nodes.addresses import SecretName
from ivr.run.actions import CancelRequest, Request
from ivr.run.environment import Environment
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
from ivr.run.script import A_CALLER, Script
from ivr.table import Table
from tests.run.flows import flow

ORDER = """\
on_error: sorry
vars: {info: json, order: {type: text, default: '%s'}, pin: {type: digits, secret: true, default: '4711'}}
blocks:
  welcome:
    - answer
    - http:
        get: 'https://crm.example/orders/{order}?call={call.id}'
        headers: {Authorization: 'Bearer {secret:crm}', X-Pin: '{pin}', X-Order: '{order}'}
        timeout: 3s
        while_waiting: one_moment
        into: info
        status: {'404': none, 5XX: down}
    - say: 'It costs {info.total}'
    - hangup
  none: [{play: none}, hangup]
  down: [{play: down}, hangup]
  sorry: [{play: sorry}, hangup]
"""


def answers(reply: Reply, after: float = 0.2) -> Callable[[Asked], tuple[float, Reply]]:
    return lambda asked: (after, reply)


def ordered(reply: Reply, after: float = 0.2, order: str = "42") -> Script:
    call = Script(flow(ORDER % order), outside=answers(reply, after))
    call.until_over()
    return call


def test_a_web_service_is_asked_and_its_answer_spoken() -> None:
    call = ordered(HttpResponse(200, {"total": 1280.5}))
    assert call.names == ["It costs 1280.5"]
    [asked] = call.asked
    assert asked == HttpRequest(
        "GET",
        "https://crm.example/orders/42?call=call1",
        {"X-Pin": "4711", "X-Order": "42"},
        {"Authorization": ("Bearer ", SecretName("crm"))},
        timeout=3.0,
    )
    detail = next(record.detail for record in call.records if record.verb == "http")
    assert detail == {
        "method": "GET",
        "url": "https://crm.example/orders/{order}?call={call.id}",
        "seconds": 0.2,
        "status": 200,
        "result": {"total": 1280.5},
    }
    assert "4711" not in str(call.records)


@pytest.mark.parametrize(
    ("reply", "heard"),
    [
        (HttpResponse(404), "none"),
        (HttpResponse(503), "down"),
        (HttpResponse(403), "sorry"),
        (NoReply("crm.example did not answer within 3 s"), "sorry"),
    ],
)
def test_every_other_answer_has_its_way(reply: Reply, heard: str) -> None:
    assert ordered(reply).names == [heard]


def test_the_caller_hears_something_from_the_first_second_on_and_the_answer_cuts_it() -> None:
    assert ordered(HttpResponse(200, {"total": 1}), after=0.9).names == ["It costs 1"]
    call = ordered(HttpResponse(200, {"total": 1}), after=2.5)
    assert [(heard.name, heard.at) for heard in call.heard] == [("one_moment", 1.0), ("It costs 1", 2.5)]


def test_a_caller_who_leaves_takes_his_question_with_him() -> None:
    call = Script(flow(ORDER % "42"), outside=answers(HttpResponse(200), 5.0))
    call.waits(2.0)
    call.hangs_up()
    assert any(isinstance(action, CancelRequest) for action in call.actions)
    assert call.ended_by == "caller"


@given(st.text(st.characters(exclude_characters="'\\{}", exclude_categories=["C", "Z"]), min_size=1, max_size=20))
def test_no_value_leaves_its_place_in_an_address(order: str) -> None:
    call = ordered(HttpResponse(404), order=order)
    if order in (".", ".."):
        assert call.asked == []
        return
    [asked] = call.asked
    assert isinstance(asked, HttpRequest)
    head, _, rest = asked.url.partition("/orders/")
    assert head == "https://crm.example"
    assert rest.count("/") == 0
    assert rest.count("?") == rest.count("&") + 1 == 1
    assert "#" not in rest


def test_no_value_begins_another_header() -> None:
    text = ORDER.replace("default: '%s'", r'default: "1\r\nX-Evil: 1"')
    call = Script(flow(text), outside=answers(HttpResponse(200)))
    call.until_over()
    assert (call.asked, call.names) == ([], ["sorry"])


BODY = """\
on_error: welcome
vars: {n: {type: number, default: 3}, price: {type: money, default: '1.5'}}
blocks:
  welcome:
    - http: {post: 'https://crm.example/', body: {n: n, price: price, who: "'x\\"y'", all: [n, yes]}, failed: continue}
    - hangup
"""


def test_a_body_is_json_with_typed_values() -> None:
    call = Script(flow(BODY), outside=answers(NoReply("no")))
    call.until_over()
    [asked] = call.asked
    assert isinstance(asked, HttpRequest)
    assert asked.body is not None
    assert json.loads(asked.body) == {"n": 3, "price": 1.5, "who": 'x"y', "all": [3, True]}
    assert asked.headers == {"Content-Type": "application/json"}
    assert asked.wants == "nothing"
    assert call.ended_by == "flow"
    assert "http: no" in call.logs[0]


LOOKUP = """\
on_error: sorry
vars: {tier: {type: text, default: standard}}
blocks:
  welcome:
    - lookup: {table: vip, key: '{caller.number}', into: tier, miss: continue, failed: continue}
    - lookup: {table: orders, key: '1', into: row, miss: none}
    - say: '{tier} {row.state}'
    - hangup
  none: [{say: '{tier} none'}, hangup]
  sorry: [{play: sorry}, hangup]
"""


def test_tables_of_the_call_and_of_others() -> None:
    vip = Table("vip", ("number", "tier"), {A_CALLER.caller: (A_CALLER.caller, "gold")}, "tier")
    world = {"orders": TableRow({"no": 1, "state": "sent"})}

    def outside(asked: Asked) -> tuple[float, Reply]:
        assert isinstance(asked, TableLookup)
        return 0.1, world.get(asked.table, TableRow(None))

    call = Script(flow(LOOKUP), environment=Environment(tables={"vip": vip}), outside=outside)
    call.until_over()
    assert call.names == ["gold sent"]
    assert call.asked == [TableLookup("orders", "1")]
    world.clear()
    call = Script(flow(LOOKUP), outside=outside)
    call.until_over()
    assert call.names == ["standard none"]
    call = Script(flow(LOOKUP), outside=answers(NoReply("away")))
    call.until_over()
    assert call.names == ["sorry"]


NOTIFY = """\
on_hangup: gone
blocks:
  welcome:
    - notify: {webhook: crm, data: {event: "'begins'"}}
    - notify: {webhook: crm, data: {event: "'waits'"}, failed: sorry}
    - pause: 60s
    - hangup
  sorry: [{play: sorry}, hangup]
  gone:
    - notify: {webhook: crm, data: {event: "'gone'", number: caller.number}, failed: sorry_too}
    - end
  sorry_too: [end]
"""


def test_webhooks_are_told_also_when_the_caller_has_gone() -> None:
    call = Script(flow(NOTIFY), outside=answers(Delivered()))
    call.waits(1.0)
    call.hangs_up()
    assert [one.body["event"] for one in call.asked if isinstance(one, Notification)] == ["begins", "waits", "gone"]
    assert [one.detached for one in call.actions if isinstance(one, Request)] == [True, False, True]
    assert call.asked[-1] == Notification("crm", {"call": "call1", "event": "gone", "number": A_CALLER.caller})
    call = Script(flow(NOTIFY), outside=answers(NoReply("away")))
    call.until_over()
    assert call.names == ["sorry"]


PLUGIN = """\
on_error: sorry
vars: {points: {type: number, default: 0}}
blocks:
  welcome:
    - plugin: {name: score, args: {number: caller.number, limit: 3}, into: points, high: rich}
    - say: 'next {points}'
    - hangup
  rich: [{say: 'rich {points}'}, hangup]
  sorry: [{play: sorry}, hangup]
"""


@pytest.mark.parametrize(
    ("reply", "heard"),
    [
        (PluginResult("next", 4), "next 4"),
        (PluginResult("high", "12"), "rich 12"),
        (PluginResult("next", "many"), "sorry"),
        (NoReply("it broke"), "sorry"),
    ],
)
def test_a_plugin_is_called(reply: Reply, heard: str) -> None:
    call = Script(flow(PLUGIN), outside=answers(reply))
    call.until_over()
    assert call.names == [heard]
    assert call.asked == [PluginCall("score", {"number": A_CALLER.caller, "limit": Decimal(3)})]


HOURS = """\
blocks:
  welcome:
    - hours: {calendar: office%s, open: open, closed: closed, emergency: drill}
  open: [{play: open}, hangup]
  closed: [{play: closed}, hangup]
  drill: [{play: drill}, hangup]
  lunch: [{play: lunch}, hangup]
"""


class Switch:
    now: Closing | None = None

    def closing(self, calendar: str) -> Closing | None:
        return self.now


def test_hours_and_closing_by_hand() -> None:
    place = Place("site.yaml", 1)
    week = frozenset(range(7))
    calendar = Calendar(
        "office",
        ZoneInfo("Asia/Shanghai"),
        (Period(week, (Span(540, 1080),), "daily 09:00-18:00", place),),
        {"lunch": (Period(week, (Span(720, 780),), "daily 12:00-13:00", place),)},
    )
    switch = Switch()
    environment = Environment(calendars={"office": calendar}, closings=switch)

    def heard(more: str = "") -> str:
        script = Script(
            flow((HOURS % more).replace("lunch: [{play: lunch}, hangup]", "lunch: [goto: open]")),
            environment=environment,
        )
        script.until_over()
        return script.names[0]

    assert heard() == "open"
    assert heard(", at: \"'2026-03-02 08:00'\"") == "closed"
    assert heard(", at: \"'2026-03-02 12:30'\"") == "open"
    assert heard(", at: \"'2026-03-02T03:00+00:00'\"") == "open"
    switch.now = Closing(datetime(2026, 3, 1, tzinfo=UTC), "drill")
    assert heard() == "drill"
    named = Script(
        flow(HOURS % ", lunch: lunch, at: \"'2026-03-02 12:30'\""),
        environment=Environment(calendars={"office": calendar}),
    )
    named.until_over()
    assert named.names == ["lunch"]
    assert named.records[0].detail is not None
    assert named.records[0].detail["rule"] == "lunch daily 12:00-13:00"
