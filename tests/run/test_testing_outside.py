"""Tests of flows that ask the world outside: mocks answer, and what no mock answers fails the test."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ivr.calendar.model import Calendar, Period, Span
from ivr.flow.loader import load_flows, load_text
from ivr.flow.model import Place
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
from ivr.run.testing.acting import Result, act
from ivr.run.testing.chances import chances
from ivr.run.testing.coverage import coverage
from ivr.run.testing.kinds import Surroundings
from ivr.run.testing.loader import load_suite
from ivr.run.testing.mocks import Answers, Given, HttpMock, HttpReply, LookupMock, fits
from ivr.run.testing.retelling import in_order, mock_of
from ivr.run.testing.writing import as_yaml, remedy, word_of
from ivr.table import Table

ORDERS = """\
flow: orders
languages: [en]
start: ask
on_error: sorry
vars:
  order: digits
  tier: {type: text, default: none}
blocks:
  ask:
    - answer
    - collect: {into: order, prompt: {say: 'Your order?'}, digits: 4, failed: bye}
    - lookup: {table: vip, key: '{caller.number}', into: tier, miss: continue, failed: continue}
    - http:
        get: 'https://crm.example/orders/{order}'
        timeout: 3s
        into: info
        status: {'404': unknown}
        failed: sorry
    - tag: {order: '{order}'}
    - log: 'order {order} is {info.state}'
    - notify: {webhook: crm, data: {order: order}}
    - say: 'Your order is {info.state}.'
    - goto: bye
  unknown: [{say: 'There is no such order.'}, {goto: bye}]
  sorry: [{say: 'Sorry.'}, {goto: bye}]
  bye: [hangup]
"""

ROW = {"4930123456": ("4930123456", "gold")}
SITE = Surroundings(known=True, tables={"vip": Table("vip", ("number", "tier"), ROW, "tier")})
STATE = "http: [{match: 'https://crm.example/orders/*', method: GET, reply: {json: {state: sent}, after: 800ms}}]"
STEPS = "steps: [{press: '1234', after: ask}]"


def result(folder: Path, case: str, head: str = "", around: Surroundings = SITE) -> Result:
    (folder / "orders.yaml").write_text(ORDERS, encoding="utf-8")
    file = folder / "orders.test.yaml"
    lines = "".join(f"    {line}\n" for line in case.strip().splitlines())
    file.write_text(f"flow: orders\n{head}tests:\n  - name: the test\n{lines}", encoding="utf-8")
    loaded = load_suite(file, load_flows([folder / "orders.yaml"]), around)
    assert not loaded.problems, "\n".join(map(str, loaded.problems))
    return act(loaded.cases[0], around)


def message(folder: Path, case: str) -> str:
    failure = result(folder, case).failure
    assert failure is not None
    return failure.message


PASS = {
    "a service and a webhook answer, the table is the site's": f"""
{STATE}
notify: [{{webhook: crm}}]
steps: [{{press: '1234', after: ask}}, {{hears: {{say: 'Your order is sent.'}}}}]
expect: {{ended_by: flow, tags: {{order: '1234'}}, logs: ['is SENT'], variables: {{order: '1234', tier: gold}}}}
""",
    "a mock stands in for a table of the site": f"""
{STATE}
lookup: [{{table: vip, key: '49*', row: {{tier: silver}}}}]
notify: [{{webhook: crm}}]
{STEPS}
expect: {{variables: {{tier: silver}}, ended_by: flow}}
""",
    "what the mock of a table does not know the site's does": f"""
{STATE}
lookup: [{{table: vip, key: '1', miss: yes}}]
notify: [{{webhook: crm}}]
{STEPS}
expect: {{variables: {{tier: gold}}, ended_by: flow}}
""",
    "a status": f"""
http: {{match: '*', reply: {{status: 404}}}}
{STEPS}
expect: {{path: [ask, unknown, bye], ended_by: flow}}
""",
    "no answer in time": """
http: {match: '*', reply: {timeout: yes}}
steps: [{press: '1234', after: ask}, {wait: 2.9s}, {at_block: ask}, {wait: 0.2s}, {at_block: sorry}]
""",
    "an answer that is too late": """
http: {match: '*', reply: {after: 4s}}
steps: [{press: '1234', after: ask}, {wait: 3.1s}, {at_block: sorry}]
""",
    "refused": f"""
http: {{match: 'https://crm.example/orders/1234', reply: {{refused: yes}}}}
{STEPS}
expect: {{path: [ask, sorry, bye], ended_by: flow}}
""",
    "silence that is short enough": f"""
{STATE}
notify: {{webhook: crm}}
steps: [{{press: '1234', after: ask}}, {{max_silence: 1s}}, {{hears_text: sent}}]
expect: {{ended_by: flow}}
""",
}


@pytest.mark.parametrize("case", PASS.values(), ids=PASS)
def test_passes(case: str, tmp_path: Path) -> None:
    found = result(tmp_path, case)
    assert found.failure is None, found.failure.message


def test_a_request_without_a_mock_fails_and_shows_the_mock_to_write(tmp_path: Path) -> None:
    failure = result(tmp_path, f"{STEPS}\nexpect: {{ended_by: flow}}").failure
    assert failure is not None
    assert failure.message == (
        "the flow asks GET https://crm.example/orders/1234, and no mock answers: "
        "write http: [{match: 'https://crm.example/orders/1234', reply: {status: 200, json: {}}}]"
    )
    assert failure.flow_place.line == 13
    written = failure.message.partition("write ")[2]
    assert result(tmp_path, f"{written}\n{STEPS}\nexpect: {{ended_by: flow}}").failure is None
    told = message(tmp_path, f"{STATE}\n{STEPS}\nexpect: {{ended_by: flow}}")
    assert told == "the flow asks webhook crm, and no mock answers: write notify: [{webhook: crm}]"


def test_a_table_without_a_mock_fails_if_the_site_does_not_have_it(tmp_path: Path) -> None:
    failure = result(tmp_path, STEPS, around=Surroundings()).failure
    assert failure is not None
    assert "lookup: [{table: vip, key: '4930123456', miss: yes}]" in failure.message


def test_mocks_of_the_defaults_come_last(tmp_path: Path) -> None:
    head = f"gate: yes\ndefaults:\n  notify: [{{webhook: crm}}]\n  {STATE}\n"
    found = result(tmp_path, f"{STEPS}\nexpect: {{path: [ask, bye], ended_by: flow}}", head)
    assert found.failure is None
    assert found.case.gate
    own = f"http: [{{match: '*', reply: {{status: 404}}}}]\n{STEPS}\nexpect: {{last_block: bye, tries: {{ask: 1}}}}"
    assert result(tmp_path, own, head).failure is None


FAILS = {
    "silence": (
        f"{STATE}\nnotify: {{webhook: crm}}\n"
        "steps: [{press: '1234', after: ask}, {max_silence: 500ms}, {hears_text: sent}]",
        "the caller heard nothing for 0.8 s from 0.8 s on; at most 0.5 s",
    ),
    "tags": (
        f"http: {{match: '*', reply: {{status: 404}}}}\n{STEPS}\nexpect: {{tags: {{order: '1'}}}}",
        "expected tag order to be '1', but it is not set",
    ),
    "logs": (
        f"http: {{match: '*', reply: {{status: 404}}}}\n{STEPS}\nexpect: {{logs: ['hello']}}",
        "expected 'hello' to be logged, but it was not",
    ),
    "variables": (
        f"http: {{match: '*', reply: {{status: 404}}}}\n{STEPS}\nexpect: {{variables: {{order: '1'}}}}",
        "expected variable order to be '1', but it is '1234'",
    ),
}


@pytest.mark.parametrize(("case", "expected"), FAILS.values(), ids=FAILS)
def test_fails(case: str, expected: str, tmp_path: Path) -> None:
    assert message(tmp_path, case) == expected


OPEN = """\
flow: shop
start: when
blocks:
  when:
    - answer
    - hours: {calendar: shop, open: open, closed: closed, emergency: emergency}
  open: [hangup]
  closed: [hangup]
  emergency: [hangup]
"""


@pytest.mark.parametrize(
    ("case", "block"), [("", "open"), ("closed: shop\n", "emergency"), ("closed: [workshop]\n", "open")]
)
def test_a_calendar_that_a_test_closes_by_hand(case: str, block: str, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(OPEN, encoding="utf-8")
    file = tmp_path / "shop.test.yaml"
    lines = f"{case}expect: {{path: [when, {block}]}}".replace("\n", "\n    ")
    file.write_text(f"flow: shop\ntests:\n  - name: a\n    {lines}\n", encoding="utf-8")
    always = (Period(frozenset(range(7)), (Span(0, 24 * 60),), "always", Place("site.yaml", 1)),)
    around = Surroundings(calendars={name: Calendar(name, ZoneInfo("UTC"), always) for name in ("shop", "workshop")})
    loaded = load_suite(file, load_flows([tmp_path / "shop.yaml"]), around)
    assert not loaded.problems, "\n".join(map(str, loaded.problems))
    found = act(loaded.cases[0], around)
    assert found.failure is None, found.failure.message


def test_coverage_counts_blocks_and_exits_that_can_be_told_apart(tmp_path: Path) -> None:
    found = result(tmp_path, f"http: {{match: '*', reply: {{status: 404}}}}\n{STEPS}\nexpect: {{ended_by: flow}}")
    covered = coverage(found.case.flow, found.records, [found.path])
    assert str(covered) == "blocks 3/4  exits 3/8"
    assert covered.not_seen == (
        "sorry",
        "ask.step 2.failed",
        "ask.step 3.miss",
        "ask.step 3.failed",
        "ask.step 4.failed",
        "ask.step 4.ok",
    )


def test_a_notification_that_nobody_waits_for_has_one_exit(tmp_path: Path) -> None:
    assert "notify: {webhook: crm, data: {order: order}}" in ORDERS
    found = result(tmp_path, f"{STATE}\nnotify: {{webhook: crm, fails: yes}}\n{STEPS}\nexpect: {{ended_by: flow}}")
    waits = ORDERS.replace("{order: order}}", "{order: order}, failed: sorry}")
    flow = load_text(waits, "orders.yaml").flows["orders"]
    assert "ask.step 7.failed" in coverage(flow, found.records, [found.path]).not_seen
    assert not [name for name in coverage(found.case.flow, found.records, [found.path]).not_seen if "step 7" in name]


def test_patterns_of_addresses() -> None:
    assert fits("https://a/*", "https://a/b?c=[1]")
    assert fits("https://a/b?c=[1]", "https://a/b?c=[1]")
    assert not fits("https://a/b?c", "https://a/bxc")
    assert not fits("https://a/", "https://a/b")


def test_bodies_are_what_the_flow_wanted() -> None:
    def body(reply: HttpReply, wants: str) -> object:
        asked = HttpRequest("GET", "u", wants="text" if wants == "text" else "json" if wants == "json" else "nothing")
        found = HttpMock("*", reply).answer(asked)
        assert found is not None
        return found[1]

    assert body(HttpReply(json=Given({"a": 1})), "text") == HttpResponse(200, '{"a": 1}')
    assert body(HttpReply(text="[1]"), "json") == HttpResponse(200, [1])
    assert body(HttpReply(text="x"), "json") == NoReply("the answer is not JSON")
    assert body(HttpReply(text="x"), "nothing") == HttpResponse(200)


@pytest.mark.parametrize(
    "asked",
    [
        HttpRequest("POST", "https://crm.example/a?b=*'"),
        TableLookup("vip", "it's"),
        Notification("crm", {}),
        PluginCall("score", {}),
    ],
)
def test_chances_fit_what_was_asked(asked: Asked) -> None:
    found = chances((HttpMock("*", HttpReply()), LookupMock("vip", miss=True)), asked)
    assert found
    assert all(mock.answer(asked) is not None for mock in found)
    assert all(remedy(asked))


def test_mocks_are_written_as_they_are_read() -> None:
    mock = HttpMock("https://a/*", HttpReply(503, after=0.8), "GET")
    assert as_yaml(mock) == "{match: 'https://a/*', reply: {status: 503, after: 800ms}, method: GET}"
    assert as_yaml(LookupMock("vip", "1", {"tier": "it's"})) == "{table: vip, key: '1', row: {tier: 'it''s'}}"
    assert LookupMock("vip", "1", {"tier": "gold"}).answer(TableLookup("vip", "1")) == (0.0, TableRow({"tier": "gold"}))


ASKED: list[tuple[Asked, list[Reply]]] = [
    (
        HttpRequest("GET", "https://a.example/x?b[1]=*&c='"),
        [
            HttpResponse(200, {"a": [None, 1.5, "yes"]}),
            HttpResponse(404),
            HttpResponse(200, "text"),
            HttpResponse(500, 1),
        ],
    ),
    (HttpRequest("PUT", "u", wants="text"), [HttpResponse(200, "one\ntwo\t\x85 it's"), HttpResponse(200, "")]),
    (HttpRequest("POST", "u", wants="nothing"), [HttpResponse(201)]),
    (TableLookup("vip", "+49 'x'"), [TableRow(None), TableRow({"a": "x", "on": "1", "b c": "2"}), TableRow({"n": 1})]),
    (TableLookup("vip", ""), [TableRow({"a": "one\ntwo"}), TableRow({"value": None}), TableRow({})]),
    (PluginCall("score", {}), [PluginResult("low", 3), PluginResult("next")]),
    (Notification("crm", {}), [Delivered()]),
]


@pytest.mark.parametrize(("asked", "replies"), ASKED, ids=lambda one: type(one).__name__)
def test_a_mock_made_of_an_answer_gives_it_again_once_read(asked: Asked, replies: list[Reply], tmp_path: Path) -> None:
    mocks = in_order(mock_of(asked, reply, 0.25) for reply in (*replies, replies[0]))
    lines = "".join(f"      - {as_yaml(mock)}\n" for mock in mocks)
    (tmp_path / "orders.yaml").write_text(ORDERS, encoding="utf-8")
    file = tmp_path / "orders.test.yaml"
    file.write_text(
        f"flow: orders\ntests:\n  - name: a\n    {word_of(mocks[0])}:\n{lines}    steps: []\n", encoding="utf-8"
    )
    loaded = load_suite(file, load_flows([tmp_path / "orders.yaml"]), SITE)
    assert not loaded.problems, "\n".join(map(str, loaded.problems))
    answers = Answers(loaded.cases[0].mocks)
    assert [answers.to(asked) for _ in (*replies, replies[0])] == [(0.25, one) for one in (*replies, replies[0])]
    if len(replies) > 1:
        assert answers.to(asked) is None


@pytest.mark.parametrize("asked", [asked for asked, _ in ASKED], ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("reason", ["a.example did not answer within 5 s", "refused", "the answer is not JSON"])
def test_a_failure_fails_again(asked: Asked, reason: str) -> None:
    found = mock_of(asked, NoReply(reason), 0.25).answer(asked)
    assert found is not None
    assert isinstance(found[1], NoReply) or getattr(asked, "wants", "json") != "json"
