"""The program under test: a folder with a site, as its operator has it, and ``ivr run`` as a process."""

from __future__ import annotations

import atexit
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.cli.commands import ivr
from tests.peers.forked import ForkedChild
from tests.peers.patience import SLACK, until
from tests.peers.ports import free_port, free_range
from tests.peers.sound import write_tone

__all__ = ["Leg", "Record", "Server", "Site", "program"]

_START_S = 40.0


@dataclass(frozen=True, slots=True)
class Site:
    """What the operator has written; prompts are pure tones, so that an ear can tell which one it hears."""

    flows: Mapping[str, str]
    """File name to text; a name without an ending is that of a ``.yaml``."""
    prompts: Mapping[str, int]
    """Name to frequency."""
    numbers: Mapping[str, str]
    seats: Mapping[str, str] = field(default_factory=dict)
    """Account to password."""
    groups: Mapping[str, list[str]] = field(default_factory=dict)
    trunks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    prompt_s: float = 1.2
    media_ports: int = 120
    more: Mapping[str, Any] = field(default_factory=dict)
    """Any further keys of the site file; mappings are merged with ours."""


@dataclass(frozen=True, slots=True)
class Leg:
    role: str
    account: str | None
    codec: str | None
    answered: bool


@dataclass(frozen=True, slots=True)
class Record:
    """A finished call as ``ivr calls --json`` tells it."""

    caller: str
    did: str
    ended_by: str
    end_cause: str | None
    path: tuple[str, ...]
    legs: tuple[Leg, ...]
    answered: bool

    def leg(self, role: str) -> Leg:
        return next(leg for leg in self.legs if leg.role == role)

    def agents(self) -> dict[str | None, bool]:
        """Which seats were rung, and whether each had answered."""
        return {leg.account: leg.answered for leg in self.legs if leg.role == "agent"}


class Server:
    """Owns the folder and the process; may be started again after its end, with the same ports and records."""

    def __init__(self, site: Site, *, folder: Path) -> None:
        self.folder = folder / "site"
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.media_ports = free_range(site.media_ports)
        self._file = self.folder / "site.yaml"
        self._write(site)
        # Any number of servers may share it, and what was spoken for one need not be again.
        (self.folder / "var").mkdir()
        (self.folder / "var" / "speech").symlink_to(_spoken())
        self.child = self._start()

    def calls(self) -> list[Record]:
        """Finished calls, oldest first."""
        # Within the test: tests look often, and a process takes a second to begin.
        told = ivr("calls", "--json", "--site", self._file)
        assert told.exit_code == 0, told.output
        return [_record(call) for call in _parsed(told.stdout)]

    def record(self, caller: str, within: float = SLACK) -> Record:
        """Wait for the record of that caller's only or latest call."""

        def found() -> Record | None:
            return next((call for call in reversed(self.calls()) if call.caller == caller), None)

        # A process a time: not more often than needed.
        return until(found, lambda: f"no record of a call by {caller}: {self.calls()}", within=within, every=0.3)

    def does(self, command: str, *words: str) -> str:
        """Run a command for this site, as its operator does; what it printed. It must succeed."""
        result = subprocess.run(
            [*program(), command, *words, "--site", str(self._file)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, f"ivr {command} ended with {result.returncode}:\n{result.stdout}{result.stderr}"
        return result.stdout

    def terminate(self) -> None:
        """SIGTERM: no new calls, the present ones go on."""
        self.child.signals(signal.SIGTERM)

    def ends(self, within: float = SLACK) -> int:
        return self.child.ends(within)

    def kill(self) -> None:
        self.child.signals(signal.SIGKILL)
        self.child.ends(SLACK)

    def starts_again(self) -> None:
        assert not self.child.is_running()
        self.child = self._start()

    def close(self) -> None:
        self.child.close()

    def _start(self) -> ForkedChild:
        before = len(self._readiness())
        child = ForkedChild("ivr", ["run", "--site", str(self._file)], folder=self.folder)

        def is_ready() -> bool:
            if not child.is_running():
                raise AssertionError(f"ivr run ended with {child.process.returncode}:\n{child.said()}")
            return len(self._readiness()) > before

        until(is_ready, lambda: f"ivr run is not ready:\n{child.said()}", within=_START_S)
        return child

    def _readiness(self) -> list[str]:
        log = self.folder / "ivr.log"
        return [line for line in log.read_text().splitlines() if line.startswith("ready")] if log.exists() else []

    def _write(self, site: Site) -> None:
        for name, text in site.flows.items():
            file = self.folder / "flows" / (name if "." in name else f"{name}.yaml")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        for name, hz in site.prompts.items():
            sound = self.folder / "prompts" / f"{name}.wav"
            sound.parent.mkdir(parents=True, exist_ok=True)
            write_tone(sound, hz, site.prompt_s)
        ports = self.media_ports
        content: dict[str, Any] = {
            "sip": {"listen": [f"udp:{self.address}", f"tcp:{self.address}"], "domain": "localhost"},
            "media": {
                "address": "127.0.0.1",
                "advertise": "127.0.0.1",
                "ports": f"{ports.start}-{ports.stop - 1}",
                # Many short calls share few ports.
                "port_rest": "4s",
            },
            "flows": "flows",
            "prompts": "prompts",
            "records": "sqlite:///records.db",
            "numbers": dict(site.numbers),
            "seats": {account: {"password": password} for account, password in site.seats.items()},
            "groups": dict(site.groups),
            "trunks": {name: dict(trunk) for name, trunk in site.trunks.items()},
            "limits": {"calls": site.media_ports // 4},
        }
        for key, value in site.more.items():
            content[key] = {**content[key], **value} if isinstance(content.get(key), dict) else value
        self._file.write_text(yaml.safe_dump({key: value for key, value in content.items() if value != {}}))


@cache
def _spoken() -> Path:
    """The texts that all servers of this run have spoken."""
    folder = Path(tempfile.mkdtemp(prefix="spoken-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def program() -> list[str]:
    """How the program is started here."""
    script = Path(sys.executable).with_name("ivr")
    return [str(script)] if script.exists() else [sys.executable, "-m", "ivr"]


def _parsed(output: str) -> list[dict[str, Any]]:
    """One document or one line a call."""
    try:
        whole = json.loads(output or "[]")
    except json.JSONDecodeError:
        return [json.loads(line) for line in output.splitlines() if line.strip()]
    if isinstance(whole, dict):
        return list(whole["calls"]) if "calls" in whole else [whole]
    return list(whole)


def _record(call: dict[str, Any]) -> Record:
    return Record(
        caller=call["caller"] or "",
        did=call["did"] or "",
        ended_by=call["ended_by"],
        end_cause=call["end_cause"],
        path=tuple(call["path"]),
        legs=tuple(
            Leg(leg["role"], leg["account"], leg["codec"], leg["answered_at"] is not None) for leg in call["legs"]
        ),
        answered=call["answered_at"] is not None,
    )
