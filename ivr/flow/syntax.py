"""Syntax of expressions: words, grammar, tree. Precedence, loosest first: or, and, not, comparison, + and -.

The tree says what was written and where (``offset`` in the expression's text); it knows no types and no values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from ivr.flow.model import Place
from ivr.flow.problem import Problem

EXPRESSION_LIMIT: Final = 1_000
"""Characters of an expression."""
NESTING_LIMIT: Final = 30
"""Brackets within brackets."""

BUILT_IN_ROOTS: Final = frozenset({"caller", "call", "heard", "last"})

Comparison = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in"]


@dataclass(frozen=True, slots=True)
class Constant:
    """A text, number, yes/no."""

    value: str | Decimal | bool
    offset: int = field(compare=False)
    length: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, a built-in name, or a path into a record: ``info.total``."""

    path: str
    offset: int = field(compare=False)

    @property
    def length(self) -> int:
        return len(self.path)

    @property
    def root(self) -> str:
        """The variable: ``info`` of ``info.total``; built-in names are one word: ``caller.number``."""
        first = self.path.partition(".")[0]
        return self.path if first in BUILT_IN_ROOTS else first


@dataclass(frozen=True, slots=True)
class Span:
    """``1..5``, both ends included."""

    first: Decimal
    last: Decimal
    offset: int = field(compare=False)
    length: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class ListOf:
    items: tuple[Term, ...]
    offset: int = field(compare=False)
    length: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Application:
    """A function and what it is applied to."""

    function: str
    arguments: tuple[Term, ...]
    offset: int = field(compare=False)

    @property
    def length(self) -> int:
        return len(self.function)


@dataclass(frozen=True, slots=True)
class Not:
    operand: Term
    offset: int = field(compare=False)
    length: int = field(default=3, compare=False)


@dataclass(frozen=True, slots=True)
class Junction:
    """Two or more operands joined with ``and`` or ``or``."""

    word: Literal["and", "or"]
    operands: tuple[Term, ...]
    offset: int = field(compare=False)
    length: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    operator: Comparison
    left: Term
    right: Term
    offset: int = field(compare=False)
    """Of the operator."""

    @property
    def length(self) -> int:
        return len(self.operator)


@dataclass(frozen=True, slots=True)
class Sum:
    first: Term
    rest: tuple[tuple[Literal["+", "-"], Term], ...]
    offset: int = field(compare=False)
    length: int = field(default=1, compare=False)


Term = Constant | Name | Span | ListOf | Application | Not | Junction | Compare | Sum


def parse(text: str, locate: Callable[[int], Place]) -> Term | Problem:
    """The tree, or the first thing that is wrong."""
    try:
        return _tree(text)
    except _SyntaxFault as fault:
        return Problem("E130", locate(fault.offset), fault.message, fault.help, fault.length)


@lru_cache(maxsize=2_000)
def _tree(text: str) -> Term:
    """The same question is asked in many places, and a tree does not know where it stands."""
    return _Parser(text).expression()


def names_in(term: Term, guarded: bool = False) -> Iterator[tuple[Name, bool]]:
    """Every variable and built-in name, and whether ``coalesce()`` makes up for its absence."""
    match term:
        case Name():
            yield term, guarded
        case Application(function, arguments):
            for argument in arguments:
                yield from names_in(argument, guarded or function == "coalesce")
        case Not(operand):
            yield from names_in(operand, guarded)
        case Compare(_, left, right):
            yield from names_in(left, guarded)
            yield from names_in(right, guarded)
        case ListOf(items) | Junction(_, items):
            for item in items:
                yield from names_in(item, guarded)
        case Sum(first, rest):
            yield from names_in(first, guarded)
            for _, item in rest:
                yield from names_in(item, guarded)
        case Constant() | Span():
            pass


class _SyntaxFault(Exception):
    def __init__(self, offset: int, message: str, help: str, length: int = 1) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message
        self.help = help
        self.length = length


class _Word(NamedTuple):
    kind: str
    """number, text, name, sign or end."""
    text: str
    offset: int


_WORD: Final = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>[0-9]+(?:\.[0-9]+)?)
      | (?P<text>'(?:[^']|'')*'|"(?:[^"])*")
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
      | (?P<sign>==|!=|<=|>=|\.\.|[<>()\[\],+-])""",
    re.VERBOSE,
)
_MEANT: Final = {
    "=": "write == to compare",
    "&": "write and",
    "|": "write or",
    "!": "write not, or != for 'differs'",
    "'": "the text is not closed: a ' is missing",
    '"': 'the text is not closed: a " is missing',
    "*": "there is no multiplication here",
    "/": "there is no division here",
    "{": "braces stand around an expression in a text, not inside it",
}
_COMPARISONS: Final[dict[str, Comparison]] = {"==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_TRUTH: Final = {"true": True, "yes": True, "false": False, "no": False}


def _words(text: str) -> list[_Word]:
    words: list[_Word] = []
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            help = _MEANT.get(text[at], "letters, digits, quotes and == != < <= > >= + - ( ) [ ] , .. can stand here")
            raise _SyntaxFault(at, f"{text[at]!r} has no meaning in an expression", help)
        if found.lastgroup is not None and found.lastgroup != "space":
            words.append(_Word(found.lastgroup, found[0], at))
        at = found.end()
    words.append(_Word("end", "", len(text)))
    return words


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > EXPRESSION_LIMIT:
            raise _SyntaxFault(0, f"an expression has at most {EXPRESSION_LIMIT} characters", "split it with set")
        self._words = _words(text)
        self._at = 0
        self._depth = 0

    def expression(self) -> Term:
        if self._word.kind == "end":
            raise _SyntaxFault(0, "an expression is missing", "write for example: tier == 'gold'")
        term = self._or()
        if self._word.kind != "end":
            raise self._unexpected()
        return term

    @property
    def _word(self) -> _Word:
        return self._words[self._at]

    def _take(self) -> _Word:
        word = self._word
        self._at += 1
        return word

    def _is(self, *texts: str) -> bool:
        # Texts in quotes and numbers are never one of these.
        return self._words[self._at].text in texts

    def _expect(self, sign: str) -> _Word:
        if not self._is(sign):
            raise self._unexpected(f"a {sign!r} is missing here")
        return self._take()

    def _unexpected(self, help: str = "") -> _SyntaxFault:
        word = self._word
        if word.kind == "end":
            raise _SyntaxFault(word.offset, "the expression stops too early", help or "something is missing at its end")
        if self._is(*_COMPARISONS, "in") or (self._is("not") and self._at):
            help = "compare two at a time and join the comparisons with and"
        help = help or "an operator is missing before it: == != < > and or not in + -"
        return _SyntaxFault(word.offset, f"'{word.text[:40]}' does not fit here", help, len(word.text))

    def _or(self) -> Term:
        return self._junction("or", self._and)

    def _and(self) -> Term:
        return self._junction("and", self._not)

    def _junction(self, word: Literal["and", "or"], operand: Callable[[], Term]) -> Term:
        operands = [operand()]
        while self._is(word):
            self._take()
            operands.append(operand())
        if len(operands) == 1:
            return operands[0]
        return Junction(word, tuple(operands), operands[0].offset)

    def _not(self) -> Term:
        if not self._is("not"):
            return self._comparison()
        offset = self._take().offset
        self._deeper()
        operand = self._not()
        self._depth -= 1
        return Not(operand, offset)

    def _comparison(self) -> Term:
        left = self._sum()
        offset = self._word.offset
        operator = _COMPARISONS.get(self._word.text)
        if operator is not None:
            self._take()
            return Compare(operator, left, self._sum(), offset)
        if self._is("in"):
            self._take()
            return Compare("in", left, self._sum(), offset)
        if self._is("not") and self._words[self._at + 1].text == "in":
            self._take()
            self._take()
            return Compare("not in", left, self._sum(), offset)
        return left

    def _sum(self) -> Term:
        first = self._atom()
        rest: list[tuple[Literal["+", "-"], Term]] = []
        while self._is("+", "-"):
            sign: Literal["+", "-"] = "+" if self._take().text == "+" else "-"
            rest.append((sign, self._atom()))
        return Sum(first, tuple(rest), first.offset) if rest else first

    def _atom(self) -> Term:
        word = self._word
        if word.kind == "number" or self._is("-"):
            return self._number()
        if word.kind == "text":
            self._take()
            quote = word.text[0]
            return Constant(word.text[1:-1].replace(quote * 2, quote), word.offset, len(word.text))
        if self._is("("):
            self._deeper()
            self._take()
            inner = self._or()
            self._expect(")")
            self._depth -= 1
            return inner
        if self._is("["):
            return self._list()
        if word.kind == "name" and word.text not in ("and", "or", "in", "not"):
            return self._name()
        raise self._unexpected("a value is missing here: a name, a number, or a text in quotes")

    def _number(self) -> Term:
        start = self._word.offset
        first = self._signed()
        if not self._is(".."):
            return Constant(first, start, self._length_since(start))
        self._take()
        if self._word.kind != "number" and not self._is("-"):
            raise self._unexpected("the last number of the range is missing")
        last = self._signed()
        if last < first:
            help = f"write {last}..{first}"
            raise _SyntaxFault(
                start,
                "the first number of the range is larger than the last",
                help,
                self._length_since(start),
            )
        return Span(first, last, start, self._length_since(start))

    def _signed(self) -> Decimal:
        negative = self._is("-")
        if negative:
            self._take()
        word = self._take()
        if word.kind != "number":
            raise _SyntaxFault(word.offset, "a number is missing after the minus", "write for example -1")
        if len(word.text) > 18:
            raise _SyntaxFault(word.offset, "this number is too long", "at most 18 digits", len(word.text))
        return Decimal("-" + word.text if negative else word.text)

    def _length_since(self, start: int) -> int:
        last = self._words[self._at - 1]
        return last.offset + len(last.text) - start

    def _list(self) -> Term:
        offset = self._take().offset
        items = self._until("]")
        return ListOf(items, offset, self._length_since(offset))

    def _name(self) -> Term:
        word = self._take()
        if word.text in _TRUTH:
            return Constant(_TRUTH[word.text], word.offset, len(word.text))
        if not self._is("("):
            return Name(word.text, word.offset)
        self._take()
        return Application(word.text, self._until(")"), word.offset)

    def _until(self, closing: str) -> tuple[Term, ...]:
        self._deeper()
        items: list[Term] = []
        while not self._is(closing):
            if items:
                if not self._is(","):
                    raise self._unexpected(f"a comma or {closing!r} is missing here")
                self._take()
            items.append(self._or())
        self._take()
        self._depth -= 1
        return tuple(items)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > NESTING_LIMIT:
            raise _SyntaxFault(self._word.offset, "too many brackets within brackets", "split it with set")
