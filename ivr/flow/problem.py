"""A problem in a file an operator edits: code, place, words, remedy; and how it is printed."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import islice
from typing import Literal

from ivr.flow.model import Place

Severity = Literal["error", "warning"]

_COMPARED = 1_000
"""Known words that a mistyped one is compared with."""
_SHOWN_WIDTH = 160
"""Longer source lines are shown in part: a terminal that wraps them puts the caret in the wrong place."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where, and what to do. Codes are stable and explained in :mod:`ivr.flow.codes`."""

    code: str
    place: Place
    message: str
    help: str = ""
    """One line: the remedy, or what is known beside the message."""
    length: int = 1
    """Characters to underline, from ``place`` on."""
    line: str = field(default="", compare=False)
    """The source line, for printing; empty if there is none (the file could not be read)."""

    @property
    def severity(self) -> Severity:
        return "warning" if self.code.startswith("W") else "error"

    def __str__(self) -> str:
        head = f"{self.place}: {self.severity} {self.code} {self.message}"
        if not self.line.strip():
            return f"{head}\n      | {self.help}" if self.help else head
        text, column = _window(self.line, self.place.column - 1)
        indent = " " * sum(_width(character) for character in text[:column])
        marked = text[column : column + max(self.length, 1)]
        carets = "^" * max(sum(_width(character) for character in marked), 1)
        mark = f"{indent}{carets} {self.help}".rstrip()
        return f"{head}\n{self.place.line:>5} | {text}\n      | {mark}"

    def as_json(self) -> dict[str, object]:
        """For editors: one flat object."""
        return {
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "length": self.length,
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "help": self.help,
        }


def to_json(problems: Iterable[Problem]) -> str:
    """All problems as one JSON list."""
    return json.dumps([problem.as_json() for problem in problems], ensure_ascii=False, indent=2)


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """By file, line and column; each said once."""
    return tuple(sorted(set(problems), key=lambda problem: (problem.place, problem.code, problem.message)))


def with_lines(problems: Iterable[Problem], sources: Mapping[str, Sequence[str]]) -> list[Problem]:
    """The same problems, each with its source line if ``sources`` (file to lines) has it."""
    shown = []
    for problem in problems:
        lines = sources.get(problem.place.file, ())
        known = 0 < problem.place.line <= len(lines)
        shown.append(replace(problem, line=lines[problem.place.line - 1]) if known else problem)
    return shown


def has_errors(problems: Iterable[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)


def closest(word: str, known: Collection[str]) -> str | None:
    """The known word an operator most likely meant, or None."""
    word = word.lower()[:100]
    # Words of very different length are never close; of the others, so many that it takes no time.
    near = islice((one for one in known if 2 * abs(len(one) - len(word)) <= len(word)), _COMPARED)
    found = get_close_matches(word, list(near), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(word: str, known: Collection[str], kind: str) -> str:
    """One line of help: the close word if there is one, else the words there are. ``kind`` is a plural."""
    close = closest(word, known)
    if close is not None:
        return f"did you mean '{close}'?"
    return f"{kind}: {listed(known)}" if known else ""


def listed(words: Iterable[str], most: int = 12) -> str:
    """Words in order, cut after ``most``."""
    ordered = sorted(words)
    return ", ".join(ordered[:most]) + (", …" if len(ordered) > most else "")


def _window(line: str, column: int) -> tuple[str, int]:
    clean = "".join(character if character.isprintable() else " " for character in line)
    column = min(column, len(clean))
    if len(clean) <= _SHOWN_WIDTH:
        return clean, column
    start = max(0, min(column - _SHOWN_WIDTH // 2, len(clean) - _SHOWN_WIDTH))
    return clean[start : start + _SHOWN_WIDTH], column - start


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
