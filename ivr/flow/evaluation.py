"""What an expression comes to, given what is known of the call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal

from ivr.flow.functions import FUNCTIONS
from ivr.flow.syntax import Application, Compare, Constant, Junction, ListOf, Name, Not, Span, Sum, Term
from ivr.flow.values import (
    EvaluationError,
    as_date,
    as_number,
    as_text,
    as_time,
    as_yes_no,
    plain,
    shown,
    within_limit,
)

Scope = Mapping[str, object]


def evaluate(term: Term, scope: Scope) -> object:
    """The value. Raises EvaluationError, and nothing else."""
    try:
        return _value(term, scope)
    except RecursionError:
        # A record from outside can be nested deeper than two of its parts can be compared.
        raise EvaluationError("the values are nested too deeply") from None
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise EvaluationError(f"this cannot be computed: {error}") from error


def _value(term: Term, scope: Scope) -> object:
    match term:
        case Constant(value):
            return value
        case Name():
            found = _lookup(term, scope)
            if found is None:
                raise EvaluationError(f"'{term.path}' is not set")
            return plain(found)
        case ListOf(items):
            return tuple(_value(item, scope) for item in items)
        case Span():
            return term
        case Not(operand):
            return not as_yes_no(_value(operand, scope))
        case Junction("and", operands):
            return all(as_yes_no(_value(operand, scope)) for operand in operands)
        case Junction(_, operands):
            return any(as_yes_no(_value(operand, scope)) for operand in operands)
        case Compare(operator, left, right):
            return _compare(operator, _value(left, scope), _value(right, scope))
        case Sum(first, rest):
            total = _value(first, scope)
            for sign, operand in rest:
                total = _add(sign, total, _value(operand, scope))
            return total
        case Application(function, arguments):
            return _apply(function, arguments, scope)


def _lookup(name: Name, scope: Scope) -> object:
    """The value, or None if it is not set."""
    if name.root == name.path:
        return scope.get(name.path)
    value = scope.get(name.root)
    for part in name.path.split(".")[1:]:
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _apply(function: str, arguments: tuple[Term, ...], scope: Scope) -> object:
    known = FUNCTIONS.get(function)
    if known is None:
        raise EvaluationError(f"no function '{function}'")
    now = scope.get("now")
    values = [
        _or_none(argument, scope) if function == "coalesce" else _value(argument, scope) for argument in arguments
    ]
    return known.call(values, now if isinstance(now, datetime) else None)


def _or_none(term: Term, scope: Scope) -> object:
    try:
        return _value(term, scope)
    except EvaluationError:
        return None


def _add(sign: str, left: object, right: object) -> object:
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return as_number(left + right if sign == "+" else left - right)
    if sign == "+" and isinstance(left, str):
        joined = left + as_text(right)
        within_limit(len(joined))
        return joined
    raise EvaluationError(f"{shown(left)} and {shown(right)} cannot be added or subtracted")


def _compare(operator: str, left: object, right: object) -> bool:
    if operator in ("in", "not in"):
        return _contains(right, left) == (operator == "in")
    if operator in ("==", "!="):
        return _equal(left, right) == (operator == "==")
    left, right = _alike(left, right), _alike(right, left)
    for kind in (str, Decimal, date, time):
        if isinstance(left, kind) and isinstance(right, kind):
            return _ordered(operator, left, right)
    raise EvaluationError(f"{shown(left)} and {shown(right)} cannot be put in order")


def _equal(left: object, right: object) -> bool:
    """Only what is of one kind is equal: to Python, yes is the number 1. What JSON holds as text may be a number."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, str) and isinstance(right, Decimal):
        return left == as_text(right)
    if isinstance(left, Decimal) and isinstance(right, str):
        return as_text(left) == right
    return _alike(left, right) == _alike(right, left)


def _ordered(operator: str, left: str | Decimal | date | time, right: str | Decimal | date | time) -> bool:
    smaller = bool(left < right)  # type: ignore[operator]  # both are of one kind: the caller looked
    match operator:
        case "<":
            return smaller
        case "<=":
            return smaller or left == right
        case ">":
            return not smaller and left != right
        case _:
            return not smaller


def _alike(value: object, other: object) -> object:
    """A date, time or number written as text, beside a real one, is one too."""
    if isinstance(value, str) and isinstance(other, Decimal):
        return as_number(value)
    if isinstance(value, str) and isinstance(other, date):
        return as_date(value)
    if isinstance(value, str) and isinstance(other, time):
        return as_time(value)
    return value


def _contains(choices: object, value: object) -> bool:
    if isinstance(choices, Span):
        return choices.first <= as_number(value) <= choices.last
    if isinstance(choices, list | tuple):
        return any(_equal(value, plain(choice)) for choice in choices)
    raise EvaluationError(f"{shown(choices)} is neither a list nor a range")
