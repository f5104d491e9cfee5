"""The tables of the records. Nothing here writes or reads them.

Every time is UTC epoch milliseconds; NULL means that it did not happen. Rows of every table but ``events`` derive
from ``events`` (:mod:`ivr.records.derive`) and can be rebuilt. A changed table needs a migration in ``alembic/``.
"""

from __future__ import annotations

from typing import Any, ClassVar, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from ivr.records.words import CallMode, EndedBy, LegKind, LegRole, SegmentKind, TransferKind

# SQLite numbers rows by itself only if the key's type is spelled INTEGER.
_RowNumber = BigInteger().with_variant(Integer(), "sqlite")


def _one_of(column: str, words: object) -> CheckConstraint:
    quoted = ", ".join(f"'{word}'" for word in get_args(words))
    return CheckConstraint(f"{column} IN ({quoted})", name=column)


class Base(DeclarativeBase):
    """Owns the metadata that migrations are compared with."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ck": "%(table_name)s_%(constraint_name)s",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "pk": "%(table_name)s_pkey",
            "uq": "%(table_name)s_%(column_0_name)s_key",
        }
    )
    type_annotation_map: ClassVar[dict[type, TypeEngine[Any]]] = {
        str: Text(),
        int: BigInteger(),
        float: Float(53),
    }


class Call(Base):
    """One caller's visit, written at arrival (``closed`` 0) and closed at its end."""

    __tablename__ = "calls"

    call_id: Mapped[str] = mapped_column(primary_key=True)
    conversation_id: Mapped[str]
    """Ties calls that a transfer, a callback or a consultation joined; a lone call's is its own id."""
    mode: Mapped[str]
    node_id: Mapped[str | None]
    did: Mapped[str | None]
    caller: Mapped[str | None]
    caller_name: Mapped[str | None]
    language: Mapped[str | None]
    flow: Mapped[str | None]
    flow_version: Mapped[str | None]
    """``42-3f9ac1…``: the version's number, and the start of its digest."""
    variant: Mapped[str | None]
    arrived_at: Mapped[int]
    answered_at: Mapped[int | None]
    ended_at: Mapped[int | None]
    ended_by: Mapped[str | None]
    end_cause: Mapped[str | None]
    sip_status: Mapped[int | None] = mapped_column(Integer)
    last_block: Mapped[str | None]
    goal: Mapped[str | None]
    disposition: Mapped[str | None]
    trace_id: Mapped[str | None]
    closed: Mapped[int] = mapped_column(SmallInteger, server_default="0")

    __table_args__ = (
        _one_of("mode", CallMode),
        _one_of("ended_by", EndedBy),
        Index("calls_arrived", "arrived_at"),
        Index("calls_ended", "ended_at"),
        Index("calls_caller", "caller", "arrived_at"),
    )


class Leg(Base):
    """One party's connection. ``leg_id`` need be unique within its call only."""

    __tablename__ = "legs"

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.call_id"), primary_key=True)
    leg_id: Mapped[str] = mapped_column(primary_key=True)
    parent_leg: Mapped[str | None]
    kind: Mapped[str | None]
    role: Mapped[str | None]
    account: Mapped[str | None]
    remote: Mapped[str | None]
    sip_call_id: Mapped[str | None]
    rtc_channel: Mapped[str | None]
    created_at: Mapped[int | None]
    ringing_at: Mapped[int | None]
    early_media_at: Mapped[int | None]
    answered_at: Mapped[int | None]
    ended_at: Mapped[int | None]
    invitation_state: Mapped[str | None]
    """How the invitation of an RTC leg ended: ``accepted``, ``refused``, ``cancelled`` or ``failed``."""
    invitation_error: Mapped[str | None]
    """Why: ``busy``, ``no_response``, ``answered_elsewhere``, ..."""
    invitation: Mapped[str | None]
    """What names an RTC leg in signalling."""
    outcome: Mapped[str | None]
    """Why it never was answered: ``busy``, ``refused``, ``no_answer``, ``offline``, ``failed``, ..."""
    sip_status: Mapped[int | None] = mapped_column(Integer)
    q850: Mapped[int | None] = mapped_column(Integer)
    hangup_by: Mapped[str | None]
    transfer_of: Mapped[str | None]
    transfer_kind: Mapped[str | None]
    codec: Mapped[str | None]
    rx_pkts: Mapped[int | None]
    tx_pkts: Mapped[int | None]
    lost_pkts: Mapped[int | None]
    jitter_ms: Mapped[float | None]
    rtt_ms: Mapped[float | None]
    mos: Mapped[float | None]
    audio_rx_ms: Mapped[int | None]
    audio_tx_ms: Mapped[int | None]

    __table_args__ = (
        _one_of("kind", LegKind),
        _one_of("role", LegRole),
        _one_of("transfer_kind", TransferKind),
    )


class Segment(Base):
    """A stretch of the caller's time line. Those of a closed call have no gap and no overlap: they add up to it."""

    __tablename__ = "segments"

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.call_id"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    from_at: Mapped[int]
    until_at: Mapped[int | None]
    agent: Mapped[str | None]
    queue: Mapped[str | None]
    leg_id: Mapped[str | None]
    visit_id: Mapped[int | None]

    __table_args__ = (_one_of("kind", SegmentKind),)


class FlowStep(Base):
    """One step of a flow that a call went through. ``input`` is NULL if it was secret."""

    __tablename__ = "flow_steps"

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.call_id"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    flow: Mapped[str | None]
    flow_version: Mapped[str | None]
    block: Mapped[str | None]
    step: Mapped[int | None] = mapped_column(Integer)
    verb: Mapped[str | None]
    line: Mapped[int | None] = mapped_column(Integer)
    from_at: Mapped[int]
    until_at: Mapped[int | None]
    try_no: Mapped[int | None] = mapped_column(Integer)
    input_mode: Mapped[str | None]
    input: Mapped[str | None]
    confidence: Mapped[float | None]
    barged_in: Mapped[int | None] = mapped_column(SmallInteger)
    heard_ms: Mapped[int | None]
    exit: Mapped[str | None]
    next_block: Mapped[str | None]
    error: Mapped[str | None]

    __table_args__ = (Index("steps_block", "flow", "block", "from_at"),)


class Event(Base):
    """What happened: the truth that everything else derives from. ``data`` is a JSON object, NULL if empty."""

    __tablename__ = "events"

    event_id: Mapped[int] = mapped_column(_RowNumber, primary_key=True)
    at: Mapped[int]
    """As the clock said; may run backwards within a call where the clock was set."""
    call_id: Mapped[str | None]
    seq: Mapped[int | None] = mapped_column(Integer)
    """Place within the call, from 0: the order that rows derive in. Makes a repeated write harmless."""
    leg_id: Mapped[str | None]
    agent: Mapped[str | None]
    type: Mapped[str]
    data: Mapped[str | None]

    __table_args__ = (UniqueConstraint("call_id", "seq", name="events_call"),)


class Tag(Base):
    """A name and a value that a flow stuck to the call."""

    __tablename__ = "tags"

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.call_id"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[int]
    name: Mapped[str | None]
    value: Mapped[str | None]


class ReportDay(Base):
    """What reports have summed up of a day gone by. Made from the other tables; to be thrown away at any time."""

    __tablename__ = "report_days"

    facts: Mapped[str] = mapped_column(primary_key=True)
    """What was counted, and by what."""
    day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Its beginning in UTC."""
    shape: Mapped[str]
    """Of the question that made it: another question makes it anew."""
    cells: Mapped[str]
    """JSON, see :mod:`ivr.reports.cells`."""


class SpoolProgress(Base):
    """How far a node's spool of events is in the tables. Changes with every transaction that writes its events."""

    __tablename__ = "spools"

    spool: Mapped[str] = mapped_column(primary_key=True)
    node_id: Mapped[str | None]
    position: Mapped[int]
    """Number of the last event in the tables."""
    seen_at: Mapped[int]
    """When the node last wrote, by its own clock."""


class Release(Base):
    """A set of flows that went live. Never changed afterwards; a rollback is one more."""

    __tablename__ = "releases"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[int]
    author: Mapped[str]
    origin: Mapped[str]
    """``start``, ``file``, ``publish`` or ``rollback``."""
    comment: Mapped[str]
    tests: Mapped[str]
    """JSON: what came of the gate tests."""
    contents: Mapped[str]
    """JSON: number of the version by flow."""


class FlowVersion(Base):
    """A version of a flow, with the text it was made of."""

    __tablename__ = "flow_versions"

    flow: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    digest: Mapped[str]
    release: Mapped[int] = mapped_column(Integer)
    """The release that brought it."""
    file: Mapped[str]
    text: Mapped[bytes] = mapped_column(LargeBinary)
    """UTF-8, compressed by zlib."""
    pinned_over: Mapped[str | None]
    """Of a rollback: SHA-256 of the file that it serves in place of; NULL of others."""
