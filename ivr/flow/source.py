"""YAML as operators mean it: every value is text until something types it, and every word knows its place.

Reads a file into mappings, sequences and scalars. No implicit types, no anchors, no tags, no key twice, bounded
size and depth. Faults are collected as problems, never raised; what can be read in spite of them is returned.
Knows nothing of flows: the site file is read by the same code.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from ivr.flow.model import Place
from ivr.flow.problem import Problem, has_errors, with_lines
from ivr.flow.spelling import Spelling, mend

SIZE_LIMIT = 1_000_000
"""Bytes. The largest hand-written flow seen is a hundredth of this."""
DEPTH_LIMIT = 20
LINE_LIMIT = 10_000
"""Characters of one line: what looks for slips in a line takes longer than the line is long."""
NODES_LIMIT = 100_000
"""Words, lists and mappings of one file: each takes a hundred times the memory of its letters."""

_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_new: Final[Any] = tuple.__new__
"""Makes a named tuple of a tuple in a third of the time: a file has a few for each of its words."""


class ScalarNode(NamedTuple):
    """A word or text."""

    text: str
    place: Place
    quote: str = ""
    """The quote it stood in; ``|`` or ``>`` for a block of text, empty for a plain word."""
    length: int = 1
    """Characters it takes up on its first line, quotes included."""
    ends: tuple[tuple[int, int], ...] | None = None
    """Where characters are written as two or more: after which of the text (counted) how many more columns have been
    used up in all. None where that is not known."""

    @property
    def plain(self) -> bool:
        return not self.quote

    def place_at(self, offset: int) -> Place:
        """Where character ``offset`` of the text stands; the beginning if that cannot be told."""
        if self.ends is not None:
            at = bisect_right(self.ends, (offset, 1 << 30)) - 1
            more = self.ends[at][1] if at >= 0 else 0
            return Place(self.place.file, self.place.line, self.place.column + 1 + offset + more)
        opening = len(self.quote)
        doubled = self.text.count("'") if self.quote == "'" else 0
        if self.quote in ("|", ">") or self.length != len(self.text) + 2 * opening + doubled:
            return self.place
        before = self.text[:offset].count("'") if doubled else 0
        return Place(self.place.file, self.place.line, self.place.column + opening + offset + before)


class SequenceNode(NamedTuple):
    items: tuple[Node, ...]
    place: Place
    length: int = 1


class MappingNode(NamedTuple):
    """Keys in the order of the file; a key that stood twice is here once."""

    entries: tuple[tuple[ScalarNode, Node], ...]
    place: Place
    length: int = 1
    """Characters to underline when something is missing in it."""

    def get(self, key: str) -> Node | None:
        for name, value in self.entries:
            if name.text == key:
                return value
        return None


Node = ScalarNode | SequenceNode | MappingNode


@dataclass(frozen=True, slots=True)
class Source:
    """One file as read."""

    file: str
    lines: tuple[str, ...]
    root: Node | None
    """None if the file is empty or could not be read at all."""
    problems: tuple[Problem, ...]
    complete: bool = True
    """Whether the file was read to its end. If not, nothing follows from what is absent."""

    def trusted(self, problems: Iterable[Problem]) -> list[Problem]:
        """Of problems found in what was read, those that would be there if the rest could be read too."""
        if self.complete:
            return list(problems)
        broken = min((problem.place.line for problem in self.problems), default=1)
        absent = ("E012", "E013", "E102")
        return [problem for problem in problems if problem.place.line < broken and problem.code not in absent]


def read_source(
    path: Path, file: str | None = None, parse: Callable[[bytes | str, str], Source] | None = None
) -> Source:
    """Read a file; ``file`` is the name shown in problems, ``parse`` reads another spelling than YAML."""
    file = str(path) if file is None else file
    content = read_content(path, file)
    return content if isinstance(content, Source) else (parse or parse_source)(content, file)


def read_content(path: Path, file: str) -> bytes | Source:
    """The bytes of a file, one more than the most if there are more; or a source that says why there are none."""
    try:
        if path.exists() and not path.is_file():
            # Reading a pipe or a device may never end.
            return _unreadable(file, "this is not a file", "name a file, or the folder it is in")
        with path.open("rb") as stream:
            return stream.read(SIZE_LIMIT + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        return _unreadable(file, f"this file cannot be read: {reason}", "check that it exists and may be read")


def parse_source(content: bytes | str, file: str) -> Source:
    """Read what a file contains."""
    decoded = decode(content, file)
    if isinstance(decoded, Source):
        return decoded
    lines = lines_of(decoded)
    spelling = mend(lines, file)
    composer = _Composer(file, spelling, len(lines))
    root = composer.compose()
    problems = [*spelling.problems, *composer.problems]
    return Source(file, lines, root, tuple(with_lines(problems, {file: lines})), composer.complete)


def lines_of(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n") if text.isascii() and "\r" not in text else _LINE_BREAK.split(text))


def decode(content: bytes | str, file: str) -> str | Source:
    """The text of a file, or an unreadable source that says why there is none."""
    if len(content) > SIZE_LIMIT:
        return _unreadable(
            file, f"this file is larger than {SIZE_LIMIT // 1_000_000} MB", "split it into several files"
        )
    if isinstance(content, bytes):
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            return _unreadable(
                file, "this file is not UTF-8 text", "save it as UTF-8 in the editor", line, error.object
            )
    elif not _is_unicode(content):
        return _unreadable(file, "this text is not Unicode", "save it as UTF-8 in the editor")
    lines = lines_of(content)
    long = next((number for number, line in enumerate(lines, 1) if len(line) > LINE_LIMIT), None)
    if long is not None:
        problem = Problem("E010", Place(file, long), f"this line has more than {LINE_LIMIT} characters", "break it")
        return Source(file, lines, None, tuple(with_lines([problem], {file: lines})), complete=False)
    return content


def _is_unicode(text: str) -> bool:
    """Whether it has no halves of surrogate pairs, which no file can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _unreadable(file: str, message: str, help: str, line: int = 1, content: bytes = b"") -> Source:
    lines = tuple(_LINE_BREAK.split(content.decode("utf-8", "replace")))
    problem = Problem("E010", Place(file, line), message, help)
    return Source(file, lines, None, tuple(with_lines([problem], {file: lines})), complete=False)


class _Composer:
    """Makes nodes of the parser's events. It goes no deeper than DEPTH_LIMIT."""

    def __init__(self, file: str, spelling: Spelling, line_count: int) -> None:
        self.problems: list[Problem] = []
        self.complete = False
        self._file = file
        self._spelling = spelling
        self._moved = bool(spelling.inserted)
        """Whether a word of a mended line can stand elsewhere in the operator's."""
        self._line_count = line_count
        self._events = self._parsed()
        self._depth = 0
        self._nodes = 0
        self._long_text: tuple[Place, int] | None = None
        """Where the last quoted text of several lines begins, and the line it ends in."""

    def compose(self) -> Node | None:
        root = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                root = self._node(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop("E010", event, "a second document starts here", "remove the line ---", 3)
        return root

    def _parsed(self) -> Generator[Any, None, None]:
        """Ends where the file, or what can be read of it, ends: what is open then is taken as it is."""
        parser = _YAML_LOADER("\n".join(self._spelling.lines))
        try:
            yield from iter(parser.get_event, None)
            self.complete = True
        except yaml.YAMLError as error:
            self._explain(error)
        finally:
            parser.dispose()

    def _stop(self, code: str, event: Any, message: str, help: str, length: int = 1) -> None:
        self._problem(code, event, message, help, length)
        self._events.close()

    def _node(self, event: Any) -> Node | None:
        """What begins with the event; None if there is too much of it."""
        self._nodes += 1
        if self._nodes > NODES_LIMIT:
            message = f"more than {NODES_LIMIT} words and values in one file"
            self._stop("E010", event, message, "split it into several files")
            return None
        kind = type(event)
        if kind is yaml.AliasEvent:
            help = f"write it out, or in quotes if it is text: '*{event.anchor}'"
            self._problem("E009", event, "'*' before a name refers to another place; that is not used here", help)
            return ScalarNode(f"*{event.anchor}", self._place(event.start_mark), "'")
        if event.anchor is not None or event.tag is not None:
            self._refuse_marks(event)
        start = event.start_mark
        line, column = start.line, start.column
        place = self._place(start) if self._moved else _new(Place, (self._file, line + 1, column + 1))
        if kind is yaml.ScalarEvent:
            end, quote = event.end_mark, event.style or ""
            length = end.column - column or 1
            if end.line != line:
                length = 1
                if quote in ("'", '"'):
                    self._long_text = (place, end.line)
            word: ScalarNode = _new(ScalarNode, (event.value, place, quote, length, None))
            return word
        if self._depth >= DEPTH_LIMIT:
            help = "nothing in these files needs that; a bracket is probably not closed"
            self._stop("E010", event, f"more than {DEPTH_LIMIT} levels deep", help)
            return None
        self._depth += 1
        made = self._mapping(place) if kind is yaml.MappingStartEvent else self._sequence(place)
        self._depth -= 1
        return made

    def _sequence(self, place: Place) -> SequenceNode:
        items: list[Node] = []
        for event in self._events:
            if type(event) is yaml.SequenceEndEvent:
                break
            item = self._node(event)
            if item is not None:
                items.append(item)
        made: SequenceNode = _new(SequenceNode, (tuple(items), place, 1))
        return made

    def _mapping(self, place: Place) -> MappingNode:
        entries: dict[str, tuple[ScalarNode, Node]] = {}
        unsure = False
        for event in self._events:
            if type(event) is yaml.MappingEndEvent:
                break
            key = self._node(event)
            if key is not None and (not isinstance(key, ScalarNode) or key.text in entries):
                self._refuse_key(key, entries)
                key = None
            for its in self._events:
                value = self._node(its)
                if key is not None and value is not None:
                    entries[key.text] = (key, value)
                    unsure = unsure or not value[0]
                break
        read = tuple(entries.values())
        if unsure:
            read = tuple(self._missing_space(*one) for one in read)
        made: MappingNode = _new(MappingNode, (read, place, 1))
        return made

    def _refuse_marks(self, event: Any) -> None:
        if event.anchor is not None:
            help = f"write it in quotes if it is text: '&{event.anchor}'"
            self._problem("E009", event, "'&' before a name marks a place to refer to; that is not used here", help)
        if event.tag is not None and event.tag != "!":
            self._problem("E009", event, "'!' before a word names a type; types are not written here", "remove it")

    def _refuse_key(self, node: Node, entries: Mapping[str, tuple[ScalarNode, Node]]) -> None:
        if not isinstance(node, ScalarNode):
            help = "write a name before the colon"
            self.problems.append(Problem("E001", node.place, "a list or mapping stands where a name should", help))
            return
        first = entries[node.text][0].place.line
        message = f"'{node.text}' is there twice (first at line {first})"
        help = "only one of the two can hold: remove or rename one"
        self.problems.append(Problem("E003", node.place, message, help, node.length))

    def _missing_space(self, key: ScalarNode, value: Node) -> tuple[ScalarNode, Node]:
        """``{to:main}`` is, to YAML, the key 'to:main' without a value: report it, and take it apart."""
        empty = isinstance(value, ScalarNode) and not value.text and value.plain
        if empty and key.plain and (glued := re.fullmatch(r"(\w+):(\S+)", key.text)):
            help = f"write '{glued[1]}: {glued[2]}'"
            place = key.place_at(len(glued[1]))
            self.problems.append(Problem("E001", place, "no space after the colon", help))
            value = ScalarNode(glued[2], key.place_at(len(glued[1]) + 1), length=len(glued[2]))
            key = ScalarNode(glued[1], key.place, length=len(glued[1]))
        return key, value

    def _place(self, mark: Any) -> Place:
        if self._moved:
            return self._spelling.place(self._file, mark.line, mark.column)
        return Place(self._file, mark.line + 1, mark.column + 1)

    def _problem(self, code: str, event: Any, message: str, help: str, length: int = 1) -> None:
        self.problems.append(Problem(code, self._place(event.start_mark), message, help, length))

    def _explain(self, error: yaml.YAMLError) -> None:
        """One problem for the syntax error, in words an operator can use; none if its cause is known already."""
        if has_errors(self._spelling.problems):
            return
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
            mark, opened = error.problem_mark, error.context_mark
        else:
            mark, opened = self._mark_of_character(getattr(error, "position", 0) or 0), None
        line = min(mark.line, self._line_count - 1)
        before = opened.line if opened is not None else line
        text = f"{getattr(error, 'context', None)} {getattr(error, 'problem', None)} {error}".lower()
        lines = self._spelling.lines
        if self._long_text is not None and self._long_text[1] == line:
            place = self._long_text[0]
            help = f"it runs on to line {line + 1}: close it before"
            self.problems.append(Problem("E001", place, "this quote is not closed in its line", help))
            return
        message, help, at_opening = _in_words(text, lines, line, mark.column, before)
        if at_opening and opened is not None:
            line, column = opened.line, opened.column
        else:
            column = min(mark.column, len(lines[line]))
        self.problems.append(Problem("E001", self._spelling.place(self._file, line, column), message, help))

    def _mark_of_character(self, position: int) -> yaml.Mark:
        before = "\n".join(self._spelling.lines)[:position]
        column = len(before) - (before.rfind("\n") + 1)
        return yaml.Mark("", position, before.count("\n"), column, None, position)


def _in_words(text: str, lines: tuple[str, ...], line: int, column: int, opened: int) -> tuple[str, str, bool]:
    """Message, help, and whether the fault is best shown where the broken thing begins. Lines count from 0."""
    if "mapping values are not allowed" in text:
        if line and ":" not in lines[line][:column] and ":" not in lines[line - 1]:
            return f"line {line} has no colon", f"write '{lines[line - 1].strip()[:30]}: value' there", False
        return "a second colon in this line", "put text that contains ': ' in quotes", False
    if "cannot start any token" in text:
        sign = lines[line][column : column + 1]
        name = " the name of a recording has no @;" if sign == "@" else ""
        return f"nothing can begin with {sign!r}", f"{name} put a text in quotes".strip(), False
    if "end of stream" in text and "quoted" in text:
        return "this quote is never closed", "close it with the same quote; in '…' write '' for a quote", True
    if "unknown escape" in text or "did not find expected hexdecimal" in text:
        return "a backslash in double quotes", "use single quotes: '…' takes every character as it is", False
    if "flow mapping" in text or "flow sequence" in text:
        opening, closing = ("{", "}") if "flow mapping" in text else ("[", "]")
        return (
            f"this {opening} is not closed",
            f"a {closing} or a comma is missing before line {line + 1}, column {column + 1}",
            True,
        )
    if "block mapping" in text or "block collection" in text:
        if lines[line][column - 1 : column] in ("'", '"'):
            return "a quote has ended the text before this", "inside '…', write a quote twice: ''", False
        if line == opened:
            return "this does not belong to the value before it", "remove it, or put the whole value in quotes", False
        return (
            f"this does not line up with line {opened + 1}, to which it belongs",
            "lines of one list begin in one column",
            False,
        )
    if "could not find expected ':'" in text:
        return "this line has no colon", "write 'name: value'", True
    if "not allowed" in text and "character" in text:
        return (
            "a character that cannot stand in a text",
            "delete it: copying from other programs brings such characters",
            False,
        )
    return "this cannot be read", "compare it with the lines around: a colon, quote or bracket is out of place", False
