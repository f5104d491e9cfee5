"""Random callers: what must hold for every call is tried on many, and the shortest call that breaks it is found.

The dice are the same in every run of the program. A caller presses mostly what the flow listens for, is sometimes
silent, hangs up sometimes; seats answer, are busy, refuse or are away; services answer as the tests' mocks do, or
fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Final, Literal, assert_never

from ivr.flow.keys import KEYS, parse_pattern
from ivr.flow.kinds import seconds_as_text
from ivr.flow.model import Flow, Step
from ivr.flow.nodes import questions
from ivr.run.actions import Ended, Play
from ivr.run.conversation import CallFacts
from ivr.run.requests import Asked, HttpRequest, NoReply, Reply
from ivr.run.script import Script
from ivr.run.testing.acting import KEY_GAP, environment_of
from ivr.run.testing.kinds import Surroundings
from ivr.run.testing.mocks import Given, HttpMock, HttpReply, Mock, answer, as_yaml, chances, word_of
from ivr.run.testing.model import Always, Caller, Never, Property

CALLS: Final = 200
"""Random calls unless told otherwise."""
_MOVES: Final = 30
"""Of one call; then the caller is silent."""
_TRIES: Final = 300
"""Replays in which a shorter call is looked for."""

Deed = Literal["answer", "accept", "busy", "refuse", "offline", "fail", "hangup"]
_DEEDS: Final[tuple[Deed, ...]] = ("answer", "answer", "busy", "refuse", "offline", "fail")
_ASKED_DEEDS: Final[tuple[Deed, ...]] = ("accept", "accept", "refuse", "hangup")
"""Of one who has answered and does not have the caller yet."""


@dataclass(frozen=True, slots=True)
class Pressing:
    keys: str


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


Move = Pressing | Waiting | SeatDoing | HangingUp


@dataclass(frozen=True, slots=True)
class Story:
    """One call, such that it can be had again."""

    moves: tuple[Move, ...]
    mocks: tuple[Mock, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """A property that does not hold."""

    property: Property
    title: str
    message: str
    call: int
    """Which of the random calls showed it, from 1."""
    test: str
    """The shortest call found, as a test in YAML."""


def wander(
    flow: Flow,
    around: Surroundings,
    properties: Sequence[Property],
    *,
    caller: Caller | None = None,
    mocks: Sequence[Mock] = (),
    calls: int = CALLS,
    seed: int = 1,
) -> list[Broken]:
    """Try the properties on random calls. ``mocks`` are what services are known to answer."""
    caller = caller or Caller()
    found: dict[int, Broken] = {}
    for number in range(1, calls + 1):
        checks = [
            (index, title, check)
            for index, one in enumerate(properties)
            if index not in found
            for title, check in _checks(one)
        ]
        if not checks:
            break
        call = _Wanderer(flow, around, caller, mocks, Random(f"{seed}/{number}"))
        story = call.wanders()
        for index, title, check in checks:
            message = check(call)
            if message is not None and index not in found:
                story, message = _shortest(story, check, message, lambda one: _replayed(flow, around, caller, one))
                test = as_test(story, title, properties[index], _replayed(flow, around, caller, story)[0])
                found[index] = Broken(properties[index], title, message, number, test)
    return [found[index] for index in sorted(found)]


# What must hold. ------------------------------------------------------------------------------------------

_Check = Callable[["_Wanderer"], str | None]


def _checks(one: Property) -> Iterator[tuple[str, _Check]]:
    match one:
        case Never(silence_longer_than=limit, speak_after=speak):
            if limit is not None:
                yield f"never silence longer than {seconds_as_text(limit)}", partial(_Wanderer.too_silent, limit=limit)
            if speak is not None:
                yield "never speak after hangup", _Wanderer.speaks_to_nobody
        case Always(end_within=limit, every_call_has=ended_by):
            if limit is not None:
                yield f"always end within {seconds_as_text(limit)}", partial(_Wanderer.too_long, limit=limit)
            if ended_by is not None:
                yield "every call has ended_by", _Wanderer.ended_by_nobody


class _Wanderer:
    """One random call, or one again."""

    def __init__(self, flow: Flow, around: Surroundings, caller: Caller, mocks: Sequence[Mock], dice: Random) -> None:
        self._known = mocks
        self._dice = dice
        self._mocks: list[Mock] = []
        self._moves: list[Move] = []
        self._left_at: int | None = None
        self._seats: set[str] = set()
        facts = CallFacts("test", caller.number, "", None, caller.did, caller.at)
        self.script = Script(
            flow,
            facts,
            environment=environment_of(flow, around, ()),
            outside=self._outside,
            # A seat that the site does not have could not stand in the test that is printed.
            signed_in=around.seats if around.known else None,
        )

    def wanders(self) -> Story:
        """A call by dice."""
        for _ in range(_MOVES):
            if self.script.run.finished:
                break
            self._do(self._next())
        return self._over()

    def again(self, story: Story) -> Story:
        """The call of a story; moves that do not fit are left out of what is returned."""
        for move in story.moves:
            if self.script.run.finished:
                break
            self._do(move)
        return self._over()

    # What must hold of it.

    def too_silent(self, limit: float) -> str | None:
        begins, seconds = self.script.longest_silence()
        if seconds <= limit + 1e-6:
            return None
        return f"the caller heard nothing for {seconds:.1f} s from {begins:.1f} s on"

    def speaks_to_nobody(self) -> str | None:
        actions = self.script.actions
        ended = next((at for at, action in enumerate(actions) if isinstance(action, Ended)), len(actions))
        after = ended if self._left_at is None else min(ended, self._left_at)
        if any(isinstance(action, Play) for action in actions[after:]):
            return "something is played although the caller has gone"
        return None

    def too_long(self, limit: float) -> str | None:
        return f"the call lasted {self.script.now:.0f} s" if self.script.now > limit else None

    def ended_by_nobody(self) -> str | None:
        return None if self.script.ended_by is not None else "nobody ended the call"

    # What happens in it.

    def _over(self) -> Story:
        for name in sorted(self._seats):
            if self.script.seat(name).talking and not self.script.run.finished:
                self._do(SeatDoing(name, "hangup"))
        self.script.until_over()
        return Story(tuple(self._moves), tuple(self._mocks))

    def _outside(self, asked: Asked) -> tuple[float, Reply]:
        found = answer(self._mocks, asked)
        if found is None:
            choices = chances(self._known, asked)
            if isinstance(asked, HttpRequest) and not any(answer([one], asked) for one in self._known):
                choices = (HttpMock(asked.url, HttpReply(json=Given({})), asked.method), *choices)
            self._mocks.append(self._dice.choice(choices))
            found = answer(self._mocks, asked)
        return found or (0.0, NoReply("nobody is there"))

    def _do(self, move: Move) -> None:
        script = self.script
        match move:
            case Pressing(keys):
                pressed = ""
                for key in keys:
                    script.waits(KEY_GAP)
                    if script.run.finished:
                        break
                    script.presses(key, gap=0.0)
                    pressed += key
                if not pressed:
                    return
                move = Pressing(pressed)
            case Waiting(seconds):
                script.waits(seconds)
            case HangingUp():
                self._left_at = len(script.actions)
                script.hangs_up()
            case SeatDoing(name, deed):
                self._seats.add(name)
                if not self._seat(name, deed):
                    return
            case _:
                assert_never(move)
        self._moves.append(move)

    def _seat(self, name: str, deed: Deed) -> bool:
        seat = self.script.seat(name)
        fits = {"hangup": seat.talking or seat.asked, "accept": seat.asked, "refuse": seat.ringing or seat.asked}
        if not fits.get(deed, seat.ringing):
            return False
        match deed:
            case "accept":
                if self.script.accept_key is None:
                    return False
                seat.takes_call()
            case "refuse" if seat.asked:
                if self.script.accept_key is None:
                    return False
                seat.passes_up()
            case "answer":
                seat.answers()
            case "busy":
                seat.busy()
            case "refuse":
                seat.refuses()
            case "offline":
                seat.offline()
            case "fail":
                seat.fails("failed")
            case "hangup":
                seat.hangs_up()
            case _:
                assert_never(deed)
        return True

    def _next(self) -> Move:
        dice, script = self._dice, self.script
        if dice.random() < 0.03:
            return HangingUp()
        if script.ringing and dice.random() < 0.7:
            return SeatDoing(dice.choice(script.ringing), dice.choice(_DEEDS))
        if script.asked_parties and dice.random() < 0.7:
            return SeatDoing(dice.choice(script.asked_parties), dice.choice(_ASKED_DEEDS))
        if script.talking and dice.random() < 0.5:
            return SeatDoing(script.talking[0], "hangup")
        wanted = sorted(_listened_for(script.run.step))
        roll = dice.random()
        if wanted and roll < 0.6:
            return Pressing(_keys(dice.choice(wanted), dice))
        if roll < 0.7:
            return Pressing("".join(dice.choice(KEYS[:12]) for _ in range(dice.randint(1, 4))))
        return Waiting(dice.choice((0.5, 1.0, 2.0, 5.0, 10.0, 30.0)))


def _listened_for(step: Step | None) -> frozenset[str]:
    """Patterns of keys."""
    match step.settings if step is not None else None:
        case questions.Menu(keys=keys):
            return frozenset(keys.patterns)
        case questions.Confirm(yes_key=yes, no_key=no):
            return frozenset({yes, no})
        case questions.Collect(digits=digits, input=input):
            finish = input.finish_key or ""
            return frozenset(
                "X" * length + (finish if length < digits.most else "")
                for length in {digits.least, digits.most, (digits.least + digits.most) // 2}
            )
        case _:
            return frozenset()


def listened_for(step: Step | None) -> tuple[str, ...]:
    """The keys a step waits for, as one would write them."""
    match step.settings if step is not None else None:
        case questions.Collect(digits=digits):
            return (f"{digits.least}..{digits.most} digits",)
        case questions.Menu(keys=keys):
            return keys.patterns
        case _:
            return tuple(sorted(_listened_for(step)))


def _keys(pattern: str, dice: Random) -> str:
    return "".join(dice.choice(sorted(keys)) for keys in parse_pattern(pattern))


# The shortest one. ----------------------------------------------------------------------------------------


def _replayed(flow: Flow, around: Surroundings, caller: Caller, story: Story) -> tuple[_Wanderer, Story]:
    call = _Wanderer(flow, around, caller, story.mocks, Random(0))
    call._mocks.extend(story.mocks)
    return call, call.again(story)


def _shortest(
    story: Story, check: _Check, message: str, replayed: Callable[[Story], tuple[_Wanderer, Story]]
) -> tuple[Story, str]:
    """Leave out what can be left out while it still goes wrong."""
    tries = _TRIES
    shorter = True
    while shorter and tries > 0:
        shorter = False
        for candidate in _less(story):
            tries -= 1
            call, played = replayed(candidate)
            found = check(call)
            if found is not None and _size(played) < _size(story):
                story, message, shorter = played, found, True
                break
            if tries <= 0:
                break
    return story, message


def _less(story: Story) -> Iterator[Story]:
    moves, mocks = story.moves, story.mocks
    half = len(moves) // 2
    if half > 1:
        yield replace(story, moves=moves[:half])
        yield replace(story, moves=moves[half:])
    for at in range(len(moves)):
        yield replace(story, moves=moves[:at] + moves[at + 1 :])
    for at, move in enumerate(moves):
        if isinstance(move, Pressing) and len(move.keys) > 1:
            for key in range(len(move.keys)):
                fewer = Pressing(move.keys[:key] + move.keys[key + 1 :])
                yield replace(story, moves=(*moves[:at], fewer, *moves[at + 1 :]))
        if isinstance(move, Waiting) and move.seconds > 0.5:
            yield replace(story, moves=(*moves[:at], Waiting(0.5), *moves[at + 1 :]))
    for at in range(len(mocks)):
        yield replace(story, mocks=mocks[:at] + mocks[at + 1 :])


def _size(story: Story) -> tuple[int, float, int]:
    waited = sum(move.seconds for move in story.moves if isinstance(move, Waiting))
    keys = sum(len(move.keys) for move in story.moves if isinstance(move, Pressing))
    return len(story.moves) + keys, waited, len(story.mocks)


def as_test(story: Story, title: str, property: Property | None, call: _Wanderer) -> str:
    """The story as a test that can be copied into a file; with a limit of silence it fails as the property does."""
    lines = [f"  - name: {title}"]
    words = dict.fromkeys(word_of(mock) for mock in story.mocks)
    for word in words:
        lines.append(f"    {word}:")
        lines += [f"      - {as_yaml(mock)}" for mock in story.mocks if word_of(mock) == word]
    steps = [as_step(move) for move in story.moves]
    if isinstance(property, Never) and property.silence_longer_than is not None:
        steps.insert(0, f"max_silence: {seconds_as_text(property.silence_longer_than)}")
    if steps:
        lines += ["    steps:", *(f"      - {step}" for step in steps)]
    if call.script.ended_by is not None:
        lines.append(f"    expect: {{ended_by: {call.script.ended_by}}}")
    return "\n".join(lines) + "\n"


def as_step(move: Move) -> str:
    """A move as a step of a test."""
    match move:
        case Pressing(keys):
            return f"press: '{keys}'"
        case Waiting(seconds):
            return f"wait: {seconds_as_text(seconds)}"
        case SeatDoing(seat, deed):
            return f"{{seat: '{seat}', does: {deed}}}"
        case HangingUp():
            return "hangup: caller"
