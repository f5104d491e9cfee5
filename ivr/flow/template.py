"""Texts with holes: ``Order {order:digits} costs {total}``. Parts as data; turning them into words is not done here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ivr.flow.expression import Expression, parse_expression
from ivr.flow.model import Place
from ivr.flow.problem import Problem, did_you_mean
from ivr.flow.saying import FORMATS, argument_fault
from ivr.flow.ssml import Element
from ivr.flow.values import as_text, within_limit

TEMPLATE_LIMIT: Final = 5_000
"""Characters of a text with holes."""

_BRACE: Final = re.compile("[{}]")
_QUOTE: Final = re.compile("['\"]")
_FORMAT: Final = re.compile(r"(?P<name>[^\s(]*)(?:\s*\((?P<in_brackets>.*)\)|\s+(?P<behind>.*))?", re.DOTALL)
"""``money CNY``, ``plural(call,calls)``"""


@dataclass(frozen=True, slots=True)
class Hole:
    """One ``{expression:format argument}``."""

    expression: Expression
    format: str = "text"
    argument: str = ""
    place: Place = field(default=Place("", 1), compare=False)
    span: tuple[int, int] = field(default=(0, 0), compare=False)
    """Where it begins and ends in the text as written."""


@dataclass(frozen=True, slots=True)
class Template:
    """Fixed text and holes, in order. No two neighbours are both fixed text."""

    text: str = field(compare=False)
    """As written."""
    parts: tuple[str | Hole, ...]
    ssml: tuple[Element, ...] = field(default=(), compare=False)
    """The tags of a text to be spoken that is a document in SSML; empty: it is spoken as it stands."""

    @property
    def fixed(self) -> str | None:
        """The text if there is no hole in it, else None."""
        if any(isinstance(part, Hole) for part in self.parts):
            return None
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def holes(self) -> tuple[Hole, ...]:
        return tuple([part for part in self.parts if isinstance(part, Hole)])

    def fill(self, scope: Mapping[str, object]) -> str:
        """The text with every value written in, formats aside: for logs, tags and addresses.

        Raises EvaluationError.
        """
        parts: list[str] = []
        length = 0
        for part in self.parts:
            parts.append(part if isinstance(part, str) else as_text(part.expression.evaluate(scope)))
            length += len(parts[-1])
            within_limit(length)
        return "".join(parts)


def fixed(text: str) -> Template:
    """A template that is nothing but this text."""
    return Template(text, (text,) if text else ())


def _nowhere(offset: int) -> Place:
    return Place("", 1, offset + 1)


def parse_template(text: str, locate: Callable[[int], Place] = _nowhere) -> tuple[Template, list[Problem]]:
    """The template and what is wrong with it; holes that cannot be read are left out. ``{{`` and ``}}`` are braces."""
    if len(text) > TEMPLATE_LIMIT:
        help = "split it into several steps"
        return fixed(""), [Problem("E136", locate(0), f"this text has more than {TEMPLATE_LIMIT} characters", help)]
    reader = _Reader(text, locate)
    reader.read()
    return Template(text, tuple(reader.parts)), reader.problems


@dataclass(frozen=True, slots=True)
class Further:
    """Finds the places of a part of a text."""

    locate: Callable[[int], Place]
    begins: int

    def __call__(self, offset: int) -> Place:
        return self.locate(self.begins + offset)


class _Reader:
    def __init__(self, text: str, locate: Callable[[int], Place]) -> None:
        self.parts: list[str | Hole] = []
        self.problems: list[Problem] = []
        self._text = text
        self._locate = locate

    def read(self) -> None:
        at = 0
        while found := _BRACE.search(self._text, at):
            if found.start() > at:
                self._fixed(self._text[at : found.start()])
            at, character = found.start(), found[0]
            if character in "{}" and self._text[at + 1 : at + 2] == character:
                self._fixed(character)
                at += 2
            elif character == "{":
                at = self._hole(at)
            else:
                self._problem(
                    "E136",
                    at,
                    "a closing brace without an opening one",
                    "write }} for a brace that is spoken",
                )
                at += 1
        if at < len(self._text):
            self._fixed(self._text[at:])

    def _problem(self, code: str, at: int, message: str, help: str, length: int = 1) -> None:
        self.problems.append(Problem(code, self._locate(at), message, help, length))

    def _fixed(self, text: str) -> None:
        if self.parts and isinstance(self.parts[-1], str):
            self.parts[-1] += text
        else:
            self.parts.append(text)

    def _hole(self, start: int) -> int:
        end, colon = self._bounds(start + 1)
        if end < 0:
            self._problem(
                "E136",
                start,
                "this brace is never closed",
                "write } after the name, or {{ for a brace that is spoken",
            )
            return len(self._text)
        inside = self._text[start + 1 : end if colon < 0 else colon]
        if not inside.strip():
            self._problem("E136", start, "nothing stands between the braces", "write a name: {order}", end + 1 - start)
            return end + 1
        expression = parse_expression(inside, Further(self._locate, start + 1))
        if isinstance(expression, Problem):
            self.problems.append(expression)
            return end + 1
        format, argument = ("text", "") if colon < 0 else self._format(colon + 1, end)
        self.parts.append(Hole(expression, format, argument, self._locate(start), (start, end + 1)))
        return end + 1

    def _bounds(self, at: int) -> tuple[int, int]:
        """Where the hole ends and where its format begins, quoted text aside; -1 for none."""
        end = self._text.find("}", at)
        if end >= 0 and not _QUOTE.search(self._text, at, end):
            return end, self._text.find(":", at, end)
        quote = ""
        colon = -1
        for offset in range(at, len(self._text)):
            character = self._text[offset]
            if quote:
                quote = "" if character == quote else quote
            elif character in "'\"":
                quote = character
            elif character == "}":
                return offset, colon
            elif character == ":" and colon < 0:
                colon = offset
        return -1, -1

    def _format(self, start: int, end: int) -> tuple[str, str]:
        written = self._text[start:end].strip()
        at = start + len(self._text[start:end]) - len(self._text[start:end].lstrip())
        found = _FORMAT.fullmatch(written)
        name, argument = (found["name"], found["in_brackets"] or found["behind"] or "") if found else (written, "")
        if name not in FORMATS:
            help = did_you_mean(name, sorted(FORMATS), "formats")
            self._problem("E132", at, f"format '{name[:40]}' is not known", help, max(len(name), 1))
        elif (fault := argument_fault(name, argument)) is not None:
            self._problem("E132", at, *fault, len(written))
        return name, argument.strip()
