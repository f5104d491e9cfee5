"""How much room the records take, and giving back what is not used."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select

from ivr.records import model

__all__ = ["Room", "room", "vacuum"]


@dataclass(frozen=True, slots=True)
class Room:
    """Of one table."""

    table: str
    rows: int
    size: int | None
    """Bytes with its indices; None if this database does not tell."""
    oldest: int | None
    """UTC epoch ms; None if its rows have no time."""


_TIMES = {
    "calls": "arrived_at",
    "events": "at",
    "flow_steps": "from_at",
    "legs": "created_at",
    "segments": "from_at",
    "tags": "at",
    "releases": "at",
}


def room(engine: Engine) -> list[Room]:
    """Each table, the largest first."""
    found = []
    with engine.connect() as connection:
        for name, table in model.Base.metadata.tables.items():
            rows = connection.execute(select(func.count()).select_from(table)).scalar() or 0
            oldest = connection.execute(select(func.min(table.c[_TIMES[name]]))).scalar() if name in _TIMES else None
            found.append(Room(name, rows, _size(connection, name), oldest))
    return sorted(found, key=lambda one: (-(one.size or 0), -one.rows))


def vacuum(engine: Engine) -> tuple[int, int]:
    """Give back what deleted rows took; returns the bytes of the database before and after."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        before = _whole(connection)
        connection.exec_driver_sql("VACUUM" if connection.dialect.name == "sqlite" else "VACUUM (ANALYZE)")
        return before, _whole(connection)


def _size(connection: Connection, table: str) -> int | None:
    if connection.dialect.name == "postgresql":
        return int(connection.exec_driver_sql("SELECT pg_total_relation_size(%s)", (table,)).scalar() or 0)
    has_dbstat = "SELECT 1 FROM pragma_compile_options WHERE compile_options = 'ENABLE_DBSTAT_VTAB'"
    if connection.exec_driver_sql(has_dbstat).scalar() is None:
        return None
    of_table = "SELECT name FROM sqlite_schema WHERE tbl_name = ?"
    size = connection.exec_driver_sql(f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({of_table})", (table,)).scalar()
    return int(size or 0)


def _whole(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0)
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar() or 0
    return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar() or 0)
