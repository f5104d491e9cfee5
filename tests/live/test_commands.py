"""``ivr publish``, ``rollback``, ``status``, ``history`` and ``diff``, while a server runs and while none does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import ivr
from tests.live.served import BROKEN, FLOW, Running
from tests.peers.patience import until
from tests.peers.wire import Wire

SECOND = FLOW.replace("CAUSE", "second")


@pytest.fixture
def manual(tmp_path: Path) -> Iterator[Running]:
    """A service that reads files only when told."""
    running = Running(tmp_path, reload="manual")
    yield running
    running.close()


def test_files_wait_for_publish_where_reloads_are_manual(manual: Running) -> None:
    assert manual.service._watch_task is None
    manual.main.write_text(SECOND)
    looked = ivr("publish", "--dry-run", "--site", manual.file)
    assert looked.exit_code == 0
    assert "main@2 would go live" in looked.stdout
    assert "cause" in looked.stdout
    assert manual.live() == "main@1"
    done = ivr("publish", "--site", manual.file, "--author", "anna\n\ud800", "--comment", "shorter \x1b[31m bye")
    assert done.exit_code == 0, done.stderr
    assert "main@2 live" in done.stdout
    assert manual.live() == "main@2"
    assert "Nothing changed" in ivr("publish", "--site", manual.file).stdout
    (last, first) = json.loads(ivr("history", "--site", manual.file, "--json").stdout)
    assert (last["author"], last["comment"], last["origin"]) == ("anna", "shorter  [31m bye", "publish")
    assert (last["contents"], first["contents"], first["origin"]) == ({"main": 2}, {"main": 1}, "start")


def test_what_is_broken_is_not_published(manual: Running) -> None:
    manual.main.write_text(BROKEN)
    for more in (("--dry-run",), ()):
        refused = ivr("publish", "--site", manual.file, *more)
        assert refused.exit_code == 1
        assert "main.yaml:2:8: error E101" in refused.stderr
        assert "callers hear what they heard before" in refused.stderr
    assert manual.live() == "main@1"


def test_status_ends_with_1_as_long_as_the_files_are_broken(manual: Running) -> None:
    good = ivr("status", "--site", manual.file, "--json")
    assert good.exit_code == 0
    (version,) = json.loads(good.stdout)["versions"]
    assert (version["version"], version["calls"]) == ("main@1", 0)
    manual.main.write_text(BROKEN)
    ivr("publish", "--site", manual.file, "--dry-run")
    assert ivr("status", "--site", manual.file).exit_code == 0, "to look is not to want it live"
    ivr("publish", "--site", manual.file)
    shown = ivr("status", "--site", manual.file)
    assert shown.exit_code == 1
    assert "Disk differs from live since" in shown.stdout
    assert "main.yaml:2:8: error E101" in shown.stdout
    bad = ivr("status", "--site", manual.file, "--json")
    assert bad.exit_code == 1
    assert "main.yaml:2:8" in json.loads(bad.stdout)["disk"]["complaints"][0]
    manual.main.write_text(FLOW.replace("CAUSE", "first"))
    ivr("publish", "--site", manual.file)
    assert ivr("status", "--site", manual.file).exit_code == 0


def test_status_counts_the_calls_of_each_version(manual: Running) -> None:
    wire = Wire(manual.address)
    dialled = wire.invite()
    wire.is_answered(dialled)
    manual.main.write_text(SECOND)
    ivr("publish", "--site", manual.file)
    shown = ivr("status", "--site", manual.file).stdout
    assert "main@1 1 call, oldest" in shown
    assert "main@2 live since" in shown
    wire.hangs_up(dialled)
    wire.sees("SIP/2.0 200", dialled.call_id)
    until(lambda: "main@1" not in ivr("status", "--site", manual.file).stdout, "the old version is still told of")
    wire.close()


@pytest.mark.parametrize("version", ["main@7", "other@1", "main@999999999", "@1", "main@1; drop table releases"])
def test_there_is_no_way_back_to_what_never_was(manual: Running, version: str) -> None:
    refused = ivr("rollback", version, "--site", manual.file)
    assert refused.exit_code == 1
    assert "version" in refused.stderr
    assert manual.live() == "main@1"


def test_back_and_what_differs(manual: Running) -> None:
    manual.main.write_text(SECOND)
    ivr("publish", "--site", manual.file)
    back = ivr("rollback", "main@1", "--site", manual.file)
    assert back.exit_code == 0
    assert "main@3 live" in back.stdout
    shown = ivr("status", "--site", manual.file)
    assert shown.exit_code == 0
    assert "Rolled back, the file waits for its next change" in shown.stdout
    between = ivr("diff", "main@1", "main@2", "--site", manual.file)
    assert "cause" in between.stdout
    assert ivr("diff", "main@1", "main@3", "--site", manual.file).stdout == ""
    assert "cause" in ivr("diff", "main", "--site", manual.file).stdout
    assert ivr("diff", "main@9", "--site", manual.file).exit_code == 1


def test_nobody_answers_where_no_server_runs(tmp_path: Path) -> None:
    for words in (("status",), ("status", "--json"), ("publish",), ("publish", "--dry-run"), ("rollback", "main@1")):
        answer = ivr(*words, "--site", tmp_path / "site.yaml")
        assert answer.exit_code == 1, words
        assert "no server runs for" in answer.stderr
        assert answer.stdout == ""
