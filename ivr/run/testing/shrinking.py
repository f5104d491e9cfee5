"""A call that goes wrong made smaller: what can be left out while it still goes wrong in the same way is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from ivr.run.testing.mocks import Mock
from ivr.run.testing.model import Caller
from ivr.run.testing.moves import Move, Pressing, Saying, Waiting

WAITS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds that are waited at a time."""
_TRIES: Final = 300
"""Replays in which a smaller call is looked for."""


@dataclass(frozen=True, slots=True)
class Story:
    """One call, such that it can be had again."""

    caller: Caller
    moves: tuple[Move, ...] = ()
    mocks: tuple[Mock, ...] = ()

    def size(self, usual: Caller) -> tuple[int, float, int, int]:
        waited = sum(move.seconds for move in self.moves if isinstance(move, Waiting))
        keys = sum(len(move.keys) for move in self.moves if isinstance(move, Pressing))
        keys += sum(len(move.said.text.split()) for move in self.moves if isinstance(move, Saying))
        unusual = (self.caller.at != usual.at) + (self.caller.chance != usual.chance)
        return len(self.moves) + keys, waited, len(self.mocks), unusual


def smallest(story: Story, usual: Caller, again: Callable[[Story], tuple[Story, str | None]]) -> tuple[Story, str]:
    """The story cut down as far as it goes, and what goes wrong in it.

    ``again`` has the call once more, and tells how it went and what went wrong. ``usual`` is who calls if it does not
    matter.
    """
    story, message = again(story)
    assert message is not None, "the same call goes the same way"
    tries = _TRIES
    smaller = True
    while smaller:
        smaller = False
        for candidate in _less(story, usual):
            if not tries:
                return story, message
            tries -= 1
            played, found = again(candidate)
            if found is not None and played.size(usual) < story.size(usual):
                story, message, smaller = played, found, True
                break
    return story, message


def _less(story: Story, usual: Caller) -> Iterator[Story]:
    moves, mocks, caller = story.moves, story.mocks, story.caller
    for one in (usual, replace(caller, at=usual.at), replace(caller, chance=usual.chance)):
        if one != caller:
            yield replace(story, caller=one)
    half = len(moves) // 2
    if half > 1:
        yield replace(story, moves=moves[:half])
        yield replace(story, moves=moves[half:])
    for at in range(len(moves)):
        yield replace(story, moves=moves[:at] + moves[at + 1 :])
    for at, move in enumerate(moves):
        for less in _less_of(move):
            yield replace(story, moves=(*moves[:at], less, *moves[at + 1 :]))
    for at in range(len(mocks)):
        yield replace(story, mocks=mocks[:at] + mocks[at + 1 :])


def _less_of(move: Move) -> Iterator[Move]:
    match move:
        case Pressing(keys) if len(keys) > 1:
            yield from (Pressing(keys[:key] + keys[key + 1 :]) for key in range(len(keys)))
        case Waiting(seconds):
            yield from (Waiting(less) for less in WAITS if less < seconds)
