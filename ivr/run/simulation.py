"""A call that somebody at a terminal plays: lines of input in, lines of what happens out, in virtual time.

Nothing here knows a terminal. Every input is remembered, and taking one back plays the others again: a call has no
other memory than what was put in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import PurePath
from typing import Final, Literal

from ivr.flow.model import Flow, Place
from ivr.flow.problem import did_you_mean
from ivr.flow.values import EvaluationError, as_text
from ivr.run.actions import Action, Log, StepDone, StepRecord, Tag
from ivr.run.conversation import CallFacts
from ivr.run.environment import Environment
from ivr.run.requests import Asked, HttpRequest, Notification, PluginCall, Reply, TableLookup
from ivr.run.script import PATIENCE, Script
from ivr.run.testing.acting import KEY_GAP
from ivr.run.testing.mocks import (
    Given,
    HttpMock,
    HttpReply,
    LookupMock,
    Mock,
    NotifyMock,
    PluginMock,
    as_yaml,
    distinct,
    remedy,
    word_of,
)
from ivr.run.testing.wandering import (
    HangingUp,
    Move,
    Pressing,
    SeatDoing,
    Waiting,
    as_step,
    listened_for,
)

Deed = Literal["answer", "accept", "busy", "refuse", "no_answer", "offline", "hangup"]

DEEDS: Final[Mapping[str, Deed]] = {
    "a": "answer",
    "k": "accept",
    "b": "busy",
    "r": "refuse",
    "n": "no_answer",
    "o": "offline",
    "h": "hangup",
}
_CHOICES: Final = "[a]nswer [b]usy [r]efuse [n]o answer [o]ffline"
_ASKED_CHOICES: Final = "[k]ey taken: {key}, [r]efuse by another, [n]o key, [h]angs up"
_SPAN: Final = re.compile(r"\+?([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s|m|h)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_MOST_INPUTS: Final = 1_000

HELP: Final = (
    "1 or 0 0 3          press keys",
    "(empty)             let time pass until something happens",
    f"a b r n o           what rings: {_CHOICES}; h: who talks hangs up",
    "k r n h             who is asked for a key: presses it, another one or none, hangs up",
    "2002 b              the same for one of several that ring",
    "/wait 6s            let time pass",
    "/hangup             the caller hangs up",
    "/http 404           what web services say from now on: a status, timeout, refused, or JSON",
    "/vars, /set a=b     show variables, change one",
    "/clock +1h          as if the call had come later; it is played again",
    "/back               take back the last input",
    "/goto BLOCK         go to a block",
    "/break BLOCK        stop there",
    "/slow               in real time, or no longer",
    "/save NAME          write the call as a test",
    "/quit               leave",
)


class NotUnderstood(ValueError):
    """An input that means nothing here. The text says what would."""


@dataclass(frozen=True, slots=True)
class _Line:
    at: float
    text: str


class _Told(Script):
    """A script whose transcript has the time of day and the place in the flow."""

    def __init__(self, flow: Flow, facts: CallFacts, **more: object) -> None:
        self.lines: list[_Line] = []
        self._place: Place | None = None
        self._at = facts.at
        super().__init__(flow, facts, **more)  # type: ignore[arg-type]

    def tell(self, what: str, block: str | None = None, place: Place | None = None) -> None:
        clock = (self._at + timedelta(seconds=self.now)).strftime("%H:%M:%S.%f")[:10]
        place = place or self.run.place
        where = f"{PurePath(place.file).name}:{place.line}" if place.file else ""
        self.lines.append(_Line(self.now, f"{clock}  {block or self.run.last_block:<14}  {where:<16}  {what}".rstrip()))

    def jump(self, block: str) -> None:
        self._do(self.run.jump(block, self.now))
        self._settle()

    def catch_up(self) -> None:
        """What is due now happens: a prompt that was asked for begins."""
        while (due := self._due()) is not None and due <= self.now and not self.run.finished:
            self._step(due)

    def next_thing(self) -> bool:
        """Let time pass to the next event. False if there is none in reach."""
        due = self._due()
        if due is None or due > self.now + PATIENCE:
            return False
        self._step(due)
        return True

    def _tell(self, what: str) -> None:
        super()._tell(what)
        self.tell(what, place=self._place)

    def _act(self, action: Action) -> None:
        self._place = None
        if isinstance(action, Tag):
            # Where it stands is not known any more: the call may be some steps further on.
            self._place = Place("", 0)
        if isinstance(action, Log) and (found := re.fullmatch(r"(.*):(\d+):(\d+)", action.place)):
            self._place = Place(found[1], int(found[2]), int(found[3]))
        super()._act(action)
        self._place = None
        if isinstance(action, StepDone) and (words := _outcome(action.record)):
            place = self.run.place._replace(line=action.record.line)
            self.tell(words, action.record.block, place)


def _outcome(record: StepRecord) -> str:
    """What a step came to, if that is worth a line."""
    plain = record.exit == "next" and record.next_block is None and record.detail is None
    if record.exit is None or record.verb == "goto" or plain:
        return ""
    detail = record.detail or {}
    shown = ", ".join(
        f"{name} {value}" for name, value in detail.items() if name in ("rule", "status", "table", "state")
    )
    keys = f' "{record.input}"' if record.input else ""
    to = f"  → {record.next_block}" if record.next_block else ""
    exit = "" if record.exit == record.input else f" {record.exit}"
    return f"{record.verb}{keys}{exit}{to}" + (f"  ({shown})" if shown else "")


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
    ) -> None:
        """``seats`` say beforehand what those that ring do; for others it is asked. Who answers takes the call too."""
        self._flow = flow
        self._facts = facts
        # What is taken back must happen again as it was.
        self._environment = replace(environment, shuffled=lambda targets: targets)
        self._signed_in = signed_in
        self._plans = dict(seats or {})
        self._inputs: list[str] = []
        self._breaks: set[str] = set()
        self.slow = False
        """Whether somebody wants to see it happen in real time."""
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
    def script(self) -> Script:
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
            return f"{', '.join(script.ringing)} rings   {_CHOICES}{others}"
        if asked:
            return f"{', '.join(asked)} is asked   {self._asked_choices}"
        if script.talking:
            return f"{script.talking[0]} talks to the caller   [h]angs up, or /hangup"
        wanted = listened_for(script.run.step)
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
            case "/slow":
                self.slow = not self.slow
                return ["in real time" if self.slow else "as fast as it goes"]
            case "/break":
                self._breaks.add(self._block(rest))
                return [f"stops at {rest}"]
            case "/back":
                if not self._inputs:
                    raise NotUnderstood("there is nothing to take back")
                gone = self._inputs.pop()
                self._again()
                return [f"taken back: {gone or '(empty)'}"]
            case "/clock":
                self._facts = replace(self._facts, at=self._facts.at + timedelta(seconds=_seconds(rest)))
                self._again()
                return [f"the call comes at {self._facts.at:%Y-%m-%d %H:%M}"]
        if len(self._inputs) >= _MOST_INPUTS:
            raise NotUnderstood(f"a call has at most {_MOST_INPUTS} inputs: /back, or /quit")
        self._input(line)
        self._inputs.append(line)
        return []

    def as_test(self, name: str) -> str:
        """The call so far, as a file of tests. Raises NotUnderstood if it was not played by the rules of one."""
        if any(line.startswith(("/goto", "/set")) for line in self._inputs):
            raise NotUnderstood("a call with /goto or /set cannot be a test: no caller can do that")
        script, facts = self._script, self._facts
        zone = str(facts.at.tzinfo)
        when = f"{facts.at:%Y-%m-%d %H:%M:%S} {zone}" if "/" in zone else f"{_utc(facts.at)} UTC"
        lines = [
            f"flow: {self._flow.name}",
            "tests:",
            f"  - name: {name}",
            f"    call: {{from: '{facts.caller}', to: '{facts.did}', at: '{when}'}}",
        ]
        mocks = distinct(self._mocks)
        for word in dict.fromkeys(word_of(mock) for mock in mocks):
            lines.append(f"    {word}:")
            lines += [f"      - {as_yaml(mock)}" for mock in mocks if word_of(mock) == word]
        if self._moves:
            lines += ["    steps:", *(f"      - {as_step(move)}" for move in _timed(self._moves, script.now))]
        path = ", ".join(script.path)
        end = f"ended_by: {script.ended_by}" if script.run.finished else f"at_block: {script.run.last_block}"
        lines.append(f"    expect: {{path: [{path}], {end}}}")
        return "\n".join(lines) + "\n"

    def _restart(self) -> None:
        self._moves: list[tuple[float, float, Move]] = []
        self._mocks: list[Mock] = []
        self._http: HttpReply | None = None
        self._broke: set[str] = set()
        self._script = _Told(
            self._flow,
            self._facts,
            environment=self._environment,
            outside=self._outside,
            signed_in=self._signed_in,
        )
        self._advance()

    def _again(self) -> None:
        inputs, self._inputs = self._inputs, []
        self._restart()
        for line in inputs:
            try:
                self._input(line)
            except NotUnderstood:
                # The call went another way, and what rang then does not ring now.
                continue
            self._inputs.append(line)

    def _input(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        if word == "/http":
            self._http = _http_reply(rest)
            return
        if self._script.run.finished:
            raise NotUnderstood("the call is over: /back takes back the last input, /save NAME keeps it as a test")
        match word:
            case "":
                self._moved(self._pass)
                return
            case "/wait":
                seconds = _seconds(rest)
                self._moved(lambda: self._script.waits(seconds))
            case "/hangup":
                self._moved(self._script.hangs_up, HangingUp())
            case "/set":
                self._set(rest)
            case "/goto":
                self._script.jump(self._block(rest))
            case _ if re.fullmatch(r"[0-9*#A-D]+", keys := line.replace(" ", "")) and not self._is_deed(line):
                self._moved(lambda: self._press(keys), Pressing(keys))
            case _ if self._is_deed(line):
                self._deed(line)
            case _:
                help = did_you_mean(word, [one.split()[0] for one in HELP if one.startswith("/")], "commands")
                raise NotUnderstood(f"'{line[:40]}' means nothing here: {help or '/help says what does'}")
        self._advance()

    def _moved(self, act: Callable[[], None], move: Move | None = None) -> None:
        began = self._script.now
        act()
        if move is not None:
            self._moves.append((began, self._script.now, move))

    def _press(self, keys: str) -> None:
        for key in keys:
            self._script.waits(KEY_GAP)
            if not self._script.run.finished:
                self._script.presses(key, gap=0.0)

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
        return _ASKED_CHOICES.format(key=self._script.accept_key)

    def _seat_does(self, name: str, deed: Deed) -> None:
        seat = self._script.seat(name)
        match deed:
            case "answer":
                self._moved(seat.answers, SeatDoing(name, deed))
            case "busy":
                self._moved(seat.busy, SeatDoing(name, deed))
            case "accept":
                self._moved(seat.takes_call, SeatDoing(name, deed))
            case "refuse":
                self._moved(seat.passes_up if seat.asked else seat.refuses, SeatDoing(name, deed))
            case "offline":
                self._moved(seat.offline, SeatDoing(name, deed))
            case "hangup":
                self._moved(seat.hangs_up, SeatDoing(name, deed))
            case "no_answer":
                while (seat.ringing or seat.asked) and self._script.next_thing():
                    pass

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
            planned = next((name for name in script.ringing if name in self._plans), None)
            if planned is not None:
                deed = self._plans[planned]
                self._seat_does(planned, "answer" if deed == "accept" else deed)
                continue
            asked = next((name for name in self._asked if self._plans.get(name) in ("answer", "accept")), None)
            if asked is not None:
                self._seat_does(asked, "accept")
                continue
            block = script.run.last_block
            if block in self._breaks and block not in self._broke:
                self._broke.add(block)
                script.tell(f"stopped at {block}")
                return
            waits = script.ringing or self._asked or script.talking or listened_for(script.run.step)
            if waits or not script.next_thing():
                return

    def _outside(self, asked: Asked) -> tuple[float, Reply]:
        mock: Mock
        match asked:
            case HttpRequest(method=method, url=url):
                mock = HttpMock(url, self._http or HttpReply(refused=True), method)
            case TableLookup(table=table, key=key):
                mock = LookupMock(table, key, fails=True)
            case Notification(webhook=webhook):
                mock = NotifyMock(webhook)
            case PluginCall(plugin=plugin):
                mock = PluginMock(plugin, fails=True)
        self._mocks.append(mock)
        if hasattr(self, "_script"):
            self._script.tell(f"asks {remedy(asked)[0]}: {as_yaml(mock)}")
        found = mock.answer(asked)
        assert found is not None
        return found


def _timed(moves: Sequence[tuple[float, float, Move]], until: float) -> list[Move]:
    """The moves with the waits between them."""
    found: list[Move] = []
    for (_, ended, _), (began, _, move) in pairwise([(0.0, 0.0, HangingUp()), *moves, (until, until, HangingUp())]):
        if began - ended >= 0.02:
            found.append(Waiting(round(began - ended, 3)))
        found.append(move)
    return found[:-1]


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _seconds(text: str) -> float:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise NotUnderstood(f"'{text[:20]}' is not a time span: write 300ms, 6s, 2m or 1h")
    return min(float(found[1]) * _UNITS[found[2]], 86_400.0)


def _http_reply(text: str) -> HttpReply:
    if text == "timeout":
        return HttpReply(timeout=True)
    if text == "refused":
        return HttpReply(refused=True)
    status, _, body = text.partition(" ")
    if not re.fullmatch(r"[1-5][0-9][0-9]", status):
        status, body = "200", text
    if not body.strip():
        return HttpReply(int(status))
    try:
        return HttpReply(int(status), Given(json.loads(body)))
    except (ValueError, RecursionError):
        raise NotUnderstood('write /http 404, /http timeout, /http refused, or /http {"total": 12.5}') from None
