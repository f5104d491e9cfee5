"""Recording a prompt by telephone, in a time of our own."""

from __future__ import annotations

import pytest

from gateway.call import Answered, CallerLeft, KeyPressed, PlayEnded
from ivr.prompts.numbers import numbered
from ivr.prompts.studio import STORE, TAKE, TONE, Studio, Title
from ivr.run.actions import (
    Action,
    Answer,
    Ended,
    Listen,
    Log,
    Play,
    PlayText,
    Request,
    StopListening,
    StopPlaying,
)
from ivr.run.events import Event, PlayFailed, RequestDone
from ivr.run.requests import NoReply, PluginCall, PluginResult

TITLES = {12345: Title("welcome", "en", "welcome, in English")}


class Caller:
    """Somebody who records; plays end when he says so."""

    def __init__(self) -> None:
        self.studio = Studio("4711", TITLES)
        self.now = 100.0
        self.last: list[Action] = []
        self.does(self.studio.start(self.now))
        assert self.last == [Answer()]
        self.tells(Answered())

    def does(self, actions: list[Action]) -> None:
        self.last = actions

    def tells(self, event: Event) -> None:
        self.does(self.studio.handle(event, self.now))

    def presses(self, keys: str) -> None:
        for key in keys:
            self.tells(KeyPressed(key))

    def hears_all(self) -> None:
        self.tells(PlayEnded(self._play(), 1000, True))

    def hears_nothing(self, reason: str) -> None:
        self.tells(PlayFailed(self._play(), reason))

    def waits(self) -> None:
        due = self.studio.next_timer()
        assert due is not None
        self.now = due
        self.does(self.studio.handle_timer(self.now))

    def said(self) -> str:
        """What is being said to him, from the last actions."""
        (play,) = [one for one in self.last if isinstance(one, Play)]
        return " | ".join(item.text if isinstance(item, PlayText) else item.name for item in play.items)

    def ended(self) -> tuple[str, str] | None:
        return next(((one.by, one.cause) for one in self.last if isinstance(one, Ended)), None)

    def _play(self) -> int:
        assert self.studio._playing is not None
        return self.studio._playing

    def records(self) -> None:
        self.presses("4711#12345")
        self.hears_all()
        assert isinstance(self.last[0], Listen)
        self.presses("#")


def test_a_take_is_heard_and_kept() -> None:
    caller = Caller()
    assert caller.said() == "Enter the PIN, and press hash."
    caller.presses("4711#")
    assert caller.said() == "Enter the 5 digits of a recording."
    caller.hears_all()
    caller.presses("12345")
    assert caller.said().startswith("welcome, in English. Speak after the tone")
    assert caller.said().endswith(f"| {TONE.name}")
    caller.hears_all()
    assert [type(one) for one in caller.last[:1]] == [Listen]
    caller.presses("12")
    assert caller.last == []
    caller.presses("#")
    assert [type(one) for one in caller.last[:1]] == [StopListening]
    assert caller.said().startswith(f"{TAKE.name} | Press 1")
    caller.presses("1")
    (asked,) = [one.asked for one in caller.last if isinstance(one, Request)]
    assert asked == PluginCall(STORE, {"name": "welcome", "language": "en"})
    caller.tells(RequestDone(1, PluginResult("stored")))
    assert caller.said().startswith("Kept.")
    caller.tells(CallerLeft("caller", "bye"))
    assert caller.ended() == ("caller", "bye")
    caller.presses("1")
    assert caller.last == []


def test_a_take_is_made_again_or_discarded() -> None:
    caller = Caller()
    caller.records()
    caller.presses("9")
    assert caller.said().startswith("Press 1")
    caller.presses("2")
    assert "Speak after the tone" in caller.said()
    caller.presses("5")
    assert caller.said() == TONE.name
    caller.hears_all()
    caller.waits()
    assert caller.said().startswith(TAKE.name)
    caller.presses("3")
    assert caller.said().startswith("Discarded.")


def test_silence_is_recorded_again() -> None:
    caller = Caller()
    caller.records()
    caller.hears_nothing("nothing was heard")
    assert caller.said().startswith("Nothing was heard. welcome, in English.")


def test_what_cannot_be_stored_is_said_and_can_be_tried_again() -> None:
    caller = Caller()
    caller.records()
    caller.presses("1")
    caller.tells(RequestDone(1, NoReply("prompts/en cannot be written")))
    assert [one.text for one in caller.last if isinstance(one, Log)] == ["prompts/en cannot be written"]
    assert caller.said().startswith("It could not be stored. Press 1")
    caller.presses("1")
    assert any(isinstance(one, Request) for one in caller.last)


def test_a_wrong_pin_three_times_ends_the_call() -> None:
    caller = Caller()
    caller.presses("1#")
    assert caller.said().startswith("That is wrong.")
    caller.presses("4711" * 20 + "#")
    assert caller.said().startswith("That is wrong.")
    caller.presses("#")
    assert caller.ended() == ("system", "wrong_pin")


def test_a_number_that_is_none_is_read_back() -> None:
    caller = Caller()
    caller.presses("4711#12*99999")
    assert caller.said() == "No recording has the number 9 9 9 9 9. Enter 5 digits."


@pytest.mark.parametrize("keys", ["", "4711#", "4711#12345"])
def test_who_does_nothing_is_not_kept(keys: str) -> None:
    caller = Caller()
    caller.presses(keys)
    if len(keys) > 5:
        caller.hears_all()
        caller.waits()
    for _ in range(3):
        assert caller.ended() is None
        caller.hears_all()
        caller.waits()
    assert caller.ended() == ("system", "no_input")


def test_a_key_cuts_what_is_said() -> None:
    caller = Caller()
    caller.presses("4")
    assert caller.last == [StopPlaying()]
    caller.presses("711#")
    caller.tells(PlayEnded(1, 200, False))
    assert caller.last == []


def test_numbers_are_those_of_name_and_language() -> None:
    names = [("en", "welcome"), ("de", "welcome"), ("en", "main_menu")]
    found = numbered(names)
    assert numbered(reversed(names)) == found
    assert numbered(names[:1])["en", "welcome"] == found["en", "welcome"]
    many = numbered(("en", f"prompt_{number}") for number in range(2000))
    assert len(set(many.values())) == 2000
    assert all(10_000 <= number <= 99_999 for number in many.values())
