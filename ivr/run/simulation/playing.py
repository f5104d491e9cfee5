"""A call that is played: what was put in, and what comes of it, in virtual time or as somebody's clock goes on.

Every input is remembered, and taking one back plays the others again: a call has no other memory than what was put in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from ivr.flow.model import Flow
from ivr.flow.problem import did_you_mean
from ivr.flow.values import EvaluationError, as_text
from ivr.run.conversation import CallFacts
from ivr.run.environment import Environment
from ivr.run.requests import Asked, Reply
from ivr.run.simulation.commands import (
    ASKED_CHOICES,
    CHOICES,
    DEEDS,
    HELP,
    Deed,
    NotUnderstood,
    http_reply,
    said_of,
    span_of,
)
from ivr.run.simulation.services import mock_of
from ivr.run.simulation.transcript import SecondsOf, Told
from ivr.run.testing.listening import hears, listened_for
from ivr.run.testing.mocks import HttpReply, Mock
from ivr.run.testing.model import Caller
from ivr.run.testing.moves import HangingUp, HearingFails, Made, Move, Mumbling, Pressing, Saying, SeatDoing, make
from ivr.run.testing.writing import as_file, as_yaml, remedy

_MOST_INPUTS: Final = 1_000
_INSTANT: Final = 0.001
"""Seconds; nothing is told apart by less."""


class Simulation:
    """One call being played. :meth:`do` takes a line; :attr:`lines` is everything that was to be read so far."""

    def __init__(
        self,
        flow: Flow,
        facts: CallFacts,
        environment: Environment,
        *,
        signed_in: Collection[str] | None = None,
        seats: Mapping[str, Deed] | None = None,
        seconds_of: SecondsOf | None = None,
        slow: bool = False,
    ) -> None:
        """``seats`` say beforehand what those that ring do; for others it is asked. Who answers takes the call too.
        ``seconds_of`` says how long a
        prompt really is, for as long as the call is played in real time; ``slow``: from its beginning."""
        self._flow = flow
        self._facts = facts
        # What is taken back must happen again as it was.
        self._environment = replace(environment, shuffled=lambda targets: targets)
        self._signed_in = signed_in
        self._plans = dict(seats or {})
        self._seconds_of = seconds_of
        self._slow_at_first = slow
        self._inputs: list[str | float] = []
        """What was typed, and seconds that went by on somebody's clock."""
        self._breaks: set[str] = set()
        self._restart()

    # What is to be read. ---------------------------------------------------------------------------------

    @property
    def lines(self) -> list[str]:
        return [line.text for line in self._script.lines]

    def since(self, number: int) -> list[tuple[float, str]]:
        """The lines from that number on, with the seconds since the call began."""
        return [(line.at, line.text) for line in self._script.lines[number:]]

    @property
    def over(self) -> bool:
        return self._script.run.finished

    @property
    def slow(self) -> bool:
        """Whether the call is played in real time: it goes on only by :meth:`passes`."""
        return self._slow

    @property
    def next_in(self) -> float | None:
        """Seconds of the call to the next thing that happens by itself; None if there is none."""
        return self._script.next_in

    @property
    def script(self) -> Told:
        """The call itself, to be looked at."""
        return self._script

    @property
    def prompt(self) -> str:
        """What the call waits for, in words."""
        script = self._script
        if script.run.finished:
            return f"ended by {script.ended_by} after {script.now:.1f} s   path {' > '.join(script.path)}"
        asked = self._asked
        if script.ringing:
            others = f"   {', '.join(asked)} is asked: {self._asked_choices}" if asked else ""
            return f"{', '.join(script.ringing)} rings   {CHOICES}{others}"
        if asked:
            return f"{', '.join(asked)} is asked   {self._asked_choices}"
        if script.talking:
            return f"{script.talking[0]} talks to the caller   [h]angs up, or /hangup"
        wanted = listened_for(script.run.step, script.run.language)
        return f"listening: {' '.join(wanted)}" if wanted else "nothing is listened for"

    # What is put in. -------------------------------------------------------------------------------------

    def do(self, line: str) -> list[str]:
        """Take one line of input. Returns what is said to it, beside what happens. Raises NotUnderstood."""
        line = line.strip()
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        match word:
            case "/help":
                return list(HELP)
            case "/vars":
                values = self._script.run.variables.items()
                return [f"{name} = {'-' if value is None else as_text(value)}" for name, value in values]
            case "/break":
                self._breaks.add(self._block(rest))
                return [f"stops at {rest}"]
            case "/back":
                if not any(isinstance(one, str) for one in self._inputs):
                    raise NotUnderstood("there is nothing to take back")
                gone = self._take_back()
                self._again()
                return [f"taken back: {gone or '(empty)'}"]
            case "/clock":
                self._facts = replace(self._facts, at=self._facts.at + timedelta(seconds=span_of(rest)))
                self._again()
                return [f"the call comes at {self._facts.at:%Y-%m-%d %H:%M}"]
        if len(self._inputs) >= _MOST_INPUTS:
            raise NotUnderstood(f"a call has at most {_MOST_INPUTS} inputs: /back, or /quit")
        self._input(line)
        self._inputs.append(line)
        if word == "/slow":
            return ["in real time" if self._slow else "as fast as it goes"]
        return []

    def passes(self, seconds: float) -> None:
        """So much time has gone by while the call is played in real time."""
        if seconds <= 0 or not self._slow or self._script.run.finished:
            return
        self._wait(seconds)
        # As one input, however often somebody looks at the clock.
        if self._inputs and isinstance(before := self._inputs[-1], float):
            self._inputs[-1] = before + seconds
        else:
            self._inputs.append(float(seconds))

    def as_test(self, name: str) -> str:
        """The call so far, as a file of tests. Raises NotUnderstood if it was not played by the rules of one."""
        if any(isinstance(one, str) and one.startswith(("/goto", "/set")) for one in self._inputs):
            raise NotUnderstood("a call with /goto or /set cannot be a test: no caller can do that")
        script, caller = self._script, Caller(self._facts.caller, self._facts.did or "", self._facts.at)
        return as_file(self._flow.name, name, script, caller, self._mocks, self._moves, lengths=script.lengths)

    def _restart(self) -> None:
        self._moves: list[Made] = []
        self._slow = self._slow_at_first
        self._mocks: list[Mock] = []
        self._http: HttpReply | None = None
        self._broke: set[str] = set()
        self._script = Told(
            self._flow,
            self._facts,
            environment=self._environment,
            outside=self._outside,
            signed_in=self._signed_in,
            seconds_of=self._seconds_of if self._slow else None,
        )
        self._advance()

    def _again(self) -> None:
        inputs, self._inputs = self._inputs, []
        self._restart()
        for one in inputs:
            if isinstance(one, float):
                self.passes(one)
                continue
            try:
                self._input(one)
            except NotUnderstood:
                # The call went another way, and what rang then does not ring now.
                continue
            self._inputs.append(one)

    def _take_back(self) -> str:
        """The last line that was typed, forgotten with the time that went by since."""
        while isinstance(gone := self._inputs.pop(), float):
            pass
        return gone

    def _input(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        if word == "/http":
            self._http = http_reply(rest)
            return
        if word == "/slow":
            self._slow = not self._slow
            self._script.seconds_of = self._seconds_of if self._slow else None
            self._advance()
            return
        if self._script.run.finished:
            raise NotUnderstood("the call is over: /back takes back the last input, /save NAME keeps it as a test")
        match word:
            case "":
                self._pass()
                return
            case "/wait":
                self._wait(span_of(rest))
            case "/hangup":
                self._make(HangingUp())
            case "/say":
                self._say(rest)
            case "/mumble":
                self._make(Mumbling(span_of(rest) if rest else 1.0, self._talks_over))
            case "/deaf":
                self._make(HearingFails(not self._script.voice.fails))
            case "/set":
                self._set(rest)
            case "/goto":
                self._script.jump(self._block(rest))
            case _ if re.fullmatch(r"[0-9*#A-D]+", keys := line.replace(" ", "")) and not self._is_deed(line):
                self._make(Pressing(keys))
            case _ if self._is_deed(line):
                self._deed(line)
            case _ if not word.startswith("/") and hears(self._script.run.step, self._script.run.language):
                self._say(line)
            case _:
                help = did_you_mean(word, [one.split()[0] for one in HELP if one.startswith("/")], "commands")
                raise NotUnderstood(f"'{line[:40]}' means nothing here: {help or '/help says what does'}")
        self._advance()

    def _wait(self, length: float) -> None:
        """Let that much time pass, with what those do who ring meanwhile and of whom that was said beforehand."""
        until = self._script.now + length
        while (left := until - self._script.now) > _INSTANT and not self._script.run.finished:
            due = self._script.next_in if self._plans else None
            self._script.waits(left if due is None else min(max(due, _INSTANT), left))
            self._seats_do()

    def _make(self, move: Move) -> None:
        began = self._script.now
        if make(self._script, move) is not None:
            self._moves.append(Made(began, self._script.now, move))

    def _say(self, text: str) -> None:
        self._make(Saying(said_of(text), self._talks_over))

    @property
    def _talks_over(self) -> bool:
        """Whoever is listened to speaks at once; in real time everybody does."""
        return self._slow or self._script.voice.listened_to

    def _is_deed(self, line: str) -> bool:
        words = line.split()
        return bool(words) and words[-1] in DEEDS and len(words) <= 2

    def _deed(self, line: str) -> None:
        *seat, letter = line.split()
        deed = DEEDS[letter]
        script = self._script
        there = {
            "hangup": [*script.talking, *script.asked_parties],
            "accept": self._asked,
            "refuse": [*script.ringing, *self._asked],
            "no_answer": [*script.ringing, *self._asked],
        }.get(deed, script.ringing)
        name = seat[0] if seat else next(iter(there), "")
        if name not in there and f"rtc:{name}" in there:
            name = f"rtc:{name}"
        if name not in there:
            if deed == "accept":
                raise NotUnderstood(f"{name} is not asked for a key now" if name else "nobody is asked for a key now")
            what = "talk" if deed == "hangup" else "ring"
            raise NotUnderstood(f"{name} does not {what} now" if name else f"nobody {what}s now")
        self._seat_does(name, deed)

    @property
    def _asked(self) -> list[str]:
        """Those who are to press a key."""
        return self._script.asked_parties if self._script.accept_key is not None else []

    @property
    def _asked_choices(self) -> str:
        return ASKED_CHOICES.format(key=self._script.accept_key)

    def _seat_does(self, name: str, deed: Deed) -> None:
        if deed == "no_answer":
            seat = self._script.seat(name)
            while (seat.ringing or seat.asked) and self._script.next_thing():
                pass
        else:
            self._make(SeatDoing(name, deed))

    def _set(self, text: str) -> None:
        name, equals, value = text.partition("=")
        if not equals:
            raise NotUnderstood("write /set tier=gold")
        try:
            self._script.run.set_variable(name.strip(), value.strip())
        except (KeyError, EvaluationError) as error:
            raise NotUnderstood(f"'{name.strip()}' cannot be set: {error}") from None

    def _block(self, name: str) -> str:
        if name not in self._flow.blocks:
            help = did_you_mean(name, self._flow.blocks, "blocks")
            raise NotUnderstood(f"there is no block '{name[:60]}' ({help})")
        return name

    # What happens then. ----------------------------------------------------------------------------------

    def _pass(self) -> None:
        """To the next line, then to where somebody is waited for."""
        seen = len(self._script.lines)
        while len(self._script.lines) == seen and not self._script.run.finished:
            if not self._script.next_thing():
                break
        self._advance()

    def _advance(self) -> None:
        """Let time pass while nobody has to do anything."""
        script = self._script
        while not script.run.finished:
            script.catch_up()
            if self._seats_do():
                continue
            block = script.run.last_block
            if block in self._breaks and block not in self._broke:
                self._broke.add(block)
                script.tell(f"stopped at {block}")
                return
            wanted = listened_for(script.run.step, script.run.language)
            waits = script.ringing or self._asked or script.talking or wanted
            if self._slow or waits or not script.next_thing():
                return

    def _seats_do(self) -> bool:
        """Let one that rings, or is asked, do what was said beforehand; whether there was one."""
        planned = next((name for name in self._script.ringing if name in self._plans), None)
        if planned is not None:
            deed = self._plans[planned]
            self._seat_does(planned, "answer" if deed == "accept" else deed)
            return True
        asked = next((name for name in self._asked if self._plans.get(name) in ("answer", "accept")), None)
        if asked is not None:
            self._seat_does(asked, "accept")
        return asked is not None

    def _outside(self, asked: Asked) -> tuple[float, Reply]:
        mock = mock_of(asked, self._http)
        self._mocks.append(mock)
        if hasattr(self, "_script"):
            self._script.tell(f"asks {remedy(asked)[0]}: {as_yaml(mock)}")
        found = mock.answer(asked)
        assert found is not None
        return found
