"""Calls that lead to somebody and to no menu, in virtual time."""

from __future__ import annotations

import pytest

from gateway.call import LegFailed, LegKind, LegOutcome, Target
from ivr.run.actions import Answer, Connect, Dial, Reject, Ringback
from ivr.run.direct import RING, direct_flow, mode_of
from ivr.run.script import Deed, Script

ALICE = Target("rtc", "alice")


@pytest.mark.parametrize(
    ("deed", "status", "block"),
    [
        ("busy", 486, "busy"),
        ("refuse", 603, "refused"),
        ("offline", 480, "offline"),
        ("fail", 503, "failed"),
    ],
)
@pytest.mark.parametrize("target", [ALICE, Target("sip", "2001"), Target("tel", "0301234", "carrier")])
def test_whoever_is_called_does_not_take_it(target: Target, deed: Deed, status: int, block: str) -> None:
    call = Script(direct_flow(target, "rtc"))
    call.seat("rtc:alice" if target is ALICE else target.name).does(deed)
    assert [one.status for one in call.actions if isinstance(one, Reject)] == [status]
    assert call.path == ("ring", block)
    assert call.ended_by == "flow"
    assert not any(isinstance(one, Answer) for one in call.actions)


@pytest.mark.parametrize(
    ("outcome", "status", "to_telephone", "to_client"),
    [
        # An invitation that expires, one that nobody confirms; a seat that knows better than we.
        ("no_answer", 480, 480, 408),
        ("no_answer", 408, 408, 408),
        ("offline", 404, 404, 480),
        ("busy", 600, 600, 486),
        ("busy", 486, 486, 486),
        ("refused", 403, 603, 603),
        ("failed", 407, 503, 503),
        ("failed", 500, 503, 503),
        ("failed", None, 503, 503),
    ],
)
def test_a_telephone_is_told_what_the_called_party_said(
    outcome: LegOutcome, status: int | None, to_telephone: int, to_client: int
) -> None:
    callers: tuple[tuple[LegKind, int], ...] = (("sip", to_telephone), ("pstn", to_telephone), ("rtc", to_client))
    for caller, expected in callers:
        call = Script(direct_flow(ALICE, caller))
        [dialled] = [one for one in call.actions if isinstance(one, Dial)]
        call.happens(LegFailed(dialled.leg_id, outcome, status))
        assert [one.status for one in call.actions if isinstance(one, Reject)] == [expected]


def test_nobody_answers() -> None:
    call = Script(direct_flow(ALICE, "rtc"))
    call.until_over()
    assert [one.status for one in call.actions if isinstance(one, Reject)] == [408]
    assert (call.path, call.now) == (("ring", "no_answer"), RING)


def test_the_caller_is_answered_only_when_the_called_party_is() -> None:
    target = Target("tel", "0301234", "carrier")
    call = Script(direct_flow(target, "rtc"))
    [dialled] = [one for one in call.actions if isinstance(one, Dial)]
    assert dialled.target == target
    assert dialled.target.trunk == "carrier"
    call.waits(20)
    assert call.ringback
    assert not any(isinstance(one, Answer) for one in call.actions)
    call.seat("0301234").answers()
    kinds = [type(one) for one in call.actions if isinstance(one, Answer | Connect | Ringback | Reject)]
    assert kinds == [Ringback, Answer, Ringback, Connect]
    call.waits(60)
    call.seat("0301234").hangs_up()
    assert (call.path, call.ended_by) == (("ring", "talked"), "agent")


def test_the_caller_gives_up() -> None:
    call = Script(direct_flow(ALICE, "rtc"))
    call.waits(3)
    call.hangs_up()
    assert call.seat("rtc:alice").dropped == ["cancelled"]
    assert (call.path, call.ended_by) == (("ring",), "caller")


@pytest.mark.parametrize(
    ("caller", "target", "mode"),
    [
        ("sip", ALICE, "sip_to_rtc"),
        ("pstn", ALICE, "sip_to_rtc"),
        ("rtc", Target("sip", "2001"), "rtc_to_sip"),
        ("rtc", Target("tel", "0301234"), "rtc_to_sip"),
        ("rtc", ALICE, "ivr"),
        ("sip", Target("sip", "2001"), "ivr"),
    ],
)
def test_what_kind_of_call_it_is(caller: LegKind, target: Target, mode: str) -> None:
    assert mode_of(caller, target) == mode
