"""The history of flows: sets that went live, with the texts they were made of. Only ever added to."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine, func, insert, select

from ivr.records import model


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version of a flow with its text."""

    flow: str
    number: int
    digest: str
    file: str
    text: str = field(repr=False)
    pinned_over: str | None = None
    release: int = 0


@dataclass(frozen=True, slots=True)
class StoredRelease:
    """A set that went live. ``at`` is UTC epoch milliseconds."""

    number: int
    at: int
    author: str
    origin: str
    comment: str
    tests: Mapping[str, object]
    contents: Mapping[str, int]


def add_release(engine: Engine, release: StoredRelease, versions: Sequence[StoredVersion]) -> None:
    """Store a set and the versions that are new in it, both or none."""
    with engine.begin() as connection:
        connection.execute(
            insert(model.Release).values(
                number=release.number,
                at=release.at,
                author=release.author,
                origin=release.origin,
                comment=release.comment,
                tests=json.dumps(dict(release.tests), ensure_ascii=False),
                contents=json.dumps(dict(release.contents), ensure_ascii=False),
            )
        )
        for version in versions:
            connection.execute(
                insert(model.FlowVersion).values(
                    flow=version.flow,
                    number=version.number,
                    digest=version.digest,
                    release=release.number,
                    file=version.file,
                    text=zlib.compress(version.text.encode("utf-8", "surrogatepass")),
                    pinned_over=version.pinned_over,
                )
            )


def releases(engine: Engine, limit: int = 1) -> list[StoredRelease]:
    """The last ones, newest first."""
    query = select(model.Release.__table__).order_by(model.Release.number.desc()).limit(limit)
    with engine.connect() as connection:
        return [
            StoredRelease(
                row.number, row.at, row.author, row.origin, row.comment, json.loads(row.tests), json.loads(row.contents)
            )
            for row in connection.execute(query)
        ]


def version(engine: Engine, flow: str, number: int) -> StoredVersion | None:
    """One version, None if there never was such."""
    table = model.FlowVersion
    query = select(table.__table__).where(table.flow == flow, table.number == number)
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    text = zlib.decompress(row.text).decode("utf-8", "surrogatepass")
    return StoredVersion(row.flow, row.number, row.digest, row.file, text, row.pinned_over, row.release)


def contents_of(engine: Engine, release: StoredRelease) -> list[StoredVersion]:
    """The versions that were live together."""
    found = (version(engine, flow, number) for flow, number in release.contents.items())
    return [one for one in found if one is not None]


def highest(engine: Engine) -> dict[str, int]:
    """By flow: the highest number it ever had."""
    table = model.FlowVersion
    query = select(table.flow, func.max(table.number)).group_by(table.flow)
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}
