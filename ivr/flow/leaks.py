"""Passwords, keys and card numbers that stand in a flow: everybody who may read flows would have them.

Looks at every word of the file, whatever reads it. What is certain is an error, what only looks so a warning; the
lines that are shown have it blotted out.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from ivr.flow.functions import FUNCTIONS
from ivr.flow.model import Place
from ivr.flow.problem import Problem
from ivr.flow.source import MappingNode, Node, ScalarNode, SequenceNode

_REMEDY: Final = "put it into the file with the secrets of the site, and name it: secret:NAME"

_CERTAIN: Final = (
    (re.compile(r"(?i:\b(?:bearer|basic))\s+(?P<secret>(?=\S*[0-9=])[A-Za-z0-9._~+/=-]{12,})"), "a credential"),
    (re.compile(r"://[^/\s:@{}']{1,100}:(?P<secret>[^/\s@{}']{1,100})@"), "a password in an address"),
    (
        re.compile(r"(?i:[?&](?:api_?key|access_token|auth|token|password|secret)=)(?P<secret>[^&{}\s']{6,})"),
        "a key in an address",
    ),
    (re.compile(r"(?P<secret>\b(?:sk_live_|ghp_|github_pat_|glpat-|xox[abprs]-)[A-Za-z0-9_-]{10,})"), "a key"),
    (re.compile(r"(?P<secret>\bAKIA[0-9A-Z]{16}\b)"), "a key"),
    (re.compile(r"(?P<secret>\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,})"), "a token"),
    (re.compile(r"(?P<secret>-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----)"), "a private key"),
)
_NAMED: Final = re.compile(r"(?i)(?:.*[_-])?(?:password|passwd|api_?key|token|secret|x-api-key|authorization)")
_VALUE: Final = re.compile(r"(?P<quote>['\"]?)(?P<secret>(?=\S*[A-Za-z])(?=\S*[0-9])[^\s{}()'\":]{8,})(?P=quote)")
_TOKEN: Final = re.compile(r"[A-Za-z0-9+/_=-]{24,}")
_CARD: Final = re.compile(r"(?<![0-9+])(?:[0-9][ -]?){14,18}[0-9](?![0-9])")
_CARD_BEGINS: Final = re.compile(r"4|5[1-5]|2[2-7]|3[47]|6(?:011|5)|35|62")
_BITS: Final = 4.0
"""Shannon entropy of a letter: words and names have less, random keys more."""

_SIGNS: Final = ("://", "sk_live_", "ghp_", "github_pat_", "glpat-", "AKIA", ".eyJ", "-----BEGIN ", "xox")
_SIGNS_IN_ANY_CASE: Final = ("bearer", "basic", "key=", "token=", "auth=", "password=", "secret=")
_NAMES: Final = ("password", "passwd", "apikey", "api_key", "token", "secret", "x-api-key", "authorization")
_DIGITS: Final = re.compile(r"[0-9](?:(?:-|\s+)?[0-9]){14}")
"""What one of the patterns above needs to fit."""


def leaks(root: Node, lines: Sequence[str]) -> tuple[list[Problem], list[tuple[Place, int]]]:
    """What was found, and where what must not be shown stands: its place and length. ``lines`` of the file it is in."""
    problems: list[Problem] = []
    hidden: list[tuple[Place, int]] = []
    if not _may_leak(lines):
        return problems, hidden
    words = _words(root)
    for key, node in words:
        found = _leak(key, node.text)
        if found is not None:
            code, message, start, length = found
            problems.append(Problem(code, node.place_at(start), message, _REMEDY, length))
            hidden.append((node.place, node.length))
    return problems, hidden


def _may_leak(lines: Sequence[str]) -> bool:
    """Whether one of the patterns can fit at all. Most files have nothing of the kind, and to ask the whole file takes
    a twentieth of the time of asking each word. A word stands in the file as it is, but for escapes and for a text of
    several lines, which has one space between them."""
    text = "\n".join(lines)
    small = text.casefold()
    return (
        "\\" in text
        or any(sign in text for sign in _SIGNS)
        or any(sign in small for sign in _SIGNS_IN_ANY_CASE)
        or any(name in small for name in _NAMES)
        or _DIGITS.search(text) is not None
        or any(len(word) >= 24 and _TOKEN.search(word) is not None for word in text.split())
    )


def blotted(lines: Sequence[str], hidden: Sequence[tuple[Place, int]]) -> tuple[str, ...]:
    """The lines without what stands at the hidden places."""
    if not hidden:
        return tuple(lines)
    shown = list(lines)
    for place, length in hidden:
        line, start = shown[place.line - 1], place.column - 1
        # A text that goes on in the next line says nothing of its length.
        end = start + length if length > 1 else len(line)
        shown[place.line - 1] = line[:start] + "•" * (min(end, len(line)) - start) + line[end:]
    return tuple(shown)


def _words(root: Node) -> list[tuple[str, ScalarNode]]:
    """Every value that is a word, and the name it stands beside."""
    found: list[tuple[str, ScalarNode]] = []
    waiting: list[tuple[str, Node]] = [("", root)]
    while waiting:
        name, node = waiting.pop()
        if isinstance(node, MappingNode):
            for key, value in node.entries:
                # The default of a variable belongs to the variable's name.
                beside = name if key.text == "default" else key.text
                if isinstance(value, ScalarNode):
                    found.append((beside, value))
                else:
                    waiting.append((beside, value))
        elif isinstance(node, SequenceNode):
            waiting += [(name, item) for item in node.items]
        else:
            found.append((name, node))
    return found


def _leak(key: str, text: str) -> tuple[str, str, int, int] | None:
    """Code, message, and where in the text it is and how long; None if there is nothing."""
    if len(text) < 8 or text.startswith("secret:"):
        return None
    for pattern, what in _CERTAIN:
        if (found := pattern.search(text)) is not None:
            return "E180", f"this is {what}", found.start("secret"), len(found["secret"])
    if _NAMED.fullmatch(key) and (found := _VALUE.fullmatch(text)) is not None and text not in FUNCTIONS:
        return "E180", f"'{key[:40]}' stands here for everybody to read", found.start("secret"), len(found["secret"])
    if (found := _CARD.search(text)) is not None and _is_card(found[0]):
        return "W350", "this looks like the number of a card", found.start(), len(found[0])
    for found in _TOKEN.finditer(text):
        if _is_random(found[0]):
            return "W350", "this looks like a key", found.start(), len(found[0])
    return None


def _is_card(text: str) -> bool:
    digits = re.sub("[ -]", "", text)
    luhn = FUNCTIONS["luhn"].call([digits], None)
    return 15 <= len(digits) <= 19 and _CARD_BEGINS.match(digits) is not None and luhn is True


def _is_random(word: str) -> bool:
    kinds = (str.isupper, str.islower, str.isdigit)
    if not all(any(is_kind(character) for character in word) for is_kind in kinds):
        return False
    counts = Counter(word).values()
    return -sum(count / len(word) * math.log2(count / len(word)) for count in counts) >= _BITS
