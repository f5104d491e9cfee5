"""Random callers: what must hold for every call is tried on many, and a small call that breaks it is found.

The dice are the same in every run of the program. A caller calls at any hour, presses and says mostly what the flow
listens for, says other things too, is sometimes not understood or silent, hangs up sometimes; seats answer, are busy,
refuse or are away; services answer as the tests' mocks do, or fail; chance puts the call into any variant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from random import Random
from typing import Final

from ivr.flow.keys import KEYS, parse_pattern
from ivr.flow.model import Flow
from ivr.hearing import Wanted
from ivr.run.conversation import CallFacts
from ivr.run.requests import Asked, HttpRequest, NoReply, Reply
from ivr.run.script import Deed, Script
from ivr.run.testing.acting import environment_of
from ivr.run.testing.chances import chances
from ivr.run.testing.kinds import Surroundings
from ivr.run.testing.listening import OUT_OF_PLACE, key_patterns, sayings
from ivr.run.testing.mocks import Answers, Given, HttpMock, HttpReply, Mock
from ivr.run.testing.model import Caller, Property
from ivr.run.testing.moves import (
    HangingUp,
    HearingFails,
    Move,
    Mumbling,
    Pressing,
    Saying,
    SeatDoing,
    Waiting,
    make,
)
from ivr.run.testing.properties import Check, checks
from ivr.run.testing.shrinking import WAITS, Story, smallest
from ivr.run.testing.speech import SURE, UNSURE, Said
from ivr.run.testing.writing import as_test

CALLS: Final = 200
"""Random calls unless told otherwise."""
_MOVES: Final = 30
"""Of one call; then the caller is silent."""
_WEEK: Final = 7 * 24

_DEEDS: Final[tuple[Deed, ...]] = ("answer", "answer", "busy", "refuse", "offline", "fail")
_ASKED_DEEDS: Final[tuple[Deed, ...]] = ("accept", "accept", "refuse", "hangup")
"""Of one who has answered and does not have the caller yet."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A property that does not hold."""

    property: Property
    title: str
    message: str
    call: int
    """Which of the random calls showed it, from 1."""
    test: str
    """The smallest call found, as a test in YAML that fails by itself."""


def wander(
    flow: Flow,
    around: Surroundings,
    properties: Sequence[Property],
    *,
    caller: Caller | None = None,
    lengths: Mapping[str, float] | None = None,
    mocks: Sequence[Mock] = (),
    calls: int = CALLS,
    seed: int = 1,
) -> list[Broken]:
    """Try the properties on random calls. ``mocks`` are what services are known to answer."""
    usual = caller or Caller()
    site = _Site(flow, around, lengths or {}, tuple(mocks))
    left = [(index, check) for index, one in enumerate(properties) for check in checks(one)]
    found: dict[int, Broken] = {}
    for number in range(1, calls + 1):
        left = [(index, check) for index, check in left if index not in found]
        if not left:
            break
        dice = Random(f"{seed}/{number}")
        wanderer = _Wanderer(site, Story(_somebody(usual, dice)), dice)
        wanderer.wanders()
        for index, check in left:
            if index not in found and check.broken_by(wanderer.script) is not None:
                story, message = smallest(wanderer.story, usual, partial(_again, site, check))
                found[index] = Broken(properties[index], check.title, message, number, _written(story, usual, check))
    return [found[index] for index in sorted(found)]


def _somebody(usual: Caller, dice: Random) -> Caller:
    """Who calls at any hour of the week, or at the usual one."""
    hours = dice.choice((0, dice.randrange(_WEEK)))
    return replace(usual, at=usual.at + timedelta(hours=hours), chance=float(dice.randrange(0, 100, 5)))


def _again(site: _Site, check: Check, story: Story) -> tuple[Story, str | None]:
    call = _Wanderer(site, story, Random(0))
    call.does(story.moves)
    return call.story, check.broken_by(call.script)


def _written(story: Story, usual: Caller, check: Check) -> str:
    return as_test(
        check.title,
        caller=story.caller,
        usual=usual,
        mocks=story.mocks,
        moves=story.moves,
        properties=[check.property],
    )


@dataclass(frozen=True, slots=True)
class _Site:
    """What is the same for all calls."""

    flow: Flow
    around: Surroundings
    lengths: Mapping[str, float]
    known: tuple[Mock, ...]


class _Wanderer:
    """One random call, or one again: mocks that a story does not have are added as they are asked for."""

    def __init__(self, site: _Site, story: Story, dice: Random) -> None:
        self._site = site
        self._dice = dice
        self._answers = Answers(story.mocks)
        self._mocks = list(story.mocks)
        self._moves: list[Move] = []
        self._seats: set[str] = set()
        self._caller = caller = story.caller
        self.script = Script(
            site.flow,
            CallFacts("test", caller.number, "", None, caller.did, caller.at),
            environment=environment_of(site.flow, site.around, site.known, caller.chance),
            outside=self._outside,
            lengths=site.lengths,
            signed_in=site.around.seats if site.around.known else None,
        )

    @property
    def story(self) -> Story:
        """What was done; moves that did not fit are not part of it."""
        return Story(self._caller, tuple(self._moves), tuple(self._mocks))

    def wanders(self) -> None:
        """A call by dice."""
        for _ in range(_MOVES):
            if self.script.run.finished:
                break
            self._do(self._next())
        self._over()

    def does(self, moves: Sequence[Move]) -> None:
        """The call of a story."""
        for move in moves:
            if self.script.run.finished:
                break
            self._do(move)
        self._over()

    def _over(self) -> None:
        for name in sorted(self._seats):
            if not self.script.run.finished:
                self._do(SeatDoing(name, "hangup"))
        self.script.until_over()

    def _do(self, move: Move) -> None:
        made = make(self.script, move)
        if made is not None:
            self._moves.append(made)
        if isinstance(move, SeatDoing):
            self._seats.add(move.seat)

    def _outside(self, asked: Asked) -> tuple[float, Reply]:
        found = self._answers.to(asked)
        if found is None:
            mock = self._dice.choice(self._chances(asked))
            self._mocks.append(mock)
            self._answers.add(mock)
            found = self._answers.to(asked)
        return found or (0.0, NoReply("nobody is there"))

    def _chances(self, asked: Asked) -> Sequence[Mock]:
        known = self._site.known
        choices = chances(known, asked)
        if isinstance(asked, HttpRequest) and Answers(known).to(asked) is None:
            return HttpMock(asked.url, HttpReply(json=Given({})), asked.method), *choices
        return choices

    def _next(self) -> Move:
        dice, script = self._dice, self.script
        # One that the site does not have could not stand in the test that is printed.
        ringing = [name for name in script.ringing if self._site.around.reaches(name)]
        if dice.random() < 0.03:
            return HangingUp()
        if ringing and dice.random() < 0.7:
            return SeatDoing(dice.choice(ringing), dice.choice(_DEEDS))
        if script.asked_parties and dice.random() < 0.7:
            return SeatDoing(dice.choice(script.asked_parties), dice.choice(_ASKED_DEEDS))
        if script.talking and dice.random() < 0.5:
            return SeatDoing(script.talking[0], "hangup")
        if (listen := script.voice.wanted) is not None and dice.random() < 0.4:
            return self._speaks(listen.wanted)
        wanted = sorted(key_patterns(script.run.step))
        roll = dice.random()
        if wanted and roll < 0.6:
            return Pressing(_keys(dice.choice(wanted), dice))
        if roll < 0.7:
            return Pressing("".join(dice.choice(KEYS[:12]) for _ in range(dice.randint(1, 4))))
        return Waiting(dice.choice(WAITS))

    def _speaks(self, wanted: Wanted) -> Move:
        dice, over = self._dice, self._dice.random() < 0.5
        if dice.random() < 0.05:
            return HearingFails(not self.script.voice.fails)
        if dice.random() < 0.1:
            return Mumbling(1.0, over)
        words = dice.choice((*sayings(wanted), *OUT_OF_PLACE))
        return Saying(Said(words, dice.choice((SURE, SURE, SURE, UNSURE))), over)


def _keys(pattern: str, dice: Random) -> str:
    return "".join(dice.choice(sorted(keys)) for keys in parse_pattern(pattern))
