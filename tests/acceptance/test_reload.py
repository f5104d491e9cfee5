"""Callers walk a menu while its files are edited, well and badly: each call keeps what it began with."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import zlib
from typing import Any

import pytest

from ivr.live.control import ask
from tests.acceptance.call_centre import CallCentre, site
from tests.peers.company import Company
from tests.peers.patience import until
from tests.peers.server import program
from tests.peers.sound import write_tone

pytestmark = pytest.mark.peer

CALLS = 20
PRESS_AFTER_MS = 5000
"""A call lasts through several edits."""
FIRST_BYE, LAST_BYE = 880, 1240
FLOW = """\
flow: main
languages: [en]
start: menu
blocks:
  menu:
    - answer
    - menu: {prompt: [main_menu, main_menu, main_menu], timeout: 60s, keys: {'1': edit_N}, failed: edit_N}
  edit_N:
    - play: goodbye
    - hangup
"""
OTHER = "flow: other\nstart: bye\nblocks:\n  bye:\n    - hangup\n"


def flow(edit: int) -> str:
    """The flow whose callers come through a block of that number."""
    return FLOW.replace("_N", f"_{edit}")


class Editor:
    """Somebody who edits the main flow, and sees what the server makes of it."""

    def __init__(self, centre: CallCentre) -> None:
        self.folder = centre.server.folder
        self.site = self.folder / "site.yaml"
        self.main = self.folder / "flows" / "main.yaml"
        self.number = self.live()
        self.edits = 0

    def status(self) -> dict[str, Any]:
        return ask(self.site, "status")

    def live(self) -> int:
        """The number of the version of the main flow that is live."""
        live = [one["version"] for one in self.status()["versions"] if one["live_since"] is not None]
        return next(int(version.partition("@")[2]) for version in live if version.startswith("main@"))

    def complaints(self) -> str:
        return "\n".join(self.status()["disk"]["complaints"])

    def text(self) -> str:
        """What to save next."""
        self.edits += 1
        return flow(self.edits)

    def goes_live(self) -> None:
        """The next version is live: that one, and no other before it."""
        self.number += 1
        until(lambda: self.live() == self.number, lambda: f"main@{self.live()} is live: {self.complaints()}")
        assert not self.complaints()

    def is_refused(self, words: str) -> None:
        until(lambda: re.search(words, self.complaints()), lambda: f"complaints: {self.complaints()!r}")
        assert self.live() == self.number

    def is_right_again(self) -> None:
        """What is on disk is what is live, and was all the time."""
        until(lambda: not self.complaints(), lambda: self.complaints())
        assert self.live() == self.number

    def saves(self, text: str) -> None:
        self.main.write_text(text)

    def saves_by_rename(self, text: str) -> None:
        new = self.main.with_name(".main.yaml.swp")
        new.write_text(text)
        new.rename(self.main)

    def saves_in_pieces(self, text: str) -> None:
        with self.main.open("w") as file:
            for line in text.splitlines(keepends=True):
                file.write(line)
                file.flush()
                os.fsync(file.fileno())

    def git(self, *words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=anna", "-c", "user.email=anna@example.org", *words],
            cwd=self.main.parent,
            check=True,
            capture_output=True,
        )

    def ivr(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program(), *words, "--site", str(self.site)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def _edit_everything(editor: Editor) -> None:
    """Some 25 edits; each is over when the server has said what it makes of it."""
    for save in (editor.saves, editor.saves_by_rename, editor.saves_in_pieces) * 2:
        save(editor.text())
        editor.goes_live()

    editor.saves(flow(999).replace("start: menu", "start: manu"))
    editor.is_refused(r"main\.yaml:3:\d+: error E\d+ .*manu")
    shown = editor.ivr("status")
    assert shown.returncode == 1
    assert re.search(r"main\.yaml:3:\d+: error E\d+", shown.stdout)
    editor.saves(flow(998) + "  menu: [hangup]\n")
    editor.is_refused(r"main\.yaml:11:")
    editor.saves("\0\1\2 not a flow")
    editor.is_refused(r"main\.yaml:1:")
    editor.saves(editor.text())
    editor.goes_live()

    # Half of it, for longer than anybody waits; then all of it.
    text = editor.text()
    editor.saves(text[: text.index("  edit_")])
    editor.is_refused(r"main\.yaml:7:.*edit_")
    editor.saves(text)
    editor.goes_live()

    editor.git("init", "-b", "main")
    editor.git("add", ".")
    editor.git("commit", "-m", "one")
    editor.git("checkout", "-b", "two")
    editor.saves(editor.text())
    (editor.main.parent / "other.yaml").write_text(OTHER)
    editor.goes_live()
    editor.git("add", ".")
    editor.git("commit", "-m", "two")
    for branch in ("main", "two", "main", "two"):
        editor.git("checkout", branch)
        editor.goes_live()

    editor.main.unlink()
    editor.is_refused("number '1000' leads to flow 'main'")
    editor.git("checkout", "--", "main.yaml")
    editor.is_right_again()
    (editor.main.parent / "other.yaml").write_text(OTHER.replace("start: bye", "start: by"))
    editor.is_refused(r"other\.yaml:2:")
    (editor.main.parent / "other.yaml").unlink()
    editor.is_right_again()

    write_tone(editor.folder / "prompts" / "goodbye.wav", LAST_BYE, 2.0)
    editor.goes_live()
    editor.saves(editor.text())
    editor.goes_live()


@pytest.mark.timeout(180)
def test_calls_keep_what_they_began_with_whatever_happens_to_the_files(company: Company) -> None:
    prompts = {"main_menu": 700, "goodbye": FIRST_BYE}
    centre = CallCentre(company, site(flows={"main": flow(0)}, prompts=prompts, groups={}, trunks={}))
    anna = centre.reaches_menu(centre.caller("anna"))
    editor = Editor(centre)
    callers = centre.scripted_caller(
        "caller_info_keys", caller="many", calls=CALLS, rate=1, press_after=str(PRESS_AFTER_MS), within=90.0
    )
    until(lambda: sum(one["calls"] for one in editor.status()["versions"]) > 1, "no call yet")
    _edit_everything(editor)
    assert callers.finishes().failed == 0

    # What is broken last does not reach those who call last.
    editor.saves(flow(997).replace("hangup", "hang_up"))
    editor.is_refused(r"main\.yaml:10:")
    late = centre.scripted_caller("caller_info_keys", caller="late", press_after="300")
    assert late.finishes().failed == 0
    editor.saves(editor.text())
    editor.goes_live()
    final = centre.scripted_caller("caller_info_keys", caller="final", press_after="300")
    assert final.finishes().failed == 0
    assert editor.ivr("status").returncode == 0

    anna.presses("1")
    anna.hears(FIRST_BYE)
    anna.is_hung_up()
    _kept(editor, calls=CALLS + 3)


def _kept(editor: Editor, calls: int) -> None:
    """The records agree with each other, and with the texts of the versions they name."""
    database = sqlite3.connect(f"file:{editor.folder / 'records.db'}?mode=ro", uri=True)

    def asked(question: str) -> list[Any]:
        return database.execute(question).fetchall()

    over = "select count(*) from calls where closed = 1"
    until(lambda: asked(over)[0][0] == calls, lambda: f"{asked(over)} calls are over, not {calls}", every=0.2)
    found = asked("select call_id, caller, flow_version, ended_by, arrived_at, ended_at from calls order by arrived_at")
    versions = asked("select number, digest, text from flow_versions where flow = 'main'")
    texts = {f"{one}-{digest[:12]}": zlib.decompress(text).decode() for one, digest, text in versions}
    numbers = [int(version.partition("-")[0]) for _, _, version, *_ in found]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) >= 8, "too few versions had calls for this to tell anything"
    for call_id, caller, version, ended_by, *_ in found:
        steps = asked(f"select flow_version, block, error from flow_steps where call_id = '{call_id}' order by seq")
        assert {step[0] for step in steps} == {version}, caller
        assert not any(step[2] for step in steps), caller
        edit = re.search(r"edit_\d+", texts[version])
        assert edit is not None
        assert list(dict.fromkeys(step[1] for step in steps)) == ["menu", edit[0]], caller
        assert ended_by == "flow", caller
    by_caller = {caller: number for (_, caller, *_), number in zip(found, numbers, strict=True)}
    assert by_caller["anna"] == 1
    assert by_caller["late"] == editor.number - 1
    assert by_caller["final"] == editor.number
    outlived = [
        version
        for _, _, version, _, arrived, ended in found
        if asked(f"select 1 from releases where at > {arrived} and at < {ended}")
    ]
    assert len(outlived) >= CALLS // 2, "too few calls saw a version go live for this to tell anything"
    database.close()
