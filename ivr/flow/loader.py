"""From files to flows: reads, checks, and tells everything that is wrong, in all files, in one run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ivr.flow.calls import check_calls, check_circles, with_called
from ivr.flow.checks import check_flow
from ivr.flow.draft import Draft, make_flow
from ivr.flow.dsl.nodes import parse_dsl
from ivr.flow.dsl.remedies import in_dsl
from ivr.flow.leaks import blotted, leaks
from ivr.flow.model import Flow, Place
from ivr.flow.problem import Problem, has_errors, in_order, with_lines
from ivr.flow.reading import read_flow
from ivr.flow.source import SIZE_LIMIT, Source, parse_source, read_source

_ENDINGS = (".yaml", ".yml", ".flow")

_ANY_HEAD = re.compile(rb"^[A-Za-z_'\"]", re.MULTILINE)
_FLOW_HEAD = re.compile(rb"^['\"]?(flow|start|blocks)['\"]?\s*:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class WrittenStep:
    """A step as it stands in a file."""

    verb: str
    settings: Any
    place: Place
    languages: tuple[str, ...]
    """Those of its flow."""
    exits: Mapping[str, Place] = field(default_factory=dict)
    """Those that are written, and where the block of each is named."""


@dataclass(frozen=True)
class FlowSet:
    """Flows that belong together, and what is wrong with them."""

    flows: Mapping[str, Flow]
    """The flows without errors, by name."""
    problems: tuple[Problem, ...]
    names: frozenset[str] = frozenset()
    """Every flow there is, broken ones included."""
    written: Sequence[WrittenStep] = field(default=(), repr=False)
    """Every step that could be read, those of broken flows included: what surrounds them is checked all the same."""
    drafts: Mapping[str, Draft] = field(default_factory=dict, repr=False)
    """Every flow as far as it could be read, by name: for pictures of flows that are not whole."""
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    """The lines of every file read, for printing problems found later."""

    @property
    def ok(self) -> bool:
        """Whether the set may go live: there may be warnings, but no errors."""
        return not has_errors(self.problems)

    def with_lines(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Problems found by later checks, with their source lines, in order."""
        return in_order(with_lines(problems, self.sources))


def load_flows(paths: Iterable[Path]) -> FlowSet:
    """Flows from files and folders (every ``*.yaml`` and ``*.flow`` in them; tests, hidden files and what is no flow
    aside). Never raises for what is in the files."""
    sources: list[Source] = []
    problems: list[Problem] = []
    read: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found = sorted(_flow_files(path))
            if not found:
                message = f"the folder '{shown(path)}' has no flows"
                problems.append(
                    Problem("E010", Place(shown(path), 1), message, "put a file NAME.yaml or NAME.flow there")
                )
        else:
            found = [path]
        for file in found:
            # A file named twice, or named and found in a folder, is still one flow.
            if file.resolve() not in read:
                read.add(file.resolve())
                sources.append(read_source(file, shown(file), _parse))
    return _compile(sources, problems)


def load_text(text: str | bytes, file: str = "flow.yaml") -> FlowSet:
    """A flow set of one flow, from its text."""
    return _compile([_parse(text, file)], [])


def _parse(content: bytes | str, file: str) -> Source:
    return (parse_dsl if file.endswith(".flow") else parse_source)(content, file)


def _compile(sources: Sequence[Source], problems: list[Problem]) -> FlowSet:
    lines = {source.file: source.lines for source in sources}
    drafts: dict[str, Draft] = {}
    unreadable: set[str] = set()
    written: list[WrittenStep] = []
    for source in sources:
        found, hidden = leaks(source.root) if source.root is not None else ([], [])
        lines[source.file] = blotted(source.lines, hidden)
        problems.extend(replace(problem, line="") for problem in source.problems)
        problems.extend(found)
        draft = read_flow(source)
        if draft is None:
            continue
        if source.complete:
            written += (
                WrittenStep(
                    step.verb.name,
                    step.settings,
                    step.place,
                    draft.languages,
                    {exit: node.place for exit, node in step.wires.items()},
                )
                for _, step in draft.steps()
                if step.settings is not None
            )
            check_flow(draft, complete=not has_errors(source.problems))
        else:
            draft.problems = source.trusted(draft.problems)
        if source.file.endswith(".flow"):
            # What stood in a line that could not be read is not missing.
            absent = ("E012", "E013", "E102") if has_errors(source.problems) else ()
            draft.problems = [in_dsl(one) for one in draft.problems if one.code not in absent]
        first = drafts.setdefault(draft.name.text, draft)
        if first is not draft:
            message = f"flow '{draft.name.text}' is there twice (first in {first.name.place})"
            draft.problem("E100", draft.name, message, "give one of the two another name")
        if has_errors([*source.problems, *found, *draft.problems]):
            unreadable.add(draft.name.text)
        problems.extend(draft.problems)
    for draft in drafts.values():
        problems += check_calls(draft, drafts)
    problems += (problem for _, problem in check_circles(drafts))
    unreadable.update(name for name, draft in drafts.items() if has_errors(draft.problems))
    flows = with_called({name: make_flow(draft) for name, draft in drafts.items() if name not in unreadable})
    return FlowSet(
        MappingProxyType(flows),
        in_order(with_lines(problems, lines)),
        frozenset(name for name in drafts if name),
        tuple(written),
        MappingProxyType(drafts),
        MappingProxyType(lines),
    )


def _flow_files(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            is_test = name.endswith((".test.yaml", ".test.yml"))
            if name.endswith(_ENDINGS) and not is_test and not name.startswith((".", "#", "~")):
                file = Path(root) / name
                if name.endswith(".flow") or not _is_something_else(file):
                    yield file


def _is_something_else(file: Path) -> bool:
    """Whether a file beside flows is none, as a site file or a file with secrets: it begins nothing a flow begins."""
    try:
        if not file.is_file():
            return False
        with file.open("rb") as stream:
            data = stream.read(SIZE_LIMIT)
    except OSError:
        return False
    return _ANY_HEAD.search(data) is not None and _FLOW_HEAD.search(data) is None


def shown(path: Path) -> str:
    """The path as problems name it: relative to the working directory if it is below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
