"""Opens the database of the records and brings its tables up to date."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from alembic import command
from ivr.resources import resource

log = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 2.0
"""How long a statement waits for another process that writes to the same SQLite file."""

# Any number serves that every node of every version uses alike.
_MIGRATION_LOCK = 4_857_001


class RecordsError(Exception):
    """The records cannot be opened: what is wrong, and what the operator can do about it (``remedy``)."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}")
        self.problem = problem
        self.remedy = remedy


def open_database(url: str, *, writing: bool = True) -> Engine:
    """Connect to ``sqlite:///FILE`` or ``postgresql://...``.

    With ``writing`` the file's folder is made and the tables are brought up to date first; without, a database that
    is missing or of another version is an error, and nothing is changed.

    Raises RecordsError.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise RecordsError(
            f"{url!r} is not the address of a database",
            "Write sqlite:///records.db or postgresql://user:password@host/name",
        ) from error
    if parsed.get_backend_name() == "sqlite":
        engine = _sqlite(parsed, writing)
    elif parsed.get_backend_name() == "postgresql":
        engine = _postgresql(parsed)
    else:
        raise RecordsError(f"Records cannot be kept in {parsed.get_backend_name()}", "Use sqlite:/// or postgresql://")
    try:
        with engine.connect() as connection:
            _bring_up_to_date(connection) if writing else _check_version(connection)
    except SQLAlchemyError as error:
        engine.dispose()
        raise _explained(error, parsed) from error
    except RecordsError:
        engine.dispose()
        raise
    return engine


def migration_scripts() -> Config:
    """Alembic's settings for the migrations that travel with the program."""
    config = Config()
    # The folder's name goes through ConfigParser, to which a percent sign means something.
    config.set_main_option("script_location", str(resource("alembic")).replace("%", "%%"))
    return config


# Connecting. ----------------------------------------------------------------------------------------------


def _sqlite(url: URL, writing: bool) -> Engine:
    name = url.database or ""
    if name in ("", ":memory:"):
        raise RecordsError("Records in memory would be lost with the process", "Name a file: sqlite:///records.db")
    file = None if name.startswith("file:") else Path(name)
    if file is not None and writing:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordsError(
                f"The folder {file.parent} cannot be made ({error.strerror})",
                "Make it, or set another place for the records",
            ) from error
    if file is not None and not writing and not file.exists():
        raise RecordsError(f"There are no records at {file}", "They begin when the server is started")
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S, "cached_statements": 512})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        cursor = connection.cursor()
        if writing:
            # Readers and the one writer do not wait for each other. Lasting: readers find the file so.
            cursor.execute("PRAGMA journal_mode=WAL")
        # Survives the death of the process; a power cut may take the last commits but harms nothing else.
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return engine


def _postgresql(url: URL) -> Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    # A server that vanishes without a word is noticed within seconds, not after the kernel's quarter of an hour.
    patience: dict[str, Any] = {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
    }
    try:
        return create_engine(url, connect_args={key: value for key, value in patience.items() if key not in url.query})
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise RecordsError(
            "The PostgreSQL driver is not installed", "Type: pip install 'psycopg[binary]>=3.1,<4'"
        ) from error


# The tables. ----------------------------------------------------------------------------------------------


def _bring_up_to_date(connection: Connection) -> None:
    config = migration_scripts()
    # Before looking at the version: two nodes may start at once.
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
    current, head = _versions(connection, config)
    if current != head:
        log.info("records: tables go from version %s to %s", current or "none", head)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    else:
        # A file or a server that only lets itself be read says so here, not at the first call.
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")
    connection.commit()


def _check_version(connection: Connection) -> None:
    current, head = _versions(connection, migration_scripts())
    if current != head:
        raise RecordsError(
            f"The tables of the records are of version {current or 'none'}, this program reads version {head}",
            "Start the server once: it brings them up to date",
        )


def _versions(connection: Connection, config: Config) -> tuple[str | None, str | None]:
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None:
        try:
            scripts.get_revision(current)
        except CommandError as error:
            raise RecordsError(
                f"The records were written by a newer version of this program (tables {current})",
                "Install that version again, or keep the records elsewhere",
            ) from error
    return current, scripts.get_current_head()


def _explained(error: SQLAlchemyError, url: URL) -> RecordsError:
    words = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    place = url.database if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)
    if "locked" in words or "busy" in words:
        return RecordsError(
            f"Another program holds the records at {place} locked",
            "End it; a database browser with unsaved changes does this",
        )
    if "readonly" in words or "read-only" in words:
        return RecordsError(
            f"The records at {place} cannot be written",
            "Give this user the right to write the file and its folder",
        )
    if "unable to open" in words:
        return RecordsError(
            f"The records at {place} cannot be opened",
            "Give this user the right to read and write the folder, and see that the disk is not full",
        )
    if "malformed" in words:
        return RecordsError(f"The records at {place} are damaged", "Move that file away, or put a copy in its place")
    if "not a database" in words:
        return RecordsError(f"{place} is not a database", "Move that file away, or name another one")
    if url.get_backend_name() == "postgresql":
        return RecordsError(
            f"The database at {place} does not let us in: {words}",
            "See that the server runs, that name, password and database are right, and that it accepts this host",
        )
    return RecordsError(f"The records at {place} cannot be opened: {words}", "See the log of the database")
