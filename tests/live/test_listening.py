"""A site whose flows listen: what has to be there before they serve, and a caller who speaks to one.

The recogniser is the tests' own (:mod:`tests.speech.hearing_engines`), which tells short utterances from long ones.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ivr.live.publisher import Refused
from tests.live.served import Running
from tests.peers.patience import until
from tests.peers.ports import free_port
from tests.peers.rtp import Handset
from tests.peers.sound import write_tone
from tests.peers.speakers import says
from tests.peers.wire import Wire, session_description

ENGINE = "tests.speech.hearing_engines:Lengths"
FLOW = """\
flow: main
languages: [en]
start: menu
blocks:
  menu:
    - answer
    - menu:
        prompt: hello
        timeout: 60s
        speech_timeout: 0.4s
        keys:
          '1': {say: sales, go: short}
          '2': {say: 'about my bicycle', go: long}
        failed: short
  short:
    - play: [short, short, short, short, short]
    - hangup
  long:
    - play: [long, long, long, long, long]
    - hangup
"""
MENU, SHORT, LONG = 700, 1100, 1500


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "main.yaml").write_text(FLOW)
    for name, hz in (("hello", MENU), ("short", SHORT), ("long", LONG)):
        write_tone(tmp_path / "prompts" / f"{name}.wav", hz, 1.0)
    return tmp_path


@pytest.fixture
def running(folder: Path) -> Iterator[Running]:
    running = Running(folder, recognition={"en": ENGINE})
    yield running
    running.close()


class Speaker:
    """A caller with a handset into which he speaks."""

    def __init__(self, running: Running) -> None:
        self.handset = Handset(free_port(), tone=0, folder=running.folder)
        self.wire = Wire(running.address, user="anna")
        self.dialled = self.wire.invite(sdp=session_description(port=self.handset.port))
        ok = self.wire.is_answered(self.dialled)
        port = next(int(line.split()[1]) for line in ok.text.splitlines() if line.startswith("m=audio"))
        self.handset.talks_to("127.0.0.1", port)

    def says(self, text: str) -> None:
        self.handset.says(says(text))

    def hangs_up(self) -> None:
        self.wire.hangs_up(self.dialled)
        self.handset.close()


def sizes(running: Running) -> dict[str, int]:
    return dict(running.service.sizes())


def test_a_caller_speaks_to_a_menu(running: Running) -> None:
    caller = Speaker(running)
    caller.handset.hears(MENU)
    caller.says("sales")
    caller.handset.hears(SHORT)
    caller.hangs_up()
    until(lambda: not running.service.calls, "the call does not end")
    assert sizes(running)["listened_to"] == 0


def test_a_caller_speaks_over_the_prompt_while_the_process_that_listens_is_killed(running: Running) -> None:
    """The one who spoke has the keys; the next is heard."""
    unlucky = Speaker(running)
    unlucky.handset.hears(MENU, for_s=0.2)
    (pid,) = running.service.hearing.values()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: running.service.hearing["en"] not in (None, pid), "it is not started again")
    unlucky.handset.presses("2")
    unlucky.handset.hears(LONG)
    lucky = Speaker(running)
    lucky.handset.hears(MENU)
    lucky.says("I would like to speak to somebody about my bicycle please")
    lucky.handset.hears(LONG)
    for each in (unlucky, lucky):
        each.hangs_up()


def test_a_flow_that_begins_to_listen_in_another_language(running: Running) -> None:
    """Its model is loaded first; if that is missing, nothing changes."""
    korean = FLOW.replace("[en]", "[en, ko]").replace("say: sales", "say: {en: sales, ko: 영업}")
    korean = korean.replace("say: 'about my bicycle'", "say: {en: about my bicycle, ko: 자전거}")
    running.settings["recognition"] = {"en": ENGINE, "ko": "no.such.module:Engine"}
    running.rewrites()
    running.main.write_text(korean)
    with pytest.raises(Refused) as refused:
        running.awaits(running.service._publisher.reload("publish", "anna"))
    assert any(
        "recognition: ko: engine 'no.such.module:Engine' does not load" in one for one in refused.value.complaints
    )
    assert running.service.hearing.keys() == {"en"}
    running.settings["recognition"] = {"en": ENGINE, "ko": ENGINE}
    running.rewrites()
    running.awaits(running.service._publisher.reload("publish", "anna"))
    assert running.service.hearing.keys() == {"en", "ko"}
    assert None not in running.service.hearing.values()


def test_no_service_without_the_model(folder: Path) -> None:
    with pytest.raises(Refused) as refused:
        Running(folder, recognition={"en": "tests.speech.hearing_engines:Absent"})
    assert any("recognition: en:" in one for one in refused.value.complaints)


def test_nothing_listens_where_no_flow_does(tmp_path: Path) -> None:
    running: Any = Running(tmp_path, recognition={"en": ENGINE})
    assert running.service.hearing == {}
    running.close()
