"""The process that reads files may end at any time: calls do not notice, and the next reading is as good as ever."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ivr.live import worker
from ivr.live.control import ask
from ivr.live.publisher import Refused
from tests.live.served import FLOW, Running
from tests.peers.patience import until


def pid(running: Running) -> int:
    process = running.service._loading._process
    assert process is not None
    return process.pid


def state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_process_that_was_killed_is_replaced(running: Running) -> None:
    ask(running.file, "publish")
    first = pid(running)
    os.kill(first, signal.SIGKILL)
    running.main.write_text(FLOW.replace("CAUSE", "second"))
    assert ask(running.file, "publish")["live"] in (["main@2"], [])
    running.goes_live("main@2")
    assert pid(running) != first


def test_one_that_ends_in_the_middle_is_asked_again(running: Running) -> None:
    ask(running.file, "publish")
    first = pid(running)
    os.kill(first, signal.SIGSTOP)
    until(lambda: state(first) == "T", "it does not stop")
    running.main.write_text(FLOW.replace("CAUSE", "second"))
    # The watcher asks it, and it does not answer.
    until(lambda: running.service._watcher.watching.running, "nobody asks it", within=30)
    os.kill(first, signal.SIGKILL)
    running.goes_live("main@2")
    assert pid(running) != first


def test_one_that_never_answers_is_told_of_like_a_mistake(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(running.file, "publish")
    monkeypatch.setattr("sys.executable", "/bin/false")
    os.kill(pid(running), signal.SIGKILL)
    running.main.write_text(FLOW.replace("CAUSE", "second"))
    with pytest.raises(Refused) as refused:
        ask(running.file, "publish")
    assert "the process that reads the flows ended" in "".join(refused.value.complaints)
    assert "the process that reads the flows ended" in "".join(ask(running.file, "status")["disk"]["complaints"])
    assert running.live() == "main@1"
    monkeypatch.undo()
    ask(running.file, "publish")
    assert running.live() == "main@2"


def test_one_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Watched, the files would be read once more at some moment, with the patience there was by then.
    running = Running(tmp_path, reload="manual")
    ask(running.file, "publish")
    first = pid(running)
    os.kill(first, signal.SIGSTOP)
    until(lambda: state(first) == "T", "it does not stop")
    monkeypatch.setattr(worker, "_PATIENCE", 0.1)
    with pytest.raises(Refused) as refused:
        ask(running.file, "publish")
    assert "took longer" in "".join(refused.value.complaints)
    monkeypatch.undo()
    running.main.write_text(FLOW.replace("CAUSE", "second"))
    assert ask(running.file, "publish")["live"] == ["main@2"]
    assert not Path(f"/proc/{first}").exists()
    running.close()
