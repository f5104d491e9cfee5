"""Calls from beginning to end: what the caller hears, where he gets, who ended it, what is written down."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.call import (
    Answered,
    CallEnded,
    CallerLeft,
    KeyPressed,
    LegAnswered,
    LegEnded,
    LegOutcome,
    PlayEnded,
    Target,
)
from ivr.flow.model import Flow
from ivr.flow.nodes import VERBS
from ivr.run.actions import (
    Action,
    Answer,
    Connect,
    Dial,
    Drop,
    Ended,
    Hangup,
    Log,
    OfferEnded,
    Play,
    PlayRecording,
    Reject,
    Ringback,
    Ringing,
    StepDone,
    StopPlaying,
    Tag,
)
from ivr.run.events import PlayFailed
from ivr.run.flow_run import FlowRun, Limits
from ivr.run.script import A_CALLER, Script
from ivr.run.verbs import BEHAVIOURS
from tests.run.flows import ENVIRONMENT, GROUPS, OFFICE, flow


@pytest.fixture(scope="module")
def office() -> Flow:
    return flow(OFFICE)


@pytest.fixture
def call(office: Flow) -> Script:
    return Script(office, groups=GROUPS)


def steps(text: str, *, head: str = "", more: str = "") -> Flow:
    """A flow whose first block has these steps (lines that begin with ``- ``)."""
    body = "".join(f"    {line}\n" for line in text.strip().splitlines())
    return flow(f"{head}blocks:\n  welcome:\n{body}{more}")


def of(kind: type[Action], actions: list[Action]) -> list[Action]:
    return [action for action in actions if isinstance(action, kind)]


# Functions, not properties: a property that was looked at keeps its value for the type checker.


def is_over(call: Script) -> bool:
    return call.run.finished


def is_secret(call: Script) -> bool:
    return call.run.secret_input


def plays(call: Script) -> bool:
    return call.playing


def rings_back(call: Script) -> bool:
    return call.ringback


def test_every_verb_of_the_language_can_be_done() -> None:
    assert set(BEHAVIOURS) == set(VERBS)


# Menus ----------------------------------------------------------------------------------------------------


def test_a_key_chooses(call: Script) -> None:
    call.presses("1", after="main_menu")
    assert call.seat("2003").ringing
    assert call.path == ("welcome", "main_menu", "sales")
    assert call.heard[-1].cut


def test_a_key_pressed_during_the_welcome_skips_to_the_choice(call: Script) -> None:
    call.presses("1")
    assert call.names == ["welcome"]
    assert call.heard[0].seconds == pytest.approx(0.2)
    assert call.path[-1] == "sales"


def test_a_silent_caller_is_asked_three_times_and_passed_on(call: Script) -> None:
    call.waits(40.0)
    assert call.names == [
        "welcome",
        "main_menu",
        "still_there",
        "main_menu",
        "main_menu_short",
        "main_menu",
    ]
    assert call.path == ("welcome", "main_menu", "operator")
    rows = [record for record in call.records if record.verb == "menu"]
    assert [(row.try_no, row.input_mode, row.exit, row.next_block) for row in rows] == [
        (1, None, "no_input", None),
        (2, None, "no_input", None),
        (3, None, "failed", "operator"),
    ]
    assert [(row.began, row.ended, row.heard_ms) for row in rows] == [
        (2.0, 9.0, 2000),
        (9.0, 18.0, 4000),
        (18.0, 27.0, 4000),
    ]


def test_a_wrong_key_is_told_apart_from_silence(call: Script) -> None:
    call.presses("7", after="main_menu")
    call.waits(0.1)
    assert call.names[-1] == "not_a_choice"
    call.waits(60.0)
    rows = [record for record in call.records if record.verb == "menu"]
    assert [(row.exit, row.input, row.input_mode) for row in rows] == [
        ("no_match", "7", "keys"),
        ("no_input", None, None),
        ("failed", None, None),
    ]


def test_the_last_try_may_have_its_own_exit() -> None:
    blocks = "".join(f"  {name}:\n    - play: {name}\n    - hangup\n" for name in ("good", "bad"))
    menu = "- menu: {prompt: choose, keys: {'1': good}, tries: 1, failed: bad}"
    sample = steps(menu, more=blocks)
    silent = with_exits(sample, no_input="good")
    call = Script(silent)
    call.waits(60.0)
    assert call.names == ["choose", "good"]
    wrong = Script(silent)
    wrong.presses("7", after="choose")
    wrong.waits(60.0)
    assert wrong.names == ["choose", "bad"]


def with_exits(sample: Flow, **exits: str) -> Flow:
    block = sample.blocks["welcome"]
    step = replace(block.steps[-1], exits={**block.steps[-1].exits, **exits})
    return replace(sample, blocks={**sample.blocks, "welcome": replace(block, steps=(*block.steps[:-1], step))})


def test_the_keys_that_matched_can_be_dialled(call: Script) -> None:
    call.presses("2005", after="main_menu")
    assert call.seat("2005").ringing
    row = next(record for record in call.records if record.verb == "menu")
    assert (row.exit, row.input, row.barged_in, row.next_block) == ("20XX", "2005", True, "extension")


def test_the_row_of_a_cut_prompt_waits_for_how_much_was_heard(office: Flow) -> None:
    run = FlowRun(office, A_CALLER, environment=ENVIRONMENT)
    run.start(0.0)
    run.handle(Answered(), 0.0)
    run.handle(PlayEnded(1, 2000, True), 2.0)
    actions = run.handle(KeyPressed("1"), 3.0)
    assert of(StopPlaying, actions)
    assert not of(StepDone, actions)
    actions = run.handle(PlayEnded(2, 840, False), 3.02)
    assert next(action.record.heard_ms for action in actions if isinstance(action, StepDone)) == 840


def test_the_same_key_by_two_ways_is_one_key(call: Script) -> None:
    call.hears("main_menu")
    call.presses("4")
    call.presses("4", source="info", gap=0.1)
    call.hears("enter_order")
    call.presses("12345674", gap=0.5)
    assert call.names[-1] == "enter_order"
    call.waits(0.1)
    assert call.names[-1] == "Is 1 2 3 4 5 6 7 4 right?"


def test_the_same_key_twice_by_one_way_is_two_keys(call: Script) -> None:
    call.presses("4", after="main_menu")
    call.presses("11223344", after="enter_order", gap=0.1)
    call.waits(0.0)
    row = [record for record in call.records if record.verb == "collect"][-1]
    assert row.input == "11223344"


def test_the_same_key_by_another_way_much_later_is_another_key(call: Script) -> None:
    call.presses("4", after="main_menu")
    call.presses("1", after="enter_order")
    call.presses("1", gap=0.3, source="info")
    call.presses("223344", gap=0.3)
    call.waits(0.0)
    assert [record for record in call.records if record.verb == "collect"][-1].input == "11223344"


def test_keys_of_a_seat_are_not_the_callers(call: Script) -> None:
    call.hears("main_menu")
    call.happens(KeyPressed("1", leg_id="leg1"))
    assert call.path[-1] == "main_menu"


# Digits, yes and no ---------------------------------------------------------------------------------------


def test_digits_are_collected_checked_confirmed_and_said(call: Script) -> None:
    call.presses("4", after="main_menu")
    call.presses("12345678", after="enter_order")
    call.hears("order_wrong")
    call.presses("12345674", after="enter_order")
    call.presses("1", after="Is 1 2 3 4 5 6 7 4 right?")
    call.hears("Your order is 1 2 3 4 5 6 7 4.")
    call.hears("main_menu")
    assert call.tags == {"order": "12345674"}
    rows = [record for record in call.records if record.verb in ("collect", "confirm")]
    assert [(row.verb, row.try_no, row.input, row.exit) for row in rows] == [
        ("collect", 1, "12345678", "no_match"),
        ("collect", 2, "12345674", "next"),
        ("confirm", 1, "1", "yes"),
    ]


def test_everything_can_be_typed_ahead_but_the_confirmation() -> None:
    sample = steps(
        """
- play: {prompt: legal, barge_in: no}
- menu: {prompt: choose, keys: {'4': ask}, failed: bye}
""",
        more="""\
  ask:
    - play: now_your_order
    - collect: {into: order, prompt: enter_order, digits: 3, failed: bye}
    - confirm: {prompt: is_that_right, no: ask, failed: bye}
    - goto: bye
  bye:
    - hangup
""",
    )
    call = Script(sample)
    call.presses("41231", after="legal")
    call.hears("is_that_right")
    assert call.names == ["legal", "is_that_right"]
    call.waits(6.9)
    assert not is_over(call)
    assert [(row.verb, row.heard_ms, row.barged_in) for row in call.records[:4]] == [
        ("play", 2000, False),
        ("menu", 0, True),
        ("play", 0, True),
        ("collect", 0, True),
    ]


def test_a_finish_key_after_the_last_digit_does_not_cut_what_follows() -> None:
    sample = steps(
        """
- collect: {into: pin, prompt: enter, digits: 4, failed: sorry}
- say: 'Thank you.'
- hangup
""",
        more="  sorry:\n    - hangup\n",
    )
    call = Script(sample)
    call.presses("1234#", after="enter")
    call.waits(10.0)
    assert call.names == ["enter", "Thank you."]
    assert not call.heard[-1].cut


def test_digits_keep_their_zeros_and_numbers_are_numbers() -> None:
    sample = steps(
        """
- collect: {into: order, prompt: order, digits: 3, failed: sorry}
- collect: {into: count, prompt: count, digits: 3, check: count in 1..5, failed: sorry}
- set: {count: count + 1}
- say: '{order} {count}'
- hangup
""",
        head="vars:\n  order: {type: digits}\n  count: {type: number}\n",
        more="  sorry:\n    - hangup\n",
    )
    call = Script(sample)
    call.presses("007", after="order")
    call.presses("004", after="count")
    call.hears("007 5")


def test_no_means_no(call: Script) -> None:
    call.presses("4", after="main_menu")
    call.presses("12345674", after="enter_order")
    call.presses("2", after="Is 1 2 3 4 5 6 7 4 right?")
    call.hears("enter_order")


SECRET = """
- collect: {into: pin, prompt: enter_pin, digits: 4, secret: true, failed: sorry}
- set: {copy: pin}
- log: 'pin {pin} copy {copy}'
- tag: {pin: '{pin}'}
- say: 'You entered {pin:digits}.'
- hangup
"""


def test_a_secret_stays_out_of_the_records() -> None:
    head = "vars:\n  copy: {type: text}\n"
    call = Script(steps(SECRET, head=head, more="  sorry:\n    - hangup\n"))
    assert is_secret(call)
    call.presses("1234", after="enter_pin")
    assert not is_secret(call)
    call.waits(10.0)
    assert "You entered 1 2 3 4." in call.names
    written = [action for action in call.actions if isinstance(action, StepDone | Log | Tag)]
    assert "1234" not in repr(written)
    assert call.logs == ["pin ******** copy ********"]
    assert call.records[0].input_mode == "keys"


@pytest.mark.parametrize(
    "step",
    [
        "- collect: {into: pin, prompt: enter_pin, digits: 4, secret: true, failed: sorry,"
        " check: number(pin + 'x') > 1}",
        "- set: {copy: number(pin + 'x')}",
    ],
)
def test_a_secret_stays_out_of_errors(step: str) -> None:
    ask = "- collect: {into: pin, prompt: enter_pin, digits: 4, secret: true, failed: sorry}\n"
    head = "on_error: sorry\nvars:\n  copy: {type: number}\n"
    sample = steps(f"{ask}{step}\n- hangup", head=head, more="  sorry:\n    - hangup\n")
    call = Script(sample)
    call.presses("1234", after="enter_pin")
    call.presses("1234")
    call.waits(60.0)
    assert call.logs
    assert "1234" not in repr([action for action in call.actions if isinstance(action, StepDone | Log | Tag)])


def test_a_secret_is_not_the_last_input() -> None:
    sample = steps(
        """
- collect: {into: pin, prompt: enter_pin, digits: 4, secret: true, failed: sorry}
- log: "input {coalesce(input, '000')}"
- hangup
""",
        more="  sorry:\n    - hangup\n",
    )
    call = Script(sample)
    call.presses("1234", after="enter_pin")
    assert call.logs == ["input 000"]


# Speaking -------------------------------------------------------------------------------------------------


def test_speaking_answers_the_call_first() -> None:
    run = FlowRun(steps("- play: welcome\n- hangup"), A_CALLER)
    assert run.start(0.0) == [Answer()]
    assert of(Play, run.handle(Answered(), 0.1))


def test_what_must_be_heard_is_not_cut_and_keys_wait() -> None:
    sample = steps(
        """
- play: {prompt: legal, barge_in: no}
- menu: {prompt: choose, keys: {'1': bye}, failed: bye}
""",
        more="  bye:\n    - hangup\n",
    )
    call = Script(sample)
    call.presses("1", after="legal")
    call.waits(1.0)
    assert not is_over(call)
    call.waits(1.0)
    assert is_over(call)
    assert call.names == ["legal"]
    assert call.heard[0].seconds == 2.0


def test_a_loop_plays_until_a_key() -> None:
    call = Script(steps("- play: {prompt: song, loop: yes}\n- hangup"))
    call.waits(100.0)
    assert plays(call)
    call.presses("5")
    assert is_over(call)


def test_music_and_pauses_take_their_time() -> None:
    call = Script(steps("- music: {recording: song, for: 20s}\n- pause: 2s\n- hangup"))
    call.waits(19.9)
    assert plays(call)
    call.waits(0.1)
    assert not plays(call)
    call.waits(1.9)
    assert not is_over(call)
    call.waits(0.1)
    assert is_over(call)


def test_a_pause_does_not_answer() -> None:
    call = Script(steps("- ringing\n- pause: 3s\n- reject: {code: 486, text: busy}"))
    call.waits(5.0)
    assert [a for a in call.actions if isinstance(a, Answer | Ringing | Reject | Hangup)] == [
        Ringing(),
        Reject(486, "busy"),
    ]
    assert call.ended_by == "flow"


def test_rejecting_an_answered_call_hangs_it_up() -> None:
    call = Script(steps("- answer\n- reject: 486"))
    assert of(Hangup, call.actions) == [Hangup("rejected")]
    assert not of(Reject, call.actions)


def test_a_play_that_stops_by_itself_waits_for_news_of_the_caller(office: Flow) -> None:
    run = FlowRun(office, A_CALLER, environment=ENVIRONMENT)
    run.start(0.0)
    run.handle(Answered(), 0.0)
    assert of(Play, run.handle(PlayEnded(1, 500, False), 0.5)) == []
    assert run.next_timer() == 1.5
    assert of(Play, run.handle_timer(1.5))


# Bringing others in ---------------------------------------------------------------------------------------


def test_caller_and_seat_are_connected(call: Script) -> None:
    call.presses("1", after="main_menu")
    assert rings_back(call)
    call.waits(3.0)
    call.seat("2003").answers()
    assert not rings_back(call)
    assert call.seat("2003").talking
    call.waits(60.0)
    call.seat("2003").hangs_up()
    assert call.ended_by == "agent"
    assert call.path[-1] == "bye"
    row = next(record for record in call.records if record.verb == "transfer")
    assert row.exit == "answered"


def test_after_the_seat_has_hung_up_whoever_hears_something_was_not_left_by_it() -> None:
    sample = steps(
        "- transfer: {to: 'sip:2003', answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye,"
        " failed: bye}",
        more="  bye:\n    - play: goodbye\n    - hangup\n",
    )
    call = Script(sample)
    call.seat("2003").answers()
    call.waits(1.0)
    call.seat("2003").hangs_up()
    call.waits(5.0)
    assert call.ended_by == "flow"


def test_a_seat_that_is_lost_is_the_networks_doing(call: Script) -> None:
    call.presses("1", after="main_menu")
    call.seat("2003").answers()
    call.seat("2003").is_lost()
    assert call.ended_by == "network"


@pytest.mark.parametrize(
    ("outcome", "block"),
    [("busy", "voicemail"), ("refused", "voicemail"), ("offline", "operator"), ("failed", "operator")],
)
def test_every_way_a_seat_can_fail(call: Script, outcome: LegOutcome, block: str) -> None:
    call.seat("2003").fails(outcome)
    call.presses("1", after="main_menu")
    assert call.path[-1] == block
    assert call.seat("2003").rang == 1
    row = next(record for record in call.records if record.verb == "transfer")
    assert row.exit == outcome
    assert (row.error is not None) == (outcome == "failed")


def test_a_seat_that_does_not_answer_is_dropped_after_its_time(call: Script) -> None:
    call.presses("1", after="main_menu")
    call.waits(19.9)
    assert call.seat("2003").ringing
    call.waits(0.1)
    assert call.seat("2003").dropped == ["no_answer"]
    assert call.path[-1] == "voicemail"
    assert not rings_back(call)


def test_keys_while_it_rings_or_they_talk_do_nothing(call: Script) -> None:
    call.presses("1", after="main_menu")
    call.presses("999")
    call.seat("2003").answers()
    call.presses("999")
    call.seat("2003").hangs_up()
    assert call.path == ("welcome", "main_menu", "sales", "bye")


def test_keys_typed_ahead_of_the_ringing_do_not_skip_what_comes_after() -> None:
    sample = steps(
        """
- play: {prompt: legal, barge_in: no}
- menu: {prompt: choose, keys: {'1': desk}, failed: desk}
""",
        more="""\
  desk:
    - ring: {group: front_desk, answered: later, busy: later, no_answer: later, failed: later}
  later:
    - play: later
    - hangup
""",
    )
    call = Script(sample, groups=GROUPS)
    call.presses("19", after="legal")
    call.waits(60.0)
    assert call.names == ["legal", "later"]
    assert not call.heard[-1].cut


def test_the_first_of_a_group_wins(call: Script) -> None:
    call.presses("0", after="main_menu")
    assert call.seat("2001").ringing
    assert call.seat("2002").ringing
    call.seat("2002").answers()
    assert call.seat("2002").talking
    assert call.seat("2001").dropped == ["answered_elsewhere"]
    connect = call.actions.index(Connect("leg2"))
    assert call.actions.index(Drop("leg1", "answered_elsewhere")) > connect


def test_two_answers_at_once_have_one_winner(office: Flow) -> None:
    run = FlowRun(office, A_CALLER, environment=ENVIRONMENT)
    run.start(0.0)
    run.handle(Answered(), 0.0)
    run.handle(KeyPressed("0"), 0.1)
    assert of(Connect, run.handle(LegAnswered("leg1"), 1.0)) == [Connect("leg1")]
    assert run.handle(LegAnswered("leg2"), 1.0) == []


def test_a_group_of_busy_seats_is_busy(call: Script) -> None:
    call.seat("2001").busy()
    call.seat("2002").refuses()
    call.presses("0", after="main_menu")
    row = next(record for record in call.records if record.verb == "ring")
    assert row.exit == "busy"


def test_nobody_signed_in_is_nobody_answering(call: Script) -> None:
    call.seat("2001").offline()
    call.seat("2002").offline()
    call.presses("0", after="main_menu")
    assert next(record for record in call.records if record.verb == "ring").exit == "no_answer"


RING = "- ring: {{group: {group}, strategy: order, ring: 10s, answered: bye, busy: bye, no_answer: bye, failed: bad}}"
RING_BLOCKS = "  bye:\n    - hangup\n  bad:\n    - hangup: {cause: bad}\n"


def test_in_order_one_seat_rings_after_the_other() -> None:
    call = Script(steps(RING.format(group="front_desk"), more=RING_BLOCKS), groups=GROUPS)
    call.waits(9.9)
    assert call.seat("2001").ringing
    assert call.seat("2002").rang == 0
    call.waits(0.2)
    assert call.seat("2001").dropped == ["no_answer"]
    assert call.seat("2002").ringing
    call.seat("2002").answers()
    call.seat("2002").hangs_up()
    assert call.ended_by == "agent"


@pytest.mark.parametrize("group", ["nobody", "unknown"])
def test_a_group_without_members_has_failed(group: str) -> None:
    call = Script(steps(RING.format(group=group), more=RING_BLOCKS), groups=GROUPS)
    assert call.path == ("welcome", "bad")
    assert call.records[0].error


def test_a_call_that_was_not_taken_rings_and_is_taken_when_the_seat_answers() -> None:
    call = Script(steps(RING.format(group="front_desk"), more=RING_BLOCKS), groups=GROUPS)
    assert rings_back(call)
    assert not of(Answer, call.actions)
    call.seat("2001").answers()
    assert [a for a in call.actions if isinstance(a, Answer | Connect)] == [Answer(), Connect("leg1")]


def test_a_seat_that_vanishes_before_the_caller_is_up_leaves_the_others_ringing() -> None:
    sample = steps(RING.format(group="front_desk").replace("order", "all"), more=RING_BLOCKS)
    run = FlowRun(sample, A_CALLER, environment=ENVIRONMENT)
    run.start(0.0)
    assert of(Answer, run.handle(LegAnswered("leg1"), 1.0))
    run.handle(LegEnded("leg1", "network"), 1.1)
    assert not of(Connect, run.handle(Answered(), 1.2))
    assert of(Connect, run.handle(LegAnswered("leg2"), 3.0)) == [Connect("leg2")]


@pytest.mark.parametrize("text", ["sip:{input}", "tel:{caller.name}"])
def test_a_target_nobody_can_be_rung_at_is_failed(text: str) -> None:
    sample = steps(
        "- menu: {prompt: choose, keys: {'*': dial}, failed: dial}",
        more=f"""\
  dial:
    - transfer: {{to: '{text}', answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye, failed: bad}}
  bye:
    - hangup
  bad:
    - hangup: {{cause: bad}}
""",
    )
    call = Script(sample)
    call.presses("*", after="choose")
    assert call.path[-1] == "bad"
    assert not of(Dial, call.actions)
    assert "cannot be rung" in str(call.records[-2].error)
    assert "cannot be rung" in call.logs[0]


def test_an_outside_number_is_dialled_with_the_callers_number() -> None:
    sample = steps(
        "- transfer: {to: 'tel:+1 (555) 010-99', answered: bye, busy: bye, refused: bye, no_answer: bye, offline: bye,"
        " failed: bye}",
        more="  bye:\n    - hangup\n",
    )
    call = Script(sample)
    assert of(Dial, call.actions) == [Dial("leg1", Target("tel", "+155501099"), A_CALLER.caller)]


# The caller leaves ----------------------------------------------------------------------------------------


def test_a_caller_who_leaves_in_a_menu(call: Script) -> None:
    call.hears("main_menu")
    call.hangs_up()
    assert call.ended == Ended("caller", "bye", "main_menu")
    assert call.logs == ["caller left in main_menu"]
    assert call.path == ("welcome", "main_menu")
    assert not of(Hangup, call.actions)
    cut = [record for record in call.records if record.verb == "menu"]
    assert [(row.exit, row.heard_ms) for row in cut] == [(None, 0)]


def test_a_caller_who_leaves_while_it_rings(call: Script) -> None:
    call.presses("0", after="main_menu")
    call.hangs_up()
    assert call.seat("2001").dropped == ["cancelled"]
    assert call.seat("2002").dropped == ["cancelled"]
    assert len(of(OfferEnded, call.actions)) == 2
    assert call.ended_by == "caller"
    assert not rings_back(call)


def test_a_caller_who_leaves_while_talking(call: Script) -> None:
    call.presses("1", after="main_menu")
    call.seat("2003").answers()
    call.hangs_up()
    assert call.seat("2003").dropped == ["ended"]
    assert call.ended_by == "caller"


def test_a_caller_who_is_lost(call: Script) -> None:
    call.is_lost()
    assert call.ended == Ended("network", "media_timeout", "welcome")


def test_a_caller_who_gives_up_before_the_answer(office: Flow) -> None:
    run = FlowRun(office, A_CALLER)
    run.start(0.0)
    actions = run.handle(CallerLeft("caller", "cancel"), 0.5)
    assert of(Ended, actions) == [Ended("caller", "cancel", "welcome")]
    assert run.handle(Answered(), 0.6) == []


def test_a_call_that_is_over_all_at_once(office: Flow) -> None:
    run = FlowRun(office, A_CALLER)
    run.start(0.0)
    assert of(Ended, run.handle(CallEnded(None, ()), 0.5)) == [Ended("network", "ended", "welcome")]


def test_what_needs_the_caller_does_not_happen_after_he_has_gone() -> None:
    sample = steps("- play: welcome\n- hangup")
    silent = sample.blocks["welcome"]
    call = Script(replace(sample, on_hangup="welcome", blocks={"welcome": silent}))
    call.hangs_up()
    assert call.ended_by == "caller"
    assert len(of(Play, call.actions)) == 1
    assert "the caller, who has gone" in call.logs[-1]


def test_after_the_end_nothing_happens(call: Script) -> None:
    call.hangs_up()
    for event in (KeyPressed("1"), Answered(), PlayEnded(1, 0, True), CallerLeft("caller", "bye")):
        assert call.run.handle(event, call.now) == []
    assert call.run.handle_timer(1e9) == []
    assert call.run.next_timer() is None


# When things go wrong -------------------------------------------------------------------------------------


def test_a_missing_recording_goes_to_on_error(office: Flow) -> None:
    call = Script(office, groups=GROUPS, missing={"welcome"})
    call.hears("technical_problem")
    assert call.path == ("welcome", "sorry")
    row = call.records[1]
    assert (row.verb, row.exit, row.next_block, row.error) == ("play", "missing", "sorry", "'welcome' is missing")
    assert call.logs == [f"sample welcome step 2 (flow.yaml:{row.line}): 'welcome' is missing → sorry   call call1"]


def test_an_error_within_the_handling_of_an_error_ends_the_call(office: Flow) -> None:
    call = Script(office, groups=GROUPS, missing={"welcome", "technical_problem"})
    assert call.ended == Ended("system", "error", "sorry")
    assert of(Hangup, call.actions) == [Hangup("error")]


def test_an_error_without_a_handler_ends_the_call() -> None:
    call = Script(steps("- play: welcome\n- hangup"), missing={"welcome"})
    assert call.ended_by == "system"


def test_a_missing_menu_prompt_takes_the_exit_failed(office: Flow) -> None:
    call = Script(office, groups=GROUPS, missing={"main_menu"})
    call.waits(2.0)
    assert call.path == ("welcome", "main_menu", "operator")


def test_after_the_caller_has_answered_again_an_error_is_handled_again() -> None:
    sample = steps(
        "- goto: ask",
        head="on_error: sorry\n",
        more="""\
  ask:
    - menu: {prompt: choose, keys: {'1': broken}, failed: sorry}
  broken:
    - play: gone
    - hangup
  sorry:
    - say: 'Sorry.'
    - goto: ask
""",
    )
    call = Script(sample, missing={"gone"})
    for _ in range(3):
        call.presses("1", after="choose")
        call.hears("Sorry.")
    assert not is_over(call)


def test_failed_leads_to_on_error_if_it_is_not_wired() -> None:
    sample = steps(
        "- menu: {prompt: choose, keys: {'1': bye}}",
        head="on_error: bye\n",
        more="  bye:\n    - hangup: {cause: bye}\n",
    )
    call = Script(sample)
    call.waits(60.0)
    assert call.ended == Ended("flow", "bye", "bye")
    assert "all tries were used up" in call.logs[0]


def test_a_block_nobody_knows_ends_the_call() -> None:
    call = Script(replace(steps("- hangup"), start="nowhere"))
    assert call.ended == Ended("system", "error", "nowhere")


def test_a_verb_nobody_knows_is_an_error() -> None:
    sample = steps("- answer\n- hangup")
    block = sample.blocks["welcome"]
    strange = replace(block.steps[0], verb="teleport")
    call = Script(replace(sample, blocks={"welcome": replace(block, steps=(strange, *block.steps[1:]))}))
    assert call.ended_by == "system"
    assert "'teleport' is not in this version" in call.logs[0]


def test_a_fault_of_the_program_is_an_error_of_the_step() -> None:
    sample = steps("- play: welcome\n- hangup")
    block = sample.blocks["welcome"]
    broken = replace(block.steps[0], settings=None)
    call = Script(replace(sample, blocks={"welcome": replace(block, steps=(broken, *block.steps[1:]))}))
    assert call.ended_by == "system"
    assert "AttributeError" in call.logs[0]


def test_going_round_in_circles_is_stopped() -> None:
    sample = steps(
        "- log: 'round'\n- if: {when: call.did == 'x', then: bye, else: welcome}",
        head="on_error: bye\n",
        more="  bye:\n    - hangup\n",
    )
    call = Script(sample)
    assert is_over(call)
    assert call.path.count("welcome") == 21
    assert call.logs.count("round") == 20
    assert call.ended == Ended("flow", "normal", "bye")
    assert any("came round 20 times" in text for text in call.logs)


def test_going_round_in_circles_while_handling_an_error_ends_the_call() -> None:
    sample = steps(
        "- goto: welcome_again",
        head="on_error: welcome_again\n",
        more="  welcome_again:\n    - if: {when: call.did == 'x', then: welcome, else: welcome_again}\n",
    )
    call = Script(sample)
    assert call.ended_by == "system"
    assert call.run.last_block == "welcome_again"


def test_a_caller_who_answers_may_go_round_as_often_as_he_likes(call: Script) -> None:
    call.hears("main_menu")
    for _ in range(100):
        call.presses("*")
    assert call.path[-1] == "main_menu"
    assert not is_over(call)


def test_a_call_of_too_many_steps_is_stopped(office: Flow) -> None:
    call = Script(office, groups=GROUPS, limits=Limits(steps=30))
    call.hears("main_menu")
    for _ in range(40):
        call.presses("*")
    call.waits(200.0)
    assert "sorry" in call.path
    assert is_over(call)


def test_a_call_that_takes_too_long_is_told_so_and_ended(office: Flow) -> None:
    call = Script(office, groups=GROUPS, limits=Limits(call_seconds=100.0))
    call.presses("1", after="main_menu")
    call.seat("2003").answers()
    call.waits(98.0)
    assert call.seat("2003").dropped == ["ended"]
    assert call.path[-1] == "sorry"
    call.seat("2001").answers()
    call.waits(60.0)
    assert call.ended == Ended("system", "time", "operator")
    assert call.seat("2001").dropped == ["ended"]


# Deciding -------------------------------------------------------------------------------------------------


def test_variables_conditions_and_cases() -> None:
    sample = steps(
        """
- set: {tier: "'gold'", visits: visits + 1}
- if: {when: tier == 'gold' and visits == 2, then: good}
- hangup: {cause: wrong}
""",
        head="vars:\n  tier: {type: text, default: standard}\n  visits: {type: number, default: 1}\n",
        more="""\
  good:
    - switch: {on: tier, cases: {silver: bad, gold: better}, default: bad}
  better:
    - switch: {on: visits, cases: {'2.0': best}, default: bad}
  best:
    - switch: {on: tier, cases: {silver: bad}}
    - log: '{call.did} {last.block} {caller.number}'
    - hangup: {cause: right}
  bad:
    - hangup: {cause: bad}
""",
    )
    call = Script(sample)
    assert call.ended == Ended("flow", "right", "best")
    assert call.logs == ["4008200000 better +8613800000000"]


def test_a_flow_that_runs_out_of_steps_ends() -> None:
    sample = steps("- log: 'one'\n- hangup")
    block = sample.blocks["welcome"]
    call = Script(replace(sample, blocks={"welcome": replace(block, steps=block.steps[:1])}))
    assert call.ended == Ended("flow", "end", "welcome")


def test_end_hangs_up_a_call_that_is_up() -> None:
    call = Script(steps("- answer\n- end"))
    assert call.ended == Ended("flow", "end", "welcome")
    assert of(Hangup, call.actions) == [Hangup("end")]


def test_prompts_are_asked_for_in_the_flows_first_language() -> None:
    call = Script(replace(steps("- play: welcome\n- hangup"), languages=("zh", "en")))
    play = next(action for action in call.actions if isinstance(action, Play))
    assert play.items == (PlayRecording("welcome", "zh"),)


def test_a_play_that_fails_late_is_only_its_own(call: Script) -> None:
    call.hears("main_menu")
    call.happens(PlayFailed(1, "too late"))
    assert call.path[-1] == "main_menu"
    assert plays(call)
    assert not of(Ringback, call.actions)
