"""What a call holds from its beginning to its end, whatever is edited, added or removed meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.call import Target
from ivr.calendar import Calendar
from ivr.calendar.closings import Closings, NothingClosed
from ivr.flow.model import Flow
from ivr.run.counting import Counts, RecentTimes
from ivr.run.hunt import Member
from ivr.table import Table


def _shuffled(targets: Sequence[Target]) -> Sequence[Target]:
    return random.sample(targets, len(targets))


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything a flow can refer to by name. Shared by calls, never changed: a reload makes another one."""

    flows: Mapping[str, Flow] = field(default_factory=dict)
    """By name, with the one the call begins in: where ``call`` can lead."""
    groups: Mapping[str, tuple[Member, ...]] = field(default_factory=dict)
    """Who rings together, or step by step."""
    tables: Mapping[str, Table] = field(default_factory=dict)
    """Those read from files. One that is not here is asked outside."""
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    closings: Closings = field(default_factory=NothingClosed)
    """What is closed by hand: the one thing that holds at once, for calls that run too."""
    counts: Counts = field(default_factory=RecentTimes)
    """What ``limit`` counts, across calls."""
    country: str = ""
    """Whose numbers need no country code to be known; empty if nobody's."""
    hears: Callable[[str], bool] = lambda _: True
    """Whether there is a recogniser for a language."""
    random: Callable[[], float] = random.random
    """From 0 to below 1."""
    shuffled: Callable[[Sequence[Target]], Sequence[Target]] = _shuffled
    """The same targets in an order that chance decides."""
