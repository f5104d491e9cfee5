"""The part of the site file about recording prompts by telephone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ivr.flow.settings import read_record, setting
from ivr.flow.source import MappingNode, ScalarNode
from ivr.site.kinds import DialledNumber, Secret, SiteReader
from ivr.site.model import Studio
from ivr.site.numbers import NumberRule, parse_number

STUDIO: Final = "prompt-studio"
"""What its number leads to, where others lead to a flow: no flow can be called so."""

_SHORTEST_PIN: Final = 4


@dataclass(frozen=True, slots=True)
class StudioPart:
    number: str = setting(DialledNumber(), "the number that seats dial to record prompts; no others may")
    pin: str = setting(Secret(), "4 digits or more, which they enter then")


def read_studio(root: MappingNode, numbers: Iterable[NumberRule], reader: SiteReader) -> Studio | None:
    node = root.get("studio")
    part = None if node is None else read_record(StudioPart, node, reader, "studio")
    if node is None or part is None:
        return None
    assert isinstance(node, MappingNode)
    number, pin = node.get("number"), node.get("pin")
    assert isinstance(number, ScalarNode)
    assert isinstance(pin, ScalarNode)
    if not part.pin.isdecimal() or not part.pin.isascii() or len(part.pin) < _SHORTEST_PIN:
        reader.problem("E025", pin, "this PIN cannot be entered, or is easy to guess", "write 4 digits or more")
        return None
    rule = NumberRule(part.number, STUDIO, "seats", parse_number(part.number), number.place)
    other = next((one for one in numbers if one.places == rule.places), None)
    if other is not None:
        message = f"number {part.number} of the studio is in numbers too (line {other.place.line})"
        reader.problem("E202", number, message, "take another")
        return None
    return Studio(rule, part.pin)
