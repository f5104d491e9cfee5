"""Other programs as child processes: they die with the test, and what they said can be shown when it fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

import pytest

__all__ = ["Child", "in_namespace", "kept_folder", "require"]


def require(program: str, *, package: str) -> str:
    """Path of an installed program. Its absence fails the test under CI and skips it elsewhere."""
    found = shutil.which(program)
    if found is None:
        unavailable(f"{program} is not installed (apt-get install {package}, or scripts/test-peers)")
    assert found is not None
    return found


def unavailable(why: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def kept_folder() -> Path:
    """Where test runs keep what takes long to make."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ivr-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def in_namespace(argv: Sequence[str], namespace: int | None) -> list[str]:
    """The command, run in the network namespace of process ``namespace``."""
    if namespace is None:
        return list(argv)
    return [require("nsenter", package="util-linux"), f"--net=/proc/{namespace}/ns/net", *argv]


class Process(Protocol):
    """What is used of a :class:`subprocess.Popen`."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    @property
    def stdin(self) -> IO[bytes] | None: ...
    @property
    def stdout(self) -> IO[bytes] | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int) -> None: ...
    def kill(self) -> None: ...


class Child:
    """One running program; owns its process and the file its output goes to."""

    process: Process

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        folder: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        namespace: int | None = None,
        piped: bool = False,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        # The kernel kills it when the thread that started it is gone, even if the test run itself was killed. By a
        # program in front, because code run between fork and exec may deadlock beside the tests' own threads.
        leash = [require("setpriv", package="util-linux"), "--pdeathsig", "KILL"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                in_namespace([*leash, *argv], namespace),
                cwd=cwd or folder,
                env=dict(env) if env is not None else None,
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_running(self) -> bool:
        return self.process.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def ends(self, within: float) -> int:
        """Wait for the end; the exit code."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {within:g} s") from None

    def signals(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def close(self) -> None:
        if self.is_running():
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass
