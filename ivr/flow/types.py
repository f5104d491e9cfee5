"""Types of expressions, found without running them, so that a comparison that can never hold is seen at load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

from ivr.country import countries
from ivr.flow.charpattern import PatternError
from ivr.flow.functions import FUNCTIONS, Function, compiled
from ivr.flow.model import Place, VariableType
from ivr.flow.problem import Problem, did_you_mean
from ivr.flow.syntax import Application, Compare, Constant, Junction, ListOf, Name, Not, Span, Sum, Term
from ivr.flow.values import DIGITS, TYPE_WORDS, as_date, as_time

Type = VariableType | Literal["range"]

BUILT_IN: Final[Mapping[str, VariableType]] = {
    "caller.number": "text",
    "caller.name": "text",
    "caller.country": "text",
    "call.id": "text",
    "call.did": "text",
    "call.at": "time",
    "input": "digits",
    "heard.text": "text",
    "heard.confidence": "number",
    "heard.alternatives": "list",
    "last.block": "text",
}
"""What every flow can read, beside its own variables."""

BUILT_IN_MEANS: Final[Mapping[str, str]] = {
    "caller.number": "who calls, as his network says; empty if he hides it",
    "caller.name": "the name sent with it, if any",
    "caller.country": "its country: two capital letters as in ISO 3166 ('DE'); empty if it cannot be told",
    "call.id": "what the records call this call",
    "call.did": "the number that was called",
    "call.at": "when the call came",
    "input": "the keys that matched last, or the words; a text in flows that listen to callers",
    "heard.text": "what the caller said last, as it was understood; not set before he has said something",
    "heard.confidence": "how sure that is, from 0 to 1",
    "heard.alternatives": "what he may have said instead, best first",
    "last.block": "the block before this one",
}

RESERVED: Final = frozenset(
    {"caller", "call", "last", "input", "heard", "now", "true", "false", "yes", "no", "and", "or", "not", "in"}
)
"""Names that a variable cannot have."""

_NUMBERS: Final = ("number", "money")
_TEXTS: Final = ("text", "digits")


class TypeCheck:
    """One walk over one expression; collects what is wrong with it."""

    def __init__(self, types: Mapping[str, VariableType], locate: Callable[[int], Place]) -> None:
        self.problems: list[Problem] = []
        self._types = types
        self._locate = locate

    def type_of(self, term: Term) -> Type | None:
        """None if it cannot be told; the reason is then among the problems."""
        match term:
            case Constant(value):
                return "yes_no" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
            case Span():
                return "range"
            case Name():
                return self._name(term)
            case ListOf(items):
                for item in items:
                    self.type_of(item)
                return "list"
            case Not(operand):
                return self._yes_no(operand)
            case Junction(_, operands):
                for operand in operands:
                    self._yes_no(operand)
                return "yes_no"
            case Compare():
                self._compare(term)
                return "yes_no"
            case Sum():
                return self._sum(term)
            case Application():
                return self._application(term)

    def _problem(self, code: str, term: Term, message: str, help: str) -> None:
        self.problems.append(Problem(code, self._locate(term.offset), message, help, term.length))

    def _name(self, name: Name) -> Type | None:
        known = self._types.get(name.root) or BUILT_IN.get(name.root)
        if known is None:
            help = did_you_mean(name.path, sorted({**BUILT_IN, **self._types}), "variables")
            if "." not in name.path and not help.startswith("did you"):
                help = f"write '{name.path}' in quotes if it is a text"
            elif name.path in FUNCTIONS:
                help = f"a function: write {FUNCTIONS[name.path].usage}"
            self._problem("E133", name, f"'{name.path}' is not known here", help)
            return None
        if name.root != name.path:
            if known != "json":
                self._problem(
                    "E133",
                    name,
                    f"'{name.root}' is {TYPE_WORDS[known]} and has no parts",
                    "only json has parts",
                )
                return None
            return "json"
        return known

    def _yes_no(self, term: Term) -> Type:
        found = self.type_of(term)
        if found is not None and found not in ("yes_no", "json"):
            self._problem("E134", term, f"this is {TYPE_WORDS[found]}, not yes or no", "compare it with something")
        return "yes_no"

    def _compare(self, term: Compare) -> None:
        left, right = self.type_of(term.left), self.type_of(term.right)
        if left is None or right is None:
            return
        self._countries(term)
        if term.operator in ("in", "not in"):
            self._membership(term, left, right)
        elif (help := self._disagree(term.left, left, term.right, right)) is not None:
            words = f"{TYPE_WORDS[left]} and {TYPE_WORDS[right]} cannot be compared"
            self._problem("E134", term, words, help)
        elif term.operator not in ("==", "!=") and left in ("yes_no", "list"):
            self._problem("E134", term, f"{TYPE_WORDS[left]} is neither smaller nor larger", "use == or !=")

    def _membership(self, term: Compare, left: Type, right: Type) -> None:
        if right == "range":
            if left not in (*_NUMBERS, "digits", "json"):
                self._problem(
                    "E134",
                    term,
                    f"{TYPE_WORDS[left]} cannot be in a range of numbers",
                    _as_number(term.left),
                )
        elif isinstance(term.right, ListOf):
            for item in term.right.items:
                found = self.type_of(item)
                if found is not None and (help := self._disagree(term.left, left, item, found)) is not None:
                    self._problem("E134", item, f"{TYPE_WORDS[left]} and {TYPE_WORDS[found]} cannot be compared", help)
        elif right not in ("list", "json"):
            help = "write a list ['a', 'b'] or a range 1..5 after in"
            self._problem("E134", term.right, f"nothing can be in {TYPE_WORDS[right]}", help)

    def _countries(self, term: Compare) -> None:
        """A country that is compared with what is none."""
        sides = (term.left, term.right)
        if not any(is_country(side) for side in sides):
            return
        for one in [one for side in sides for one in (side.items if isinstance(side, ListOf) else (side,))]:
            text = one.value if isinstance(one, Constant) and isinstance(one.value, str) else ""
            if text and (help := country_remedy(text)) is not None:
                self._problem("E138", one, f"there is no country '{text[:40]}'", help)

    def _disagree(self, left: Term, left_type: Type, right: Term, right_type: Type) -> str | None:
        """None if the two can be compared, else the remedy."""
        if "range" in (left_type, right_type):
            return "write in before a range"
        if left_type == right_type or "json" in (left_type, right_type):
            return None
        if left_type in _NUMBERS and right_type in _NUMBERS:
            return None
        if left_type in _TEXTS and right_type in _TEXTS:
            return _never_digits(left, right) if left_type != right_type else None
        pairs = ((left, left_type, right_type), (right, right_type, left_type))
        for one, one_type, other_type in pairs:
            if isinstance(one, Constant) and isinstance(one.value, str) and other_type in ("date", "time"):
                return _date_or_time(one.value, other_type)
            if isinstance(one, Constant) and one_type == "number" and other_type in _TEXTS:
                return f"write '{one.value}' in quotes: digits keep their leading zeros"
            if isinstance(one, Constant) and one_type == "yes_no" and other_type in _TEXTS:
                return "write yes and no in quotes if they are texts"
        for one, one_type, other_type in pairs:
            if one_type in _TEXTS and other_type in _NUMBERS:
                return _as_number(one)
        return "both sides must be of one type"

    def _sum(self, term: Sum) -> Type | None:
        operands = [term.first, *(operand for _, operand in term.rest)]
        signs = {sign for sign, _ in term.rest}
        types = [self.type_of(operand) for operand in operands]
        if None in types:
            return None
        if all(found in (*_NUMBERS, "json") for found in types):
            return "money" if "money" in types else "number"
        if signs == {"+"} and all(found in (*_TEXTS, "json") for found in types):
            return "text"
        odd = next((n for n, found in enumerate(types) if _kind(found) != _kind(types[0])), 0)
        help = "+ joins texts or adds numbers, - subtracts numbers"
        textual = next((operands[n] for n in (odd, 0) if types[n] in _TEXTS), None)
        if textual is not None and any(found in _NUMBERS for found in types):
            help = _as_number(textual)
        words = " and ".join(TYPE_WORDS[found] for found in dict.fromkeys((types[0], types[odd])) if found is not None)
        self._problem("E134", operands[odd], f"{words} cannot be added or subtracted", help)
        return None

    def _application(self, term: Application) -> Type | None:
        function = FUNCTIONS.get(term.function)
        if function is None:
            for argument in term.arguments:
                self.type_of(argument)
            self._problem(
                "E135",
                term,
                f"no function '{term.function}'",
                did_you_mean(term.function, sorted(FUNCTIONS), "functions"),
            )
            return None
        least, most = len(function.arguments) - function.optional, len(function.arguments)
        given = len(term.arguments)
        if given < least or (given > most and not function.repeats):
            message = f"{term.function}() is given {given} value{'' if given == 1 else 's'}"
            self._problem("E135", term, message, f"write {function.usage}: {function.doc}")
            return None
        types = [self.type_of(argument) for argument in term.arguments]
        for number, (argument, found) in enumerate(zip(term.arguments, types, strict=True)):
            allowed = function.arguments[min(number, most - 1)]
            if found is not None and found not in allowed:
                words = " or ".join(TYPE_WORDS[one] for one in sorted(allowed - {"json"}))
                self._problem(
                    "E134",
                    argument,
                    f"{term.function}() cannot take {TYPE_WORDS[found]}",
                    f"it takes {words}",
                )
        self._special(function, term, types)
        if function.result is not None:
            return function.result
        return types[0]

    def _special(self, function: Function, term: Application, types: list[Type | None]) -> None:
        if function.name == "coalesce":
            for argument, found in zip(term.arguments[1:], types[1:], strict=True):
                first = types[0]
                if first is None or found is None:
                    continue
                if (help := self._disagree(term.arguments[0], first, argument, found)) is not None:
                    words = f"coalesce() is given {TYPE_WORDS[first]} and {TYPE_WORDS[found]}"
                    self._problem("E134", argument, words, help)
        if function.name == "matches":
            pattern = term.arguments[1]
            if not isinstance(pattern, Constant) or not isinstance(pattern.value, str):
                self._problem("E135", pattern, "the pattern must be written here, in quotes", function.doc)
                return
            try:
                compiled(pattern.value)
            except PatternError as error:
                place = self._locate(pattern.offset + 1 + error.offset)
                self.problems.append(Problem("E135", place, str(error), function.doc))


def assignable(variable: VariableType, found: Type, value: Term) -> str | None:
    """None if a variable of this type can take the value, else the remedy."""
    if found == variable or "json" in (variable, found) or {variable, found} <= set(_NUMBERS):
        return None
    if variable == "text" and found == "digits":
        return None
    if found == "text" and variable == "digits":
        constant = value.value if isinstance(value, Constant) and isinstance(value.value, str) else None
        return None if constant is not None and DIGITS.fullmatch(constant) else "write digits(…) around the text"
    if found in _TEXTS and variable in _NUMBERS:
        return _as_number(value)
    if found == "text" and variable in ("date", "time") and isinstance(value, Constant):
        return _date_or_time(str(value.value), variable)
    if found == "number" and variable in _TEXTS and isinstance(value, Constant):
        return f"write '{value.value}' in quotes, inside the expression"
    return f"the value must be {TYPE_WORDS[variable]}"


def _never_digits(left: Term, right: Term) -> str | None:
    for term in (left, right):
        if isinstance(term, Constant) and isinstance(term.value, str) and not DIGITS.fullmatch(term.value):
            return f"'{term.value[:30]}' is not made of digits, so the two are never equal"
    return None


def _kind(found: Type | None) -> str:
    return "number" if found in _NUMBERS else "text" if found in _TEXTS else str(found)


def _as_number(term: Term) -> str:
    return f"write number({term.path})" if isinstance(term, Name) else "write number(…) around the text"


def _date_or_time(text: str, wanted: Type) -> str | None:
    try:
        as_date(text) if wanted == "date" else as_time(text)
    except ValueError:
        return "write a date as '2026-03-05'" if wanted == "date" else "write a time as '22:30'"
    return None


def is_country(term: Term) -> bool:
    """Whether the value is a country's two letters."""
    return isinstance(term, Name) and term.path == "caller.country"


def country_remedy(text: str) -> str | None:
    """None for the two letters of a country, else what to write."""
    known = countries()
    if text in known:
        return None
    letters = "GB" if text.upper() == "UK" else text.upper()
    return f"write '{letters}'" if letters in known else "write two capital letters as in ISO 3166: 'DE', 'CN', 'US'"
