"""From a file of tests to calls that can be acted, as strictly as flows are read: every slip in one run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ivr.flow.kinds import ListOf, Text, YesNo
from ivr.flow.loader import FlowSet, shown
from ivr.flow.model import Flow, Place
from ivr.flow.problem import Problem, did_you_mean, has_errors, in_order, with_lines
from ivr.flow.settings import read_record
from ivr.flow.source import MappingNode, Node, ScalarNode, SequenceNode, read_source
from ivr.run.testing.hearing import Lengths
from ivr.run.testing.kinds import CalendarName, CaseReader, Surroundings
from ivr.run.testing.mocks import KINDS, Mock, read_mocks
from ivr.run.testing.model import PROPERTIES, STEPS, Caller, Case, Expect, Floor, Property, Step

ENDING: Final = ".test.yaml"

_HEAD: Final = ("flow", "gate", "defaults", "tests", "properties", "coverage")
_HEAD_LATER: Final = ()
_DEFAULTS: Final = ("call", "prompts", *KINDS)
_CASE: Final = ("name", "gate", "call", "closed", "each", "steps", "expect", "properties", *KINDS)
_CASE_LATER: Final = ("queue",)
_STEPS_LATER: Final = ("agent", "rtc", "http", "queue")
_EXPECT_LATER: Final = ("queue_exit", "callbacks")
_MOST_CASES: Final = 1_000
"""Of one test with ``each``: more is a slip."""


@dataclass(frozen=True)
class Suite:
    """The tests of one file."""

    file: str
    flow: str
    """The name of the flow they test; empty if they do not say."""
    cases: tuple[Case, ...]
    problems: tuple[Problem, ...]
    tested: Flow | None = field(default=None, repr=False)
    """None if it could not be loaded."""
    properties: tuple[Property, ...] = ()
    floor: Floor | None = None
    caller: Caller = field(default_factory=Caller)
    """Of ``defaults``: who the random callers are."""
    lengths: Mapping[str, float] = field(default_factory=dict)


def files_of_tests(paths: Sequence[Path]) -> list[Path]:
    """The files of tests among files and in folders, hidden ones aside."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = sorted(path.rglob(f"*{ENDING}"))
            found += [one for one in below if not any(part.startswith(".") for part in one.relative_to(path).parts)]
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def load_suite(path: Path, flows: FlowSet, around: Surroundings) -> Suite:
    """Read one file. Never raises for what is in it."""
    return _Loading(path, flows, around).suite()


class _Loading:
    """One reading of one file."""

    def __init__(self, path: Path, flows: FlowSet, around: Surroundings) -> None:
        self._source = read_source(path, shown(path))
        self._flows = flows
        self._around = around
        self._problems: list[Problem] = []
        self._gate = False
        self._mocks: tuple[Mock, ...] = ()
        self._whole: tuple[tuple[Property, ...], Floor | None, Caller, Mapping[str, float]] = ((), None, Caller(), {})

    def suite(self) -> Suite:
        root = self._source.root
        name, flow, cases = "", None, []
        if isinstance(root, MappingNode):
            name, flow = self._flow(root)
            if flow is not None:
                cases = self._cases(root, flow)
        elif self._source.complete:
            place = Place(self._source.file, 1) if root is None else root.place
            self._problem("E013", place, "there are no tests in this file", "begin with flow: NAME, and tests: below")
        own = with_lines(self._source.trusted(self._problems), {self._source.file: self._source.lines})
        problems = in_order([*self._source.problems, *own])
        return Suite(
            self._source.file,
            name,
            () if has_errors(problems) else tuple(cases),
            problems,
            flow,
            *self._whole,
        )

    def _problem(self, code: str, place: Place, message: str, help: str = "", length: int = 1) -> None:
        self._problems.append(Problem(code, place, message, help, length))

    def _flow(self, root: MappingNode) -> tuple[str, Flow | None]:
        node = root.get("flow")
        if not isinstance(node, ScalarNode) or not node.text:
            self._problem("E012", (node or root).place, "a file of tests needs 'flow'", "add flow: NAME_OF_THE_FLOW")
            return "", None
        flow = self._flows.flows.get(node.text)
        if flow is None:
            help = did_you_mean(node.text, self._flows.names, "flows") or "there are no flows beside this file"
            if node.text in self._flows.names:
                help = "it has errors: correct them first"
            self._problem("E170", node.place, f"flow '{node.text[:60]}' cannot be tested", help, node.length)
        return node.text, flow

    def _cases(self, root: MappingNode, flow: Flow) -> list[Case]:
        self._known(root, "a file of tests", _HEAD, _HEAD_LATER)
        reader = CaseReader(flow, self._around)
        caller, lengths = self._defaults(root, reader)
        self._gate = _yes(root, "gate", reader)
        self._whole = (_properties(root.get("properties"), reader), _floor(root, reader), caller, lengths)
        self._problems += reader.problems
        tests = root.get("tests")
        if not isinstance(tests, SequenceNode) or not tests.items:
            self._problem(
                "E012", (tests or root).place, "a file of tests needs 'tests'", "add tests: and - name: … below"
            )
            return []
        cases: list[Case] = []
        for node in tests.items:
            if not isinstance(node, MappingNode):
                self._problem("E013", node.place, "a test has a name and steps", "write - name: … and steps: below it")
                continue
            self._known(node, "a test", _CASE, _CASE_LATER)
            for one in self._each(node):
                reader = CaseReader(flow, self._around)
                case = self._case(one, reader, caller, lengths)
                self._problems += reader.problems
                if case is not None:
                    cases.append(case)
        self._same_names(cases)
        return cases

    def _known(self, node: MappingNode, what: str, known: Sequence[str], later: Sequence[str]) -> None:
        for key, _ in node.entries:
            if key.text in later:
                help = "leave it out for now"
                self._problem("E014", key.place, f"'{key.text}' is not in this version yet", help, key.length)
            elif key.text not in known:
                help = did_you_mean(key.text, known, "names")
                self._problem("E011", key.place, f"{what} has no setting '{key.text[:60]}'", help, key.length)

    def _defaults(self, root: MappingNode, reader: CaseReader) -> tuple[Caller, Mapping[str, float]]:
        node = root.get("defaults")
        caller, lengths = Caller(), MappingProxyType[str, float]({})
        if node is None:
            return caller, lengths
        if not isinstance(node, MappingNode):
            reader.problem("E013", node, "defaults has settings", "write defaults: {call: {from: '…', to: '…'}}")
            return caller, lengths
        self._known(node, "defaults", _DEFAULTS, ("queue",))
        self._mocks = read_mocks(node, reader)
        prompts = node.get("prompts")
        if prompts is not None:
            lengths = MappingProxyType(dict(Lengths().read(prompts, reader) or {}))
        return _caller(node, reader, caller), lengths

    def _each(self, node: MappingNode) -> Iterator[MappingNode]:
        """The test itself, or one for every combination of its ``each``, with ``{name}`` filled in."""
        each = node.get("each")
        if each is None:
            yield node
            return
        help = "write each: {outcome: [busy, refuse]}"
        if not isinstance(each, MappingNode) or not each.entries:
            self._problem("E013", each.place, "each has names and lists of values", help)
            return
        reader = CaseReader(next(iter(self._flows.flows.values())), self._around)
        columns = [(key.text, ListOf(Text("a value"), 1).read(value, reader)) for key, value in each.entries]
        self._problems += reader.problems
        if any(values is None for _, values in columns):
            return
        rows = list(itertools.islice(itertools.product(*(values or () for _, values in columns)), _MOST_CASES + 1))
        if len(rows) > _MOST_CASES:
            self._problem("E025", each.place, f"each makes more than {_MOST_CASES} tests of one", "use fewer values")
            return
        for row in rows:
            chosen = {name: value for (name, _), value in zip(columns, row, strict=True)}
            filled = _filled(node, chosen)
            assert isinstance(filled, MappingNode)
            yield _named(filled, ", ".join(row))

    def _case(
        self, node: MappingNode, reader: CaseReader, default: Caller, lengths: Mapping[str, float]
    ) -> Case | None:
        name_node = node.get("name")
        name = None
        if name_node is None:
            reader.problem("E012", node, "a test needs 'name'", "add name: what should happen")
        else:
            name = Text("the name of a test", 200).read(name_node, reader)
        caller = _caller(node, reader, default)
        steps = self._steps(node.get("steps"), reader)
        mocks = (*read_mocks(node, reader), *self._mocks)
        gate = _yes(node, "gate", reader) or self._gate
        closed_node = node.get("closed")
        closed = ListOf(CalendarName(), 1).read(closed_node, reader) if closed_node is not None else None
        expect_node, expect = node.get("expect"), None
        if expect_node is not None:
            expect = read_record(
                Expect, expect_node, reader, "expect", later=_EXPECT_LATER, given={"place": expect_node.place}
            )
        properties = _properties(node.get("properties"), reader)
        if expect_node is None and not properties and node.get("steps") is None:
            reader.problem("E012", node, "this test looks at nothing", "add steps: or expect:")
        if name is None or reader.problems:
            return None
        return Case(
            name,
            reader.flow,
            caller,
            lengths,
            tuple(steps),
            expect,
            node.place,
            mocks,
            gate,
            frozenset(closed or ()),
            properties,
        )

    def _steps(self, node: Node | None, reader: CaseReader) -> list[Step]:
        if node is None:
            return []
        if not isinstance(node, SequenceNode):
            reader.problem("E013", node, "steps is a list", "write - hears: welcome, each step on a line of its own")
            return []
        return [step for item in node.items if (step := _step(item, reader)) is not None]

    def _same_names(self, cases: Sequence[Case]) -> None:
        first: dict[str, Case] = {}
        for case in cases:
            if first.setdefault(case.name, case) is not case:
                line = first[case.name].place.line
                message = f"test '{case.name[:60]}' is there twice (first at line {line})"
                self._problem("E003", case.place, message, "give one of the two another name")


def _step(node: Node, reader: CaseReader) -> Step | None:
    if not isinstance(node, MappingNode):
        reader.problem("E013", node, "a step has a word and a value", "write - press: '1'")
        return None
    keys = [key.text for key, _ in node.entries]
    word = next((key for key in keys if key in STEPS), None)
    if word is not None:
        kind: type[Any] = STEPS[word]
        step: Step | None = read_record(
            kind, node, reader, f"'{word}'", later=_STEPS_LATER, given={"place": node.place}
        )
        return step
    first = node.entries[0][0]
    if first.text in _STEPS_LATER:
        reader.problem(
            "E014", first, f"'{first.text}' is not in this version yet", f"there are {', '.join(sorted(STEPS))}"
        )
    else:
        reader.problem(
            "E011", first, f"no step is called '{first.text[:60]}'", did_you_mean(first.text, STEPS, "steps")
        )
    return None


def _yes(node: MappingNode, name: str, reader: CaseReader) -> bool:
    value = node.get(name)
    return bool(value is not None and YesNo().read(value, reader))


def _floor(root: MappingNode, reader: CaseReader) -> Floor | None:
    node = root.get("coverage")
    return None if node is None else read_record(Floor, node, reader, "coverage")


def _properties(node: Node | None, reader: CaseReader) -> tuple[Property, ...]:
    if node is None:
        return ()
    found: list[Property] = []
    for item in node.items if isinstance(node, SequenceNode) else (node,):
        if not isinstance(item, MappingNode) or len(item.entries) != 1:
            reader.problem("E013", item, "a property is never or always", "write - never: {silence_longer_than: 8s}")
            continue
        word, value = item.entries[0]
        kind: type[Any] | None = PROPERTIES.get(word.text)
        if kind is None:
            help = did_you_mean(word.text, PROPERTIES, "there are")
            reader.problem("E011", word, f"no property begins with '{word.text[:60]}'", help)
            continue
        one: Property | None = read_record(kind, value, reader, f"'{word.text}'", given={"place": word.place})
        if one is not None:
            found.append(one)
    return tuple(found)


def _caller(node: MappingNode, reader: CaseReader, default: Caller) -> Caller:
    call = node.get("call")
    if call is None:
        return default
    given = {one.name: getattr(default, one.name) for one in fields(default)}
    return read_record(Caller, call, reader, "call", given=given) or default


def _filled(node: Node, chosen: Mapping[str, str]) -> Node:
    """The same node with ``{name}`` replaced in every text."""
    match node:
        case ScalarNode():
            text = node.text
            for name, chosen_value in chosen.items():
                text = text.replace(f"{{{name}}}", chosen_value)
            return ScalarNode(text, node.place, node.quote, node.length)
        case SequenceNode():
            return SequenceNode(tuple(_filled(item, chosen) for item in node.items), node.place, node.length)
        case MappingNode():
            entries = []
            for key, value in node.entries:
                new_key = _filled(key, chosen)
                assert isinstance(new_key, ScalarNode)
                entries.append((new_key, value if key.text == "each" else _filled(value, chosen)))
            return MappingNode(tuple(entries), node.place, node.length)


def _named(node: MappingNode, values: str) -> MappingNode:
    """The test with what was chosen behind its name."""
    entries = [
        (key, ScalarNode(f"{value.text} ({values})", value.place, value.quote, value.length))
        if key.text == "name" and isinstance(value, ScalarNode)
        else (key, value)
        for key, value in node.entries
    ]
    return MappingNode(tuple(entries), node.place, node.length)
