"""What somebody who plays a call can put in, and what of it means a span of time or an answer of a service."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final, Literal

from ivr.run.testing.mocks import Given, HttpReply

Deed = Literal["answer", "accept", "busy", "refuse", "no_answer", "offline", "hangup"]

DEEDS: Final[Mapping[str, Deed]] = {
    "a": "answer",
    "k": "accept",
    "b": "busy",
    "r": "refuse",
    "n": "no_answer",
    "o": "offline",
    "h": "hangup",
}
CHOICES: Final = "[a]nswer [b]usy [r]efuse [n]o answer [o]ffline"
ASKED_CHOICES: Final = "[k]ey taken: {key}, [r]efuse by another, [n]o key, [h]angs up"
_SPAN: Final = re.compile(r"\+?([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s|m|h)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

HELP: Final = (
    "1 or 0 0 3          press keys",
    "(empty)             let time pass until something happens",
    f"a b r n o           what rings: {CHOICES}; h: who talks hangs up",
    "k r n h             who is asked for a key: presses it, another one or none, hangs up",
    "2002 b              the same for one of several that ring",
    "/wait 6s            let time pass",
    "/hangup             the caller hangs up",
    "/http 404           what web services say from now on: a status, timeout, refused, or JSON",
    "/vars, /set a=b     show variables, change one",
    "/clock +1h          as if the call had come later; it is played again",
    "/back               take back the last input",
    "/goto BLOCK         go to a block",
    "/break BLOCK        stop there",
    "/slow               in real time and aloud, or no longer",
    "/save NAME          write the call as a test",
    "/quit               leave",
)


class NotUnderstood(ValueError):
    """An input that means nothing here. The text says what would."""


def span_of(text: str) -> float:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise NotUnderstood(f"'{text[:20]}' is not a time span: write 300ms, 6s, 2m or 1h")
    return min(float(found[1]) * _UNITS[found[2]], 86_400.0)


def http_reply(text: str) -> HttpReply:
    if text == "timeout":
        return HttpReply(timeout=True)
    if text == "refused":
        return HttpReply(refused=True)
    status, _, body = text.partition(" ")
    if not re.fullmatch(r"[1-5][0-9][0-9]", status):
        status, body = "200", text
    if not body.strip():
        return HttpReply(int(status))
    try:
        return HttpReply(int(status), Given(json.loads(body)))
    except (ValueError, RecursionError):
        raise NotUnderstood('write /http 404, /http timeout, /http refused, or /http {"total": 12.5}') from None
