"""Closing by hand: seen at once by whoever looks, kept over a restart, and never half-written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ivr.calendar import Closing
from ivr.calendar.closings import FILE, ClosingFile

CLOSED = Closing(datetime(2026, 3, 2, 10, tzinfo=UTC), "fire drill", datetime(2026, 3, 2, 11, tzinfo=UTC))


def test_another_process_sees_it_at_once(tmp_path: Path) -> None:
    server, terminal = ClosingFile(tmp_path / "var"), ClosingFile(tmp_path / "var")
    assert server.closing("office") is None
    terminal.close("office", CLOSED)
    terminal.close("other", Closing(CLOSED.since))
    assert server.closing("office") == CLOSED
    assert terminal.open("office")
    assert not terminal.open("office")
    assert server.closing("office") is None
    assert set(server.all()) == {"other"}


def test_a_restart_does_not_open(tmp_path: Path) -> None:
    ClosingFile(tmp_path).close("office", CLOSED)
    assert ClosingFile(tmp_path).closing("office") == CLOSED


def test_a_broken_file_leaves_what_was_known(tmp_path: Path) -> None:
    server = ClosingFile(tmp_path)
    server.close("office", CLOSED)
    assert server.closing("office") == CLOSED
    for text in ("{", "[]", '{"office": {}}', '{"office": {"since": "2026-03-02T10:00:00"}}'):
        (tmp_path / FILE).write_text(text)
        assert server.closing("office") == CLOSED
    server.close("more", CLOSED)
    assert set(server.all()) == {"office", "more"}
    (tmp_path / FILE).unlink()
    assert server.closing("office") is None
