"""A set of flows that serves: what its calls hold until they end, and which version of each flow that is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.call import Clip
from ivr.flow.digest import normal
from ivr.flow.model import Flow
from ivr.flow.nodes.dialling import Ring
from ivr.flow.nodes.opening import Hours
from ivr.flow.nodes.outside import Lookup
from ivr.flow.spoken_languages import heard_by
from ivr.hearing import Wanted
from ivr.run.environment import Environment
from ivr.run.preparation import sounds_of
from ivr.site import Site
from ivr.speech.prompts import PromptItem

Origin = Literal["start", "file", "publish", "rollback"]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one flow: ``main@42``."""

    flow: str
    number: int
    digest: str
    """Of the flow and all it depends on: changes only when a caller could notice."""

    def __str__(self) -> str:
        return f"{self.flow}@{self.number}"

    @property
    def recorded(self) -> str:
        """As it stands in the records of calls: the number for people, the digest for certainty."""
        return f"{self.number}-{self.digest[:12]}"


@dataclass(frozen=True)
class Release:
    """What is live together. Held by every call that began under it; freed with the last of them."""

    number: int
    at: int
    """UTC epoch milliseconds."""
    author: str
    origin: Origin
    site: Site
    """Numbers, clients and groups as they are; seats, trunks and addresses as they were when the program started."""
    environment: Environment
    versions: Mapping[str, Version]
    since: Mapping[str, int]
    """By flow: when this version of it went live."""
    clips: Mapping[PromptItem, Clip] = field(repr=False)
    comment: str = ""

    @property
    def flows(self) -> Mapping[str, Flow]:
        return self.environment.flows


@dataclass(frozen=True, slots=True)
class Needs:
    """What a flow names that stands outside its file."""

    digest: str
    """Its own: flows of one digest need the same."""
    sounds: tuple[PromptItem, ...]
    heard: tuple[Wanted, ...]
    """What its steps listen for, in each language that a call can have there."""
    groups: frozenset[str]
    tables: frozenset[str]
    calendars: frozenset[str]
    flows: frozenset[str]
    """Those it goes into: any setting ``flow`` names one."""


def needs_of(flow: Flow) -> Needs:
    settings = [step.settings for block in flow.blocks.values() for step in block.steps]
    return Needs(
        flow.digest,
        tuple(sounds_of([flow])),
        heard_by(flow),
        frozenset(one.group for one in settings if isinstance(one, Ring)),
        frozenset(one.table for one in settings if isinstance(one, Lookup)),
        frozenset(one.calendar for one in settings if isinstance(one, Hours)),
        frozenset(name for one in settings if isinstance(name := getattr(one, "flow", None), str)),
    )


def dependent_digests(needs: Mapping[str, Needs], recordings: Mapping[PromptItem, str], site: Site) -> dict[str, str]:
    """Digest of each flow with what is outside its file: its sounds, what of the site it names, the flows it goes
    into. ``needs`` of all flows of the set, by name."""
    alone = {name: _digest_alone(one, recordings, site) for name, one in needs.items()}
    found = {}
    for name, own in alone.items():
        called = _called(name, needs)
        text = json.dumps([own, {one: alone[one] for one in sorted(called)}]) if called else ""
        found[name] = hashlib.sha256(text.encode()).hexdigest() if called else own
    return found


def _called(flow: str, needs: Mapping[str, Needs]) -> set[str]:
    """All flows in which a call of that flow can come, that one aside."""
    found: set[str] = set()
    to_see = [flow]
    while to_see:
        new = {name for name in needs[to_see.pop()].flows if name in needs and name != flow} - found
        found |= new
        to_see += new
    return found


def _digest_alone(needs: Needs, recordings: Mapping[PromptItem, str], site: Site) -> str:
    sounds = {f"{item[2]}/{item[1]}": recordings.get(item, "") for item in needs.sounds if item[0] == "recording"}
    named: dict[str, object] = {
        f"group {name}": normal(site.groups[name].steps) for name in needs.groups & site.groups.keys()
    }
    named |= {f"table {name}": normal(site.tables.get(name)) for name in needs.tables}
    named |= {f"calendar {name}": normal(site.calendars.get(name)) for name in needs.calendars}
    text = json.dumps([needs.digest, sounds, named], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def next_versions(
    digests: Mapping[str, str], live: Mapping[str, Version], highest: Mapping[str, int]
) -> dict[str, Version]:
    """A version for each flow: the live one if nothing changed, else one above the highest there ever was."""
    found = {}
    for name, digest in sorted(digests.items()):
        before = live.get(name)
        if before is not None and before.digest == digest:
            found[name] = before
        else:
            number = max(highest.get(name, 0), before.number if before is not None else 0) + 1
            found[name] = Version(name, number, digest)
    return found
