"""Files are changed under a service that takes calls: what goes live, what does not, and what calls keep."""

from __future__ import annotations

import gc
import shutil
import subprocess
import weakref
from pathlib import Path

import pytest
import yaml

from ivr.live.control import NoServer, ask
from ivr.live.publisher import Refused
from tests.live.served import BROKEN, FLOW, OTHER, Running
from tests.peers.patience import until
from tests.peers.sound import write_tone
from tests.peers.wire import Wire


def test_a_saved_flow_goes_live_and_a_comment_changes_nothing(running: Running) -> None:
    assert running.live() == "main@1"
    running.main.write_text(FLOW.replace("CAUSE", "second"))
    running.goes_live("main@2")
    running.main.write_text("# a comment\n" + FLOW.replace("CAUSE", "second"))
    assert ask(running.file, "publish", author="anna")["live"] == []
    assert running.live() == "main@2"


def test_a_call_keeps_its_set_and_the_set_goes_with_its_last_call(running: Running) -> None:
    wire = Wire(running.address)
    dialled = wire.invite()
    wire.is_answered(dialled)
    first = weakref.ref(running.service.release)
    environment, sound = first().environment, first().clips["recording", "hello", "en"].pcmu  # type: ignore[union-attr]
    write_tone(running.folder / "prompts" / "hello.wav", 300, 0.7)
    running.goes_live("main@2")
    assert running.service.release.clips["recording", "hello", "en"].pcmu != sound
    (held,) = (release for release, _ in running.service._live.values())
    assert held is first()
    assert held.environment is environment
    assert held.clips["recording", "hello", "en"].pcmu == sound
    versions = {one["version"]: one["calls"] for one in ask(running.file, "status")["versions"]}
    assert versions == {"main@1": 1, "main@2": 0}
    del held, environment
    wire.hangs_up(dialled)
    wire.sees("SIP/2.0 200", dialled.call_id)

    def freed() -> bool:
        gc.collect()
        return first() is None

    until(freed, lambda: f"held by {gc.get_referrers(first())}", within=10)
    wire.close()


def test_a_broken_file_changes_nothing_and_is_told_everywhere(running: Running) -> None:
    before = running.service.release
    running.main.write_text(BROKEN)
    until(lambda: bool(running.service.complaints), lambda: "no complaint", within=30)
    assert running.service.release is before
    disk = ask(running.file, "status")["disk"]
    assert disk["differs_since"] is not None
    assert any("main.yaml:2" in one and "nowhere" in one for one in disk["complaints"])
    with pytest.raises(Refused) as refused:
        ask(running.file, "publish", author="anna")
    assert refused.value.complaints
    running.main.write_text(FLOW.replace("CAUSE", "first"))
    until(lambda: not running.service.complaints, lambda: "still complaints", within=30)
    assert running.service.release is before
    assert ask(running.file, "status")["disk"]["differs_since"] is None


def test_a_flow_that_a_number_leads_to_cannot_be_removed(running: Running) -> None:
    (running.folder / "flows" / "other.yaml").write_text(OTHER)
    until(lambda: "other" in running.service.release.flows, lambda: "no other", within=30)
    running.main.unlink()
    until(lambda: bool(running.service.complaints), lambda: "no complaint", within=30)
    assert "main" in running.service.release.flows
    assert "number '1000' leads to flow 'main'" in "".join(running.service.complaints)


def test_a_rollback_is_a_new_version_until_the_file_changes(running: Running) -> None:
    running.main.write_text(FLOW.replace("CAUSE", "second"))
    running.goes_live("main@2")
    assert ask(running.file, "rollback", flow="main", number=1, author="anna")["live"] == ["main@3"]
    assert "second" in running.main.read_text()
    assert ask(running.file, "publish", author="anna")["live"] == []
    assert ask(running.file, "status")["disk"]["differs_since"] is not None
    running.main.write_text(FLOW.replace("CAUSE", "third"))
    running.goes_live("main@4")
    with pytest.raises(Refused, match="no version main@9"):
        ask(running.file, "rollback", flow="main", number=9)


def test_a_gate_test_that_fails_keeps_flows_from_going_live(running: Running) -> None:
    tests = running.folder / "flows" / "main.test.yaml"
    tests.write_text(
        "flow: main\ngate: yes\ntests:\n  - name: one ends the call\n"
        "    steps:\n      - press: '1'\n        after: menu\n"
        "    expect: {path: [menu, bye, last], ended_by: flow}\n"
    )
    assert ask(running.file, "publish", author="anna")["tests_passed"] == 1
    running.main.write_text(FLOW.replace("CAUSE", "first").replace("'1': bye", "'1': last"))
    until(lambda: bool(running.service.complaints), lambda: "no complaint", within=30)
    assert "gate test failed: one ends the call" in "".join(running.service.complaints)
    assert running.live() == "main@1"


def test_a_git_checkout_and_a_rename_are_one_reload_each(running: Running) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words],
            cwd=running.folder / "flows",
            check=True,
            capture_output=True,
        )

    git("init", "-b", "main")
    for number in range(20):
        (running.folder / "flows" / f"other{number}.yaml").write_text(
            OTHER.replace("flow: other", f"flow: other{number}")
        )
    until(lambda: len(running.service.release.flows) == 21, lambda: "not all", within=30)
    git("add", ".")
    git("commit", "-m", "all")
    git("checkout", "-b", "less")
    git("rm", "other1.yaml", "other2.yaml", "other3.yaml")
    until(lambda: len(running.service.release.flows) == 18, lambda: "not fewer", within=30)
    git("commit", "-m", "less")
    number = running.service.release.number
    git("checkout", "main")
    until(lambda: len(running.service.release.flows) == 21, lambda: "not all again", within=30)
    assert running.service.release.number == number + 1
    written = running.folder / "flows" / ".main.yaml.new"
    written.write_text(FLOW.replace("CAUSE", "renamed"))
    written.rename(running.main)
    running.goes_live("main@2")


def test_what_needs_a_restart_is_said_and_numbers_go_live(running: Running) -> None:
    (running.folder / "flows" / "other.yaml").write_text(OTHER)
    running.settings["numbers"]["2000"] = "other"
    running.settings["limits"] = {"calls": 7}
    running.file.write_text(yaml.safe_dump(running.settings))
    assert ask(running.file, "publish", author="anna")["restart_for"] == ["limits"]
    rule = running.service.release.site.route("2000")
    assert rule is not None
    assert rule.flow == "other"


def test_a_start_with_broken_files_serves_what_was_live_last(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = Running(tmp_path)
    first.close()
    first.main.write_text(BROKEN)
    with pytest.raises(NoServer):
        ask(first.file, "status")
    second = Running(tmp_path)
    assert second.live() == "main@1"
    assert second.service.complaints
    # The watcher looks at once; that it finds the same is no news.
    second.awaits(second.service._files_changed())
    assert caplog.text.count("not live: there are mistakes (1) in what") == 1
    assert caplog.text.count("those that were live last serve") == 1
    with pytest.raises(Refused):
        ask(second.file, "publish", author="anna")
    assert caplog.text.count("not live: there are mistakes (1) in what anna saved") == 1
    caplog.set_level("INFO", "ivr.live")
    second.main.write_text(FLOW.replace("CAUSE", "first"))
    until(lambda: not second.service.complaints, "still complaints")
    assert "the files are right again" in caplog.text
    assert second.live() == "main@1"
    second.close()
    shutil.rmtree(tmp_path / "flows")


def test_a_table_goes_live_wherever_its_file_lies(running: Running, tmp_path_factory: pytest.TempPathFactory) -> None:
    table = tmp_path_factory.mktemp("elsewhere") / "vip.csv"
    table.write_text("number,tier\n1,gold\n")
    running.settings["tables"] = {"vip": {"csv": str(table), "key": "number"}}
    running.file.write_text(yaml.safe_dump(running.settings))
    steps = "    - lookup: {table: vip, key: '{caller.number}', into: tier, miss: continue, failed: continue}\n"
    running.main.write_text(FLOW.replace("CAUSE", "first").replace("  bye:\n", f"  bye:\n{steps}"))
    running.goes_live("main@2")
    table.write_text("number,tier\n1,silver\n")
    running.goes_live("main@3")
    table.write_text("number,tier\n1,silver,more\n")
    until(lambda: "vip.csv:2" in "".join(running.service.complaints), "no complaint", within=30)


def test_a_flow_in_the_other_spelling_goes_live(running: Running) -> None:
    menu = running.folder / "flows" / "other.flow"
    menu.write_text("flow other\nstart bye\n\nblock bye {\n  hangup\n}\n")
    until(lambda: "other" in running.service.release.flows, lambda: f"{running.service.complaints}", within=30)


def test_a_file_that_is_half_written_waits_for_its_other_half(running: Running) -> None:
    text = FLOW.replace("CAUSE", "second")
    touched = running.service._watcher.watching
    with running.main.open("w") as file:
        for line in text.splitlines(keepends=True):
            assert running.live() == "main@1"
            file.write(line)
            file.flush()
            # As slow as it likes: each line is noticed before the next is there.
            until(lambda: touched.waits_for or touched.running or running.service.complaints, "not noticed")
    running.goes_live("main@2")
    assert not running.service.complaints


def test_half_a_file_that_stays_so_is_refused_until_it_is_whole(running: Running) -> None:
    text = FLOW.replace("CAUSE", "second")
    running.main.write_text(text[: text.index("  bye:")])
    until(lambda: "'bye'" in "".join(running.service.complaints), lambda: "no complaint", within=30)
    assert running.live() == "main@1"
    running.main.write_text(text)
    running.goes_live("main@2")
    assert not running.service.complaints


def test_a_set_without_calls_goes_at_once_even_if_the_collector_never_looks(running: Running) -> None:
    first = weakref.ref(running.service.release)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        running.main.write_text(FLOW.replace("CAUSE", "second"))
        running.goes_live("main@2")
        until(lambda: first() is None, lambda: f"held by {gc.get_referrers(first())}", within=10)
    finally:
        gc.enable()
        gc.unfreeze()


def test_a_folder_that_kubernetes_mounts_changes_as_a_whole(tmp_path: Path) -> None:
    flows = tmp_path / "flows"

    def mounts(folder: str, text: str) -> None:
        (flows / folder).mkdir(parents=True)
        (flows / folder / "main.yaml").write_text(text)
        (flows / "..data_tmp").symlink_to(folder)
        (flows / "..data_tmp").rename(flows / "..data")

    mounts("..one", FLOW.replace("CAUSE", "first"))
    (flows / "main.yaml").symlink_to("..data/main.yaml")
    write_tone(tmp_path / "prompts" / "hello.wav", 700, 0.5)
    running = Running(tmp_path)
    assert running.live() == "main@1"
    mounts("..two", FLOW.replace("CAUSE", "second"))
    shutil.rmtree(flows / "..one")
    running.goes_live("main@2")
    running.close()


def test_a_folder_behind_a_link_is_watched_where_the_link_leads(tmp_path: Path) -> None:
    for name, cause in (("one", "first"), ("two", "second")):
        (tmp_path / "releases" / name).mkdir(parents=True)
        (tmp_path / "releases" / name / "main.yaml").write_text(FLOW.replace("CAUSE", cause))
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "flows").symlink_to(tmp_path / "releases" / "one")
    write_tone(folder / "prompts" / "hello.wav", 700, 0.5)
    running = Running(folder)
    (folder / "new").symlink_to(tmp_path / "releases" / "two")
    (folder / "new").rename(folder / "flows")
    running.goes_live("main@2")
    running.main.write_text(FLOW.replace("CAUSE", "third"))
    running.goes_live("main@3")
    running.close()
