"""Several in one call: who is let in, who hears whom, and who is left when somebody goes."""

from __future__ import annotations

import pytest

from gateway.call import CallEnded, CallerLeft, KeyPressed, LegEnded, LegHeld
from tests.gateway.fakes import MUSIC, FakeParty, Switchboard


@pytest.fixture
def board() -> Switchboard:
    return Switchboard()


def mixed(board: Switchboard, *parties: FakeParty) -> bool:
    return board.mixes[-1].members == [party.fake for party in parties]


@pytest.mark.parametrize("state", ["new", "answered", "dialling", "parted"])
def test_nobody_joins_before_two_talk(board: Switchboard, state: str) -> None:
    if state == "answered":
        board.call.answer()
    elif state == "dialling":
        board.dials("leg1")
    elif state == "parted":
        board.talk()
        board.call.disconnect()
    member = board.joins("m1", 10)
    assert member.asked == ["reject 480"]
    assert board.forgotten == [member]
    assert not board.mixes


def test_all_hear_each_other_in_one_mix(board: Switchboard) -> None:
    seat = board.talk()
    one, other = board.joins("m1", 10), board.joins("m2", 11)
    assert one.asked == other.asked == ["answer"]
    assert len(board.mixes) == 1
    assert mixed(board, board.caller, seat, one, other)
    assert board.caller.fake.heard is None


def test_one_too_many_is_busy(board: Switchboard) -> None:
    board.talk()
    members = [board.joins(f"m{number}", 10 + number) for number in range(15)]
    assert [member.asked[0] for member in members] == ["answer"] * 14 + ["reject 486"]
    assert len(board.mixes[-1].members) == 16


def test_the_last_who_joined_leaves_two_as_they_were(board: Switchboard) -> None:
    seat = board.talk()
    member = board.joins("m1", 10)
    board.told.clear()
    board.call.party_left(member, network=False, cause="hangup")
    assert board.mixes[-1].closed
    assert board.caller.fake.heard is seat.fake
    assert board.forgotten == [member]
    assert board.told == []


def test_one_who_joined_stands_for_the_called_party_that_left(board: Switchboard) -> None:
    seat = board.talk()
    one, other = board.joins("m1", 10), board.joins("m2", 11)
    board.told.clear()
    board.mixes[-1].remove(seat.fake)  # its leg is closed
    board.call.party_left(seat, network=False, cause="bye")
    assert board.told == []
    assert mixed(board, board.caller, one, other)
    # The owner knows him by the name of the leg.
    board.call.party_held(one, True)
    board.call.party_key(one, "5")
    assert board.told == [LegHeld("leg1"), KeyPressed("5", "info", "leg1")]
    board.call.party_held(one, False)
    board.call.party_left(other, network=False, cause="hangup")
    assert (board.caller.fake.heard,) == (one.fake,)
    board.told.clear()
    board.call.party_left(one, network=True, cause="consent_lost")
    assert board.told == [LegEnded("leg1", "network")]
    assert board.caller.fake.heard is None
    assert board.forgotten == [seat, other, one]


def test_who_holds_is_left_out_and_who_waits_alone_hears_music(board: Switchboard) -> None:
    seat = board.talk()
    member = board.joins("m1", 10)
    board.call.party_held(member, True)
    assert mixed(board, board.caller, seat)
    board.call.party_held(seat, True)
    assert (board.caller.fake.plays, seat.fake.plays, member.fake.plays) == (MUSIC, None, None)
    board.call.party_held(member, False)
    assert board.caller.fake.plays is None
    assert set(map(id, board.mixes[-1].members)) == {id(board.caller.fake), id(member.fake)}
    board.call.party_held(seat, False)
    assert len(board.mixes[-1].members) == 3
    assert len(board.mixes) == 1


def test_keys_of_one_who_joined_are_nobodys(board: Switchboard) -> None:
    board.talk()
    member = board.joins("m1", 10)
    board.told.clear()
    board.call.party_key(member, "5")
    board.call.media_key(member, "6", False)
    board.call.media_started(member)
    assert board.told == []
    assert board.caller.fake.keys == ""


@pytest.mark.parametrize("how", ["caller leaves", "owner hangs up", "leg dropped"])
def test_everybody_leaves_with_the_two(board: Switchboard, how: str) -> None:
    seat = board.talk()
    members = [board.joins("m1", 10), board.joins("m2", 11)]
    if how == "caller leaves":
        board.call.party_left(board.caller, network=False, cause="bye")
        assert CallerLeft("caller", "bye") in board.told
    elif how == "leg dropped":
        board.call.drop("leg1", "ended")
    assert how == "owner hangs up" or [member.asked for member in members] == [["answer", "end ended"]] * 2
    board.call.hangup()
    assert [member.asked for member in members] == [["answer", "end ended"]] * 2
    assert board.mixes[-1].closed
    ended = board.told[-1]
    assert isinstance(ended, CallEnded)
    assert sorted(report.leg_id for report in ended.legs) == ["caller", "leg1", "m1", "m2"]
    assert sorted(party.leg_id for party in board.forgotten) == ["caller", "leg1", "m1", "m2"]
    assert seat in board.forgotten
    late = board.joins("m3", 12)
    assert late.asked == ["reject 480"]
