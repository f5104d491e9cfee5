"""Checks across files: numbers against flows, groups and flows against seats, prompts against recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ivr.flow.loader import FlowSet, shown
from ivr.flow.menu_length import check_menus
from ivr.flow.model import Place
from ivr.flow.outside_checks import Outdoors, PluginTerms, check_outside
from ivr.flow.problem import Problem, did_you_mean, in_order, listed, with_lines
from ivr.flow.site_checks import check_hearing, check_prompts, check_targets
from ivr.hearing import Wanted
from ivr.plugin import installed
from ivr.site.model import Site
from ivr.site.voices import check_texts, check_voices
from ivr.speech.recognition.choice import choice_for, remedy

if TYPE_CHECKING:
    # It loads speech engines, which most commands do without.
    from ivr.speech.checking import VoiceCheck


def check_site(
    site: Site,
    flow_set: FlowSet,
    fault: Callable[[Path], str | None] = lambda _: None,
    length: Callable[[Path], float | None] = lambda _: None,
    doubt: Callable[[Path], tuple[str, str] | None] = lambda _: None,
    complaints: Callable[[Wanted], Sequence[str]] = lambda _: (),
    voices: VoiceCheck | None = None,
) -> tuple[Problem, ...]:
    """What is wrong between the site and its flows; what is wrong within each is known from loading them.

    ``fault`` tells why a recording cannot be played, None if it can; ``length`` the seconds of a recording, None if
    they cannot be told; ``doubt`` what callers may not like in one, and the remedy; ``complaints`` what the recogniser
    of a language cannot hear; ``voices`` tries who speaks.
    """
    # One recording is named in many places, and each answer takes a look at the disk.
    recording, fault, length, doubt = cache(site.recording), cache(fault), cache(length), cache(doubt)
    lines = {shown(site.file): site.lines}
    spoken: tuple[Problem, ...] = ()
    if voices is not None:
        spoken = (*with_lines(check_voices(site, voices), lines), *check_texts(site, flow_set, voices))
    own = with_lines([*_numbers(site, flow_set), *_guests(site), *_groups(site), *_trunks(site)], lines)
    unreached = flow_set.with_lines(_unreached(site, flow_set))
    targets = check_targets(
        flow_set,
        site.seats,
        site.groups,
        site.trunks,
        None if site.rtc is None else site.clients,
        strangers=site.tokens_from_elsewhere,
    )
    prompts = check_prompts(flow_set, recording, shown(site.prompts), fault, doubt)
    menus = check_menus(flow_set, recording, length, lambda language: site.voice(language).rate)
    outside = check_outside(flow_set, outdoors_of(site))

    def cannot_hear(wanted: Wanted) -> Sequence[str] | None:
        return None if choice_for(wanted.language, site.recognition) is None else complaints(wanted)

    hearing = check_hearing(flow_set, cannot_hear, remedy)
    return in_order([*own, *spoken, *unreached, *targets, *prompts, *menus, *outside, *hearing])


def outdoors_of(site: Site) -> Outdoors:
    """What of the world outside flows of this site can name."""

    def local(scheme: str, host: str, port: int) -> bool:
        return site.http.reach.local(host) or site.http.reach.names(scheme, host, port)

    return Outdoors(
        site.tables,
        site.webhooks,
        {name: tuple(calendar.named) for name, calendar in site.calendars.items()},
        site.secrets,
        _plugins,
        local,
    )


def _plugins() -> dict[str, PluginTerms]:
    return {
        name: PluginTerms({one.name: one.required for one in found.plugin.arguments}, found.plugin.exits)
        if found.plugin is not None
        else PluginTerms(fault=found.fault)
        for name, found in installed().items()
    }


def _numbers(site: Site, flow_set: FlowSet) -> Iterator[Problem]:
    for rule in site.numbers:
        if rule.direct is not None:
            yield from _rung(site, rule.direct.target, rule.place, f"number '{rule.number}'", len(rule.number))
        elif rule.flow is not None and rule.flow not in flow_set.names:
            help = did_you_mean(rule.flow, flow_set.names, "flows") or "there are no flows"
            yield Problem(
                "E205", rule.place, f"number '{rule.number}' leads to flow '{rule.flow}', which is not there", help
            )
        elif (flow := flow_set.flows.get(rule.flow or "")) is not None:
            needed = [one for one in flow.variables.values() if one.param and one.default is None]
            if needed:
                names, place = listed([one.name for one in needed]), needed[0].place
                message = (
                    f"number '{rule.number}' starts flow '{rule.flow}', which needs {names} from a flow that calls it"
                )
                help = f"start a flow that calls '{rule.flow}', or give a default in {place.file}:{place.line}"
                yield Problem("E208", rule.place, message, help, len(rule.number))


def _guests(site: Site) -> Iterator[Problem]:
    for number in () if site.rtc is None else site.rtc.guests:
        rule = site.route(number)
        if site.rtc is not None and (rule is None or rule.callers == "seats"):
            fault = "no rule under numbers fits it" if rule is None else f"'{rule.number}' is for callers: seats"
            help = f"add '{number}': flow_name under numbers:, or take it out of guests"
            yield Problem("E205", site.rtc.place, f"guests may call {number}, but {fault}", help)


def _rung(site: Site, target: str, place: Place, who: str, length: int) -> Iterator[Problem]:
    """What is wrong with somebody whom the site file has rung."""
    scheme, _, name = target.partition(":")
    if scheme == "sip" and name not in site.seats:
        help = did_you_mean(name, site.seats, "seats") or "add it under seats:"
        yield Problem("E205", place, f"{who} has no seat '{name}' to ring", help, length)
    elif scheme == "tel" and not site.trunks:
        message = f"{who} rings {target}, but there is no trunk to call out through"
        yield Problem("E205", place, message, "add one under trunks:", length)
    elif scheme == "rtc" and site.rtc is None:
        message = f"{who} rings {target}, but the site has no RTC clients"
        yield Problem("E205", place, message, "add rtc: and clients:", length)
    elif scheme == "rtc" and site.rtc is not None and name not in site.clients:
        help = did_you_mean(name, site.clients, "clients") or "add it under clients:"
        code = "W352" if site.tokens_from_elsewhere else "E205"
        yield Problem(code, place, f"{who} has no client '{name}' to ring", help, length)


def _unreached(site: Site, flow_set: FlowSet) -> Iterator[Problem]:
    """Flows that no number leads to, and no step: a setting called ``flow`` names another flow."""
    led_to = {rule.flow for rule in site.numbers}
    led_to |= {flow for step in flow_set.written if isinstance(flow := getattr(step.settings, "flow", None), str)}
    for flow in flow_set.flows.values():
        if flow.name not in led_to:
            message = f"no number and no step leads to flow '{flow.name}'"
            help = f"add it to {site.file.name} under numbers:, or remove it"
            yield Problem("W351", flow.place, message, help, len(flow.name))


def _groups(site: Site) -> Iterator[Problem]:
    for group in site.groups.values():
        for target in group.targets:
            yield from _rung(site, target, group.place, f"group '{group.name}'", len(group.name))


def _trunks(site: Site) -> Iterator[Problem]:
    for trunk in site.trunks.values():
        for number in trunk.numbers:
            if site.route(number) is None:
                message = f"calls to {number} come in through trunk '{trunk.name}', but no rule under numbers fits them"
                yield Problem(
                    "W212", trunk.place, message, f"add '{number}': flow_name under numbers:", len(trunk.name)
                )
