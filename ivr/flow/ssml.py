"""Texts in SSML (W3C, version 1.1): a spoken text that begins with ``<speak>``. What is read of one when flows are
loaded, and how values get into it. Which elements a voice does as they say is the speech engine's to know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from html import unescape
from typing import Final, NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import escape

from ivr.flow.model import Place
from ivr.flow.problem import Problem

__all__ = ["CODE", "Element", "check_plain", "escaped", "is_ssml", "read_ssml", "words_of"]

CODE: Final = "E139"

_BEGINS: Final = re.compile(r"\s*(<\?xml\b[^>]*\?>\s*)?(<!DOCTYPE\b[^>]*>\s*)?<speak\b")
_TAG: Final = re.compile(r"</?(break|emphasis|prosody|say-as|sub|voice|phoneme|audio|mark|lang|speak|p|s)\b[^<>]*>")
_HOLE: Final = "\ue000"
"""Stands for every character of a hole while the tags are read: no text has it, and no tag may."""
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SUBSTITUTE: Final = re.compile(
    r"""<sub\b[^>]*?\balias\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)')[^>]*>.*?</sub\s*>""", re.DOTALL
)
_COMMENT: Final = re.compile(r"<!--.*?-->|<\?.*?\?>", re.DOTALL)
_PAUSE: Final = re.compile(r"</?(?:p|s|break|speak)\b[^>]*>")
_OTHER_TAG: Final = re.compile(r"<[^>]*>")


class Attribute(NamedTuple):
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Element:
    """One start tag."""

    name: str
    attributes: tuple[Attribute, ...] = ()
    place: Place = field(default=Place("", 1), compare=False)


_FAULTS: Final = {
    "mismatched tag": (
        "this tag closes another than the one that is open",
        "close tags in turn, the last opened first; one that is empty ends in />",
    ),
    "no element found": ("the text ends before every tag is closed", "write </speak> at its end"),
    "unclosed token": ("the text ends within a tag", "write > behind it"),
    "undefined entity": ("there is no such &name;", "there are &amp; &lt; &gt; &quot; &apos; and numbers: &#233;"),
    "junk after document element": ("something stands behind </speak>", "put it before, or leave it out"),
    "duplicate attribute": ("one attribute stands twice in this tag", "leave one of the two out"),
}
"""What expat finds, and what the operator reads about it with the remedy."""


class _Fault(Exception):
    def __init__(self, at: int, message: str, help: str) -> None:
        super().__init__(message)
        self.at, self.message, self.help = at, message, help


def is_ssml(text: str) -> bool:
    return _BEGINS.match(text) is not None


def read_ssml(
    text: str, holes: Iterable[tuple[int, int]], locate: Callable[[int], Place]
) -> tuple[tuple[Element, ...], Problem | None]:
    """The elements of a document as an operator wrote it, in order, and what is wrong with it.

    ``holes`` are where values go, as offsets; they may stand among the words only.
    """
    masked = list(text)
    for start, end in holes:
        masked[start:end] = _HOLE * (end - start)
    try:
        return tuple(_Document("".join(masked), locate).elements), None
    except _Fault as fault:
        return (), Problem(CODE, locate(fault.at), fault.message, fault.help)


def check_plain(text: str, locate: Callable[[int], Place]) -> Problem | None:
    """A problem if tags stand in a text that is no document: they would be read out."""
    found = _TAG.search(text)
    if found is None:
        return None
    message = f"{found[0][:40]} would be read out: tags mean something within <speak> only"
    return Problem(
        CODE, locate(found.start()), message, "write <speak> before the text and </speak> behind it", len(found[0])
    )


def escaped(value: str) -> str:
    """A value as it can stand among the words of a document."""
    return escape(_NOT_XML.sub(" ", value))


def words_of(text: str) -> str:
    """What is said of a document, without what says how; holes stay as they are."""
    text = _SUBSTITUTE.sub(lambda found: found["double"] or found["single"] or "", _COMMENT.sub("", text))
    text = _OTHER_TAG.sub("", _PAUSE.sub(" ", text))
    return " ".join(unescape(text).split())


class _Document:
    """Walks the tags by expat. Raises _Fault for the first thing that is wrong."""

    def __init__(self, text: str, locate: Callable[[int], Place]) -> None:
        self.elements: list[Element] = []
        self._locate = locate
        self._bytes = text.encode("utf-8", "replace")
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartCdataSectionHandler = self._cdata
        parser.CommentHandler = self._comment
        parser.ProcessingInstructionHandler = self._instruction
        try:
            parser.Parse(self._bytes, True)
        except expat.ExpatError as error:
            raise self._not_well_formed(error) from None

    def _at(self, byte: int | None = None) -> int:
        byte = self._parser.CurrentByteIndex if byte is None else byte
        return len(self._bytes[: max(byte, 0)].decode("utf-8", "ignore"))

    def _start(self, name: str, attributes: list[str]) -> None:
        at = self._at()
        found = tuple(Attribute(*pair) for pair in zip(attributes[::2], attributes[1::2], strict=True))
        if any(_HOLE in one.value for one in found):
            raise _Fault(at, f"a value stands in the tag <{name}>", "values go among the words, not into tags")
        if name == "speak" and self.elements:
            raise _Fault(at, "<speak> stands within <speak>", "leave the inner one out")
        self.elements.append(Element(name, found, self._locate(at)))

    def _doctype(self, *_: object) -> None:
        raise _Fault(self._at(), "a text to speak has no DOCTYPE", "leave it out")

    def _cdata(self) -> None:
        raise _Fault(self._at(), "CDATA would be read out", "write &lt; for < and &amp; for &")

    def _comment(self, text: str) -> None:
        if _HOLE in text:
            raise _Fault(self._at(), "a value stands in a comment", "leave it out")

    def _instruction(self, *_: object) -> None:
        raise _Fault(self._at(), "<? ... ?> would not be understood", "leave it out")

    def _not_well_formed(self, error: expat.ExpatError) -> _Fault:
        at = self._at(self._parser.ErrorByteIndex)
        words = expat.ErrorString(error.code)
        if words in _FAULTS:
            return _Fault(at, *_FAULTS[words])
        if at and self._bytes[: self._parser.ErrorByteIndex].endswith(b"&"):
            return _Fault(at - 1, "this & begins nothing", "write &amp; for &")
        help = "write &lt; for a < that is no tag, and values of attributes in quotes"
        return _Fault(at, "the tags are not well-formed here", help)
