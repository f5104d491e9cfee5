"""The operator's clumsy hand: the program is killed, stopped twice, started twice, and finds its files in disorder."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.call_centre import CallCentre, site
from tests.peers import disk
from tests.peers.company import Company
from tests.peers.forked import ForkedChild
from tests.peers.patience import until
from tests.peers.server import Server
from tests.peers.wire import Dialled, Wire

pytestmark = pytest.mark.peer


def calls(server: Server, number: int = 1) -> tuple[Wire, Dialled]:
    """An answered call from an address of its own."""
    wire = Wire(server.address, host=f"127.0.2.{number}", user=f"caller{number}")
    dialled = wire.invite()
    wire.is_answered(dialled)
    return wire, dialled


def answered(server: Server) -> int:
    with closing(sqlite3.connect(server.folder / "records.db")) as database:
        return int(database.execute("SELECT count(*) FROM calls WHERE answered_at IS NOT NULL").fetchone()[0])


def test_killed_with_a_hundred_calls(company: Company) -> None:
    server = CallCentre(company, site(media_ports=800)).server
    callers = [calls(server, number)[0] for number in range(1, 101)]
    until(lambda: answered(server) == 100, "not every call is written down", every=0.1)
    server.kill()
    server.starts_again()
    records = server.calls()
    assert {record.caller for record in records} == {wire.user for wire in callers}
    assert {(record.ended_by, record.end_cause, record.answered) for record in records} == {
        ("system", "node_lost", True)
    }
    wire, dialled = calls(server, 101)
    wire.hangs_up(dialled)
    assert server.record(wire.user).ended_by == "caller"
    for each in (*callers, wire):
        each.close()


def test_stopped_twice_is_stopped_at_once(centre: CallCentre) -> None:
    wire, _ = calls(centre.server)
    centre.server.terminate()
    until(lambda: "stopping" in (centre.server.folder / "ivr.log").read_text(), "it does not stop")
    assert centre.server.child.is_running()
    centre.server.terminate()
    wire.replies(wire.sees("BYE"))
    assert centre.server.ends(within=10) == 0
    record = centre.record(wire.user)
    assert (record.ended_by, record.end_cause) == ("system", "shutdown")
    wire.close()


def test_calls_that_do_not_end_in_time_are_ended(company: Company) -> None:
    server = CallCentre(company, site(more={"limits": {"drain": "1s"}})).server
    wire, _ = calls(server)
    server.terminate()
    wire.replies(wire.sees("BYE"))
    assert server.ends(within=10) == 0
    assert server.record(wire.user).end_cause == "shutdown"
    wire.close()


def test_a_second_one_of_the_same_site(centre: CallCentre) -> None:
    words = refuses_to_start(centre.server.folder)
    assert "Another server of this site runs" in words
    wire, dialled = calls(centre.server)
    wire.hangs_up(dialled)
    wire.close()


def test_a_second_one_on_the_same_port(centre: CallCentre, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(centre.server.folder, other, ignore=shutil.ignore_patterns("var", "records.db*"))
    words = refuses_to_start(other)
    assert "Cannot listen on" in words
    assert str(centre.server.port) in words
    wire, dialled = calls(centre.server)
    wire.hangs_up(dialled)
    wire.close()


def refuses_to_start(folder: Path) -> str:
    """What it says when it ends with 1: words, and no traceback."""
    child = ForkedChild("another", ["run", "--site", str(folder / "site.yaml")], folder=folder)
    try:
        assert child.ends(within=60) == 1, child.said()
    finally:
        child.close()
    said = child.said()
    child.log.unlink()
    assert "Traceback" not in said
    assert not any(line.startswith("ready") for line in said.splitlines())
    return said


@pytest.fixture
def stopped(centre: CallCentre) -> Server:
    """A site that has run, with records."""
    centre.server.terminate()
    assert centre.server.ends() == 0
    return centre.server


def _garbage(folder: Path) -> None:
    (folder / "records.db").write_bytes(b"garbage" * 1000)


def _damage(folder: Path) -> None:
    content = bytearray((folder / "records.db").read_bytes())
    content[5000:] = b"\xff" * (len(content) - 5000)
    (folder / "records.db").write_bytes(content)


def _a_folder_instead(folder: Path) -> None:
    (folder / "records.db").unlink()
    (folder / "records.db").mkdir()


def _no_prompts(folder: Path) -> None:
    shutil.rmtree(folder / "prompts")


def _a_broken_flow(folder: Path) -> None:
    file = folder / "flows" / "main.yaml"
    file.write_text(file.read_text().replace("play: goodbye", "plai: goodbye"))


def _a_broken_site(folder: Path) -> None:
    (folder / "site.yaml").write_text("numbers: [")


@pytest.mark.parametrize(
    ("disorder", "words"),
    [
        (_garbage, "is not a database"),
        (_damage, "are damaged"),
        (_a_folder_instead, "cannot be opened"),
        (_no_prompts, "has no recording"),
        (_a_broken_site, "site.yaml:1"),
    ],
)
def test_files_in_disorder(stopped: Server, disorder: Callable[[Path], None], words: str) -> None:
    for left in stopped.folder.glob("records.db-*"):
        left.unlink()
    disorder(stopped.folder)
    assert words in refuses_to_start(stopped.folder)


def test_a_broken_flow_at_the_start(stopped: Server) -> None:
    """What was live last serves, and it is said aloud."""
    _a_broken_flow(stopped.folder)
    stopped.starts_again()
    said = (stopped.folder / "ivr.log").read_text()
    assert "the flows on disk are broken: those that were live last serve" in said
    assert "plai" in said
    wire, dialled = calls(stopped)
    wire.hangs_up(dialled)
    assert stopped.record(wire.user).ended_by == "caller"
    wire.close()


def test_a_broken_flow_where_none_ever_served(stopped: Server) -> None:
    _a_broken_flow(stopped.folder)
    for left in stopped.folder.glob("records.db*"):
        left.unlink()
    assert "plai" in refuses_to_start(stopped.folder)


def test_records_that_another_program_holds(stopped: Server) -> None:
    with closing(sqlite3.connect(stopped.folder / "records.db", isolation_level=None)) as browser:
        browser.execute("BEGIN EXCLUSIVE")
        assert "locked" in refuses_to_start(stopped.folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disk.small_disk(tmp_path, "400k") as small:
        yield small


def test_the_disk_of_the_records_is_full(small_disk: Path, company: Company) -> None:
    """Calls go on, and nothing is lost once there is room again."""
    server = company.server(site(media_ports=800, more={"records": f"sqlite:///{small_disk}/records.db"}))
    callers = 0
    while shutil.disk_usage(small_disk).free > 0 and callers < 200:
        callers += 1
        wire, dialled = calls(server, callers)
        wire.hangs_up(dialled)
        wire.close()
    late, dialled = calls(server, callers + 1)
    disk.grow(small_disk, "20m")
    late.hangs_up(dialled)
    assert server.record(late.user).ended_by == "caller"
    assert len(server.calls()) == callers + 1
    late.close()
    server.terminate()
    assert server.ends() == 0
