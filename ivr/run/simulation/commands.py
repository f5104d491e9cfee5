"""What somebody who plays a call can put in, and what of it means a span of time or an answer of a service."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final, Literal

from ivr.run.testing.mocks import Given, HttpReply
from ivr.run.testing.speech import SURE, Said

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
    "operator            say it, where the flow listens",
    "/say 1 2 3          say what would be keys or a letter; /say operator 0.4: it is that sure what was said",
    "/mumble, /mumble 2s say what nobody understands",
    "/deaf               from now on nobody can listen, or somebody can again",
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


def said_of(text: str) -> Said:
    """``operator``, or ``operator 0.4``."""
    found = re.fullmatch(r"(.*?)(?:\s+(0\.[0-9]{1,3}))?", text.strip())
    assert found is not None
    words = " ".join(found[1].split())
    if not words:
        raise NotUnderstood(
            "write /say and the words, and behind them how sure they are if you like: /say operator 0.4"
        )
    return Said(words[:500], SURE if found[2] is None else float(found[2]))


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
