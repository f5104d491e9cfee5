"""What is to be read of a call that is played: a line for everything that happens, with the time and the place."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePath

from ivr.flow.model import Flow, Place
from ivr.run.actions import Action, Log, Mark, Play, PlayItem, PlayText, StepDone, StepRecord, Tag
from ivr.run.conversation import CallFacts
from ivr.run.script import PATIENCE, Script, heard_in

SecondsOf = Callable[[PlayItem], float | None]
"""How long a prompt is; None if that cannot be told."""


@dataclass(frozen=True, slots=True)
class Line:
    at: float
    text: str


class Told(Script):
    """A script whose transcript has the time of day and the place in the flow."""

    def __init__(self, flow: Flow, facts: CallFacts, *, seconds_of: SecondsOf | None = None, **more: object) -> None:
        self.lines: list[Line] = []
        self.seconds_of = seconds_of
        """How long prompts really are; unset, they are as long as in tests."""
        self.lengths: dict[str, float] = {}
        """By recording or text: those that were as long as they really are."""
        self._place: Place | None = None
        self._marking: str | None = None
        self._marks: list[tuple[str, str]] = []
        """Verbs, and what they wrote, whose steps are not told yet."""
        self._at = facts.at
        super().__init__(flow, facts, **more)  # type: ignore[arg-type]

    def tell(self, what: str, block: str | None = None, place: Place | None = None) -> None:
        clock = (self._at + timedelta(seconds=self.now)).strftime("%H:%M:%S.%f")[:10]
        place = place or self.run.place
        where = f"{PurePath(place.file).name}:{place.line}" if place.file else ""
        self.lines.append(Line(self.now, f"{clock}  {block or self.run.last_block:<14}  {where:<16}  {what}".rstrip()))

    def jump(self, block: str) -> None:
        self._do(self.run.jump(block, self.now))
        self._settle()

    def catch_up(self) -> None:
        """What is due now happens: a prompt that was asked for begins."""
        while (due := self._due()) is not None and due <= self.now and not self.run.finished:
            self._step(due)

    def next_thing(self) -> bool:
        """Let time pass to the next event. False if there is none in reach."""
        due = self._due()
        if due is None or due > self.now + PATIENCE:
            return False
        self._step(due)
        return True

    @property
    def next_in(self) -> float | None:
        """Seconds to the next thing that happens by itself."""
        due = self._due()
        return None if due is None or self.run.finished else max(0.0, due - self.now)

    @property
    def plays(self) -> Play | None:
        """What is heard of prompts now."""
        return None if self._playing is None else self._playing.play

    def length(self, item: PlayItem) -> float:
        """How long a prompt lasts, in seconds."""
        return self._length(item)

    def _length(self, item: PlayItem) -> float:
        real = None if self.seconds_of is None else self.seconds_of(item)
        if real is None:
            return super()._length(item)
        self.lengths[item.words if isinstance(item, PlayText) else item.name] = real
        return real

    def _tell_step(self, record: StepRecord) -> None:
        """That is told with where it led, as of every step."""

    def _tell(self, what: str) -> None:
        super()._tell(what)
        if self._marking is not None:
            self._marks.append((self._marking, what))
        else:
            self.tell(what, place=self._place)

    def _act(self, action: Action) -> None:
        self._place = None
        # What marks the call is told with its step: the call may be in another block by now.
        match action:
            case Tag():
                self._marking = "tag"
            case Mark(("goal" | "disposition") as kind):
                self._marking = kind
        if isinstance(action, Log) and (found := re.fullmatch(r"(.*):(\d+):(\d+)", action.place)):
            self._place = Place(found[1], int(found[2]), int(found[3]))
        super()._act(action)
        self._place = self._marking = None
        if isinstance(action, StepDone):
            self._step_done(action.record)

    def _step_done(self, record: StepRecord) -> None:
        place = self.run.place._replace(line=record.line)
        while self._marks and self._marks[0][0] == record.verb:
            self.tell(self._marks.pop(0)[1], record.block, place)
        if words := _outcome(record):
            self.tell(words, record.block, place)


def _outcome(record: StepRecord) -> str:
    """What a step came to, if that is worth a line."""
    plain = record.exit == "next" and record.next_block is None and record.detail is None
    if record.exit is None or record.verb == "goto" or plain:
        return ""
    detail = record.detail or {}
    shown = ", ".join(
        f"{name} {value}" for name, value in detail.items() if name in ("rule", "status", "table", "state")
    )
    keys = f' "{record.input}"' if record.input else ""
    if record.input_mode == "speech":
        keys = f" {heard_in(record)}:"
    to = f"  → {record.next_block}" if record.next_block else ""
    by_keys = record.input_mode != "speech"
    exit = "" if by_keys and record.exit == record.input else f" {record.exit}"
    return f"{record.verb}{keys}{exit}{to}" + (f"  ({shown})" if shown else "")
