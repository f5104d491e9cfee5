"""What was said about each leg, a line a message: kept while it lasts, and a moment longer for the last answers.

Bodies and headers are not kept, so that nothing secret is. Strangers cost nothing lasting: a message about no leg is
forgotten, and of INVITEs that come to nothing only the latest are remembered.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from gateway.call import SignallingLine

__all__ = ["SignallingLog"]

_CALL_ID: Final = re.compile(rb"\r?\n(?:call-id|i)[ \t]*:[ \t]*([^\r\n]{1,256})", re.IGNORECASE)
_CSEQ: Final = re.compile(rb"\r?\ncseq[ \t]*:[ \t]*(\d{1,10})[ \t]+([A-Z]{1,20})", re.IGNORECASE)
_MEDIA: Final = re.compile(rb"\nm=audio (\d{1,5}) (\S{1,40})")
_CONNECTION: Final = re.compile(rb"\nc=IN IP[46] (\S{1,64})")
_DIRECTION: Final = re.compile(rb"\na=(sendonly|recvonly|inactive)\r?\n")
_CODEC: Final = re.compile(rb"\na=rtpmap:\d{1,3} ([A-Za-z0-9-]{1,20})/")
_STATIC: Final = {b"0": "PCMU", b"8": "PCMA", b"9": "G722"}
_FORMATS: Final = re.compile(rb"\nm=audio \d{1,5} \S{1,40}((?: \d{1,3})+)")
_ABOUT_NO_LEG: Final = (b"REGISTER", b"OPTIONS ", b"PUBLISH ", b"SUBSCRIB", b"MESSAGE ")

_UNCLAIMED: Final = 256
_LINES: Final = 200
"""Of one leg; a call that re-INVITEs all night must not grow."""
_LINGER_S: Final = 1.5
"""After a leg's end: three times T1, in which nearly every last answer comes."""

Told = Callable[[str, str, tuple[SignallingLine, ...]], None]


@dataclass(slots=True, eq=False)
class _Leg:
    call_id: str
    leg_id: str
    signalling_ids: list[str] = field(default_factory=list)
    lines: list[SignallingLine] = field(default_factory=list)


class SignallingLog:
    """Owns the lines of all legs. ``told`` gets each leg's once: call, leg, lines."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._by_id: dict[str, _Leg] = {}
        self._unclaimed: OrderedDict[str, SignallingLine] = OrderedDict()
        self._legs: dict[object, _Leg] = {}
        self._ending: deque[tuple[float, _Leg]] = deque()

    def __len__(self) -> int:
        """Legs that are not over."""
        return len(self._legs)

    def note(self, direction: Literal["in", "out"], data: bytes, hop: str, at: int) -> None:
        """A SIP message went by; ``at``: epoch ms."""
        if data.startswith(_ABOUT_NO_LEG):
            return
        found = _CALL_ID.search(data)
        if found is None:
            return
        signalling_id = found[1].strip().decode(errors="replace")
        leg = self._by_id.get(signalling_id)
        if leg is not None:
            if len(leg.lines) < _LINES:
                leg.lines.append(_line(direction, data, hop, at))
        elif direction == "in" and data.startswith(b"INVITE ") and signalling_id not in self._unclaimed:
            self._unclaimed[signalling_id] = _line(direction, data, hop, at)
            if len(self._unclaimed) > _UNCLAIMED:
                self._unclaimed.popitem(last=False)

    def claim(self, party: object, call_id: str, leg_id: str, signalling_id: str) -> None:
        """From now on, and from its INVITE on, what has that Call-ID is said about that party's leg."""
        leg = self._legs.setdefault(party, _Leg(call_id, leg_id))
        leg.signalling_ids.append(signalling_id)
        self._by_id[signalling_id] = leg
        first = self._unclaimed.pop(signalling_id, None)
        if first is not None:
            leg.lines.append(first)

    def over(self, party: object, now: float) -> float | None:
        """The party is gone. Returns when to :meth:`tell`, if nothing is to be told before that."""
        leg = self._legs.pop(party, None)
        if leg is None:
            return None
        self._ending.append((now + _LINGER_S, leg))
        return self._ending[0][0] if len(self._ending) == 1 else None

    def tell(self, now: float) -> float | None:
        """Tell of the legs that ended a moment ago. Returns when to do it again; None: never, for now."""
        while self._ending and self._ending[0][0] <= now:
            self._close(self._ending.popleft()[1])
        return self._ending[0][0] if self._ending else None

    def close(self) -> None:
        """Tell of all that are left."""
        while self._ending:
            self._close(self._ending.popleft()[1])
        for leg in self._legs.values():
            self._close(leg)
        self._legs.clear()

    def _close(self, leg: _Leg) -> None:
        for signalling_id in leg.signalling_ids:
            self._by_id.pop(signalling_id, None)
        if leg.lines:
            self._told(leg.call_id, leg.leg_id, tuple(leg.lines))


def _line(direction: Literal["in", "out"], data: bytes, hop: str, at: int) -> SignallingLine:
    first = data[: data.find(b"\n")].strip().decode(errors="replace")
    sequence = _CSEQ.search(data)
    method = "" if sequence is None else sequence[2].decode().upper()
    if first.startswith("SIP/2.0 "):
        text = f"{first[8:100]} ({method})" if method else first[8:100]
    else:
        text = first.rpartition(" SIP/2.0")[0][:120] or first[:120]
    number = None if sequence is None else int(sequence[1])
    return SignallingLine(at, direction, hop, text, number, _sound(data))


def _sound(data: bytes) -> str | None:
    """What the description offers, in short: ``PCMU PCMA 10.0.0.7:4000 sendonly``."""
    media = _MEDIA.search(data)
    if media is None:
        return None
    formats = _FORMATS.search(data)
    named = [name.decode().upper() for name in _CODEC.findall(data)]
    static = [_STATIC[one] for one in (formats[1].split() if formats else []) if one in _STATIC]
    codecs = [name for name in dict.fromkeys([*static, *named]) if name != "TELEPHONE-EVENT"]
    connection, direction = _CONNECTION.search(data), _DIRECTION.search(data)
    address = "" if connection is None else connection[1].decode(errors="replace")
    words = [*codecs, f"{address}:{media[1].decode()}", *([direction[1].decode()] if direction else [])]
    return " ".join(words)
