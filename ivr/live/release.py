"""A set of flows that serves: what its calls hold until they end, and which version of each flow that is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.call import Clip
from ivr.flow.draft import contents, normal
from ivr.flow.model import Flow, Recording
from ivr.flow.nodes.dialling import Ring
from ivr.flow.nodes.opening import Hours
from ivr.flow.nodes.outside import Lookup
from ivr.run.environment import Environment
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
    """Numbers and groups as they are; seats, trunks and addresses as they were when the program started."""
    environment: Environment
    versions: Mapping[str, Version]
    since: Mapping[str, int]
    """By flow: when this version of it went live."""
    clips: Mapping[PromptItem, Clip] = field(repr=False)
    comment: str = ""

    @property
    def flows(self) -> Mapping[str, Flow]:
        return self.environment.flows


def dependent_digest(
    flow: Flow, recordings: Mapping[PromptItem, str], site: Site, flows: Mapping[str, Flow] | None = None
) -> str:
    """Digest of a flow with what is outside its file: its sounds, what of the site it names, the flows it goes into.

    ``flows`` are those of the set, by name.
    """
    own = _digest_alone(flow, recordings, site)
    called = _called(flow, flows or {})
    if not called:
        return own
    text = json.dumps([own, {name: _digest_alone(called[name], recordings, site) for name in sorted(called)}])
    return hashlib.sha256(text.encode()).hexdigest()


def _called(flow: Flow, flows: Mapping[str, Flow]) -> dict[str, Flow]:
    """All flows in which a call of that flow can come, that one aside: any setting ``flow`` names one."""
    found: dict[str, Flow] = {}
    to_see = [flow]
    while to_see:
        for block in to_see.pop().blocks.values():
            for step in block.steps:
                name = getattr(step.settings, "flow", None)
                if isinstance(name, str) and name in flows and name != flow.name and name not in found:
                    found[name] = flows[name]
                    to_see.append(flows[name])
    return found


def _digest_alone(flow: Flow, recordings: Mapping[PromptItem, str], site: Site) -> str:
    sounds: dict[str, str] = {}
    named: dict[str, object] = {}
    for block in flow.blocks.values():
        for step in block.steps:
            for found in contents(step.settings):
                if isinstance(found, Recording):
                    for language in flow.languages or ("en",):
                        item = recordings.get(("recording", found.name, language), "")
                        sounds[f"{language}/{found.name}"] = item
            match step.settings:
                case Ring(group=name) if name in site.groups:
                    named[f"group {name}"] = normal(site.groups[name].steps)
                case Lookup(table=name):
                    named[f"table {name}"] = normal(site.tables.get(name))
                case Hours(calendar=name):
                    named[f"calendar {name}"] = normal(site.calendars.get(name))
    text = json.dumps([flow.digest, sounds, named], sort_keys=True)
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
