"""Mistakes of writing that YAML reports badly or not at all: found line by line, explained, mended.

The mended lines are what the parser sees, so that one slip does not hide the rest of the file; insertions are
remembered, so that every place is still that of the operator's own file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ivr.flow.model import Place
from ivr.flow.problem import Problem

_SCHEMES = frozenset(
    {"sip", "sips", "tel", "rtc", "udp", "tcp", "tls", "ws", "wss", "http", "https", "secret", "sqlite"}
)
"""Words that stand before a colon without a space and mean it."""

_QUOTES = {"“": "”", "”": "”", "„": "“", "‘": "’", "’": "’", "«": "»"}
_TOKEN_START = r"(?:^|(?<=[\[{,])|(?<=:\s)|(?<=-\s)|(?<=\?\s))\s*"
_GLUED = re.compile(r"^(?P<before>\s*(?:- +)?)(?P<key>[a-z_][a-z0-9_]*):(?P<value>[^\s:/].*)$")
_STAR = re.compile(r"(?:^\s*(?:- +)?|[{,]\s*)(?P<sign>[*#])(?=\s*:(?:\s|$))")
_SIGN_VALUE = re.compile(r"(?:[:\-,]\s+|\[\s*)(?P<sign>[*#])(?=\s*(?:[,}\]]|$))")
_BLOCK_TEXT = re.compile(r"(?:^|:\s+|-\s+)[|>][+-]?\d?\s*(?:#.*)?$")
_SUSPICIOUS = tuple(
    re.compile(sign, re.MULTILINE)
    for sign in (
        rf"[\t{''.join(_QUOTES)}]",
        r"[*#]\s*(?:[:,}\]]|$)",
        r"[|>][+-]?\d?\s*(?:#.*)?$",
        r"\n[^\S\n]*(?:- +)?[a-z_][a-z0-9_]*:[^\s:/]",
    )
)
"""What stands where one of the slips can be, or a block of text begins; most lines, each with its break before it,
have none of it. Each begins with letters to look for: one after the other they take a fifth of what one expression
takes."""
_STRAIGHT = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"\\]|\\.)*\"")


@dataclass(slots=True)
class Spelling:
    """The mended lines, and what was wrong with the original ones."""

    lines: tuple[str, ...]
    problems: list[Problem] = field(default_factory=list)
    inserted: dict[int, list[int]] = field(default_factory=dict)
    """Line (from 0) to the columns (from 0, of the mended line) at which one character was put in."""

    def place(self, file: str, line: int, column: int) -> Place:
        """The place in the operator's file of a mended line and column (both from 0)."""
        earlier = sum(1 for at in self.inserted.get(line, ()) if at < column)
        return Place(file, line + 1, column - earlier + 1)


def mend(lines: Sequence[str], file: str) -> Spelling:
    """Look at every line outside of blocks of text."""
    spelling = Spelling(())
    mended = []
    block_indent: int | None = None
    if not _is_suspicious("\n" + "\n".join(lines)):
        spelling.lines = tuple(lines)
        return spelling
    for number, line in enumerate(lines):
        if block_indent is None and not _is_suspicious(f"\n{line}"):
            mended.append(line)
            continue
        indent = len(line) - len(line.lstrip())
        if block_indent is not None and (not line.strip() or indent > block_indent):
            mended.append(line)
            continue
        block_indent = indent if _BLOCK_TEXT.search(line) else None
        mended.append(_Line(spelling, file, number, line).mend())
    spelling.lines = tuple(mended)
    return spelling


def _is_suspicious(text: str) -> bool:
    return any(sign.search(text) is not None for sign in _SUSPICIOUS)


class _Line:
    def __init__(self, spelling: Spelling, file: str, number: int, text: str) -> None:
        self._spelling = spelling
        self._file = file
        self._number = number
        self._text = text

    def mend(self) -> str:
        self._tabs()
        if not self._text.strip():
            return self._text
        self._typographic_quotes()
        self._stars()
        self._glued_colon()
        return self._text

    def _problem(self, code: str, column: int, message: str, help: str, length: int = 1) -> None:
        place = self._spelling.place(self._file, self._number, column)
        self._spelling.problems.append(Problem(code, place, message, help, length))

    def _insert(self, column: int, character: str) -> None:
        self._text = self._text[:column] + character + self._text[column:]
        self._spelling.inserted.setdefault(self._number, []).append(column)

    def _tabs(self) -> None:
        indent = len(self._text) - len(self._text.lstrip())
        column = self._text[:indent].find("\t")
        if column < 0:
            return
        if self._text.strip():
            self._problem("E008", column, "a tab at the beginning of the line", "indent with spaces")
        self._text = self._text[:indent].replace("\t", " ") + self._text[indent:]

    def _typographic_quotes(self) -> None:
        if not any(quote in self._text for quote in _QUOTES):
            return
        for opening, closing in _QUOTES.items():
            for found in re.finditer(_TOKEN_START + f"(?P<quote>{opening})", self._hidden()):
                column = found.start("quote")
                self._problem("E007", column, "typographic quote", "use '")
                end = self._text.find(closing, column + 1)
                inner = self._text[column + 1 : end]
                if end > 0 and "'" not in inner:
                    self._text = f"{self._text[:column]}'{inner}'{self._text[end + 1 :]}"

    def _hidden(self) -> str:
        """The line with quoted text blanked out: nothing in it is a mistake."""
        return _STRAIGHT.sub(lambda found: "_" * len(found[0]), self._text)

    def _stars(self) -> None:
        while found := _STAR.search(self._hidden()):
            column, sign = found.start("sign"), found["sign"]
            rest = self._text[column + 1 :].strip()
            in_braces = self._text[:column].strip(" -") != ""
            help = f"write '{sign}':" if in_braces else f"write '{sign}': {rest.removeprefix(':').strip()}"
            self._problem("E002", column, "a star or hash key must be written in quotes", help)
            self._quote(column)
        while found := _SIGN_VALUE.search(self._hidden()):
            column, sign = found.start("sign"), found["sign"]
            self._problem("E002", column, "a star or hash key must be written in quotes", f"write '{sign}'")
            self._quote(column)

    def _quote(self, column: int) -> None:
        self._insert(column, "'")
        self._insert(column + 2, "'")

    def _glued_colon(self) -> None:
        found = _GLUED.match(self._hidden())
        if found is None or found["key"] in _SCHEMES or ": " in found["value"]:
            return
        column = found.start("value")
        value = self._text[column:].split(" #")[0].strip()
        self._problem("E001", column - 1, "no space after the colon", f"write '{found['key']}: {value}'")
        self._insert(column, " ")
