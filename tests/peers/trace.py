"""SIP messages as the peers themselves logged them: what a telephone saw is judged from its own trace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Message", "from_baresip", "from_pjsip", "from_sipp"]


@dataclass(frozen=True, slots=True)
class Message:
    sent: bool
    """By the peer whose trace it is; received otherwise."""
    text: str

    @property
    def start_line(self) -> str:
        return self.text.split("\n", 1)[0].strip()

    @property
    def method(self) -> str:
        """Of the request, or of the request it answers."""
        return self.header("CSeq").rpartition(" ")[2]

    @property
    def status(self) -> int | None:
        """None for a request."""
        first, _, rest = self.start_line.partition(" ")
        return int(rest[:3]) if first == "SIP/2.0" else None

    def header(self, name: str) -> str:
        """The first of that name, empty if there is none."""
        found = re.search(rf"^{re.escape(name)}[ \t]*:[ \t]*(.*)$", self.text, re.IGNORECASE | re.MULTILINE)
        return found[1].strip() if found else ""


_BARESIP = re.compile(
    r"^(?:UDP|TCP|TLS) (?P<source>\S+) -> (?P<target>\S+)\r?\n(?P<text>.*?)(?=\n\x1b\[;m|\Z)", re.MULTILINE | re.DOTALL
)


def from_baresip(log: str, own_port: int, server: str) -> Iterator[Message]:
    """A connection that it has made has a passing port: what is sent over it is told by where it goes."""
    for found in _BARESIP.finditer(log):
        sent = found["source"].endswith(f":{own_port}") or found["target"] == server
        yield Message(sent, _lines(found["text"]))


_PJSIP = re.compile(r"(?P<way>TX|RX) \d+ bytes [^\n]*:\n(?P<text>.*?)\n--end msg--", re.DOTALL)


def from_pjsip(log: str) -> Iterator[Message]:
    for found in _PJSIP.finditer(log.replace("\r", "")):
        yield Message(found["way"] == "TX", _lines(found["text"]))


_SIPP = re.compile(
    r"^(?:UDP|TCP) message (?P<way>sent|received)[^\n]*:\n\n(?P<text>.*?)(?=^-{20,}|\Z)", re.MULTILINE | re.DOTALL
)


def from_sipp(log: str) -> Iterator[Message]:
    for found in _SIPP.finditer(log.replace("\r", "")):
        yield Message(found["way"] == "sent", _lines(found["text"]))


def _lines(text: str) -> str:
    return text.replace("\r", "").strip("\n")
