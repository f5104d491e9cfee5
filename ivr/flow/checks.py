"""What is wrong with a flow that can be read: where it leads, what it asks, what its handlers do.

Checks of variables and types are in :mod:`ivr.flow.variables`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from ivr.flow.draft import Draft, DraftBlock, DraftStep
from ivr.flow.holes import check_languages
from ivr.flow.keys import KeyPatterns
from ivr.flow.kinds import seconds_as_text
from ivr.flow.nodes.calling import Call
from ivr.flow.nodes.questions import Menu
from ivr.flow.nodes.speaking import Language
from ivr.flow.nodes.verb import CONTINUE
from ivr.flow.problem import closest, did_you_mean, listed
from ivr.flow.reading import MISTAKES_LIMIT
from ivr.flow.source import ScalarNode
from ivr.flow.spoken_checks import check_speech
from ivr.flow.variables import check_variables

PASSES_LIMIT: Final = 20
"""How often a call passes one block without the caller doing anything before it is taken to run in circles."""
CHOICES_LIMIT: Final = 5
"""Choices callers remember."""

_SILENT: Final = "set, if, switch, hours, goto, log, tag, notify and end can stand there"
_WAY_SHOWN: Final = 12
"""Blocks of a way that are named in a message."""

Graph = Mapping[str, frozenset[str]]


def check_flow(draft: Draft, *, complete: bool) -> None:
    """Add what is wrong to the draft's problems. Not ``complete``: parts of the file could not be read, so nothing
    is concluded from what is absent."""
    if not draft.blocks:
        return
    _targets(draft)
    _exits(draft)
    _order_of_steps(draft)
    _hangup(draft)
    _menus(draft)
    _languages(draft)
    _former_names(draft)
    check_languages(draft)
    check_speech(draft)
    if complete and draft.whole:
        check_variables(draft)
        _reachable(draft)
        _loops(draft)


def _heads(draft: Draft) -> Iterator[tuple[str, ScalarNode]]:
    for name, node in (("start", draft.start), ("on_hangup", draft.on_hangup), ("on_error", draft.on_error)):
        if node is not None:
            yield name, node


def _targets(draft: Draft) -> None:
    if draft.start is None and not any(problem.code in ("E020", "E011") for problem in draft.problems):
        first = next(iter(draft.blocks))
        draft.problem("E102", draft.name, "this flow does not say where it starts", f"add start: {first}")
    for _, node in _heads(draft):
        _target(draft, node)
    there = draft.blocks.keys() | {"", CONTINUE}
    nowhere = (node for _, step in draft.steps() for node in step.wires.values() if node.text not in there)
    for node in islice(nowhere, MISTAKES_LIMIT):
        _target(draft, node)


def _target(draft: Draft, node: ScalarNode) -> None:
    if node.text in draft.blocks or not node.text:
        return
    close = closest(node.text, draft.blocks)
    if close is not None:
        help = f"did you mean '{close}' (line {draft.blocks[close].name.place.line})?"
    else:
        help = f"blocks: {listed(draft.blocks)}"
    draft.problem("E101", node, f"no block '{node.text[:60]}'", help)


def _exits(draft: Draft) -> None:
    for _, step in draft.steps():
        missing = [
            exit
            for exit in step.verb.needed
            if (exit.unwired == "must" or draft.on_error is None)
            and not _covered(step, exit.name)
            and exit.possible(step.settings)
        ]
        if not missing:
            continue
        names = ", ".join(f"'{exit.name}'" for exit in missing)
        help = f"add {', '.join(f'{exit.name}: block_name' for exit in missing)}"
        if len(missing) == 1:
            help += f"   ({missing[0].meaning})"
        if all(exit.unwired == "on_error" for exit in missing):
            help += ", or on_error: block_name at the top of the file"
        draft.problem("E110", step, f"{step.verb.name} does not say what happens on {names}", help)


def _covered(step: DraftStep, exit: str) -> bool:
    """Whether the exit is wired, or every part it is divided into is."""
    if exit in step.wires:
        return True
    parts = step.verb.parts(exit)
    return bool(parts) and all(part in step.wires for part in parts)


def _order_of_steps(draft: Draft) -> None:
    for block in draft.blocks.values():
        for step, following in zip(block.steps, block.steps[1:], strict=False):
            if not step.continues:
                help = f"the {step.verb.name} before it (line {step.place.line}) never goes on: remove one of the two"
                draft.problem("E106", following, "this step is never reached", help)
                break
        if block.whole and block.steps[-1].continues:
            message = f"block '{block.name.text}' stops after this step, and the caller would hear nothing more"
            draft.problem("E105", block.steps[-1], message, "add a step: - goto: block_name, - hangup or - end")


def _graph(draft: Draft) -> Graph:
    return {
        name: frozenset(target for step in block.steps for target in targets_of(step) if target in draft.blocks)
        for name, block in draft.blocks.items()
    }


def targets_of(step: DraftStep) -> Iterator[str]:
    """The blocks a step names: those its exits lead to, and one it calls."""
    yield from (node.text for node in step.wires.values())
    if isinstance(step.settings, Call) and step.settings.block is not None:
        yield step.settings.block


def _from(graph: Graph, starts: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    waiting = [name for name in starts if name in graph]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(graph[name] - seen)
    return seen


def _reachable(draft: Draft) -> None:
    reached = _from(_graph(draft), (node.text for _, node in _heads(draft)))
    if draft.start is None or draft.start.text not in draft.blocks:
        return
    for name, block in draft.blocks.items():
        if name not in reached:
            help = "lead to it from a key or a goto, or remove it"
            draft.problem("W304", block.name, f"nothing leads to block '{name}'", help)


def _hangup(draft: Draft) -> None:
    if draft.on_hangup is None:
        return
    for name in _from(_graph(draft), [draft.on_hangup.text]):
        for step in draft.blocks[name].steps:
            if step.verb.speaks:
                message = f"on_hangup block '{name}' uses '{step.verb.name}', but the caller has gone"
                draft.problem("E160", step, message, _SILENT)
            elif step.verb.waits:
                message = f"on_hangup block '{name}' uses '{step.verb.name}', which waits, but the call is over"
                draft.problem("E160", step, message, _SILENT)


def _languages(draft: Draft) -> None:
    for _, step in draft.steps():
        if isinstance(step.settings, Language) and step.settings.code not in draft.languages:
            code = step.settings.code
            help = did_you_mean(code, draft.languages, "languages")
            if not help.startswith("did"):
                help = f"add {code} to languages: [{', '.join(draft.languages)}] at the top"
            draft.problem("E103", step, f"this flow does not speak '{code}'", help)


def _former_names(draft: Draft) -> None:
    seen: set[str] = set()
    for block in draft.blocks.values():
        before = block.renamed_from
        if before is None:
            continue
        if before.text in draft.blocks or before.text in seen:
            message = f"'{before.text}' cannot be the former name of '{block.name.text}'"
            draft.problem("E109", before, message, "it is the name, or the former name, of another block")
        seen.add(before.text)


def _menus(draft: Draft) -> None:
    for block, step in draft.steps():
        if isinstance(step.settings, Menu):
            _clashes(draft, step, step.settings)
            _choices(draft, block, step, step.settings.keys)


def _clashes(draft: Draft, step: DraftStep, menu: Menu) -> None:
    told = set()
    for short, long in menu.keys.clashes():
        if short in told:
            continue
        told.add(short)
        wait = seconds_as_text(menu.input.gap)
        message = f"key '{short}' is also the start of '{long}': callers who press {short} wait {wait} (gap)"
        finish = menu.input.finish_key
        help = "use another key" + (f", or tell callers to press {short}{finish}" if finish is not None else "")
        draft.problem("W301", step.keys[short], message, help)


def _choices(draft: Draft, block: DraftBlock, step: DraftStep, keys: KeyPatterns) -> None:
    targets = {step.wires[key].text for key in keys.patterns if key in step.wires} - {block.name.text}
    if len(targets) > CHOICES_LIMIT:
        message = f"this menu leads to {len(targets)} places; callers remember {CHOICES_LIMIT}"
        draft.problem("W303", step, message, "put some of them into a second menu")


def _loops(draft: Draft) -> None:
    graph = {name: _unattended(draft, block) for name, block in draft.blocks.items()}
    for component in _circles(graph):
        names = _way_around(graph, component)
        block = draft.blocks[names[0]]
        shown = names if len(names) <= _WAY_SHOWN else [*names[: _WAY_SHOWN - 1], "…"]
        way = " → ".join([*shown, names[0]])
        message = f"{way} can repeat without the caller doing anything"
        help = f"after {PASSES_LIMIT} rounds the call goes to on_error; lead it elsewhere"
        draft.problem("W302", block.name, message, help)


def _unattended(draft: Draft, block: DraftBlock) -> frozenset[str]:
    """Blocks this one can lead to with nobody pressing a key, and without having decided anything."""
    found = set()
    for step in block.steps:
        if step.verb.decides:
            break
        for exit, node in step.wires.items():
            known = step.verb.exit(exit)
            if known is not None and not known.needs_caller and node.text in draft.blocks:
                found.add(node.text)
        if any(exit.unwired == "next" and exit.needs_caller for exit in step.verb.exits):
            break
    return frozenset(found)


def _circles(graph: Graph) -> list[frozenset[str]]:
    """Sets of blocks each of which leads to all others of its set, and to itself.

    Tarjan's strongly connected components, on a stack of its own: linear, and as deep as the flow is long.
    """
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: dict[str, None] = {}
    found: list[frozenset[str]] = []
    for root in graph:
        if root in number:
            continue
        way: list[tuple[str, Iterator[str]]] = []
        _enter(root, graph, number, lowest, open_, way)
        while way:
            name, following = way[-1]
            target = next(following, None)
            if target is None:
                way.pop()
                if way:
                    lowest[way[-1][0]] = min(lowest[way[-1][0]], lowest[name])
                if lowest[name] == number[name]:
                    circle = _taken_until(name, open_)
                    if len(circle) > 1 or name in graph[name]:
                        found.append(circle)
            elif target not in number:
                _enter(target, graph, number, lowest, open_, way)
            elif target in open_:
                lowest[name] = min(lowest[name], number[target])
    return found


def _enter(
    name: str,
    graph: Graph,
    number: dict[str, int],
    lowest: dict[str, int],
    open_: dict[str, None],
    way: list[tuple[str, Iterator[str]]],
) -> None:
    number[name] = lowest[name] = len(number)
    open_[name] = None
    way.append((name, iter(graph[name])))


def _taken_until(name: str, open_: dict[str, None]) -> frozenset[str]:
    circle = set()
    while name not in circle:
        circle.add(open_.popitem()[0])
    return frozenset(circle)


def _way_around(graph: Graph, circle: frozenset[str]) -> list[str]:
    """A shortest way from the circle's first block back to it."""
    start = next(name for name in graph if name in circle)
    came_from: dict[str, str] = {}
    waiting = deque([start])
    while waiting:
        name = waiting.popleft()
        if start in graph[name]:
            way = [name]
            while way[-1] != start:
                way.append(came_from[way[-1]])
            return way[::-1]
        for following in sorted(graph[name] & circle):
            if following not in came_from and following != start:
                came_from[following] = name
                waiting.append(following)
    return [start]
