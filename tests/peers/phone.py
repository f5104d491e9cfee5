"""What every telephone of the tests can do and tell, whichever program it is made of."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from threading import Lock
from typing import Literal

from tests.peers.patience import SLACK, until
from tests.peers.process import Child
from tests.peers.sound import Sound
from tests.peers.trace import Message

__all__ = ["EventKind", "KeyMode", "Line", "Phone", "PhoneEvent", "Transport", "hear_each_other"]

Transport = Literal["udp", "tcp", "tls"]
KeyMode = Literal["rfc4733", "info"]
EventKind = Literal[
    "registered",
    "not_registered",
    "unregistered",
    "incoming",
    "ringing",
    "progress",
    "established",
    "closed",
    "key",
    "error",
]
"""``error`` is the program's own: it could not do what it was told."""


@dataclass(frozen=True, slots=True)
class Line:
    """How a telephone reaches its server, and who it is there."""

    user: str
    server: str
    """``HOST:PORT``"""
    password: str | None = None
    domain: str | None = None
    """What its address of record ends in, if not the server's host and port."""
    transport: Transport = "udp"
    host: str = "127.0.0.1"
    """Its own address, told in Contact, Via and SDP."""
    namespace: int | None = None
    """Process in whose network namespace it lives."""
    srtp: bool = False
    """Encrypts its media by keys in the descriptions (SDES), or has no call."""
    codecs: tuple[str, ...] = ()
    """Names such as ``PCMA``, best first; empty for G.711 both ways."""

    @property
    def address_of_record(self) -> str:
        return f"sip:{self.user}@{self.domain or self.server}"


@dataclass(frozen=True, slots=True)
class PhoneEvent:
    kind: EventKind
    detail: str = ""
    status: int | None = None


class Phone(ABC):
    """A telephone with one call at a time. It says one tone for as long as it is connected, or with a tone of 0 Hz
    nothing but what it is told to say.

    What waits for something does so for the present call, in the order of the statements: sound heard once, or a
    ring answered once, is not heard or seen a second time.
    """

    child: Child

    def __init__(self, line: Line, *, tone: int, folder: Path, port: int) -> None:
        self.line = line
        self.port = port
        self.address = f"{line.host}:{port}"
        self.name = line.user
        self.tone = tone
        self.folder = folder
        self._events: list[PhoneEvent] = []
        self._lock = Lock()
        self._call_from = 0
        self._rings_from = 0
        self._heard_s = 0.0
        self._said = 0

    # What it is told to do. -------------------------------------------------------------------------------

    @abstractmethod
    def register(self, *, expires: int = 300, refused: bool = False) -> None:
        """Register and wait for the server's word; with ``refused`` a refusal is what is waited for."""

    @abstractmethod
    def unregister(self) -> None: ...

    def dials(self, number: str) -> None:
        """Start a call; does not wait for anything."""
        self._call_from = self._count()
        self.listens()
        self._dial(number if number.startswith("sip:") else f"sip:{number}@{self.line.server}")

    @abstractmethod
    def _dial(self, uri: str) -> None: ...

    def answers(self) -> None:
        """Take the call that rings and wait until it is up."""
        self.listens()
        self.sends_answer()
        self.is_connected()

    @abstractmethod
    def sends_answer(self) -> None:
        """Take the call that rings; does not wait for the caller to know."""

    @abstractmethod
    def refuses(self) -> None:
        """Turn the ringing call away as busy (486)."""

    @abstractmethod
    def hangs_up(self) -> None:
        """End the call, or give up while it rings."""

    @abstractmethod
    def presses(self, keys: str) -> None: ...

    def says(self, sound: Sound) -> None:
        """Say that once, into the call that is up; does not wait until it is said."""
        self._said += 1
        self._say(sound, self.folder / f"says-{self._said}.wav")

    @abstractmethod
    def _say(self, sound: Sound, file: Path) -> None: ...

    @abstractmethod
    def holds(self) -> None: ...

    @abstractmethod
    def resumes(self) -> None: ...

    @abstractmethod
    def recorded(self) -> Sound:
        """All that came out of the loudspeaker so far."""

    @abstractmethod
    def messages(self) -> Sequence[Message]:
        """Its own trace of SIP."""

    @abstractmethod
    def close(self) -> None: ...

    # What it reports. -------------------------------------------------------------------------------------

    def rings(self, within: float = SLACK) -> PhoneEvent:
        """Wait for the next incoming call."""

        def incoming() -> int | None:
            return next((at for at, event in self._after(self._rings_from) if event.kind == "incoming"), None)

        at = until(lambda: None if (at := incoming()) is None else at + 1, self._missing("ring"), within=within)
        self._rings_from = at
        self._call_from = at - 1
        return self._events[at - 1]

    def has_rung(self) -> bool:
        """Whether a call came in that rings() has not seen."""
        return any(event.kind == "incoming" for _, event in self._after(self._rings_from))

    def hears_ringing(self, within: float = SLACK) -> None:
        """Wait for a 180 or 183 to the call it dialled."""
        self.sees("ringing", "progress", within=within)

    def is_connected(self, within: float = SLACK) -> None:
        self.sees("established", within=within)

    def is_hung_up(self, within: float = SLACK) -> PhoneEvent:
        """Wait for the end of the call, by whomever; the event tells the status if it was refused."""
        return self.sees("closed", within=within)

    def is_refused(self, status: int, within: float = SLACK) -> None:
        ended = self.is_hung_up(within)
        assert ended.status == status, f"{self.name} was told {ended.detail!r} and not {status}"

    def sees(self, *kinds: EventKind, within: float = SLACK) -> PhoneEvent:
        def seen() -> PhoneEvent | None:
            return next((event for _, event in self._after(self._call_from) if event.kind in kinds), None)

        return until(seen, self._missing(" or ".join(kinds)), within=within)

    def received(self, start: str) -> list[Message]:
        """Messages it got whose first line starts so."""
        return [each for each in self.messages() if not each.sent and each.start_line.startswith(start)]

    def receives(self, start: str, within: float = SLACK) -> Message:
        """Wait for a message whose first line starts so; the last one."""
        return until(lambda: self.received(start) or None, f"{self.name} received no {start!r}", within=within)[-1]

    def pressed(self, count: int, within: float = SLACK) -> str:
        """Wait for so many keys from the other side of the call; all of them so far."""

        def keys() -> str:
            return "".join(event.detail for _, event in self._after(self._call_from) if event.kind == "key")

        return until(lambda: keys() if len(keys()) >= count else None, self._missing(f"{count} keys"), within=within)

    # What it hears. ---------------------------------------------------------------------------------------

    def listens(self) -> None:
        """Forget all sound up to now."""
        self._heard_s = self.recorded().seconds

    def hears(self, hz: int, for_s: float = 0.4, within: float = SLACK) -> None:
        """Wait until a tone has been heard for that long, after what was heard before."""

        def heard() -> float | None:
            return self.recorded().after(self._heard_s).finds_tone(hz, for_s)

        def story() -> str:
            told = ", ".join(map(str, self.recorded().after(self._heard_s).story())) or "nothing at all"
            return f"{self.name} did not hear {hz} Hz for {for_s:g} s but: {told}"

        # Analysing takes more time than anything else here: five times a second is often enough.
        self._heard_s += until(heard, story, within=within, every=0.2)

    def hears_sound(self, known: Sound, what: str, within: float = SLACK) -> None:
        """Wait until a known sound has been heard, after what was heard before; ``what`` names it."""

        def heard() -> float | None:
            return self.recorded().after(self._heard_s).finds(known)

        # It takes as long as it lasts, whatever the machine does.
        within += known.seconds
        self._heard_s += until(heard, lambda: f"{self.name} did not hear: {what}", within=within, every=0.5)

    def hears_something(self, for_s: float = 0.8, within: float = SLACK) -> None:
        """Wait until there was sound for that long in all, after what was heard before: somebody has begun to speak."""

        def heard() -> bool:
            frequencies = self.recorded().after(self._heard_s).frequencies()
            return bool((frequencies > 0).sum() * 0.02 >= for_s)

        until(heard, lambda: f"{self.name} hears nothing", within=within, every=0.1)

    def does_not_hear(self, hz: int, for_s: float = 1.5) -> None:
        """Listen for that long: no tenth of a second of that tone may come."""
        self.listens()
        end = time.monotonic() + for_s
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))
            assert not self.recorded().after(self._heard_s).contains_tone(hz, 0.1), f"{self.name} heard {hz} Hz"

    # For the kinds of telephone. --------------------------------------------------------------------------

    def _happened(self, event: PhoneEvent) -> None:
        with self._lock:
            self._events.append(event)

    def _reinvites(self, action: Callable[[], object], direction: str) -> None:
        """Do that, and wait until a re-INVITE with that direction has got its 200."""
        before = len(self.messages())

        def agreed() -> bool:
            later = self.messages()[before:]
            offers = {m.header("CSeq") for m in later if m.sent and direction in m.text}
            return any(not m.sent and m.status == 200 and m.header("CSeq") in offers for m in later)

        action()
        until(agreed, f"{self.name}: no 200 to a re-INVITE with {direction}")

    def _count(self) -> int:
        with self._lock:
            return len(self._events)

    def _after(self, index: int) -> list[tuple[int, PhoneEvent]]:
        with self._lock:
            return list(enumerate(self._events[index:], index))

    def _missing(self, what: str) -> Callable[[], str]:
        def words() -> str:
            state = "" if self.child.is_running() else f" (it ended with {self.child.process.returncode})"
            seen = ", ".join(f"{e.kind} {e.detail}".strip() for _, e in self._after(0)) or "nothing"
            return f"no {what} at {self.name}{state}; it saw {seen}"

        return words


def hear_each_other(*phones: Phone, for_s: float = 0.4, within: float = SLACK) -> None:
    """Every phone hears every other's tone, from now on."""
    for phone in phones:
        phone.listens()
    for one, other in combinations(phones, 2):
        one.hears(other.tone, for_s, within)
        other.hears(one.tone, for_s, within)
