"""Opening the database: migrations up and down, and what an operator is told if it cannot be opened."""

from __future__ import annotations

import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

from alembic import command
from ivr.records import database
from ivr.records.database import RecordsError, migration_scripts, open_database
from ivr.records.model import Base

TABLES = {"calls", "legs", "segments", "flow_steps", "events", "tags"}


def migrate(engine: Engine, revision: str) -> None:
    config = migration_scripts()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        if revision == "base":
            command.downgrade(config, revision)
        else:
            command.upgrade(config, revision)


def test_migrations_go_up_and_down_and_up(engine: Engine) -> None:
    assert set(inspect(engine).get_table_names()) >= TABLES
    migrate(engine, "base")
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    migrate(engine, "head")
    assert set(inspect(engine).get_table_names()) >= TABLES


def test_migrations_make_the_tables_of_the_model(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_checks_of_the_model_are_in_the_migrations(engine: Engine) -> None:
    # compare_metadata does not look at these.
    found = inspect(engine)
    for table in Base.metadata.tables.values():
        named = {str(c.name) for c in table.constraints if type(c).__name__ == "CheckConstraint"}
        assert {check["name"] for check in found.get_check_constraints(table.name)} == named


def test_opening_again_changes_nothing(url: str) -> None:
    open_database(url).dispose()
    open_database(url).dispose()
    open_database(url, writing=False).dispose()


def test_nodes_that_start_together_migrate_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for engine in pool.map(open_database, [url] * 4):
            assert set(inspect(engine).get_table_names()) >= TABLES
            engine.dispose()


def test_sqlite_is_set_up_for_one_writer_and_many_readers(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/new/folder/records.db")
    with engine.connect() as connection:
        for pragma, value in {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 2000}.items():
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    engine.dispose()


def test_a_reader_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="no records at"):
        open_database(f"sqlite:///{tmp_path}/records.db", writing=False)
    assert not list(tmp_path.iterdir())


def test_a_reader_changes_no_tables(url: str) -> None:
    engine = open_database(url)
    migrate(engine, "base")
    with pytest.raises(RecordsError, match="Start the server once"):
        open_database(url, writing=False)
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    engine.dispose()


def test_a_newer_schema_is_left_alone(url: str) -> None:
    engine = open_database(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for writing in (True, False):
        with pytest.raises(RecordsError, match="newer version"):
            open_database(url, writing=writing)
    engine.dispose()


def test_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    url = f"sqlite:///{tmp_path}/records.db"
    open_database(url).dispose()
    other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RecordsError, match="locked"):
        open_database(url)
    # Reading goes on.
    open_database(url, writing=False).dispose()
    other.close()


def test_read_only(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path}/records.db").dispose()
    with pytest.raises(RecordsError, match="cannot be written"):
        open_database(f"sqlite:///file:{tmp_path}/records.db?mode=ro&uri=true")


def test_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "records.db").write_text("call,caller\n" * 100)
    with pytest.raises(RecordsError, match="not a database"):
        open_database(f"sqlite:///{tmp_path}/records.db")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordsError, match="cannot be made"):
        open_database(f"sqlite:///{tmp_path}/file/records.db")


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:", "mysql://localhost/x"])
def test_addresses_that_cannot_be(url: str) -> None:
    with pytest.raises(RecordsError) as caught:
        open_database(url)
    assert caught.value.remedy


def test_unreachable_server_and_no_password_in_the_words() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"postgresql://me:secret@127.0.0.1:{nobody.getsockname()[1]}/records"
        with pytest.raises(RecordsError, match="does not let us in") as caught:
            open_database(url)
    assert "secret" not in str(caught.value)
