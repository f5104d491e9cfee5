"""Recording a prompt by telephone: a PIN, the number of the prompt, a tone, the take, and what becomes of it.

Sans-I/O, and to its owner (:class:`ivr.run.live.LiveCall`) what a running flow is: events and the time go in, actions
come out. What it says is English; the names of recordings are said as they are written.

============  =====================================  ============================
state         waits for                              and goes on to
============  =====================================  ============================
pin           the PIN and #                          number, or the end after 3
number        five digits                            announcing
announcing    the end of name and tone, or a key     recording
recording     #, or two minutes                      hearing
hearing       the end of the take, or a key          hearing; 1 storing, 2 announcing, 3 number
storing       word of the file                       number
============  =====================================  ============================
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gateway.call import Answered, CallEnded, CallerLeft, KeyPressed, PlayEnded
from ivr.flow.model import Place, Step
from ivr.hearing import Wanted
from ivr.prompts.numbers import DIGITS
from ivr.run.actions import (
    Action,
    Answer,
    Ended,
    EndedBy,
    Listen,
    Log,
    Play,
    PlayItem,
    PlayRecording,
    PlayText,
    Request,
    StopListening,
    StopPlaying,
)
from ivr.run.events import Event, HearingFailed, PlayFailed, RequestDone
from ivr.run.requests import NoReply, PluginCall, PluginResult

__all__ = ["LONGEST_S", "STORE", "TAKE", "TONE", "Studio", "Title"]

TONE: Final = PlayRecording("tone", "")
TAKE: Final = PlayRecording("take", "")
"""What has just been recorded."""

STORE: Final = "store"
"""Asked of the world outside: make the take the recording with the ``name`` and ``language``."""

LONGEST_S: Final = 120.0
_PATIENCE_S: Final = 15.0
"""Without a key; then it is asked again."""
_TRIES: Final = 3
_LONGEST_ENTRY: Final = 32
_HERE: Final = Place("(prompt studio)", 1)
_CHOICE: Final = "Press 1 to keep it, 2 to record it again, 3 to discard it."

State = Literal["ringing", "pin", "number", "announcing", "recording", "hearing", "storing", "over"]


@dataclass(frozen=True, slots=True)
class Title:
    """One recording of the site."""

    name: str
    language: str
    """Its code."""
    spoken: str
    """Name and language as they are said."""


class Studio:
    """One call. ``titles`` are the recordings by the numbers that are entered."""

    def __init__(self, pin: str, titles: Mapping[int, Title]) -> None:
        self._pin = pin
        self._titles = titles
        self._state: State = "ringing"
        self._actions: list[Action] = []
        self._entry = ""
        self._slips = 0
        self._silences = 0
        self._plays = 0
        self._playing: int | None = None
        self._listens = 0
        self._requests = 0
        self._due: float | None = None
        self._title: Title | None = None
        self._now = 0.0
        self._began = 0.0

    # What the owner of the call shows of it. --------------------------------------------------------------

    @property
    def state(self) -> State:
        return self._state

    @property
    def answered(self) -> bool:
        return self._state != "ringing"

    @property
    def language(self) -> str:
        return "en"

    @property
    def block(self) -> str:
        return self._state

    @property
    def last_block(self) -> str:
        return self._state

    @property
    def step(self) -> Step | None:
        return None

    @property
    def place(self) -> Place:
        return _HERE

    @property
    def step_began(self) -> float:
        return self._began

    # Events in, actions out. ------------------------------------------------------------------------------

    def start(self, now: float) -> list[Action]:
        self._now = self._began = now
        return [Answer()]

    def next_timer(self) -> float | None:
        return self._due

    def handle_timer(self, now: float) -> list[Action]:
        self._now = now
        if self._due is not None and now >= self._due and self._state != "over":
            self._due = None
            if self._state == "recording":
                self._take_over()
            else:
                self._silence()
        return self._taken()

    def handle(self, event: Event, now: float) -> list[Action]:
        self._now = now
        if self._state == "over":
            return []
        match event:
            case Answered():
                self._ask_pin("")
            case KeyPressed(key=key, leg_id=None):
                self._silences = 0
                self._key(key)
            case PlayEnded(play_id=play_id, completed=True) if play_id == self._playing:
                self._playing = None
                self._said()
            case PlayFailed(play_id=play_id, reason=reason) if play_id == self._playing:
                self._playing = None
                self._not_said(reason)
            case HearingFailed(reason=reason):
                self._end("system", reason)
            case RequestDone(reply=reply) if self._state == "storing":
                self._stored(reply)
            case CallerLeft(by=by, cause=cause):
                self._end(by, cause)
            case CallEnded():
                self._end("network", "ended")
            case _:
                pass
        return self._taken()

    # ------------------------------------------------------------------------------------------------------

    def _taken(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions

    def _enter(self, state: State, *items: PlayItem | str) -> None:
        """Go there and say something; what was said until now is cut."""
        self._state, self._began, self._entry, self._due = state, self._now, "", None
        self._say(*items)

    def _say(self, *items: PlayItem | str) -> None:
        self._quiet()
        self._plays += 1
        self._playing = self._plays
        spoken = tuple(PlayText(item, "en") if isinstance(item, str) else item for item in items)
        self._actions.append(Play(self._plays, spoken))

    def _quiet(self) -> None:
        self._due = None
        if self._playing is not None:
            self._playing = None
            self._actions.append(StopPlaying())

    def _end(self, by: EndedBy, cause: str) -> None:
        self._quiet()
        self._actions.append(Ended(by, cause, self._state))
        self._state = "over"

    # Keys -------------------------------------------------------------------------------------------------

    def _key(self, key: str) -> None:
        match self._state:
            case "pin":
                self._quiet()
                self._pin_key(key)
            case "number":
                self._quiet()
                self._number_key(key)
            case "announcing":
                # He knows what is said and does not wait for it; the tone is always heard.
                self._enter("announcing", TONE)
            case "recording" if key == "#":
                self._take_over()
            case "hearing":
                self._choice(key)
            case _:
                pass

    def _pin_key(self, key: str) -> None:
        if key != "#":
            self._entry = (self._entry + key)[:_LONGEST_ENTRY]
            self._due = self._now + _PATIENCE_S
        elif hmac.compare_digest(self._entry.encode(), self._pin.encode()):
            self._enter("number", f"Enter the {DIGITS} digits of a recording.")
        else:
            self._slips += 1
            if self._slips >= _TRIES:
                self._actions.append(Log("a wrong PIN three times", str(_HERE), error=True))
                self._end("system", "wrong_pin")
            else:
                self._ask_pin("That is wrong.")

    def _ask_pin(self, before: str) -> None:
        self._enter("pin", f"{before} Enter the PIN, and press hash.".strip())

    def _number_key(self, key: str) -> None:
        if not key.isdecimal():
            self._entry = ""
        else:
            self._entry += key
        self._due = self._now + _PATIENCE_S
        if len(self._entry) == DIGITS:
            entered = self._entry
            self._title = self._titles.get(int(entered))
            if self._title is None:
                self._enter("number", f"No recording has the number {' '.join(entered)}. Enter {DIGITS} digits.")
            else:
                self._announce()

    def _announce(self, before: str = "") -> None:
        assert self._title is not None
        words = f"{before} {self._title.spoken}. Speak after the tone, and press hash at the end.".strip()
        self._enter("announcing", words, TONE)

    def _choice(self, key: str) -> None:
        assert self._title is not None
        if key == "1":
            self._quiet()
            self._state, self._began = "storing", self._now
            self._requests += 1
            wanted = {"name": self._title.name, "language": self._title.language}
            self._actions.append(Request(self._requests, PluginCall(STORE, wanted)))
        elif key == "2":
            self._announce()
        elif key == "3":
            self._enter("number", f"Discarded. Enter the {DIGITS} digits of a recording.")
        else:
            self._enter("hearing", _CHOICE)

    # What came of what was asked for ----------------------------------------------------------------------

    def _said(self) -> None:
        if self._state == "announcing":
            self._state, self._began, self._due = "recording", self._now, self._now + LONGEST_S
            self._listens += 1
            self._actions.append(Listen(self._listens, Wanted("en", type="text")))
        else:
            self._due = self._now + _PATIENCE_S

    def _take_over(self) -> None:
        self._actions.append(StopListening(self._listens))
        self._enter("hearing", TAKE, _CHOICE)

    def _not_said(self, reason: str) -> None:
        if self._state == "hearing":
            self._announce("Nothing was heard.")
        else:
            self._actions.append(Log(reason, str(_HERE), error=True))
            self._end("system", "error")

    def _stored(self, reply: object) -> None:
        assert self._title is not None
        if isinstance(reply, PluginResult):
            words = f"recorded {self._title.language}/{self._title.name}"
            self._actions.append(Log(words, str(_HERE)))
            self._enter("number", f"Kept. Enter the {DIGITS} digits of the next recording, or hang up.")
        else:
            reason = reply.reason if isinstance(reply, NoReply) else "it could not be stored"
            self._actions.append(Log(reason, str(_HERE), error=True))
            self._enter("hearing", f"It could not be stored. {_CHOICE}")

    def _silence(self) -> None:
        self._silences += 1
        if self._silences >= _TRIES:
            self._end("system", "no_input")
        elif self._state == "pin":
            self._ask_pin("")
        elif self._state == "number":
            self._enter("number", f"Enter the {DIGITS} digits of a recording.")
        else:
            self._enter("hearing", _CHOICE)
