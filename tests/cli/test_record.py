"""``ivr test --record``: a call from the records becomes a test that passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.call import Target
from ivr.calendar.model import Closing
from ivr.flow.loader import load_flows
from ivr.hearing import Hypothesis
from ivr.records.database import open_database
from ivr.records.events import RecordEvent
from ivr.replay.as_test import masked
from ivr.run.actions import StepRecord
from ivr.run.conversation import CallFacts
from ivr.run.environment import Environment
from ivr.run.requests import Asked, HttpResponse, NoReply, Reply, TableRow
from ivr.run.script import A_CALLER, Script, nobody_outside
from ivr.site import load_site
from tests.cli.commands import ivr
from tests.records.calls import T0, arrived
from tests.records.calls import Script as Story
from tests.records.test_recovery import write

FACTS = CallFacts("c1", "+4930123456", "", None, "1000", A_CALLER.at)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new site, and the working directory in it."""
    assert ivr("init", tmp_path / "site").exit_code == 0
    monkeypatch.chdir(tmp_path / "site")
    return tmp_path / "site"


def call(flow: str = "main", outside: Callable[[Asked], tuple[float, Reply]] = nobody_outside) -> Script:
    """A call with prompts of another length than tests have."""
    flows = load_flows([Path("flows")])
    groups = {"front_desk": (Target("sip", "2001"), Target("sip", "2002"))}
    return Script(flows.flows[flow], FACTS, groups=groups, prompt_seconds=5.0, outside=outside)


def recorded(played: Script, *agents: str, flow: str = "main", folder: str = "flows") -> str:
    """What the program makes of the call, once it stands in the records."""
    story = Story("c1")
    story.at(0, "call.arrived", **{**arrived(), "flow": flow}).at(0.1, "call.answered")
    story.at(0, "leg.created", "a", kind="sip", role="caller", account=None, remote="x", sip_call_id="i")
    for number, agent in enumerate(agents):
        story.at(1, "leg.created", f"b{number}", kind="sip", role="agent", account=agent, remote="x", sip_call_id="j")
        story.at(2 + number, "leg.answered", f"b{number}", codec="PCMU")
    story.events += [_event(record) for record in played.records]
    story.at(played.now, "call.ended", ended_by=played.ended_by, end_cause="bye", last_block=played.run.last_block)
    site = load_site(Path("site.yaml")).site
    assert site is not None
    write(open_database(site.records), story.events)
    result = ivr("test", "--record", "c1", "--site", "site.yaml")
    assert result.exit_code == 0, result.stderr
    Path(folder, "recorded.test.yaml").write_text(result.stdout, encoding="utf-8")
    tested = ivr("test", f"{folder}/recorded.test.yaml")
    assert tested.stdout.startswith(f"{flow}: 1 passed"), f"{result.stdout}\n{tested.stdout}"
    return result.stdout


def _event(record: StepRecord) -> RecordEvent:
    names = (
        "seq",
        "flow",
        "block",
        "step",
        "verb",
        "line",
        "try_no",
        "input",
        "input_mode",
        "barged_in",
        "exit",
        "next_block",
        "error",
    )
    data = {name: getattr(record, name) for name in names}
    times = {"from_at": T0 + round(record.began * 1000), "until_at": T0 + round(record.ended * 1000)}
    detail = {} if record.detail is None else {"detail": dict(record.detail)}
    return RecordEvent(times["until_at"], "flow.step", "c1", None, {**data, **times, **detail})


def test_a_seat_answers(site: Path) -> None:
    played = call()
    played.presses("1", after="Welcome to the demonstration line.")
    played.until(lambda: played.seat("2001").ringing, "it rings")
    played.seat("2001").answers()
    played.waits(60)
    played.hangs_up()
    text = recorded(played, "2001")
    assert "went another way" not in text
    assert "from: '+49300000" in text
    assert "3456" not in text
    assert "{seat: '2001', does: answer}" in text
    assert "path: [welcome, main_menu, sales], ended_by: caller" in text


@pytest.mark.parametrize("deed", ["busy", "refuses", "offline"])
def test_a_seat_does_not(deed: str, site: Path) -> None:
    played = call()
    played.presses("1", after="Welcome to the demonstration line.")
    getattr(played.seat("2001"), deed)()
    played.until_over()
    assert "went another way" not in recorded(played)


def test_silence_and_wrong_keys(site: Path) -> None:
    played = call()
    played.waits(14)
    played.presses("7")
    played.until_over()
    assert "went another way" not in recorded(played)


def test_digits(site: Path) -> None:
    played = call()
    played.presses("3", after="Welcome to the demonstration line.")
    played.presses("0123#", after="Say some digits. Or enter them, and then the hash key.")
    played.presses("1", after="Was that right? Say yes or no. Or press 1 for yes, 2 for no.")
    played.hangs_up()
    text = recorded(played)
    assert "went another way" not in text
    assert "press: '0123#'" in text


def test_secrets_are_made_up_and_services_answer_again(site: Path) -> None:
    Path("flows/pin.yaml").write_text(
        "flow: pin\nstart: ask\non_error: bye\nblocks:\n  ask:\n    - answer\n"
        "    - collect: {into: pin, prompt: {say: 'Your PIN?'}, digits: 4, secret: yes, failed: bye}\n"
        "    - http: {get: 'https://bank.example/state', into: info, failed: bye}\n"
        "    - say: 'It is {info.state}.'\n    - hangup\n  bye: [hangup]\n",
        encoding="utf-8",
    )
    played = call("pin", lambda asked: (0.5, HttpResponse(200, {"state": "open"})))
    played.presses("9876", after="Your PIN?")
    played.until_over()
    text = recorded(played, flow="pin")
    assert "9876" not in text
    assert "press: '1111'" in text
    assert "# what was entered in block ask is secret: the keys here are made up\n" in text
    assert 'reply: {json: {"state": "open"}, after: 500ms}' in text


ASKING = """\
flow: asking
start: begin
on_error: sorry
vars: {state: json, who: json}
blocks:
  begin:
    - answer
    - menu: {prompt: {say: 'Go on?'}, keys: {'1': poll}, failed: sorry}
  poll:
    - http:
        get: 'https://bank.example/{caller.number}/state'
        into: state
        ok: more
        status: {'404': poll}
        failed: poll
  more:
    - http: {get: 'https://bank.example/{caller.number}/state', into: state, failed: sorry}
    - http: {post: 'https://bank.example/seen', body: {n: state.n}, failed: continue}
    - lookup: {table: customers, key: '{caller.number}', into: who, miss: sorry, failed: sorry}
    - if: {when: 'state.n == 1', then: more}
    - notify: {webhook: crm, data: {n: state.n}, failed: told}
    - goto: sorry
  told:
    - split: {weights: {a: 10, b: 30, c: 60}, a: sorry, b: chosen, c: sorry}
  chosen:
    - if: {when: 'who.balance > 12 and state.n == 3', then: right}
    - goto: sorry
  right:
    - menu: {prompt: {say: '{who.name}, again?'}, keys: {'1': leave}, failed: sorry}
  leave:
    - say: 'One.'
    - say: 'Two.'
    - say: 'Three.'
    - hangup
  sorry: [hangup]
"""
SITE = """\
flows: own
numbers: {'1000': asking}
webhooks: {crm: {url: 'https://crm.example/hook'}}
tables: {customers: {sql: 'select :key', url: 'sqlite:///customers.db'}}
"""


def test_every_answer_comes_again_in_its_turn(site: Path) -> None:
    Path("own").mkdir()
    Path("own/asking.yaml").write_text(ASKING, encoding="utf-8")
    Path("site.yaml").write_text(SITE, encoding="utf-8")
    answers: list[Reply] = [
        HttpResponse(404),
        HttpResponse(404),
        NoReply("bank.example did not answer within 5 s"),
        NoReply("bank.example: connection refused"),
        NoReply("the answer is not JSON"),
        HttpResponse(200, {"n": 1}),
        HttpResponse(200, {"n": 1, "more": ["it's", None, 1.5, "\x85", "yes"]}),
        HttpResponse(500),
        TableRow({"name": "Zoë: 1, 2 #", "balance": 12.5}),
        HttpResponse(200, {"n": 3}),
        HttpResponse(201),
        TableRow({"name": "Zoë", "balance": 13, "since": None}),
        NoReply("webhook crm was not told: 500"),
    ]
    coming = iter(answers)
    asked: list[Asked] = []

    def outside(one: Asked) -> tuple[float, Reply]:
        asked.append(one)
        return 0.25, next(coming)

    flows = load_flows([Path("own")])
    played = Script(flows.flows["asking"], FACTS, environment=Environment(random=lambda: 0.2), outside=outside)
    played.presses("1", after="Go on?")
    played.presses("1", after="Zoë, again?")
    played.hears("Two.")
    played.waits(0.5)
    played.hangs_up()
    assert len(asked) == len(answers)
    text = recorded(played, flow="asking", folder="own")
    assert "went another way" not in text
    assert "leave], ended_by: caller" in text
    assert "3456" not in text
    assert "times: 2" in text


def test_closed_by_hand_then(site: Path) -> None:
    Path("own").mkdir()
    Path("own/asking.yaml").write_text(
        "flow: asking\nstart: begin\non_error: bye\nblocks:\n"
        "  begin: [answer, {hours: {calendar: shop, open: bye, closed: bye, emergency: drill}}]\n"
        "  drill: [{say: 'A drill.'}, {goto: bye}]\n  bye: [hangup]\n",
        encoding="utf-8",
    )
    calendars = "calendars: {shop: {zone: Europe/Berlin, open: ['Mon-Sun 09:00-18:00']}}\n"
    Path("site.yaml").write_text(f"flows: own\nnumbers: {{'1000': asking}}\n{calendars}", encoding="utf-8")
    found = load_site(Path("site.yaml")).site
    assert found is not None

    class Shut:
        def closing(self, calendar: str) -> Closing | None:
            return Closing(A_CALLER.at, "drill")

    environment = Environment(calendars=found.calendars, closings=Shut())
    played = Script(load_flows([Path("own")]).flows["asking"], FACTS, environment=environment)
    played.until_over()
    assert played.path == ("begin", "drill", "bye")
    text = recorded(played, flow="asking", folder="own")
    assert "went another way" not in text
    assert "closed: [shop]" in text


@pytest.mark.parametrize(
    "settings", ["whisper: {say: 'Press 1.'}, accept_key: '1'", "ring: 20s", "max: 5s", "mode: refer"]
)
def test_whoever_takes_the_call_takes_it_again(settings: str, site: Path) -> None:
    Path("own").mkdir()
    ends = "answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye, failed: bye"
    ends += ", max_reached: bye" if "max" in settings else ""
    Path("own/asking.yaml").write_text(
        "flow: asking\nstart: begin\nblocks:\n  begin:\n    - answer\n"
        f"    - transfer: {{to: 'sip:2001', {settings}, {ends}}}\n  bye: [hangup]\n",
        encoding="utf-8",
    )
    Path("site.yaml").write_text(
        "flows: own\nnumbers: {'1000': asking}\nseats: {'2001': {password: abcdefgh1}}\n", encoding="utf-8"
    )
    played = Script(load_flows([Path("own")]).flows["asking"], FACTS)
    played.waits(3)
    seat = played.seat("2001")
    seat.answers()
    if "accept_key" in settings:
        seat.takes_call()
    played.waits(30)
    if not played.run.finished:
        seat.hangs_up()
    played.until_over()
    assert "went another way" not in recorded(played, "2001", flow="asking", folder="own")


def test_nobody_answers_and_the_caller_leaves_while_it_rings(site: Path) -> None:
    played = call()
    played.presses("1", after="Welcome to the demonstration line.")
    played.waits(25)
    assert "sales" in played.path
    played.hangs_up()
    assert "went another way" not in recorded(played)


SPOKEN = """\
flow: spoken
start: choose
on_error: bye
vars: {pin: {type: digits, secret: yes}}
blocks:
  choose:
    - answer
    - menu:
        prompt: {say: 'What is it about?'}
        keys: {'1': {say: [sales, new order], go: free}, '2': {say: code, go: code}}
        failed: bye
  free:
    - ask: {prompt: {say: 'Tell me.'}, intents: {buy: {say: buy, go: bye}}, into: said, failed: bye}
    - goto: choose
  code:
    - collect: {into: pin, prompt: {say: 'Your code?'}, digits: 4, speech: digits, failed: bye}
    - goto: bye
  bye: [hangup]
"""


def test_what_was_said_is_said_again(site: Path) -> None:
    Path("flows/spoken.yaml").write_text(SPOKEN, encoding="utf-8")
    played = call("spoken")
    played.hears("What is it about?")
    played.waits(0.3)
    played.speaks([Hypothesis("new order", 0.45, "1"), Hypothesis("code", 0.2, "2")])
    played.hears_all()
    played.mumbles()
    played.hears_all()
    played.speaks([Hypothesis("new order", 0.812345, "1"), Hypothesis("code", 0.1, "2")])
    played.hears_all()
    played.says("it rains")
    played.cannot_be_heard()
    played.cannot_be_heard(fails=False)
    played.presses("2")
    played.hears_all()
    played.says("one two three four")
    played.until_over()
    assert played.path == ("choose", "free", "choose", "code", "bye")
    text = recorded(played, flow="spoken")
    assert "went another way" not in text
    unsure = "{text: 'new order', confidence: 0.45, alternatives: [{text: 'code', confidence: 0.2}]}"
    assert f"- {{says: {unsure}, talks_over: yes}}\n" in text
    assert "says: {text: 'new order', confidence: 0.812," in text
    assert "mumbles: 1s\n" in text
    assert "- says: 'it rains'\n" in text
    assert "- hearing: fails\n" in text
    assert "- hearing: works\n" in text
    assert "three four" not in text
    assert "# what was entered in block code is secret: the keys here are made up\n" in text


def test_a_call_that_is_not_there(site: Path) -> None:
    found = load_site(Path("site.yaml")).site
    assert found is not None
    open_database(found.records)
    result = ivr("test", "--record", "nothing")
    assert result.exit_code == 1
    assert "There is no finished call 'nothing' with a flow." in result.stderr


def test_numbers_are_masked() -> None:
    assert masked("+4930123456") == "+4930000000"
    assert masked("") == ""
