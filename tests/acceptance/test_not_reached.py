"""Seats that cannot or will not take the call, callers who do not wait, numbers that lead nowhere."""

from __future__ import annotations

import pytest

from tests.acceptance.call_centre import BUSY, GOODBYE, NO_ANSWER, OFFLINE, REFUSED, CallCentre
from tests.peers.company import Make
from tests.peers.phone import hear_each_other

pytestmark = pytest.mark.peer

ELSEWHERE = "cause=200"


@pytest.mark.parametrize(
    ("status", "prompt", "block"),
    [
        ("486 Busy Here", BUSY, "busy"),
        ("600 Busy Everywhere", BUSY, "busy"),
        ("603 Decline", REFUSED, "refused"),
        ("480 Temporarily Unavailable", None, None),
        ("404 Not Found", None, None),
        ("500 Server Internal Error", None, None),
    ],
)
def test_a_seat_refuses(centre: CallCentre, status: str, prompt: int | None, block: str | None) -> None:
    seat = centre.scripted_seat("seat_refuses", status=status)
    caller = centre.reaches_menu(centre.caller())
    caller.presses("1")
    seat.finishes()
    if prompt is not None:
        caller.hears(prompt)
    caller.is_hung_up()
    record = centre.record()
    assert record.path[:2] == ("menu", "desk")
    assert record.path[2] == block if block else record.path[2] in ("offline", "no_answer", "failed", "refused")
    assert record.agents() == {"2001": False}
    assert record.ended_by == "flow"


@pytest.mark.parametrize("make", ["baresip", "pjsua"])
def test_a_real_phone_refuses(centre: CallCentre, make: Make) -> None:
    seat = centre.seat(make=make)
    caller = centre.reaches_menu(centre.caller())
    caller.presses("1")
    seat.rings()
    seat.refuses()
    caller.hears(BUSY)
    caller.is_hung_up()
    assert centre.record().path == ("menu", "desk", "busy")


def test_nobody_answers(centre: CallCentre) -> None:
    seat = centre.scripted_seat("seat_never_answers")
    caller = centre.reaches_menu(centre.caller())
    caller.presses("1")
    seat.finishes()
    caller.hears(NO_ANSWER)
    caller.is_hung_up()
    assert centre.record().path == ("menu", "desk", "no_answer")
    assert ELSEWHERE not in seat.received("CANCEL")[0].header("Reason")


def test_a_seat_that_is_not_registered(centre: CallCentre) -> None:
    caller = centre.reaches_menu(centre.caller())
    caller.presses("1")
    caller.hears(OFFLINE)
    caller.is_hung_up()
    assert centre.record().path == ("menu", "desk", "offline")


@pytest.mark.parametrize("make", ["baresip", "pjsua"])
def test_a_seat_that_has_signed_off(centre: CallCentre, make: Make) -> None:
    seat = centre.seat(make=make)
    seat.unregister()
    caller = centre.reaches_menu(centre.caller())
    caller.presses("1")
    caller.hears(OFFLINE)
    assert not seat.has_rung()


def test_a_wrong_password(centre: CallCentre) -> None:
    for make in ("baresip", "pjsua"):
        seat = centre.company.phone("2001", centre.server.address, make=make, password="wrong")
        seat.register(refused=True)


def test_the_answer_crosses_the_cancel(centre: CallCentre) -> None:
    seat = centre.scripted_seat("seat_answers_too_late")
    caller = centre.reaches_menu(centre.caller())
    caller.presses("1")
    seat.receives("CANCEL")
    caller.hears(NO_ANSWER)
    seat.finishes()
    assert centre.record().path == ("menu", "desk", "no_answer")


@pytest.mark.parametrize("make", ["baresip", "pjsua"])
def test_the_caller_gives_up_while_it_rings(centre: CallCentre, make: Make) -> None:
    seat = centre.seat(make=make)
    caller = centre.reaches_menu(centre.caller())
    caller.presses("1")
    seat.rings()
    caller.hangs_up()
    seat.is_hung_up()
    seat.receives("CANCEL")
    record = centre.record()
    assert record.ended_by == "caller"
    assert record.path == ("menu", "desk")
    assert record.agents() == {"2001": False}


@pytest.mark.parametrize("key", ["2", "3"])
def test_the_first_of_a_group_that_answers_gets_the_call(centre: CallCentre, key: str) -> None:
    first, second, third = (
        centre.seat("2001"),
        centre.seat("2002", make="pjsua"),
        centre.seat("2003"),
    )
    caller = centre.reaches_menu(centre.caller())
    caller.presses(key)
    first.rings()
    if key == "2":
        third.rings()
    second.rings()
    second.answers()
    hear_each_other(caller, second)
    first.is_hung_up()
    reason = first.receives("CANCEL").header("Reason")
    if key == "2":
        third.is_hung_up()
        assert ELSEWHERE in reason
        assert ELSEWHERE in third.receives("CANCEL").header("Reason")
    else:
        assert not third.has_rung()
        assert ELSEWHERE not in reason
    second.hangs_up()
    caller.hears(GOODBYE)
    caller.is_hung_up()
    answered = {account for account, has in centre.record().agents().items() if has}
    assert answered == {"2002"}


def test_a_group_in_which_all_are_busy(centre: CallCentre) -> None:
    seats = [centre.seat(account) for account in ("2001", "2002", "2003")]
    caller = centre.reaches_menu(centre.caller())
    caller.presses("2")
    for seat in seats:
        seat.rings()
        seat.refuses()
    caller.hears(BUSY)
    assert centre.record().path == ("menu", "everybody", "busy")


def test_a_group_of_which_one_is_signed_in(centre: CallCentre) -> None:
    seat = centre.seat("2003")
    caller = centre.reaches_menu(centre.caller())
    caller.presses("2")
    seat.rings()
    seat.answers()
    hear_each_other(caller, seat)


@pytest.mark.parametrize("make", ["baresip", "pjsua"])
def test_a_number_nobody_has(centre: CallCentre, make: Make) -> None:
    caller = centre.caller(make=make)
    caller.dials("1999")
    caller.is_refused(404)


def test_a_scripted_caller_gives_up_early(centre: CallCentre) -> None:
    """A caller of a flow that only rings is cancelled with 487; here the flow answers at once, so it is a BYE."""
    caller = centre.scripted_caller(caller="carl", leave_after="300")
    assert caller.finishes().successful == 1
    record = centre.record("carl")
    assert record.ended_by == "caller"
    assert record.path == ("menu",)
