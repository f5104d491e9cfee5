"""What a caller and those who are rung do in a call: such that it can be done again, and written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ivr.run.script import Deed, Script
from ivr.run.testing.speech import Said

KEY_GAP: Final = 0.2
"""Seconds between keys, and between what a key waits for and the key."""

BREATH: Final = 0.3
"""Seconds between what words wait for and the words."""


@dataclass(frozen=True, slots=True)
class Pressing:
    keys: str


@dataclass(frozen=True, slots=True)
class Saying:
    said: Said
    talks_over: bool = False
    """Not only when nothing plays any more."""


@dataclass(frozen=True, slots=True)
class Mumbling:
    seconds: float
    talks_over: bool = False


@dataclass(frozen=True, slots=True)
class HearingFails:
    """Nobody can listen from here on; or somebody can again."""

    fails: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    seconds: float


@dataclass(frozen=True, slots=True)
class SeatDoing:
    seat: str
    deed: Deed


@dataclass(frozen=True, slots=True)
class HangingUp:
    pass


Move = Pressing | Saying | Mumbling | HearingFails | Waiting | SeatDoing | HangingUp


@dataclass(frozen=True, slots=True)
class Made:
    """A move, and when it was made: seconds from the call's start."""

    began: float
    ended: float
    move: Move


def make(script: Script, move: Move) -> Move | None:
    """Make a move. Returns what was made of it: fewer keys if the call was over before the last, None for nothing."""
    match move:
        case Pressing(keys):
            pressed = ""
            for key in keys:
                script.waits(KEY_GAP)
                if script.run.finished:
                    break
                script.presses(key, gap=0.0)
                pressed += key
            return Pressing(pressed) if pressed else None
        case Saying(said, talks_over):
            if not takes_breath(script, talks_over=talks_over):
                return None
            script.speaks(said.hypotheses)
        case Mumbling(seconds, talks_over):
            if not takes_breath(script, talks_over=talks_over):
                return None
            script.speaks((), seconds)
        case HearingFails(fails):
            script.cannot_be_heard(fails=fails)
        case Waiting(seconds):
            script.waits(seconds)
        case HangingUp():
            script.hangs_up()
        case SeatDoing(name, deed):
            seat = script.seat(name)
            asked = seat.asked and script.accept_key is not None
            fits = {"hangup": seat.talking or seat.asked, "accept": asked, "refuse": seat.ringing or asked}
            if not fits.get(deed, seat.ringing):
                return None
            seat.does(deed)
    return move


def takes_breath(script: Script, *, talks_over: bool) -> bool:
    """Let the time pass until something can be said: over what plays, or when that is over.

    False if the call is over before. Raises DidNotHappen if what plays has no end.
    """
    if not talks_over:
        script.hears_all()
    script.waits(BREATH)
    return not script.run.finished


def in_time(made: Sequence[Made], until: float) -> list[Move]:
    """The moves, with the waits between them and up to a time."""
    found: list[Move] = []
    start, end = Made(0.0, 0.0, HangingUp()), Made(until, until, HangingUp())
    for before, one in pairwise([start, *made, end]):
        if one.began - before.ended >= 0.02:
            found.append(Waiting(round(one.began - before.ended, 3)))
        found.append(one.move)
    return found[:-1]
