"""The steps that finished calls went through, each with its place in the file of its flow. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select

from ivr.records import model


@dataclass(frozen=True, slots=True)
class StepSummary:
    """One row of ``flow_steps``; steps within a step (``do``, ``early``) come before it and have its number."""

    from_at: int
    """UTC epoch ms, as all that end in ``_at``."""
    until_at: int | None
    flow: str | None
    file: str | None
    """Of that version of the flow, as it was named when it went live; None if it is not known."""
    line: int | None
    block: str | None
    step: int | None
    """Within the block, from 1."""
    verb: str | None
    try_no: int | None
    input: str | None
    """What was pressed; None if it was nothing, or secret."""
    exit: str | None
    next_block: str | None
    error: str | None

    def as_json(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


def steps_of(engine: Engine, call_ids: Iterable[str]) -> Mapping[str, list[StepSummary]]:
    """By call: its steps in the order in which they ended. A call without any is not in it."""
    steps = model.FlowStep
    found: dict[str, list[StepSummary]] = defaultdict(list)
    files: dict[tuple[str | None, str | None], str | None] = {}
    query = select(steps).where(steps.call_id.in_(list(call_ids))).order_by(steps.call_id, steps.seq)
    with engine.connect() as connection:
        for row in connection.execute(query):
            version = (row.flow, row.flow_version)
            if version not in files:
                files[version] = file_of(connection, *version)
            found[row.call_id].append(
                StepSummary(
                    row.from_at,
                    row.until_at,
                    row.flow,
                    files[version],
                    row.line,
                    row.block,
                    row.step,
                    row.verb,
                    row.try_no,
                    row.input,
                    row.exit,
                    row.next_block,
                    row.error,
                )
            )
    return found


def file_of(connection: Connection, flow: str | None, version: str | None) -> str | None:
    """The file of ``42-3f9ac1…``; None too for a flow that was called: the version is that of the flow that called."""
    number, _, digest = (version or "").partition("-")
    versions = model.FlowVersion
    if flow is None or not digest or not number.isdecimal() or len(number) > 9:
        return None
    row = connection.execute(
        select(versions.file, versions.digest).where(versions.flow == flow, versions.number == int(number))
    ).one_or_none()
    return row.file if row is not None and row.digest.startswith(digest) else None
