"""The flow as a graph: blocks of ordered steps with named exits. Every spelling compiles to this; nothing here runs.

Step settings are frozen dataclasses declared beside their verbs in ``ivr.flow.nodes``; durations are seconds as
float, keys are characters, texts are templates already parsed (:mod:`ivr.flow.template`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ivr.flow.digest import digest

if TYPE_CHECKING:
    from ivr.flow.template import Template

VariableType = Literal["text", "digits", "number", "money", "date", "time", "yes_no", "list", "json"]


def added(default: Any, usual: Callable[[Any], object] | None = None) -> Any:
    """A field that earlier versions of the program did not have.

    While it has its usual value - the default, unless a function of the record says otherwise - it does not count for
    the digest of a flow: flows that say nothing of it keep theirs, and get no new version.
    """
    return field(default=default, metadata={"usual": usual or (lambda _: default)})


class Place(NamedTuple):
    """Where something stands in a file an operator edits. Lines and columns count from 1.

    Every word of every file has one: a tuple is made in a third of the time of a dataclass.
    """

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Recording:
    """A prompt that is a sound file: ``prompts/LANGUAGE/NAME.wav``, then ``prompts/NAME.wav``."""

    name: str
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Speech:
    """A prompt that is spoken text."""

    text: Template
    place: Place = field(compare=False)


Prompt = Recording | Speech


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    type: VariableType
    default: object | None
    secret: bool
    place: Place = field(compare=False)
    param: bool = False
    """Whoever calls the flow can give its value, and must if there is no default."""


@dataclass(frozen=True, slots=True)
class InputSettings:
    """How keys are waited for; see the input rules in the flow reference. Seconds."""

    timeout: float = 5.0
    """Silence before the first key, counted from the end of the prompt."""
    gap: float = 3.0
    """Silence between keys."""
    tries: int = 3
    barge_in: bool = True
    finish_key: str | None = "#"
    type_ahead: Literal["keep", "clear"] = "keep"
    barge_in_speech: bool = added(True, lambda settings: settings.barge_in)
    """Whether speech cuts the prompt, where the step listens; ``barge_in`` is about keys."""
    speech_timeout: float = added(0.7)
    """Silence after which a caller counts as having finished speaking."""
    longest_speech: float = added(15.0)
    min_confidence: float = added(0.5)
    """Below it what was heard counts as not understood."""


@dataclass(frozen=True, slots=True)
class SpokenChoice:
    """What callers may say for one choice."""

    name: str
    """The key pattern of a menu's choice, an intent, ``yes`` or ``no``: the exit is called so."""
    forms: Mapping[str, tuple[str, ...]]
    """By language; those under the empty string are said in every language."""
    place: Place = field(compare=False)

    def spoken(self, language: str) -> tuple[str, ...]:
        """What stands for it in that language."""
        return (*self.forms.get(language, ()), *self.forms.get("", ()))


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a block: a verb, its settings, and where each of its exits leads.

    ``exits`` maps the exit's name to a block. An exit that is absent continues with the next step if its verb says
    so (``next``), else it goes to the flow's ``on_error``; the checks have made sure that one of the two holds.
    """

    verb: str
    settings: Any
    exits: Mapping[str, str]
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Block:
    name: str
    title: str
    steps: tuple[Step, ...]
    place: Place = field(compare=False)
    renamed_from: str | None = None
    """What it was called before, for those who compare and count: no other block has this name."""


@dataclass(frozen=True)
class Flow:
    name: str
    title: str
    languages: tuple[str, ...]
    """The first is the one a call starts in."""
    start: str
    on_hangup: str | None
    on_error: str | None
    variables: Mapping[str, Variable]
    input: InputSettings
    blocks: Mapping[str, Block]
    place: Place = field(compare=False)
    called_digest: str = field(default="", compare=False)
    """SHA-256 of the flow with all it calls; empty if it calls none."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the normalised graph, hexadecimal: changes only when a caller could notice. Worked out when it
        is first asked for: a check does without it."""
        return self.called_digest or digest(self)
