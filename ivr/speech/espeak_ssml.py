"""Which elements of SSML eSpeak NG does as they say; it passes over the others, and over values it does not know,
without a word. Found by listening to version 1.52."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from ivr.flow.problem import did_you_mean, listed
from ivr.speech.voice import nearest

__all__ = ["unread"]


@dataclass(frozen=True, slots=True)
class _Element:
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Each with the pattern of its values."""
    instead: Mapping[str, str] = field(default_factory=dict)
    """What to write in place of values that are not done."""


_LANGUAGE: Final = {"xml:lang": ".+"}
_ANY: Final = ".*"
_ELEMENTS: Final[Mapping[str, _Element]] = {
    "speak": _Element({**_LANGUAGE, "version": _ANY, "xmlns": _ANY, "xmlns:xsi": _ANY, "xsi:schemaLocation": _ANY}),
    "p": _Element(_LANGUAGE),
    "s": _Element(_LANGUAGE),
    "break": _Element(
        {
            "time": r"([1-9][0-9]{0,3}|10000)ms|([0-9]|10)(\.[0-9]+)?s",
            "strength": "none|x-weak|weak|medium|strong|x-strong",
        }
    ),
    "emphasis": _Element({"level": "strong|moderate|none|reduced"}),
    "prosody": _Element(
        {
            "rate": r"x-slow|slow|medium|fast|x-fast|default|[+-]?[0-9]{1,3}%|[0-9](\.[0-9]+)?",
            "pitch": r"x-low|low|medium|high|x-high|default|[+-]?[0-9]{1,3}%|[+-][0-9]{1,2}(\.[0-9]+)?st",
            "range": r"x-low|low|medium|high|x-high|default|[+-]?[0-9]{1,3}%",
            "volume": r"silent|x-soft|soft|medium|loud|x-loud|default|[0-9]{1,2}|100|[+-][0-9]{1,3}%",
        },
    ),
    "say-as": _Element(
        {"interpret-as": "characters|tts:char|tts:digits", "format": "glyphs|characters"},
        {"digits": "tts:digits", "telephone": "tts:digits", "spell-out": "characters", "verbatim": "characters"},
    ),
    "sub": _Element({"alias": ".+"}),
    "voice": _Element({**_LANGUAGE, "gender": "female|male", "variant": "[0-9]", "age": "[0-9]{1,3}"}),
    "mark": _Element({"name": _ANY}),
}
_REMEDIES: Final = {
    "audio": "play the recording in a step of its own",
    "phoneme": 'write <sub alias="as it sounds">word</sub>',
    "lang": "write <voice xml:lang=...>",
    "lexicon": "write <sub> where the word stands",
}


def unread(element: str, attributes: Mapping[str, str], voices: Collection[str]) -> tuple[str, str] | None:
    """What is passed over of an element and the remedy, None if nothing is. ``voices`` are those there are."""
    known = _ELEMENTS.get(element)
    if known is None:
        help = _REMEDIES.get(element) or did_you_mean(element, _ELEMENTS, "elements")
        return f"the voices of eSpeak NG pass over <{element}>", help
    for name, value in attributes.items():
        pattern = known.attributes.get(name)
        if pattern is None:
            help = did_you_mean(name, known.attributes, "attributes") if known.attributes else "leave it out"
            return f"the voices of eSpeak NG pass over {name} of <{element}>", help
        if not re.fullmatch(pattern, value):
            message = f'the voices of eSpeak NG do not know {name}="{value[:40]}" of <{element}>'
            return message, _instead(known, pattern, value)
        if name == "xml:lang" and value.lower() not in voices:
            return f'eSpeak NG has no voice for xml:lang="{value[:40]}"{nearest(value, voices)}', "name another"
    return None


def _instead(known: _Element, pattern: str, value: str) -> str:
    if value in known.instead:
        return f"write {known.instead[value]}"
    words = [one for one in pattern.split("|") if re.fullmatch("[a-z:-]+", one)]
    return f"write {listed(words)}" if words else "write 500ms or 2s, 10s at most"
