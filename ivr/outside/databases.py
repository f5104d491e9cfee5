"""Looking things up in databases of others, in threads, by SQLAlchemy. The key is bound, never pasted."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from ivr.outside.threads import Busy, Threads
from ivr.run.requests import NoReply, Reply, TableLookup, TableRow
from ivr.site.model import SqlTable
from ivr.table import given

log = logging.getLogger("ivr.outside")

AT_A_TIME = 16
"""Questions under way, over all databases."""
CONNECTIONS = 4
"""To one database."""
CELL_LIMIT = 10_000
"""Characters."""
SLOWEST = 30
"""Seconds after which PostgreSQL itself gives up: a question nobody waits for any more must not stay there."""


class Databases:
    """Owns the connections; they are made when first needed."""

    def __init__(self, tables: Mapping[str, SqlTable]) -> None:
        self._tables = tables
        self._engines: dict[str, Engine] = {}
        self._threads = Threads("lookup", AT_A_TIME)

    async def look_up(self, asked: TableLookup) -> Reply:
        table = self._tables.get(asked.table)
        if table is None:
            return NoReply(f"the site has no table '{asked.table}'")
        try:
            engine = self._engine(table.url)
            row = await self._threads.run(lambda: _row(engine, table, asked.key), asked.timeout)
        except Busy:
            return NoReply(f"busy: {AT_A_TIME} look-ups are under way")
        except TimeoutError:
            return NoReply(f"table {table.name} did not answer within {asked.timeout:g} s")
        except (SQLAlchemyError, ImportError, ValueError) as error:
            # The words of a driver may hold the key, and the address of the database.
            log.debug("table %s", table.name, exc_info=True)
            return NoReply(f"table {table.name} cannot be asked ({type(error).__name__})")
        if row is not None and table.value is not None and table.value not in row:
            return NoReply(f"table {table.name} gives no column '{table.value}'")
        return TableRow(None if row is None else given(row, table.value))

    def close(self) -> None:
        for engine in self._engines.values():
            engine.dispose()

    def _engine(self, url: str) -> Engine:
        engine = self._engines.get(url)
        if engine is None:
            full = re.sub(r"^postgresql:", "postgresql+psycopg:", url)
            options = {} if full.startswith("sqlite") else {"connect_timeout": 5}
            engine = create_engine(
                full,
                pool_size=CONNECTIONS,
                max_overflow=0,
                pool_timeout=SLOWEST,
                pool_pre_ping=True,
                hide_parameters=True,
                connect_args=options,
            )
            event.listen(engine, "connect", _read_only)
            self._engines[url] = engine
        return engine


def _read_only(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]  # a DB-API connection has no type of its own
    if type(connection).__module__.startswith("sqlite3"):
        cursor.execute("PRAGMA query_only = ON")
    else:
        cursor.execute(f"SET statement_timeout = '{SLOWEST}s'")
        cursor.execute("SET default_transaction_read_only = on")
        connection.commit()  # type: ignore[attr-defined]
    cursor.close()


def _row(engine: Engine, table: SqlTable, key: str) -> Mapping[str, object] | None:
    with engine.connect() as connection:
        found = connection.execute(text(table.sql), {"key": key}).mappings().first()
        return None if found is None else {str(name): _value(value) for name, value in found.items()}


def _value(value: object) -> object:
    if isinstance(value, str):
        return value[:CELL_LIMIT]
    if value is None or isinstance(value, bool | int | float | Decimal | datetime | date | time):
        return value
    return str(value)[:CELL_LIMIT]
