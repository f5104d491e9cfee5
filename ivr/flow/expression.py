"""Expressions: what ``when:``, ``check:``, ``set:`` and ``{...}`` may say. No code, no loops, no side effects.

``tier == 'gold' and not order in ['1', '2']``, ``score in 1..5``, ``len(order) > 4``. Parsed once at load
(:func:`parse_expression`), checked against the flow's variables (:meth:`Expression.check`), evaluated often.

Values are ``str`` (text and digits), ``Decimal`` (number and money), ``bool``, ``date``, ``time``, ``tuple``, and
whatever JSON holds. Nothing but :class:`EvaluationError` comes out of an evaluation, and none takes long: texts,
nesting and pattern sizes are bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ivr.flow.evaluation import evaluate
from ivr.flow.model import Place, VariableType
from ivr.flow.problem import Problem
from ivr.flow.syntax import Term, names_in, parse
from ivr.flow.types import Type, TypeCheck
from ivr.flow.values import EvaluationError

__all__ = ["EvaluationError", "Expression", "Type", "parse_expression"]


def _nowhere(offset: int) -> Place:
    return Place("", 1, offset + 1)


@dataclass(frozen=True)
class Expression:
    """A parsed expression. Two are equal if they mean the same, however they are spaced."""

    text: str = field(compare=False)
    root: Term
    locate: Callable[[int], Place] = field(default=_nowhere, compare=False, repr=False)
    """From a character of the text to its place in the file."""

    def __reduce__(self) -> tuple[object, ...]:
        # Places are for those who check; in another process, after the checks, nobody asks for them.
        return Expression, (self.text, self.root)

    def evaluate(self, scope: Mapping[str, object]) -> object:
        """The value. ``scope`` holds variables and built-in names (``caller.number``) as they are written here, and
        the local date and time under ``now``. A name that is absent or None is not set.

        Raises EvaluationError, and nothing else.
        """
        return evaluate(self.root, scope)

    @property
    def names(self) -> frozenset[str]:
        """Variables and built-in names it reads."""
        return frozenset(name.root for name, _ in names_in(self.root))

    @property
    def required(self) -> Mapping[str, int]:
        """Those of :attr:`names` that must be set, and their offsets: all but what ``coalesce()`` guards."""
        return {name.root: name.offset for name, guarded in names_in(self.root) if not guarded}

    def check(self, types: Mapping[str, VariableType]) -> tuple[Type | None, list[Problem]]:
        """Its type, None if that cannot be told, and what is wrong with it. ``types`` are the flow's variables."""
        check = TypeCheck(types, self.locate)
        return check.type_of(self.root), check.problems


def parse_expression(text: str, locate: Callable[[int], Place] = _nowhere) -> Expression | Problem:
    """The expression, or what is wrong with its syntax."""
    root = parse(text, locate)
    return root if isinstance(root, Problem) else Expression(text, root, locate)
