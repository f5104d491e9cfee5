"""What the records say of real calls of every kind, field by field: calls, legs, segments and steps in the database.

One server and few telephones for all of them: each is idle again before the next test.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, select

from gateway.config import RtcListen
from ivr.records import model
from tests.acceptance.call_centre import BUSY, GOODBYE, MENU, NO_ANSWER, OFFLINE, REFUSED, CallCentre, site
from tests.gateway.webphone import SECRET, WebPhone
from tests.peers.company import Company
from tests.peers.patience import until
from tests.peers.phone import Phone, hear_each_other
from tests.peers.ports import free_port

pytestmark = pytest.mark.peer

SILENCE_S = 4
"""After so long without a packet a party is lost."""

_MAIN = """\
flow: main
languages: [en]
start: menu
on_error: failed
input: {timeout: 10s, gap: 2s, tries: 3}
blocks:
  menu:
    - answer
    - menu:
        prompt: [main_menu, main_menu, main_menu]
        keys: {'1': desk, '2': second, '3': short, '4': page, '5': nobody, '6': own, '9': bye}
        failed: bye
  desk:
    - transfer: {to: 'sip:2001', ring: 8s, answered: bye, busy: busy, refused: refused,
                 no_answer: no_answer, offline: offline, failed: failed}
  second:
    - transfer: {to: 'sip:2002', ring: 8s, answered: bye, busy: busy, refused: refused,
                 no_answer: no_answer, offline: offline, failed: failed}
  short:
    - transfer: {to: 'sip:2001', ring: 1s, answered: bye, busy: busy, refused: refused,
                 no_answer: no_answer, offline: offline, failed: failed}
  page:
    - transfer: {to: 'rtc:alice', ring: 8s, answered: bye, busy: busy, refused: refused,
                 no_answer: no_answer, offline: offline, failed: failed}
  nobody:
    - transfer: {to: 'sip:2003', ring: 8s, answered: bye, busy: busy, refused: refused,
                 no_answer: no_answer, offline: offline, failed: failed}
  own:
    - transfer: {to: 'sip:2001', mode: refer, ring: 8s, busy: busy, refused: refused,
                 no_answer: no_answer, offline: offline, failed: failed}
  bye: [{play: goodbye}, hangup]
  busy: [{play: busy}, hangup]
  refused: [{play: refused}, hangup]
  no_answer: [{play: no_answer}, hangup]
  offline: [{play: offline}, hangup]
  failed: [{play: failed}, hangup]
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows of one call."""

    call: Any
    legs: Sequence[Any]
    """The caller's first, then as they were created."""
    segments: Sequence[Any]
    steps: Sequence[Any]

    @property
    def caller(self) -> Any:
        return self.legs[0]

    @property
    def other(self) -> Any:
        (leg,) = self.legs[1:]
        return leg

    @property
    def kinds(self) -> list[str]:
        """Segments in order. What took no time at all is left out: whether it did is the machine's affair."""
        return [segment.kind for segment in self.segments if segment.until_at > segment.from_at]

    def ms(self, kind: str) -> int:
        return sum(segment.until_at - segment.from_at for segment in self.segments if segment.kind == kind)

    @property
    def blocks(self) -> list[str]:
        return [block for block, _ in itertools.groupby(step.block for step in self.steps)]


class Office:
    """The call centre, with whom everybody telephones in this file."""

    def __init__(self, company: Company) -> None:
        listen = RtcListen("http", "127.0.0.1", free_port())
        self.centre = CallCentre(
            company,
            site(
                flows={"main": _MAIN},
                numbers={"1000": "main"},
                more={
                    "media": {"timeout": f"{SILENCE_S}s"},
                    "rtc": {"listen": [f"http:{listen.host}:{listen.port}"], "secret": SECRET},
                    "clients": {"alice": {"number": "3001", "call_out": ["*"]}},
                },
            ),
        )
        self.seat = self.centre.seat()
        self.anna = self.centre.caller(make="pjsua")
        self.listen = listen
        self._engine = create_engine(f"sqlite:///{self.centre.server.folder / 'records.db'}")
        self._seen: set[str] = set()

    def menu(self, keys: str = "", caller: Phone | None = None) -> Phone:
        caller = self.centre.reaches_menu(caller or self.anna)
        if keys:
            caller.presses(keys)
        return caller

    def talk(self, caller: Phone | None = None) -> Phone:
        caller = self.menu("1", caller)
        self.seat.rings()
        self.seat.answers()
        hear_each_other(caller, self.seat)
        return caller

    def kept(self) -> Kept:
        """Wait for the rows of the one call that is new, and see that they agree with each other."""

        def found() -> Kept | None:
            with self._engine.connect() as connection:
                calls = connection.execute(select(model.Call.__table__)).all()
                new = [call for call in calls if call.closed and call.call_id not in self._seen]
                assert len(new) <= 1
                return _rows(connection, new[0]) if new else None

        kept = until(found, "no new call in the records", within=30, every=0.1)
        self._seen.add(kept.call.call_id)
        agrees(kept)
        return kept

    def is_idle(self) -> None:
        """Nobody telephones any more."""

        def idle() -> bool:
            with self._engine.connect() as connection:
                calls = connection.execute(select(model.Call.call_id, model.Call.closed)).all()
            self._seen.update(call.call_id for call in calls if call.closed)
            return all(call.closed for call in calls)

        until(idle, "a call does not end", within=30, every=0.1)

    def close(self) -> None:
        self._engine.dispose()


def _rows(connection: Connection, call: Any) -> Kept:
    def of(table: Any, *order: Any) -> Sequence[Any]:
        rows = table.__table__
        return connection.execute(select(rows).where(rows.c.call_id == call.call_id).order_by(*order)).all()

    legs = of(model.Leg, model.Leg.created_at)
    return Kept(
        call,
        sorted(legs, key=lambda leg: leg.role != "caller"),
        of(model.Segment, model.Segment.seq),
        of(model.FlowStep, model.FlowStep.seq),
    )


def agrees(kept: Kept) -> None:
    """What holds for every call."""
    call = kept.call
    assert call.closed == 1
    assert call.conversation_id == call.call_id
    assert call.node_id
    assert call.arrived_at <= call.ended_at
    assert call.answered_at is None or call.arrived_at <= call.answered_at <= call.ended_at
    # The caller's time line: from the first to the last millisecond, without a gap, without an overlap.
    assert kept.segments[0].from_at == call.arrived_at
    assert kept.segments[-1].until_at == call.ended_at
    assert all(one.until_at == next.from_at for one, next in itertools.pairwise(kept.segments))
    assert [segment.seq for segment in kept.segments] == list(range(len(kept.segments)))
    assert sum(segment.until_at - segment.from_at for segment in kept.segments) == call.ended_at - call.arrived_at
    assert all(one.kind != next.kind or one.leg_id != next.leg_id for one, next in itertools.pairwise(kept.segments))
    assert kept.caller.role == "caller"
    legs = {leg.leg_id for leg in kept.legs}
    for segment in kept.segments:
        assert segment.leg_id in legs if segment.kind in ("talk", "hold") else segment.leg_id is None
    for leg in kept.legs:
        times = [leg.created_at, leg.ringing_at, leg.early_media_at, leg.answered_at, leg.ended_at]
        happened = [call.arrived_at, *(at for at in times if at is not None), call.ended_at]
        assert happened == sorted(happened), leg
        assert leg.ended_at is not None
        assert leg.remote
        assert leg.outcome is None or leg.answered_at is None
        if leg.answered_at is not None and leg.codec is not None:
            assert (leg.lost_pkts, leg.hangup_by is not None) == (0, True), leg
    assert [step.seq for step in kept.steps] == list(range(1, len(kept.steps) + 1))
    for step in kept.steps:
        assert call.arrived_at <= step.from_at <= step.until_at <= call.ended_at
        assert step.flow_version == call.flow_version
        assert step.line > 0


def sound(leg: Any) -> None:
    """Sound went both ways, and well."""
    assert leg.codec == "PCMU"
    seconds = (leg.ended_at - (leg.answered_at or leg.created_at)) / 1000
    # 50 packets a second; the first come some time after the answer, and all in a heap on a busy machine.
    assert 0 < leg.rx_pkts <= 50 * seconds + 60
    assert 0 < leg.tx_pkts <= 50 * seconds + 60
    assert leg.jitter_ms >= 0
    assert leg.audio_rx_ms > 0
    assert leg.mos is None or 1.0 <= leg.mos <= 4.5


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    company = Company(tmp_path_factory.mktemp("records"))
    try:
        office = Office(company)
        yield office
        office.close()
    finally:
        company.close()


@pytest.fixture
def office(house: Office) -> Iterator[Office]:
    house.is_idle()
    yield house
    for phone in (house.anna, house.seat):
        phone.hangs_up()


@pytest.fixture
def alice(house: Office) -> Iterator[WebPhone]:
    phone = WebPhone(house.listen)
    yield phone
    phone.close()


def ended(kept: Kept, by: str, cause: str, blocks: list[str]) -> None:
    """An answered call from the usual caller."""
    call = kept.call
    assert (call.mode, call.did, call.caller, call.flow, call.language) == ("ivr", "1000", "anna", "main", "en")
    assert call.flow_version.startswith("1-")
    assert call.answered_at is not None
    assert (call.ended_by, call.end_cause, call.sip_status) == (by, cause, 200)
    assert (kept.blocks, call.last_block) == (blocks, blocks[-1])
    caller = kept.caller
    assert (caller.kind, caller.account, caller.sip_status, caller.outcome) == ("sip", None, 200, None)
    assert "sip:anna@" in caller.remote
    sound(caller)


def rung(kept: Kept, account: str, outcome: str | None, status: int | None, by: str) -> None:
    """The one seat that was called."""
    leg = kept.other
    assert (leg.kind, leg.role, leg.account) == ("sip", "agent", account)
    assert (leg.outcome, leg.sip_status, leg.hangup_by) == (outcome, status, by)
    assert (leg.transfer_of, leg.transfer_kind) == (None, None)
    assert (leg.answered_at is None) == (outcome is not None)
    if outcome is None:
        sound(leg)
    else:
        assert leg.codec is None
        assert not leg.rx_pkts
        assert leg.mos is None


# In the menu. ---------------------------------------------------------------------------------------------


def test_abandoned_in_the_menu(office: Office) -> None:
    anna = office.menu()
    anna.hangs_up()
    kept = office.kept()
    ended(kept, "caller", "bye", ["menu"])
    assert len(kept.legs) == 1
    assert kept.caller.hangup_by == "remote"
    assert kept.caller.sip_call_id in {message.header("Call-ID") for message in anna.messages()}
    assert kept.kinds[-1] == "ivr"
    assert set(kept.kinds) <= {"ring", "ivr"}
    answer, menu = kept.steps
    assert (answer.verb, answer.exit, answer.step) == ("answer", "next", 1)
    assert (menu.verb, menu.exit, menu.step, menu.try_no) == ("menu", None, 2, 1)
    assert (menu.input_mode, menu.input, menu.next_block) == (None, None, None)
    # As long as he listened; of that he was told what fits.
    assert 400 <= menu.heard_ms <= menu.until_at - menu.from_at + 40


def test_keys_and_what_was_heard(office: Office) -> None:
    anna = office.menu("7")
    anna.hears(MENU, for_s=0.8)
    anna.presses("9")
    anna.hears(GOODBYE)
    anna.is_hung_up()
    kept = office.kept()
    ended(kept, "flow", "normal", ["menu", "bye"])
    assert kept.caller.hangup_by == "local"
    assert [(step.verb, step.try_no, step.input, step.exit, step.next_block) for step in kept.steps] == [
        ("answer", None, None, "next", None),
        ("menu", 1, "7", "no_match", None),
        ("menu", 2, "9", "9", "bye"),
        ("play", None, None, "next", None),
        ("hangup", None, None, None, None),
    ]
    first, second = kept.steps[1:3]
    assert (first.input_mode, second.input_mode, second.barged_in) == ("keys", "keys", 1)
    assert second.from_at >= first.until_at
    assert kept.steps[3].heard_ms == 1200
    assert kept.steps[3].barged_in == 0
    # Three seconds of sound at least.
    assert kept.caller.rx_pkts > 75
    assert kept.caller.mos > 3.5


# To a seat. -----------------------------------------------------------------------------------------------


def test_a_seat_answers_and_hangs_up(office: Office) -> None:
    anna = office.talk()
    office.seat.hangs_up()
    anna.is_hung_up()
    kept = office.kept()
    ended(kept, "flow", "normal", ["menu", "desk", "bye"])
    rung(kept, "2001", None, 200, "remote")
    talk = next(segment for segment in kept.segments if segment.kind == "talk")
    assert [kind for kind in kept.kinds if kind in ("offer", "talk")] == ["offer", "talk"]
    assert kept.kinds[-1] == "ivr"
    assert (talk.agent, talk.leg_id) == ("2001", kept.other.leg_id)
    assert talk.until_at == kept.other.ended_at
    assert kept.other.ringing_at is not None
    transfer = next(step for step in kept.steps if step.verb == "transfer")
    assert (transfer.exit, transfer.next_block) == ("answered", "bye")
    assert abs(transfer.until_at - talk.until_at) <= 100
    assert kept.other.sip_call_id in {message.header("Call-ID") for message in office.seat.messages()}


def test_the_caller_hangs_up_while_they_talk(office: Office) -> None:
    office.talk().hangs_up()
    office.seat.is_hung_up()
    kept = office.kept()
    ended(kept, "caller", "bye", ["menu", "desk"])
    rung(kept, "2001", None, 200, "local")
    assert kept.caller.hangup_by == "remote"
    # Taking down the other leg is nothing that he lives through.
    assert kept.kinds[-1] == "talk"
    assert kept.steps[-1].exit is None


def test_hold_and_retrieve_by_either_side(office: Office) -> None:
    anna = office.talk()
    for phone in (office.seat, anna):
        phone.holds()
        phone.resumes()
    # Baresip's own recording does not come back after its hold.
    anna.hears(office.seat.tone)
    anna.hangs_up()
    kept = office.kept()
    ended(kept, "caller", "bye", ["menu", "desk"])
    rung(kept, "2001", None, 200, "local")
    held = [segment for segment in kept.segments if segment.kind in ("talk", "hold")]
    assert [segment.kind for segment in held] == ["talk", "hold", "talk", "hold", "talk"]
    assert {(segment.agent, segment.leg_id) for segment in held} == {("2001", kept.other.leg_id)}


def test_the_caller_gives_up_while_it_rings(office: Office) -> None:
    anna = office.menu("1")
    office.seat.rings()
    anna.hangs_up()
    office.seat.is_hung_up()
    kept = office.kept()
    ended(kept, "caller", "bye", ["menu", "desk"])
    leg = kept.other
    assert (leg.account, leg.answered_at, leg.codec, leg.hangup_by) == ("2001", None, None, "local")
    assert leg.ringing_at is not None
    assert kept.kinds[-1] == "offer"


def test_a_seat_is_busy(office: Office) -> None:
    anna = office.menu("1")
    office.seat.rings()
    office.seat.refuses()
    anna.hears(BUSY)
    anna.is_hung_up()
    kept = office.kept()
    ended(kept, "flow", "normal", ["menu", "desk", "busy"])
    rung(kept, "2001", "busy", 486, "remote")
    assert (kept.ms("talk"), kept.kinds[-1]) == (0, "ivr")
    assert abs(kept.ms("offer") - (kept.other.ended_at - kept.other.created_at)) <= 100


def test_a_seat_refuses(office: Office) -> None:
    office.centre.scripted_seat("seat_refuses", "2002", status="603 Decline", ring_for="300")
    anna = office.menu("2")
    anna.hears(REFUSED)
    anna.is_hung_up()
    kept = office.kept()
    ended(kept, "flow", "normal", ["menu", "second", "refused"])
    rung(kept, "2002", "refused", 603, "remote")
    assert kept.ms("offer") >= 250


def test_nobody_answers(office: Office) -> None:
    anna = office.menu("3")
    office.seat.rings()
    anna.hears(NO_ANSWER)
    anna.is_hung_up()
    kept = office.kept()
    ended(kept, "flow", "normal", ["menu", "short", "no_answer"])
    rung(kept, "2001", "no_answer", kept.other.sip_status, "local")
    # What a cancelled INVITE gets in the end, if it came in time.
    assert kept.other.sip_status in (None, 487)
    assert 990 <= kept.ms("offer") < 3000


def test_a_seat_that_is_not_there(office: Office) -> None:
    anna = office.menu("5")
    anna.hears(OFFLINE)
    anna.is_hung_up()
    kept = office.kept()
    ended(kept, "flow", "normal", ["menu", "nobody", "offline"])
    rung(kept, "2003", "offline", 480, "remote")
    assert kept.other.ringing_at is None


def test_the_callers_telephone_makes_the_call(office: Office) -> None:
    """By our REFER: the call is over for us as soon as the other has answered."""
    anna = office.menu("6")
    office.seat.rings()
    office.seat.answers()
    kept = office.kept()
    ended(kept, "flow", "transferred", ["menu", "own"])
    leg = kept.other
    assert (leg.role, leg.account, leg.transfer_kind, leg.outcome) == ("agent", "2001", "refer", None)
    assert leg.answered_at is not None
    # The sound does not pass through us.
    assert (leg.codec, leg.rx_pkts, leg.mos) == (None, None, None)
    assert kept.ms("talk") == 0
    assert "offer" in kept.kinds
    hear_each_other(anna, office.seat)
    office.seat.hangs_up()
    anna.is_hung_up()


def test_a_telephone_that_vanishes(office: Office) -> None:
    carl = office.talk(office.centre.caller("carl"))
    carl.child.signals(signal.SIGKILL)
    office.seat.is_hung_up()
    kept = office.kept()
    assert (kept.call.caller, kept.call.ended_by, kept.call.end_cause) == ("carl", "network", "media_timeout")
    assert kept.caller.hangup_by == "network"
    assert kept.kinds[-1] == "talk"
    assert kept.ms("talk") >= SILENCE_S * 1000 - 100
    sound(kept.caller)
    rung(kept, "2001", None, 200, "local")
    # He was not heard for as long as he was waited for; what he was sent went on.
    assert kept.caller.ended_at - kept.caller.answered_at - kept.caller.audio_rx_ms >= SILENCE_S * 1000 - 100
    assert kept.caller.tx_pkts > kept.caller.rx_pkts


# RTC clients. ---------------------------------------------------------------------------------------------


def test_a_client_calls_and_hangs_up(office: Office, alice: WebPhone) -> None:
    invitation, rtc = alice.calls("1000")
    alice.connects(rtc)
    # Sound comes once the transport is up.
    alice.gets_sound(rtc)
    alice.asks("hangup", invitation=invitation)
    kept = office.kept()
    call, leg = kept.call, kept.caller
    assert (call.mode, call.caller, call.ended_by, call.end_cause) == ("ivr", "3001", "caller", kept.call.end_cause)
    assert (kept.blocks, len(kept.legs)) == (["menu"], 1)
    assert (leg.kind, leg.account, leg.hangup_by, leg.sip_call_id) == ("rtc", "alice", "remote", None)
    assert (leg.invitation, leg.invitation_state, leg.invitation_error) == (invitation, "accepted", None)
    sound(leg)


def test_a_client_is_called(office: Office, alice: WebPhone) -> None:
    anna = office.menu("4")
    invited = alice.hears("invited")
    rtc = alice.takes(invited)
    alice.connects(rtc)
    alice.gets_sound(rtc)
    alice.asks("hangup", invitation=invited["invitation"])
    anna.hears(GOODBYE)
    anna.is_hung_up()
    kept = office.kept()
    ended(kept, "flow", "normal", ["menu", "page", "bye"])
    leg = kept.other
    assert (leg.kind, leg.role, leg.account, leg.hangup_by) == ("rtc", "agent", "alice", "remote")
    assert (leg.invitation, leg.invitation_state, leg.sip_call_id) == (invited["invitation"], "accepted", None)
    sound(leg)
    talk = next(segment for segment in kept.segments if segment.kind == "talk")
    assert (talk.agent, talk.leg_id) == ("alice", leg.leg_id)


def test_a_client_refuses(office: Office, alice: WebPhone) -> None:
    anna = office.menu("4")
    alice.asks("refuse", invitation=alice.hears("invited")["invitation"])
    anna.is_hung_up()
    kept = office.kept()
    leg = kept.other
    assert (leg.kind, leg.answered_at, leg.invitation_state) == ("rtc", None, "refused")
    assert leg.outcome == kept.blocks[-1]
    assert kept.blocks[:2] == ["menu", "page"]
