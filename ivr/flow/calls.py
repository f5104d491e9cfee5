"""Checks across flows: what is called is there, gets what it needs, gives what is wanted, and comes back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256

from ivr.flow.checks import targets_of
from ivr.flow.draft import Draft, DraftStep
from ivr.flow.model import Flow
from ivr.flow.nodes.calling import Call, Return
from ivr.flow.problem import Problem, closest, did_you_mean, listed
from ivr.flow.types import assignable
from ivr.flow.values import TYPE_WORDS
from ivr.flow.variables import types_of


def check_calls(draft: Draft, drafts: Mapping[str, Draft]) -> list[Problem]:
    """What is wrong with the calls of one flow; ``drafts`` are all flows by name."""
    before, draft.problems = draft.problems, []
    on_hangup = set() if draft.on_hangup is None else _reached(draft, [draft.on_hangup.text])
    for block, step in draft.steps():
        if not isinstance(step.settings, Call):
            continue
        call = step.settings
        if (call.flow is None) == (call.block is None):
            draft.problem("E111", step, "call names either a flow or a block", "write flow: name, or block: name")
        elif call.block is not None:
            _block(draft, step, call, call.block)
        elif call.flow is None or call.flow not in drafts:
            close = closest(call.flow or "", drafts)
            help = f"did you mean '{close}'?" if close else f"flows: {listed(drafts)}"
            draft.problem("E104", step, f"no flow '{call.flow}'", help)
        else:
            called = drafts[call.flow]
            _flow(draft, step, call, called)
            if block.name.text in on_hangup and (verb := _needs_caller(called, drafts)):
                message = f"flow '{call.flow}', called after the caller has gone, uses '{verb}'"
                draft.problem("E160", step, message, "call a flow that says and asks nothing")
    found, draft.problems = draft.problems, before
    return found


def _block(draft: Draft, step: DraftStep, call: Call, name: str) -> None:
    if name not in draft.blocks:
        close = closest(name, draft.blocks)
        help = f"did you mean '{close}'?" if close else f"blocks: {listed(draft.blocks)}"
        draft.problem("E101", step, f"no block '{name}'", help)
        return
    if call.args:
        message = f"a block shares the variables of its flow: '{name}' takes no arguments"
        draft.problem("E111", step, message, "set the variables before the call")
    inside = _reached(draft, [name])
    _result(draft, step, call, draft, [one for block, one in draft.steps() if block.name.text in inside])


def _flow(draft: Draft, step: DraftStep, call: Call, called: Draft) -> None:
    params = {name: variable for name, variable in called.variables.items() if variable.param}
    types = types_of(draft) if draft.whole else {}
    for argument in call.args:
        param = params.get(argument.name)
        if param is None:
            help = did_you_mean(argument.name, sorted(params), "parameters") or "it takes none"
            if argument.name in called.variables:
                help = f"write {argument.name}: {{type: …, param: yes}} there"
            message = f"flow '{call.flow}' has no parameter '{argument.name}'"
            draft.problems.append(Problem("E111", argument.place, message, help, len(argument.name)))
            continue
        kind, wrong = argument.value.check(types)
        if kind is None or wrong:
            continue
        remedy = "write one value" if kind == "range" else assignable(param.type, kind, argument.value.root)
        if remedy is not None:
            message = f"'{argument.name}' is {TYPE_WORDS[param.type]}, but the value is {TYPE_WORDS[kind]}"
            place = argument.value.locate(0)
            draft.problems.append(Problem("E134", place, message, remedy, len(argument.value.text)))
    given = {argument.name for argument in call.args}
    missing = [name for name, param in params.items() if param.default is None and name not in given]
    if missing:
        help = f"add args: {{{', '.join(f'{name}: …' for name in missing)}}}"
        draft.problem("E111", step, f"flow '{call.flow}' needs {listed(missing)}", help)
    unspoken = [language for language in draft.languages if language not in called.languages]
    if unspoken:
        help = f"add {', '.join(unspoken)} to its languages"
        draft.problem("E103", step, f"flow '{call.flow}' does not speak {', '.join(unspoken)}", help)
    _result(draft, step, call, called, [one for _, one in called.steps()])


def _result(draft: Draft, step: DraftStep, call: Call, called: Draft, inside: Iterable[DraftStep]) -> None:
    """Whether it returns, and returns what is wanted."""
    what = f"flow '{call.flow}'" if call.flow is not None else f"block '{call.block}'"
    returns = [(one, one.settings) for one in inside if isinstance(one.settings, Return)]
    if not returns and called.whole:
        draft.problem("W306", step, f"{what} never returns", "end it with return, or go to it instead of calling it")
    if call.into is None or not (draft.whole and called.whole):
        return
    wanted, types = types_of(draft).get(call.into), types_of(called)
    for one, settings in returns:
        if settings.value is None:
            message = f"{what} returns nothing in line {one.place.line}, but '{call.into}' wants a value"
            draft.problem("E111", step, message, "leave into out, or return a value everywhere")
            return
        kind, wrong = settings.value.check(types)
        if kind is None or wrong or wanted is None:
            continue
        remedy = "" if kind == "range" else assignable(wanted, kind, settings.value.root)
        if remedy is not None:
            message = f"'{call.into}' is {TYPE_WORDS[wanted]}, but {what} returns {TYPE_WORDS[kind]}"
            draft.problem("E134", step, message, f"see line {one.place.line} of {one.place.file}")
            return


def _reached(draft: Draft, starts: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    waiting = [name for name in starts if name in draft.blocks]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += (one for step in draft.blocks[name].steps for one in targets_of(step) if one in draft.blocks)
    return seen


def _needs_caller(called: Draft, drafts: Mapping[str, Draft]) -> str | None:
    """A verb of a flow, or of those it calls, that cannot be done without a caller."""
    for name in _all_called(called, drafts):
        for _, step in drafts[name].steps():
            if step.verb.speaks or step.verb.waits:
                return step.verb.name
    return None


def _all_called(draft: Draft, drafts: Mapping[str, Draft]) -> list[str]:
    """The flow and all that it calls, and they call."""
    seen: dict[str, None] = {}
    waiting = [draft.name.text]
    while waiting:
        name = waiting.pop()
        if name not in seen and name in drafts:
            seen[name] = None
            waiting += (one for one, _ in _calls(drafts[name]))
    return list(seen)


def _calls(draft: Draft) -> Iterator[tuple[str, DraftStep]]:
    for _, step in draft.steps():
        if isinstance(step.settings, Call) and step.settings.flow is not None:
            yield step.settings.flow, step


def check_circles(drafts: Mapping[str, Draft]) -> Iterator[Problem]:
    """A warning for every flow that comes back to itself by calls before it has asked the caller anything."""
    graph = {name: dict(_unasked(draft)) for name, draft in drafts.items()}
    for name in drafts:
        seen: set[str] = set()
        waiting = list(graph[name])
        while waiting:
            one = waiting.pop()
            if one not in seen and one in graph:
                seen.add(one)
                waiting += graph[one]
        if name in seen:
            step = next(step for target, step in graph[name].items() if target == name or name in _after(graph, target))
            message = f"flow '{name}' calls itself again before it has asked the caller anything"
            yield Problem("W307", step.place, message, "the 16th time the call goes wrong", len(step.verb.name))


def _after(graph: Mapping[str, Mapping[str, DraftStep]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += graph.get(one, {})
    return seen


def _unasked(draft: Draft) -> Iterator[tuple[str, DraftStep]]:
    """The calls a flow comes to without having asked the caller anything, and without having decided."""
    seen: set[str] = set()
    waiting = [draft.start.text] if draft.start is not None else []
    while waiting:
        name = waiting.pop()
        if name in seen or name not in draft.blocks:
            continue
        seen.add(name)
        for step in draft.blocks[name].steps:
            if step.verb.decides:
                break
            if isinstance(step.settings, Call):
                if step.settings.flow is not None:
                    yield step.settings.flow, step
                break
            for exit, node in step.wires.items():
                known = step.verb.exit(exit)
                if known is not None and not known.needs_caller:
                    waiting.append(node.text)
            if any(exit.unwired == "next" and exit.needs_caller for exit in step.verb.exits):
                break


def with_called(flows: Mapping[str, Flow]) -> dict[str, Flow]:
    """The flows with digests that change when a flow changes that they call, or that is called there."""
    calls = {name: _called_by(flow) for name, flow in flows.items()}
    found = {}
    for name, flow in flows.items():
        seen: set[str] = set()
        waiting = list(calls[name])
        while waiting:
            one = waiting.pop()
            if one not in seen and one in flows:
                seen.add(one)
                waiting += calls[one]
        seen.discard(name)
        if seen:
            parts = [flow.digest, *(f"{one} {flows[one].digest}" for one in sorted(seen))]
            flow = replace(flow, called_digest=sha256("\n".join(parts).encode()).hexdigest())
        found[name] = flow
    return found


def _called_by(flow: Flow) -> set[str]:
    steps = (step.settings for block in flow.blocks.values() for step in block.steps)
    return {settings.flow for settings in steps if isinstance(settings, Call) and settings.flow is not None}
