"""How a value is said: ``{order:digits}`` becomes the words a voice reads out. One table of formats for a language.

What a language lacks is known without saying anything (:func:`fault`), so that it is an error of the flow that uses
it and not of a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from ivr.flow.problem import closest, listed
from ivr.flow.saying import en, others, zh
from ivr.flow.saying.currencies import codes
from ivr.flow.saying.formats import FORMATS, Format, FormatKind
from ivr.flow.saying.plurals import missing
from ivr.flow.values import EvaluationError, shown

__all__ = ["FORMATS", "FormatKind", "argument_fault", "fault", "formats_of", "worded"]


@lru_cache(maxsize=64)
def formats_of(language: str) -> Mapping[str, Format]:
    """The formats a language has. ``en-gb`` is said as ``en`` is."""
    match language.lower().partition("-")[0]:
        case "en":
            return en.FORMATS
        case "zh":
            return zh.FORMATS
        case _:
            return others.formats_of(language.lower())


def argument_fault(name: str, argument: str) -> tuple[str, str] | None:
    """What is wrong with what stands behind a format's name, and the remedy; None if nothing is."""
    match FORMATS[name].argument:
        case "none" if argument:
            return f"format '{name}' takes nothing after its name", f"write {{…:{name}}}"
        case "currency" if not argument:
            return f"format '{name}' does not say which currency", f"write {{…:{name} CNY}}"
        case "currency":
            return _currency_fault(argument)
        case "forms" if not argument:
            return f"format '{name}' has no words to choose from", f"write {{…:{name}(call,calls)}}"
        case _:
            return None


def _currency_fault(code: str) -> tuple[str, str] | None:
    if code in codes():
        return None
    close = closest(code, {one.lower() for one in codes()})
    help = f"did you mean '{close.upper()}'?" if close else "write its code of three letters: CNY, USD, EUR, …"
    return f"there is no currency '{code[:20]}'", help


def fault(name: str, argument: str, language: str) -> tuple[str, str] | None:
    """Why a language cannot say something in this format, and the remedy; None if it can."""
    has = formats_of(language)
    if name not in has:
        return f"format '{name}' is not known in {language}", f"formats of {language}: {listed(has)}"
    if FORMATS[name].argument == "forms":
        wrong = missing(argument, language)
        if wrong is not None:
            return wrong, "write the forms in this order, or by name: plural(one=call,other=calls)"
    return None


def worded(value: object, name: str, argument: str, language: str) -> str:
    """The words for ``value``. Raises EvaluationError, and nothing else."""
    say = formats_of(language).get(name)
    if say is None:
        raise EvaluationError(f"format '{name}' is not known in {language}")
    try:
        return say(value, argument)
    except EvaluationError:
        raise
    except Exception as error:
        # num2words and Babel raise many things for numbers they have no words for.
        raise EvaluationError(f"{shown(value)} cannot be said as {name}: {error}") from error
