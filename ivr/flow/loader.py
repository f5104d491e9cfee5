"""From files to flows: reads, checks, and tells everything that is wrong, in all files, in one run."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ivr.collector import at_rest
from ivr.flow.calls import check_calls, check_circles, with_called
from ivr.flow.draft import Draft
from ivr.flow.dsl.nodes import parse_dsl
from ivr.flow.dsl.remedies import in_dsl
from ivr.flow.flow_file import FlowFile, WrittenStep, check_file
from ivr.flow.kept import KeptFlows
from ivr.flow.model import Flow, Place
from ivr.flow.problem import Problem, has_errors, in_order, with_lines
from ivr.flow.source import SIZE_LIMIT, Source, parse_source, read_content

__all__ = ["FlowSet", "WrittenStep", "load_flows", "load_text", "shown"]

_ENDINGS = (".yaml", ".yml", ".flow")

_ANY_HEAD = re.compile(rb"^[A-Za-z_'\"]", re.MULTILINE)
_FLOW_HEAD = re.compile(rb"^['\"]?(flow|start|blocks)['\"]?\s*:", re.MULTILINE)


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
    files: Mapping[str, FlowFile] = field(default_factory=dict, repr=False)
    """Each file by its name in problems: a later load of the same bytes takes it from here."""

    @property
    def ok(self) -> bool:
        """Whether the set may go live: there may be warnings, but no errors."""
        return not has_errors(self.problems)

    def with_lines(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Problems found by later checks, with their source lines, in order."""
        return in_order(with_lines(problems, self.sources))


def load_flows(paths: Iterable[Path], before: FlowSet | None = None, kept: KeptFlows | None = None) -> FlowSet:
    """Flows from files and folders (every ``*.yaml`` and ``*.flow`` in them; tests, hidden files and what is no flow
    aside). Never raises for what is in the files.

    ``before``: a set loaded earlier; what it knows of a file with the same name and the same bytes is not worked out
    again. Nor is what ``kept`` has of earlier starts.
    """
    known = _Known({} if before is None else before.files, kept)
    files, problems = flow_files(paths)
    with at_rest():
        return _together([_read_file(file, known) for file in files], problems)


def flow_files(paths: Iterable[Path]) -> tuple[list[Path], list[Problem]]:
    """The files that :func:`load_flows` reads, and folders in which there are none."""
    files: dict[Path, Path] = {}
    problems: list[Problem] = []
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
            files.setdefault(file.resolve(), file)
    return list(files.values()), problems


def load_sources(
    texts: Mapping[str, bytes],
    problems: Iterable[Problem] = (),
    before: FlowSet | None = None,
    kept: KeptFlows | None = None,
) -> FlowSet:
    """Flows from texts that were read already, by the names of their files; ``before`` and ``kept`` as for
    :func:`load_flows`."""
    known = _Known({} if before is None else before.files, kept)
    with at_rest():
        return _together([_known_or_checked(text, file, known) for file, text in texts.items()], list(problems))


def load_text(text: str | bytes, file: str = "flow.yaml") -> FlowSet:
    """A flow set of one flow, from its text."""
    return _together([check_file(_parse(text, file))], [])


class _Known(NamedTuple):
    """Files that were checked before."""

    loaded: Mapping[str, FlowFile]
    """By name."""
    kept: KeptFlows | None


def _read_file(path: Path, known: _Known) -> FlowFile:
    file = shown(path)
    content = read_content(path, file)
    return check_file(content) if isinstance(content, Source) else _known_or_checked(content, file, known)


def _known_or_checked(content: bytes, file: str, known: _Known) -> FlowFile:
    mark = hashlib.sha256(content).digest()
    same = known.loaded.get(file)
    if same is not None and same.mark == mark:
        return same
    kept = None if known.kept is None else known.kept.get(file, mark)
    if kept is not None:
        return kept
    made = check_file(_parse(content, file), mark)
    if known.kept is not None:
        known.kept.put(made)
    return made


def _parse(content: bytes | str, file: str) -> Source:
    return (parse_dsl if file.endswith(".flow") else parse_source)(content, file)


def _together(files: Sequence[FlowFile], problems: list[Problem]) -> FlowSet:
    drafts: dict[str, Draft] = {}
    flows: dict[str, Flow] = {}
    written: list[WrittenStep] = []
    twice: set[str] = set()
    for file in files:
        problems.extend(file.problems)
        written.extend(file.written)
        draft = file.draft
        if draft is None:
            continue
        first = drafts.setdefault(draft.name.text, draft)
        if first is not draft:
            twice.add(draft.name.text)
            message = f"flow '{draft.name.text}' is there twice (first in {first.name.place})"
            help = "give one of the two another name"
            found = Problem("E100", draft.name.place, message, help, draft.name.length)
            problems.extend(with_lines([found], {file.name: file.lines}))
        elif file.flow is not None:
            flows[draft.name.text] = file.flow
    across = {name: check_calls(draft, drafts) for name, draft in drafts.items()}
    wrong = twice | {name for name, found in across.items() if has_errors(found)}
    together = [*(one for found in across.values() for one in found), *check_circles(drafts)]
    together = [in_dsl(one) if one.place.file.endswith(".flow") else one for one in together]
    problems.extend(with_lines(together, {file.name: file.lines for file in files}))
    return FlowSet(
        MappingProxyType(with_called({name: flow for name, flow in flows.items() if name not in wrong})),
        in_order(problems),
        frozenset(name for name in drafts if name),
        tuple(written),
        MappingProxyType(drafts),
        MappingProxyType({file.name: file.lines for file in files}),
        MappingProxyType({file.name: file for file in files}),
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
