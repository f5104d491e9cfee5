"""The one place where events become rows. Pure: no database, no clock.

A :class:`CallRecord` takes the events of one call in order and keeps the rows that they amount to; what changed since
it was last asked is taken with :meth:`CallRecord.take_changes`. Live writing, recovery and rebuilding all go through
it, so they agree.

The rules:

- A call begins with its first event, whatever it is: a call whose ``call.arrived`` was lost still has its row.
- Time never runs backwards within a call: a clock that was set back stands still until it has caught up. After
  ``call.ended`` it stands still for good, so that no leg outlasts its call.
- The caller's time line is always in exactly one segment, and the next one starts where the last one ends:

  ========  =========================================
  segment   while
  ========  =========================================
  ``talk``  bridged to a leg, nobody holds
  ``hold``  bridged, and that leg or the caller holds
  ``offer`` not bridged, somebody is being offered
  ``ivr``   none of these, answered
  ``ring``  none of these, not answered
  ========  =========================================

- The end of a bridged leg is the end of the bridge, and the end of the call is the end of every leg. When the caller's
  leg has ended he stays in his last segment until the call has: taking down the rest is nothing he lives through.
- Of events after ``call.ended``, those of legs, steps and tags still count; the time line is closed.
- Data of a wrong type or unknown word become NULL. Nothing in an event raises.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import get_args

from sqlalchemy import Table

from ivr.records import model
from ivr.records.events import RecordEvent
from ivr.records.words import CallMode, EndedBy, LegKind, LegRole, TransferKind

Value = str | int | float | None
Row = tuple[Value, ...]
"""The values of every column, in the table's order."""

_Fields = dict[str, Value]
# A row in the making: column to value, every column, in the table's order.

LEGS_REMEMBERED = 256
"""Above this many, legs that have ended are forgotten: a call that tries seats all night must not grow."""

_TEXT_LIMIT = 2_000
_IDENTIFIER_LIMIT = 200
"""An index of PostgreSQL takes 2,704 bytes a row; the widest of ours holds two identifiers, 4 bytes a character."""
_INT_LIMIT = 2**63
_SMALL_LIMIT = 2**31


@dataclass(slots=True)
class Changes:
    """Rows to be inserted or overwritten, whole, by key."""

    calls: list[Row] = field(default_factory=list)
    legs: list[Row] = field(default_factory=list)
    segments: list[Row] = field(default_factory=list)
    flow_steps: list[Row] = field(default_factory=list)
    tags: list[Row] = field(default_factory=list)


class CallRecord:
    """The rows of one call as far as its events go. Owns no history: what is closed and taken is forgotten."""

    __slots__ = (
        "_answered",
        "_arrived",
        "_bridged",
        "_caller_gone",
        "_caller_leg",
        "_changed_legs",
        "_changed_segments",
        "_forgot_legs",
        "_held",
        "_last_block",
        "_legs",
        "_new_steps",
        "_new_tags",
        "_next_step",
        "_offering",
        "_row",
        "_row_changed",
        "_segment",
        "_tags",
        "ended",
        "events",
        "now",
    )

    def __init__(self, call_id: str) -> None:
        self.events = 0
        """How many events were applied: the next one's ``seq``."""
        self.now = 0
        """The call's time: that of its last event, clamped. UTC epoch ms."""
        self.ended = False
        self._row = dict(_NO_CALL, call_id=call_id, conversation_id=call_id, mode="ivr", closed=0)
        self._row_changed = False
        self._arrived = False
        self._answered = False
        self._legs: dict[str, _Fields] = {}
        self._changed_legs: dict[str, _Fields] = {}
        self._forgot_legs = False
        self._caller_leg: str | None = None
        self._caller_gone = False
        self._held: set[str | None] = set()
        self._offering = False
        self._bridged: str | None = None
        self._segment: _Fields | None = None
        self._changed_segments: dict[Value, _Fields] = {}
        self._new_steps: dict[Value, _Fields] = {}
        self._next_step = 0
        self._last_block: str | None = None
        self._new_tags: list[Row] = []
        self._tags = 0

    @property
    def call_id(self) -> Value:
        return self._row["call_id"]

    @property
    def answered(self) -> bool:
        return self._answered

    def apply(self, event: RecordEvent) -> None:
        """Take the next event of this call."""
        if not self.ended:
            at = integer(event.at)
            if self._segment is None:
                self.now = at or 0
                self._row["arrived_at"] = self.now
                self._row_changed = True
                self._move()
            elif at is not None and at > self.now:
                self.now = at
        self.events += 1
        handler = _HANDLERS.get(event.type)
        if handler is not None:
            handler(self, event.data if isinstance(event.data, Mapping) else {}, identifier(event.leg_id))

    def take_changes(self, into: Changes) -> None:
        """Add what changed since the last time."""
        if self._row_changed:
            into.calls.append(tuple(self._row.values()))
            self._row_changed = False
        if self._changed_legs:
            into.legs.extend([tuple(leg.values()) for leg in self._changed_legs.values()])
            self._changed_legs.clear()
        if self._changed_segments:
            into.segments.extend([tuple(segment.values()) for segment in self._changed_segments.values()])
            self._changed_segments.clear()
        if self._new_steps:
            into.flow_steps.extend([tuple(step.values()) for step in self._new_steps.values()])
            self._new_steps.clear()
        if self._new_tags:
            into.tags.extend(self._new_tags)
            self._new_tags.clear()

    # The call. --------------------------------------------------------------------------------------------

    def _call_arrived(self, data: Mapping[str, object], _: str | None) -> None:
        if self._arrived:
            return
        self._arrived = True
        row = self._row
        row["mode"] = word(data.get("mode"), _MODES) or "ivr"
        row["conversation_id"] = identifier(data.get("conversation_id")) or row["call_id"]
        row["caller"] = identifier(data.get("caller"))
        for column in _ARRIVAL_COLUMNS:
            value = data.get(column)
            if value is not None:
                row[column] = text(value)
        self._row_changed = True

    def _call_answered(self, data: Mapping[str, object], _: str | None) -> None:
        if self._answered or self.ended:
            return
        self._answered = True
        self._row["answered_at"] = self.now
        self._row_changed = True
        self._move()

    def _call_marked(self, data: Mapping[str, object], _: str | None) -> None:
        for column in ("language", "variant", "goal", "disposition"):
            value = text(data.get(column))
            if value is not None and not self.ended:
                self._row[column] = value
                self._row_changed = True

    def _call_ended(self, data: Mapping[str, object], _: str | None) -> None:
        if self.ended:
            return
        for leg_id, leg in self._legs.items():
            if leg["ended_at"] is None:
                leg["ended_at"] = self.now
                self._changed_legs[leg_id] = leg
        if self._segment is not None:
            self._segment["until_at"] = self.now
            self._changed_segments[self._segment["seq"]] = self._segment
        self.ended = True
        row = self._row
        row["ended_at"] = self.now
        row["ended_by"] = word(data.get("ended_by"), _ENDERS) or "system"
        row["end_cause"] = text(data.get("end_cause"))
        row["sip_status"] = small(data.get("sip_status"))
        row["last_block"] = text(data.get("last_block")) or self._last_block
        row["goal"] = text(data.get("goal")) or row["goal"]
        row["disposition"] = text(data.get("disposition")) or row["disposition"]
        row["language"] = text(data.get("language")) or row["language"]
        row["closed"] = 1
        self._row_changed = True

    # Its legs. --------------------------------------------------------------------------------------------

    def _leg(self, leg_id: str | None, *, created: bool = False) -> _Fields | None:
        """The leg's row, to be changed; None if the event names none, or one long forgotten."""
        if leg_id is None:
            return None
        leg = self._legs.get(leg_id)
        if leg is None:
            if self._forgot_legs and not created:
                return None
            if len(self._legs) >= LEGS_REMEMBERED:
                self._forget_legs()
            leg = self._legs[leg_id] = dict(
                _NO_LEG,
                call_id=self._row["call_id"],
                leg_id=leg_id,
                created_at=self.now,
                ended_at=self.now if self.ended else None,
            )
        self._changed_legs[leg_id] = leg
        return leg

    def _leg_created(self, data: Mapping[str, object], leg_id: str | None) -> None:
        leg = self._leg(leg_id, created=True)
        if leg is None:
            return
        leg["kind"] = word(data.get("kind"), _LEG_KINDS) or leg["kind"]
        leg["role"] = word(data.get("role"), _LEG_ROLES) or leg["role"]
        leg["transfer_kind"] = word(data.get("transfer_kind"), _TRANSFER_KINDS)
        for column in _LEG_CREATED_COLUMNS:
            value = data.get(column)
            if value is not None:
                leg[column] = text(value)
        if leg["role"] == "caller":
            self._caller_leg = leg_id

    def _leg_ringing(self, data: Mapping[str, object], leg_id: str | None) -> None:
        leg = self._leg(leg_id)
        if leg is not None and leg["ringing_at"] is None:
            leg["ringing_at"] = self.now

    def _leg_early_media(self, data: Mapping[str, object], leg_id: str | None) -> None:
        leg = self._leg(leg_id)
        if leg is not None and leg["early_media_at"] is None and leg["answered_at"] is None:
            leg["early_media_at"] = self.now

    def _leg_answered(self, data: Mapping[str, object], leg_id: str | None) -> None:
        leg = self._leg(leg_id)
        if leg is None:
            return
        if leg["answered_at"] is None:
            leg["answered_at"] = self.now
        leg["codec"] = text(data.get("codec")) or leg["codec"]

    def _leg_held(self, data: Mapping[str, object], leg_id: str | None) -> None:
        if leg_id is None or leg_id in self._legs or self._leg(leg_id) is not None:
            self._held.add(leg_id)
            self._move()

    def _leg_retrieved(self, data: Mapping[str, object], leg_id: str | None) -> None:
        self._held.discard(leg_id)
        self._move()

    def _leg_ended(self, data: Mapping[str, object], leg_id: str | None) -> None:
        leg = self._leg(leg_id)
        if leg is not None:
            if leg["ended_at"] is None:
                leg["ended_at"] = self.now
            for column, convert in _LEG_ENDED_COLUMNS:
                value = data.get(column)
                if value is not None:
                    leg[column] = convert(value)
            if leg["role"] == "caller":
                self._caller_leg = leg_id
        self._held.discard(leg_id)
        if leg_id is not None and leg_id == self._caller_leg:
            self._caller_gone = True
        elif leg_id is not None and leg_id == self._bridged:
            self._bridged = None
            self._move()

    def _forget_legs(self) -> None:
        over = [leg_id for leg_id, leg in self._legs.items() if leg["ended_at"] is not None]
        for leg_id in over[: LEGS_REMEMBERED // 2]:
            del self._legs[leg_id]
            self._forgot_legs = True

    # The caller's time line. ------------------------------------------------------------------------------

    def _offer_start(self, data: Mapping[str, object], _: str | None) -> None:
        self._offering = True
        self._move()

    def _offer_end(self, data: Mapping[str, object], _: str | None) -> None:
        self._offering = False
        self._move()

    def _bridge_join(self, data: Mapping[str, object], leg_id: str | None) -> None:
        self._offering = False
        self._bridged = identifier(data.get("leg")) or leg_id or ""
        self._move()

    def _bridge_leave(self, data: Mapping[str, object], _: str | None) -> None:
        self._bridged = None
        self._move()

    def _move(self) -> None:
        """Start the next segment if what the caller is in has changed."""
        if self.ended or self._caller_gone:
            return
        if self._bridged is not None:
            kind = "talk" if self._held.isdisjoint((None, self._caller_leg, self._bridged)) else "hold"
            leg_id = self._bridged or None
        else:
            kind = "offer" if self._offering else "ivr" if self._answered else "ring"
            leg_id = None
        last = self._segment
        seq = 0
        if last is not None:
            if last["kind"] == kind and last["leg_id"] == leg_id:
                return
            last["until_at"] = self.now
            self._changed_segments[last["seq"]] = last
            seq = int(last["seq"] or 0) + 1
        leg = self._legs.get(leg_id) if leg_id is not None else None
        self._segment = dict(
            _NO_SEGMENT,
            call_id=self._row["call_id"],
            seq=seq,
            kind=kind,
            from_at=self.now,
            agent=leg["account"] if leg is not None else None,
            leg_id=leg_id,
        )
        self._changed_segments[seq] = self._segment

    # What the flow did. -----------------------------------------------------------------------------------

    def _flow_step(self, data: Mapping[str, object], _: str | None) -> None:
        seq = small(data.get("seq"))
        if seq is None:
            seq = self._next_step
        self._next_step = max(self._next_step, seq + 1)
        row = _NO_STEP.copy()
        row["call_id"] = self._row["call_id"]
        row["seq"] = seq
        for column, convert in _STEP_COLUMNS:
            value = data.get(column)
            if value is not None:
                row[column] = convert(value)
        earliest = int(self._row["arrived_at"] or 0)
        until_at = integer(data.get("until_at"))
        latest = self.now
        if until_at is not None:
            latest = row["until_at"] = min(max(until_at, earliest), self.now)
        from_at = integer(data.get("from_at"))
        row["from_at"] = latest if from_at is None else min(max(from_at, earliest), latest)
        self._new_steps[seq] = row
        block = row["block"]
        if isinstance(block, str):
            self._last_block = block

    def _tag(self, data: Mapping[str, object], _: str | None) -> None:
        self._new_tags.append(
            (self._row["call_id"], self._tags, self.now, text(data.get("name")), text(data.get("value")))
        )
        self._tags += 1


def derive(events: Iterable[RecordEvent], call_id: str) -> tuple[CallRecord, Changes]:
    """All rows of one call from all its events, each row in its last form."""
    record = CallRecord(call_id)
    for event in events:
        record.apply(event)
    changes = Changes()
    record.take_changes(changes)
    return record, changes


# Values, made fit for a column or None. -------------------------------------------------------------------


def text(value: object) -> str | None:
    """Text that every database takes: without NUL and lone surrogates, at most 2,000 characters."""
    if not isinstance(value, str):
        if value is None:
            return None
        try:
            value = json.dumps(value, default=str)
        except (TypeError, ValueError, RecursionError):
            return None
    if len(value) > _TEXT_LIMIT:
        value = value[:_TEXT_LIMIT]
    if value.isascii():
        return value if "\0" not in value else value.replace("\0", "")
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def identifier(value: object) -> str | None:
    """As text, but at most 200 characters, so that it fits an index; empty is None too."""
    if type(value) is str and 0 < len(value) <= _IDENTIFIER_LIMIT and value.isascii() and "\0" not in value:
        return value
    made = text(value)
    return made[:_IDENTIFIER_LIMIT] if made else None


def integer(value: object) -> int | None:
    """A whole number of 64 bits; a finite fraction is rounded."""
    if type(value) is int and 0 <= value < _INT_LIMIT:
        return value
    if isinstance(value, float):
        value = round(value) if math.isfinite(value) else None
    if isinstance(value, int) and -_INT_LIMIT <= value < _INT_LIMIT:
        return int(value)
    return None


def small(value: object) -> int | None:
    """A whole number of 32 bits."""
    number = integer(value)
    return number if number is not None and -_SMALL_LIMIT <= number < _SMALL_LIMIT else None


def real(value: object) -> float | None:
    """A finite number."""
    if isinstance(value, (int, float)):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    return None


def flag(value: object) -> int | None:
    """0 or 1."""
    return None if value is None else int(bool(value))


def word(value: object, words: frozenset[str]) -> str | None:
    """One of ``words``."""
    return value if isinstance(value, str) and value in words else None


# Tables of the above, made from the columns. --------------------------------------------------------------


def _blank(table: object) -> _Fields:
    assert isinstance(table, Table)
    return {column.name: None for column in table.columns if column.name != "event_id"}


_NO_CALL = _blank(model.Call.__table__)
_NO_LEG = _blank(model.Leg.__table__)
_NO_SEGMENT = _blank(model.Segment.__table__)
_NO_STEP = _blank(model.FlowStep.__table__)

_MODES = frozenset(get_args(CallMode))
_ENDERS = frozenset(get_args(EndedBy))
_LEG_KINDS = frozenset(get_args(LegKind))
_LEG_ROLES = frozenset(get_args(LegRole))
_TRANSFER_KINDS = frozenset(get_args(TransferKind))

_ARRIVAL_COLUMNS = (
    "node_id",
    "did",
    "caller_name",
    "language",
    "flow",
    "flow_version",
    "variant",
    "trace_id",
)
_LEG_CREATED_COLUMNS = (
    "parent_leg",
    "account",
    "remote",
    "sip_call_id",
    "rtc_channel",
    "transfer_of",
)
_LEG_ENDED_COLUMNS: tuple[tuple[str, Callable[[object], Value]], ...] = (
    ("kind", partial(word, words=_LEG_KINDS)),
    ("role", partial(word, words=_LEG_ROLES)),
    ("account", text),
    ("remote", text),
    ("sip_call_id", text),
    ("invitation", text),
    ("rtc_channel", text),
    ("invitation_state", text),
    ("invitation_error", text),
    ("hangup_by", text),
    ("outcome", text),
    ("codec", text),
    ("sip_status", small),
    ("q850", small),
    ("rx_pkts", integer),
    ("tx_pkts", integer),
    ("lost_pkts", integer),
    ("jitter_ms", real),
    ("rtt_ms", real),
    ("mos", real),
    ("audio_rx_ms", integer),
    ("audio_tx_ms", integer),
)
_STEP_COLUMNS: tuple[tuple[str, Callable[[object], Value]], ...] = (
    ("flow", identifier),
    ("flow_version", text),
    ("block", identifier),
    ("step", small),
    ("verb", text),
    ("line", small),
    ("try_no", small),
    ("input_mode", text),
    ("input", text),
    ("confidence", real),
    ("barged_in", flag),
    ("heard_ms", integer),
    ("exit", text),
    ("next_block", text),
    ("error", text),
)

_HANDLERS: dict[str, Callable[[CallRecord, Mapping[str, object], str | None], None]] = {
    "call.arrived": CallRecord._call_arrived,
    "call.answered": CallRecord._call_answered,
    "call.marked": CallRecord._call_marked,
    "call.ended": CallRecord._call_ended,
    "leg.created": CallRecord._leg_created,
    "leg.ringing": CallRecord._leg_ringing,
    "leg.early_media": CallRecord._leg_early_media,
    "leg.answered": CallRecord._leg_answered,
    "leg.held": CallRecord._leg_held,
    "leg.retrieved": CallRecord._leg_retrieved,
    "leg.ended": CallRecord._leg_ended,
    "offer.start": CallRecord._offer_start,
    "offer.end": CallRecord._offer_end,
    "bridge.join": CallRecord._bridge_join,
    "bridge.leave": CallRecord._bridge_leave,
    "flow.step": CallRecord._flow_step,
    "tag": CallRecord._tag,
}
