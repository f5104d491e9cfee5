"""Checks of flows against what of the world outside their site has: tables, webhooks, calendars, secrets, plug-ins.
All of it is handed in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from ivr.flow.loader import FlowSet, WrittenStep
from ivr.flow.nodes import VERBS
from ivr.flow.nodes.opening import Hours
from ivr.flow.nodes.outside import Http, Lookup, Notify, Plugin
from ivr.flow.problem import Problem, did_you_mean


@dataclass(frozen=True, slots=True)
class PluginTerms:
    """How a plug-in can be used."""

    arguments: Mapping[str, bool] = field(default_factory=dict)
    """Name to whether it must be given."""
    exits: Collection[str] = ()
    """Beside ``next`` and ``failed``."""
    fault: str = ""
    """Why it cannot be used at all."""


@dataclass(frozen=True, slots=True)
class Outdoors:
    """What a site has. ``calendars`` are names of periods by calendar."""

    tables: Collection[str] = ()
    webhooks: Collection[str] = ()
    calendars: Mapping[str, Collection[str]] = field(default_factory=dict)
    secrets: Collection[str] = ()
    plugins: Callable[[], Mapping[str, PluginTerms]] = dict
    """Asked only if a flow calls one: it runs their code."""
    local: Callable[[str, str, int], bool] = lambda scheme, host, port: False
    """Whether a service (scheme, host, port) may be asked without encryption."""


def check_outside(flow_set: FlowSet, outdoors: Outdoors) -> tuple[Problem, ...]:
    """A problem for everything that flows name and the site does not have, and for what does not fit it."""
    problems: list[Problem] = []
    plugins: Mapping[str, PluginTerms] | None = None
    for step in flow_set.written:
        match step.settings:
            case Http():
                problems.extend(_http(step, step.settings, outdoors))
            case Lookup(table=table) if table not in outdoors.tables:
                problems.append(_missing(step, "table", table, outdoors.tables))
            case Notify(webhook=webhook) if webhook not in outdoors.webhooks:
                problems.append(_missing(step, "webhook", webhook, outdoors.webhooks))
            case Hours():
                problems.extend(_hours(step, step.settings, outdoors))
            case Plugin():
                plugins = outdoors.plugins() if plugins is None else plugins
                problems.extend(_plugin(step, step.settings, plugins))
    return flow_set.with_lines(problems)


def _http(step: WrittenStep, http: Http, outdoors: Outdoors) -> Iterator[Problem]:
    address = http.asking.address
    for header in http.headers:
        for secret in header.secrets:
            if secret.name not in outdoors.secrets:
                close = did_you_mean(secret.name, outdoors.secrets, "secrets") if outdoors.secrets else ""
                help = close if close.startswith("did") else f"add {secret.name}: … to the site's file with secrets"
                yield Problem("E140", header.place, f"the site has no secret '{secret.name}'", help, len(header.name))
    if address.scheme == "http" and not outdoors.local(address.scheme, address.host, address.port):
        help = "write https://, or allow the host in the site file if it is your own: http: allow"
        yield _problem(step, "W305", f"{address.host} is asked without encryption", help)


def _hours(step: WrittenStep, hours: Hours, outdoors: Outdoors) -> Iterator[Problem]:
    periods = outdoors.calendars.get(hours.calendar)
    if periods is None:
        yield _missing(step, "calendar", hours.calendar, outdoors.calendars)
        return
    yield from _further(step, f"calendar '{hours.calendar}' has no period", periods)


def _plugin(step: WrittenStep, plugin: Plugin, plugins: Mapping[str, PluginTerms]) -> Iterator[Problem]:
    terms = plugins.get(plugin.name)
    if terms is None:
        help = did_you_mean(plugin.name, plugins, "plug-ins") or "install the package that brings it"
        yield _problem(step, "E140", f"there is no plug-in '{plugin.name}'", help)
        return
    if terms.fault:
        yield _problem(step, "E140", f"plug-in '{plugin.name}' cannot be used: {terms.fault[:200]}", "correct it")
        return
    given = {argument.name for argument in plugin.args}
    for argument in plugin.args:
        if argument.name not in terms.arguments:
            help = did_you_mean(argument.name, terms.arguments, "arguments") or "it takes none"
            message = f"plug-in '{plugin.name}' has no argument '{argument.name}'"
            yield Problem("E141", argument.place, message, help, len(argument.name))
    missing = [name for name, needed in terms.arguments.items() if needed and name not in given]
    if missing:
        message = f"plug-in '{plugin.name}' needs {', '.join(missing)}"
        yield _problem(step, "E141", message, f"add args: {{{missing[0]}: …}}")
    yield from _further(step, f"plug-in '{plugin.name}' does not leave by", terms.exits)
    for exit in terms.exits:
        if exit not in step.exits:
            yield _problem(step, "E110", f"plugin does not say what happens on '{exit}'", f"add {exit}: block_name")


def _further(step: WrittenStep, what: str, known: Collection[str]) -> Iterator[Problem]:
    verb = VERBS[step.verb]
    for exit, node in step.exits.items():
        if verb.exit(exit) is None and exit not in known:
            names = [*known, *(one.name for one in verb.exits)]
            yield Problem("E141", node.place, f"{what} '{exit}'", did_you_mean(exit, names, "exits"), 1)


def _missing(step: WrittenStep, kind: str, name: str, known: Collection[str]) -> Problem:
    help = did_you_mean(name, known, f"{kind}s") or f"add it to the site file under {kind}s:"
    return _problem(step, "E140", f"the site has no {kind} '{name}'", help)


def _problem(step: WrittenStep, code: str, message: str, help: str) -> Problem:
    return Problem(code, step.place, message, help, len(step.verb))
