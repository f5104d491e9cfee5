"""From a site and its flows to what a call holds from its beginning to its end."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from gateway.call import Target
from ivr.calendar.closings import ClosingFile, Closings
from ivr.flow.model import Flow
from ivr.run.counting import Counts, RecentTimes
from ivr.run.environment import Environment
from ivr.run.hunt import Member, RingStep
from ivr.run.testing.kinds import Surroundings
from ivr.site.model import Site
from ivr.site.numbers import Direct
from ivr.speech.recognition.choice import choice_for
from ivr.table import Table


def environment_of(
    site: Site, flows: Mapping[str, Flow], closings: Closings | None = None, counts: Counts | None = None
) -> Environment:
    """Everything that the flows can refer to by name. Unless given, closings are those in the state of the site, and
    nothing has been counted yet."""
    return Environment(
        flows,
        _groups(site),
        {name: table for name, table in site.tables.items() if isinstance(table, Table)},
        site.calendars,
        closings or ClosingFile(site.state),
        counts or RecentTimes(),
        site.country,
        hears=cache(lambda language: choice_for(language, site.recognition) is not None),
    )


def surroundings_of(site: Site, flows: Mapping[str, Flow]) -> Surroundings:
    """What tests of the site's flows can name, and what the flows find when they are acted."""
    return Surroundings(
        frozenset([*site.seats, *(f"rtc:{user}" for user in site.clients)]),
        _groups(site),
        numbers=bool(site.trunks),
        known=True,
        tables={name: table for name, table in site.tables.items() if isinstance(table, Table)},
        calendars=site.calendars,
        flows=flows,
        country=site.country,
    )


def _groups(site: Site) -> dict[str, tuple[Member, ...]]:
    return {
        name: tuple(
            RingStep(tuple(target_of(Direct(text)) for text in step.targets), step.after) for step in group.steps
        )
        for name, group in site.groups.items()
    }


def target_of(direct: Direct) -> Target:
    """Whom the telephone side is to dial."""
    match direct.scheme:
        case "sip" | "rtc" | "tel" as scheme:
            return Target(scheme, direct.name, direct.trunk)
    raise ValueError(f"{direct} cannot be rung")
