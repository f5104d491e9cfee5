"""A caller and whom he is joined to: every order of events that a call has to bear."""

from __future__ import annotations

import pytest

from gateway.call import (
    Answered,
    CallEnded,
    CallerHeld,
    CallerLeft,
    CallerRetrieved,
    Clip,
    EarlyMedia,
    KeyPressed,
    LegAnswered,
    LegEnded,
    LegFailed,
    LegHeld,
    LegRetrieved,
    LegRinging,
    PlayEnded,
    Target,
)
from tests.gateway.fakes import MUSIC, RINGBACK, FakeParty, Switchboard

SPEECH = Clip(b"\x03" * 160)


@pytest.fixture
def board() -> Switchboard:
    return Switchboard()


def together(one: FakeParty, other: FakeParty) -> bool:
    return one.fake.heard is other.fake and other.fake.heard is one.fake


# Joined and parted. ---------------------------------------------------------------------------------------


def test_caller_and_seat_hear_each_other_and_nothing_else(board: Switchboard) -> None:
    board.call.answer()
    board.call.play(1, [SPEECH])
    board.call.ringback(True)
    seat = board.dials("leg1")
    board.call.party_ringing(seat)
    assert board.caller.fake.plays == RINGBACK
    board.answers(seat)
    board.call.connect("leg1")
    assert together(board.caller, seat)
    assert board.caller.fake.playing is None
    assert board.told == [Answered(), LegRinging("leg1"), LegAnswered("leg1")]


def test_who_has_just_answered_is_waited_for(board: Switchboard) -> None:
    assert board.caller.fake.waits_ms == 0
    board.call.answer()
    assert board.caller.fake.waits_ms == 500
    seat = board.dials("leg1")
    board.answers(seat)
    assert seat.fake.waits_ms == 500


def test_a_play_grows(board: Switchboard) -> None:
    board.call.extend_play(1, [SPEECH], more=True)
    board.call.answer()
    board.call.play(1, [SPEECH], more=True)
    board.call.extend_play(1, [MUSIC], more=False)
    assert board.caller.fake.playing == (1, (SPEECH, MUSIC), False)


def test_parted_they_stay_and_hear_nothing(board: Switchboard) -> None:
    seat = board.talk()
    board.call.disconnect()
    assert board.caller.fake.heard is None
    assert seat.fake.heard is None
    assert not seat.asked
    board.call.connect("leg1")
    assert together(board.caller, seat)


def test_connecting_another_parts_the_first(board: Switchboard) -> None:
    first = board.talk()
    second = board.dials("leg2")
    board.answers(second)
    board.call.connect("leg2")
    assert together(board.caller, second)
    assert first.fake.heard is None
    assert not first.asked


@pytest.mark.parametrize("missing", ["nobody", "unanswered seat", "unanswered caller"])
def test_nobody_is_connected_who_is_not_there(board: Switchboard, missing: str) -> None:
    if missing != "unanswered caller":
        board.call.answer()
    seat = board.dials("leg1")
    if missing == "unanswered caller":
        board.answers(seat)
    board.call.connect("another" if missing == "nobody" else "leg1")
    assert board.caller.fake.heard is None


def test_a_seat_that_hangs_up_leaves_the_caller_in_the_call(board: Switchboard) -> None:
    seat = board.talk()
    board.call.party_left(seat, network=False, cause="bye")
    assert board.told[-1] == LegEnded("leg1", "agent")
    assert board.caller.fake.heard is None
    board.call.play(7, [SPEECH])
    assert board.caller.fake.plays == SPEECH
    assert not board.call.over
    assert [party.leg_id for party in board.forgotten] == ["leg1"]


def test_a_leg_is_dialled_once(board: Switchboard) -> None:
    seat = board.dials("leg1")
    assert board.dials("leg1") is seat
    assert len(board.dialled) == 1


def test_nobody_to_dial(board: Switchboard) -> None:
    board.nobody = LegFailed("leg1", "offline", 480, "seat 2001 is not registered")
    with pytest.raises(KeyError):
        board.dials("leg1")
    assert board.told == [board.nobody]


def test_two_seats_answer_in_the_same_moment(board: Switchboard) -> None:
    """Which one has the call is for the owner to say; the other is dropped as answered elsewhere."""
    board.call.answer()
    one, other = board.dials("leg1"), board.dials("leg2")
    board.answers(one)
    board.answers(other)
    board.call.connect("leg1")
    board.call.drop("leg2", "answered_elsewhere")
    assert together(board.caller, one)
    assert other.asked == ["end answered_elsewhere"]
    assert [event for event in board.told if isinstance(event, LegAnswered)] == [
        LegAnswered("leg1"),
        LegAnswered("leg2"),
    ]


@pytest.mark.parametrize("order", ["seat first", "caller first"])
def test_both_hang_up_at_once(board: Switchboard, order: str) -> None:
    seat = board.talk()
    if order == "seat first":
        board.call.party_left(seat, network=False, cause="bye")
        board.call.party_left(board.caller, network=False, cause="bye")
    else:
        board.call.party_left(board.caller, network=False, cause="bye")
        board.call.party_left(seat, network=False, cause="bye")
    board.call.hangup()
    kinds = [type(event) for event in board.told]
    assert kinds.count(CallerLeft) == kinds.count(LegEnded) == kinds.count(CallEnded) == 1
    ended = board.told[-1]
    assert isinstance(ended, CallEnded)
    assert sorted(report.leg_id for report in ended.legs) == ["caller", "leg1"]


def test_a_seat_answers_a_caller_who_has_gone(board: Switchboard) -> None:
    seat = board.dials("leg1")
    board.call.party_left(board.caller, network=False, cause="cancel")
    board.answers(seat)
    board.call.connect("leg1")
    board.call.drop("leg1", "cancelled")
    board.call.hangup()
    assert seat.fake.heard is None
    assert seat.asked == ["end cancelled"]
    assert isinstance(board.told[-1], CallEnded)


# Ring-back and early media. -------------------------------------------------------------------------------


def test_ringback_before_the_answer_is_a_180(board: Switchboard) -> None:
    board.call.ringback(True)
    assert board.caller.asked == ["ring"]
    assert board.caller.fake.playing is None
    board.call.answer()
    assert board.caller.fake.plays == RINGBACK
    board.call.ringback(False)
    assert board.caller.fake.playing is None


def test_early_media_goes_before_our_tone_and_the_tone_comes_back(board: Switchboard) -> None:
    board.call.answer()
    board.call.ringback(True)
    seat = board.dials("leg1")
    board.call.party_early_media(seat, True)
    assert together(board.caller, seat)
    assert board.caller.fake.playing is None
    board.call.party_early_media(seat, False)
    assert board.caller.fake.heard is None
    assert board.caller.fake.plays == RINGBACK


def test_a_leg_that_fails_after_early_media(board: Switchboard) -> None:
    board.call.answer()
    board.call.ringback(True)
    seat, other = board.dials("leg1"), board.dials("leg2")
    board.call.party_early_media(seat, True)
    board.call.party_early_media(other, True)
    assert together(board.caller, seat)
    board.call.party_failed(seat, "busy", 486, "Busy Here")
    assert board.caller.fake.plays == RINGBACK
    assert board.told[-1] == LegFailed("leg1", "busy", 486, "Busy Here")


def test_early_media_is_not_heard_by_a_caller_who_talks(board: Switchboard) -> None:
    seat = board.talk()
    other = board.dials("leg2")
    board.call.party_early_media(other, True)
    assert together(board.caller, seat)


def test_a_dropped_leg_takes_its_early_media_along(board: Switchboard) -> None:
    board.call.answer()
    board.call.ringback(True)
    seat = board.dials("leg1")
    board.call.party_early_media(seat, True)
    board.call.drop("leg1", "no_answer")
    assert board.caller.fake.heard is None
    assert board.caller.fake.plays == RINGBACK


# Hold. ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["caller", "seat"])
def test_who_is_put_on_hold_hears_music(board: Switchboard, who: str) -> None:
    seat = board.talk()
    holding, waiting = (board.caller, seat) if who == "caller" else (seat, board.caller)
    board.call.party_held(holding, True)
    assert waiting.fake.plays == MUSIC
    assert waiting.fake.heard is None
    assert holding.fake.playing is None
    board.call.party_held(holding, True)
    board.call.party_held(holding, False)
    assert together(board.caller, seat)
    assert waiting.fake.playing is None
    held, retrieved = (CallerHeld(), CallerRetrieved()) if who == "caller" else (LegHeld("leg1"), LegRetrieved("leg1"))
    assert board.told[-2:] == [held, retrieved]


def test_held_by_both_sides(board: Switchboard) -> None:
    seat = board.talk()
    board.call.party_held(board.caller, True)
    board.call.party_held(seat, True)
    board.call.party_held(board.caller, False)
    assert board.caller.fake.plays == MUSIC
    assert board.caller.fake.heard is None
    board.call.party_held(seat, False)
    assert together(board.caller, seat)
    assert board.caller.fake.playing is None


def test_connecting_one_who_is_on_hold(board: Switchboard) -> None:
    board.call.answer()
    seat = board.dials("leg1")
    board.answers(seat)
    board.call.party_held(seat, True)
    board.call.connect("leg1")
    assert board.caller.fake.plays == MUSIC
    board.call.party_held(seat, False)
    assert together(board.caller, seat)


def test_a_seat_that_holds_and_hangs_up_takes_the_music_along(board: Switchboard) -> None:
    seat = board.talk()
    board.call.party_held(seat, True)
    board.call.party_left(seat, network=False, cause="bye")
    assert board.caller.fake.playing is None
    again = board.talk("leg2")
    assert together(board.caller, again)


# Keys and plays. ------------------------------------------------------------------------------------------


def test_keys_say_who_pressed_them(board: Switchboard) -> None:
    seat = board.talk()
    board.call.media_key(board.caller, "1", False)
    board.call.media_key(board.caller, "2", True)
    board.call.party_key(seat, "3")
    assert board.told[-3:] == [
        KeyPressed("1", "rfc4733"),
        KeyPressed("2", "inband"),
        KeyPressed("3", "info", "leg1"),
    ]


@pytest.mark.parametrize("events", [True, False])
def test_keys_that_no_packet_carries_are_pressed_for_the_other_side(board: Switchboard, events: bool) -> None:
    seat = board.talk()
    seat.fake.takes_key_events = events
    board.call.party_key(board.caller, "3")
    # By packets of its own, or heard as it was pressed.
    board.call.media_key(board.caller, "4", False)
    board.call.media_key(board.caller, "5", True)
    board.call.party_key(seat, "6")
    assert seat.fake.keys == ("3" if events else "34")
    assert board.caller.fake.keys == "6"


def test_keys_to_a_menu_go_to_nobody_else(board: Switchboard) -> None:
    seat = board.talk()
    board.call.disconnect()
    board.call.party_key(board.caller, "3")
    assert seat.fake.keys == ""


def test_only_the_owners_plays_are_reported(board: Switchboard) -> None:
    seat = board.talk()
    board.told.clear()
    board.call.media_play_ended(board.caller, -1, 500, False)
    board.call.media_play_ended(seat, -2, 500, False)
    board.call.media_play_ended(board.caller, 4, 500, True)
    board.call.media_play_ended(seat, 5, 500, False)
    assert board.told == [PlayEnded(4, 500, True), PlayEnded(5, 500, False, "leg1")]


# The end. -------------------------------------------------------------------------------------------------


def test_a_call_ends_once(board: Switchboard) -> None:
    seat = board.talk()
    board.call.hangup("normal")
    board.call.hangup("again")
    board.call.reject(500)
    board.call.party_left(board.caller, network=True, cause="late")
    board.call.party_left(seat, network=True, cause="late")
    ended = [event for event in board.told if isinstance(event, CallEnded)]
    assert len(ended) == 1
    assert ended[0] is board.told[-1]
    assert ended[0].cause == "normal"
    assert [report.leg_id for report in ended[0].legs] == ["leg1", "caller"]
    assert board.caller.asked == ["answer", "end ended"]
    assert seat.asked == ["end ended"]
    assert {party.leg_id for party in board.forgotten} == {"caller", "leg1"}


def test_nothing_is_done_for_a_call_that_is_over(board: Switchboard) -> None:
    board.talk()
    board.call.hangup()
    told = len(board.told)
    board.call.answer()
    board.call.ringing()
    board.call.play(1, [SPEECH])
    board.call.stop_playing()
    board.call.ringback(True)
    board.call.dial("leg9", Target("sip", "2001"))
    board.call.connect("leg1")
    board.call.disconnect()
    board.call.drop("leg1", "ended")
    assert len(board.told) == told
    assert "leg9" not in board.dialled


def test_a_seat_that_still_rings_is_called_off(board: Switchboard) -> None:
    seat = board.dials("leg1")
    board.call.hangup()
    assert seat.asked == ["end cancelled"]
    assert board.caller.asked == ["end ended"]


def test_a_rejected_call(board: Switchboard) -> None:
    board.call.reject(603, "No")
    assert board.caller.asked == ["reject 603"]
    ended = board.told[-1]
    assert isinstance(ended, CallEnded)
    assert ended.status == 603


def test_rejecting_an_answered_call_hangs_up(board: Switchboard) -> None:
    board.call.answer()
    board.call.reject(603, "No")
    assert board.caller.asked == ["answer", "end ended"]


def test_early_media_is_asked_for_before_the_answer_only(board: Switchboard) -> None:
    board.call.early()
    board.call.play(1, [MUSIC])
    assert board.caller.asked == ["early"]
    assert board.caller.fake.plays is MUSIC
    board.call.answer()
    board.call.early()
    assert board.caller.asked == ["early", "answer"]
    assert board.caller.fake.plays is MUSIC


def test_early_media_is_told_once(board: Switchboard) -> None:
    board.call.early()
    board.call.early()
    assert board.told == [EarlyMedia()]
    assert board.caller.asked == ["early"]


def test_a_caller_with_early_media_hears_our_tone_while_somebody_is_rung(board: Switchboard) -> None:
    """A 180 could not be sent any more, and a telephone that is sent silence would play silence."""
    board.call.early()
    board.call.ringback(True)
    assert board.caller.asked == ["early"]
    assert board.caller.fake.plays is RINGBACK
    board.call.answer()
    assert board.caller.fake.plays is RINGBACK
    assert board.caller.fake.loops == 1
    board.call.ringback(False)
    assert board.caller.fake.plays is None


def test_early_media_of_the_seat_reaches_a_caller_who_is_not_answered(board: Switchboard) -> None:
    board.call.early()
    board.call.ringback(True)
    seat = board.dials("leg1")
    board.call.party_early_media(seat, True)
    assert board.told == [EarlyMedia(), EarlyMedia("leg1")]
    assert board.caller.fake.heard is seat.fake
    board.call.ringback(False)
    assert board.caller.fake.heard is None


def test_a_tone_that_began_as_180_goes_on_as_sound(board: Switchboard) -> None:
    board.call.ringback(True)
    board.call.early()
    assert board.caller.asked == ["ring", "early"]
    assert board.caller.fake.plays is RINGBACK


def test_what_a_caller_without_an_offer_cannot_hear_is_over_at_once(board: Switchboard) -> None:
    board.caller.hears_early = False
    board.call.early()
    board.call.play(1, [MUSIC])
    assert board.told == [PlayEnded(1, 0, True)]
    assert board.caller.fake.plays is None
    board.call.answer()
    board.call.play(2, [MUSIC])
    assert board.caller.fake.plays is MUSIC


def test_keys_are_sent_to_an_answered_caller_and_too_many_do_no_harm(board: Switchboard) -> None:
    board.call.send_keys("1")
    assert board.caller.fake.keys == ""
    board.call.answer()
    board.call.send_keys("12#")
    board.call.send_keys("3" * 200)
    assert board.caller.fake.keys == "12#"


# A party that is told something before it is connected. ----------------------------------------------------


def test_the_party_hears_a_whisper_and_the_caller_the_ringback(board: Switchboard) -> None:
    board.call.answer()
    board.call.ringback(True)
    seat = board.dials("leg1")
    board.answers(seat)
    board.call.play(7, [SPEECH], leg_id="leg1")
    assert seat.fake.plays == SPEECH
    assert board.caller.fake.plays == RINGBACK
    board.told.clear()
    board.call.party_key(seat, "1")
    board.call.media_play_ended(seat, 7, 400, True)
    assert board.told == [KeyPressed("1", "info", "leg1"), PlayEnded(7, 400, True, "leg1")]
    assert board.caller.fake.keys == ""


def test_a_whisper_ends_when_they_are_connected_whoever_holds(board: Switchboard) -> None:
    board.call.answer()
    seat = board.dials("leg1")
    board.answers(seat)
    board.call.play(7, [SPEECH], leg_id="leg1")
    board.call.party_held(seat, True)
    board.call.connect("leg1")
    assert seat.fake.playing is None
    assert board.caller.fake.plays == MUSIC


@pytest.mark.parametrize("state", ["rings", "talks", "is nobody"])
def test_nothing_is_whispered_to_one_who(board: Switchboard, state: str) -> None:
    seat = board.talk() if state == "talks" else board.dials("leg1")
    board.call.play(7, [SPEECH], leg_id="leg9" if state == "is nobody" else "leg1")
    assert seat.fake.playing is None
    assert board.caller.fake.playing is None


# The caller's own telephone calls somebody else. -----------------------------------------------------------


def test_a_referral_is_told_like_a_leg(board: Switchboard) -> None:
    board.call.answer()
    board.call.refer("leg1", Target("sip", "2001"))
    board.call.refer("leg2", Target("sip", "2002"), wait=False)
    assert board.caller.asked[1:] == ["refer leg1 sip:2001@192.0.2.9", "refer leg2 sip:2002@192.0.2.9 blind"]
    board.told.clear()
    board.call.referral_failed("leg1", "busy", 486, "Busy")
    board.call.referral_ringing("leg2")
    board.call.referral_failed("leg2", "busy", 486, "Busy")
    board.call.referral_taken("leg2")
    assert board.told == [LegRinging("leg2"), LegFailed("leg2", "busy", 486, "Busy")]


def test_a_referral_that_nobody_waits_for(board: Switchboard) -> None:
    board.call.answer()
    board.call.refer("leg1", Target("sip", "2001"))
    board.call.drop("leg1", "no_answer")
    assert board.caller.asked[-1] == "forget referral"
    board.call.referral_taken("leg1")
    assert board.told == [Answered()]


def test_a_referral_to_where_no_telephone_can_call(board: Switchboard) -> None:
    board.call.answer()
    board.nowhere = LegFailed("", "offline", 480, "not registered")
    board.call.refer("leg1", Target("sip", "2001"))
    assert board.told == [Answered(), LegFailed("leg1", "offline", 480, "not registered")]


def test_a_caller_who_leaves_takes_the_referral_along(board: Switchboard) -> None:
    board.call.answer()
    board.call.refer("leg1", Target("sip", "2001"))
    board.call.party_left(board.caller, network=False, cause="bye")
    board.call.refer("leg2", Target("sip", "2001"))
    board.call.referral_taken("leg1")
    assert board.told == [Answered(), CallerLeft("caller", "bye")]


def test_headers_go_to_the_party(board: Switchboard) -> None:
    board.call.dial("leg1", Target("sip", "2001"), headers=[("X-Order", "17")])
    assert board.headers == {"leg1": [("X-Order", "17")]}
