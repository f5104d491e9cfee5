"""How a value is said: ``{order:digits}`` becomes the words a voice reads out. One table of formats for a language.

A format a language lacks is taken from the plain ones, which only write the value down; so is every format of a
language that is not in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ivr.flow.values import as_text

Format = Callable[[object, str], str]
"""From a value, and what stands behind the format's name (``CNY`` in ``money CNY``), to words."""


def plain(value: object, argument: str = "") -> str:
    """A value as it would be written. Raises EvaluationError if it cannot be."""
    return as_text(value)


def one_by_one(names: Mapping[str, str] | None = None) -> Format:
    """A format that names the characters one after the other, with a breath after every one.

    ``names`` says how characters are read which a voice would not name by themselves.
    """
    names = names or {}

    def spelled(value: object, argument: str = "") -> str:
        characters = [character for character in plain(value) if not character.isspace()]
        return " ".join(names.get(character, character) for character in characters)

    return spelled


def spelled_out(value: object, argument: str = "") -> str:
    """Letters and digits in capitals with pauses: ``A, B, 1``."""
    return ", ".join(character.upper() for character in plain(value) if not character.isspace())


PLAIN: Mapping[str, Format] = {
    "text": plain,
    "number": plain,
    "digits": one_by_one(),
    "spell": spelled_out,
}

LANGUAGES: Mapping[str, Mapping[str, Format]] = {
    "en": {"digits": one_by_one({"*": "star", "#": "hash", "+": "plus"})},
}


def worded(value: object, name: str, argument: str, language: str) -> str:
    """The words for ``value`` in the format of that name; an unknown format is plain text."""
    of_language = LANGUAGES.get(language.split("-")[0].lower(), {})
    return (of_language.get(name) or PLAIN.get(name) or plain)(value, argument)
