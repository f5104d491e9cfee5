"""Calendars at the terminal: what holds when, and closing by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import ivr

SITE = """\
numbers: {'1000': main}
calendars:
  office:
    zone: Asia/Shanghai
    open: 'Mon-Fri 09:00-18:00'
    holidays: CN
"""


@pytest.fixture(autouse=True)
def _site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    monkeypatch.chdir(tmp_path)


def test_when() -> None:
    assert ivr("when", "office", "2026-03-02T10:00").stdout == (
        "office  2026-03-02 10:00 CST  open  (Mon-Fri 09:00-18:00)   site.yaml:5:11\n"
        "  closed from 2026-03-02 18:00 CST  (no period fits)\n"
    )
    assert "National Day (CN)" in ivr("when", "office", "2026-10-01T10:00").stdout


def test_closed_at_once_and_opened_again() -> None:
    assert ivr("close", "office", "--reason", "fire drill", "--until", "2999-01-01T10:00").exit_code == 0
    assert "emergency  (closed by hand since " in ivr("calendars").stdout
    assert ": fire drill)" in ivr("calendars").stdout
    assert ivr("open", "office").stdout == "office is no longer closed by hand.\n"
    assert ivr("open", "office").stdout == "office was not closed by hand.\n"
    assert "emergency" not in ivr("calendars").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("when", "ofice"), "site.yaml has no calendar 'ofice'. did you mean 'office'?"),
        (("when", "office", "soon"), "'soon' is not a time. Write 2026-10-01T09:30 or 14:30."),
        (("close", "office", "--until", "2020-01-01T10:00"), "2020-01-01T10:00 is over already"),
    ],
)
def test_slips(words: tuple[str, ...], said: str) -> None:
    result = ivr(*words)
    assert (result.exit_code, result.stderr.strip()) == (1, said)


def test_plugins_none() -> None:
    assert "ivr.plugins" in ivr("plugins").stdout
