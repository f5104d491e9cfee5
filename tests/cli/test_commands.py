"""The commands as a whole: each is there, and reads no more of the program than it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ivr.cli
from tests.cli.commands import ivr as run


@pytest.mark.parametrize("command", ivr.cli._COMMANDS)
def test_it_is_there(command: str) -> None:
    said = run(command, "--help")
    assert said.exit_code == 0, said.output
    assert f"ivr {command}" in said.stdout


def test_all_are_listed_in_their_order() -> None:
    listed = [line.split()[1] for line in run("--help").stdout.splitlines() if line.startswith("│ ") and line[2] != " "]
    assert [word for word in listed if word in ivr.cli._COMMANDS] == list(ivr.cli._COMMANDS)


def test_there_is_no_such_command() -> None:
    said = run("nonsense")
    assert said.exit_code == 2
    assert "No such command 'nonsense'" in said.stderr


def test_a_command_reads_no_other() -> None:
    script = "import sys, ivr.cli; ivr.cli.get_command(ivr.cli.app).get_command(None, 'calls'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert "ivr.cli.calls" in loaded
    assert not {"ivr.cli.run", "gateway.server", "aiohttp", "prompt_toolkit"} & set(loaded)
