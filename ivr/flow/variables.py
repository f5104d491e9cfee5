"""Checks of a flow's variables: known, of the right type, and set on every way to where they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ivr.flow.draft import Draft, DraftBlock, DraftStep, inner
from ivr.flow.expression import Expression
from ivr.flow.holes import check_values
from ivr.flow.listening import listens
from ivr.flow.model import Step, VariableType
from ivr.flow.nodes.calling import Call
from ivr.flow.nodes.control import If, Set, Switch
from ivr.flow.nodes.questions import SPOKEN_INTO, Collect
from ivr.flow.nodes.steps import nested, own_steps
from ivr.flow.nodes.verb import CONTINUE, Fills
from ivr.flow.problem import Problem, did_you_mean, has_errors
from ivr.flow.types import BUILT_IN, RESERVED, Type, assignable, country_remedy, is_country
from ivr.flow.values import TYPE_WORDS, EvaluationError, as_type

Types = Mapping[str, VariableType]


def check_variables(draft: Draft) -> None:
    """Add what is wrong to the draft's problems."""
    types = types_of(draft)
    before = len(draft.problems)
    seen: dict[str, Type | None] = {}
    for _, step in draft.steps():
        _step_types(draft, step, types, seen)
    if not has_errors(draft.problems[before:]):
        _unset(draft, types)


def types_of(draft: Draft) -> dict[str, VariableType]:
    """The declared variables, and what steps bring with ``into`` without declaration; and ``input``, if it can be
    words."""
    types = {name: variable.type for name, variable in draft.variables.items()}
    for _, step in draft.steps():
        fills, name = _filled(step), getattr(step.settings, "into", None)
        if fills is None or name is None:
            continue
        if name in RESERVED:
            draft.problem(
                "E133", step, f"a variable cannot be called '{name}'", "the word has a meaning in expressions"
            )
        type_ = types.setdefault(name, fills.type)
        if fills.accepts and type_ not in fills.accepts:
            message = f"{step.verb.name} gives {TYPE_WORDS[fills.type]}, but '{name}' is {TYPE_WORDS[type_]}"
            draft.problem("E134", step, message, f"declare it as {name}: {fills.type}")
    if any(listens(step.settings) for _, step in draft.steps()):
        types["input"] = "text"
    return types


def _filled(step: DraftStep) -> Fills | None:
    if isinstance(step.settings, Collect) and step.settings.speech is not None:
        return SPOKEN_INTO[step.settings.speech]
    return step.verb.fills


def _checked(draft: Draft, expression: Expression, types: Types, seen: dict[str, Type | None]) -> Type | None:
    """The type of an expression; what is wrong with it is told. ``seen``: texts in which nothing was wrong."""
    if expression.text in seen:
        return seen[expression.text]
    found, problems = expression.check(types)
    draft.problems.extend(problems)
    if not problems:
        seen[expression.text] = found
    return found


def _step_types(draft: Draft, step: DraftStep, types: Types, seen: dict[str, Type | None]) -> None:
    settings = step.settings
    if isinstance(settings, Set):
        _set(draft, settings, types, seen)
        return
    known: dict[int, Type | None] = {}
    for expression in _expressions(step):
        found = known[id(expression)] = _checked(draft, expression, types, seen)
        wants_truth = (isinstance(settings, If) and expression is settings.when) or (
            isinstance(settings, Collect) and expression is settings.check
        )
        if wants_truth and found not in (None, "yes_no", "json"):
            message = f"this is {TYPE_WORDS[found]}, not yes or no" if found else ""
            place = expression.locate(0)
            draft.problems.append(Problem("E134", place, message, "compare it with something", len(expression.text)))
        if isinstance(settings, Switch) and expression is settings.on and found in types.values():
            _cases(draft, step, settings, found)
        if isinstance(settings, Switch) and expression is settings.on and is_country(expression.root):
            _countries(draft, settings)
    if known:
        draft.problems.extend(check_values(step, known))


def _set(draft: Draft, settings: Set, types: Types, seen: dict[str, Type | None]) -> None:
    for assignment in settings.values:
        found = _checked(draft, assignment.value, types, seen)
        place, length = assignment.place, len(assignment.name)
        if assignment.name not in types or assignment.name in RESERVED:
            if assignment.name in BUILT_IN or assignment.name in RESERVED:
                message, help = f"'{assignment.name}' cannot be set", "set a variable of your own"
            else:
                message = f"'{assignment.name}' is not declared under vars"
                help = did_you_mean(assignment.name, sorted(types), "variables")
                if not help.startswith("did"):
                    help = f"add it under vars: {assignment.name}: text"
            draft.problems.append(Problem("E133", place, message, help, length))
        elif found is not None:
            wanted = types[assignment.name]
            if found == "range":
                remedy: str | None = f"the value must be {TYPE_WORDS[wanted]}"
            else:
                remedy = assignable(wanted, found, assignment.value.root)
            if remedy is not None:
                message = f"'{assignment.name}' is {TYPE_WORDS[wanted]}, but the value is {TYPE_WORDS[found]}"
                draft.problems.append(
                    Problem("E134", assignment.value.locate(0), message, remedy, len(assignment.value.text))
                )


def _cases(draft: Draft, step: DraftStep, settings: Switch, found: object) -> None:
    """A case that can never fit is a slip of the pen."""
    for case in settings.cases:
        type_ = next((one for one in ("digits", "number", "money", "yes_no") if one == found), None)
        if type_ is None:
            continue
        try:
            as_type(case.value, type_)
        except EvaluationError:
            message = f"case '{case.value[:40]}' can never fit: what is looked at is {TYPE_WORDS[type_]}"
            draft.problems.append(
                Problem("E134", case.place, message, "change or remove the case", max(len(case.value), 1))
            )


def _countries(draft: Draft, settings: Switch) -> None:
    for case in settings.cases:
        if case.value and (remedy := country_remedy(case.value)) is not None:
            message = f"there is no country '{case.value[:40]}'"
            draft.problems.append(Problem("E138", case.place, message, remedy.replace("'", ""), len(case.value)))


def _unset(draft: Draft, types: Types) -> None:
    """Walk all ways through the flow at once; report what is read on some way before it is set."""
    if draft.start is None or draft.start.text not in draft.blocks:
        return
    given = {name for name, variable in draft.variables.items() if variable.default is not None or variable.param}
    doubtful = frozenset(types) - given - BUILT_IN.keys()
    if not doubtful:
        return
    arrivals: dict[str, frozenset[str]] = {}
    departures: dict[str, list[tuple[str, frozenset[str]]]] = {}
    without: dict[tuple[str, str], str] = {}
    waiting = []
    for node in (draft.start, draft.on_error, draft.on_hangup):
        if node is not None and node.text in draft.blocks:
            arrivals[node.text] = frozenset()
            waiting.append(node.text)
    while waiting:
        name = waiting.pop()
        if name not in departures:
            ways = _departures(draft.blocks[name])
            departures[name] = [(target, sets & doubtful) for target, sets in ways if target in draft.blocks]
        for target, sets in departures[name]:
            surely = arrivals[name] | sets
            for variable in doubtful - surely:
                without.setdefault((target, variable), name)
            merged = arrivals.get(target, doubtful) & surely
            if merged != arrivals.get(target):
                arrivals[target] = merged
                waiting.append(target)
    for name, surely in arrivals.items():
        _report_unset(draft, name, surely | given | BUILT_IN.keys(), without)


def _departures(block: DraftBlock) -> Iterator[tuple[str, frozenset[str]]]:
    """Where a block leads, and what it has surely set by then."""
    surely: frozenset[str] = frozenset()
    for step in block.steps:
        after = surely | _sets(step)
        if isinstance(step.settings, Call) and step.settings.block is not None:
            yield step.settings.block, surely
        for exit, node in step.wires.items():
            first = _sets_first(step, exit)
            yield node.text, (after if _set_by(step, exit) else surely) | first
        surely = after if all(_set_by(step, exit) for exit in _going_on(step)) else surely


def _sets(step: DraftStep) -> frozenset[str]:
    into = getattr(step.settings, "into", None)
    if step.verb.fills is not None and into is not None:
        return frozenset({into})
    if isinstance(step.settings, Set):
        return frozenset(assignment.name for assignment in step.settings.values)
    return _set_in(own_steps(step.settings))


def _sets_first(step: DraftStep, exit: str) -> frozenset[str]:
    """What is set by the steps a key does before it leads on."""
    return _set_in(one for key in getattr(step.settings, "done", ()) if key.key == exit for one in key.steps)


def _set_in(steps: Iterable[Step]) -> frozenset[str]:
    return frozenset(one.name for step in steps if isinstance(step.settings, Set) for one in step.settings.values)


def _set_by(step: DraftStep, exit: str) -> bool:
    """Whether what the step sets is set if it leaves by this exit."""
    return step.verb.fills is None or step.verb.fills.on(exit)


def _going_on(step: DraftStep) -> Iterator[str]:
    """The exits after which the next step comes."""
    yield from (exit.name for exit in step.verb.exits if exit.unwired == "next" and exit.name not in step.wires)
    yield from (exit for exit, node in step.wires.items() if node.text == CONTINUE)


def _expressions(step: DraftStep) -> Iterator[Expression]:
    return (found for found in step.contents if isinstance(found, Expression))


def _reads(step: DraftStep) -> Iterator[tuple[Expression, frozenset[str]]]:
    """What is evaluated, and what the step itself has set by then."""
    own: frozenset[str] = frozenset()
    if isinstance(step.settings, Set):
        for assignment in step.settings.values:
            yield assignment.value, own
            own |= {assignment.name}
        return
    for one in nested(step.settings):
        yield from _reads(inner(one))
    for expression in _expressions(step):
        if isinstance(step.settings, Collect) and expression is step.settings.check:
            own = frozenset({step.settings.into})
        else:
            own = frozenset()
        yield expression, own


def _report_unset(draft: Draft, block: str, surely: frozenset[str], without: dict[tuple[str, str], str]) -> None:
    for step in draft.blocks[block].steps:
        unset = (
            (name, expression.locate(offset))
            for expression, own in _reads(step)
            for name, offset in expression.required.items()
            if name not in surely and name not in own
        )
        for name, place in unset:
            origin = without.get((block, name))
            if origin is not None and origin != block:
                line = draft.blocks[origin].name.place.line
                message = f"'{name}' is read here, but on the way from '{origin}' (line {line}) it may not be set"
            else:
                message = f"'{name}' is read here, but nothing has set it before"
            help = "give it a default under vars, or set it on every way that leads here"
            draft.problems.append(Problem("E131", place, message, help, len(name)))
        if all(_set_by(step, exit) for exit in _going_on(step)):
            surely |= _sets(step)
