"""``ivr`` as a process of its own, forked from an interpreter that has read the program.

Reading it takes two seconds of the processor, and the tests start a hundred servers. What a start by the operator's
command has besides is that command, which tests of the command line run.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from io import TextIOWrapper
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from tests.peers.process import Child

__all__ = ["ForkedChild"]

_PR_SET_PDEATHSIG = 1


class ForkedChild(Child):
    """``ivr WORDS``, run in a folder."""

    def __init__(self, name: str, words: Sequence[str], *, folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.process = _Forked(words, folder, self.log, {**os.environ, "NO_COLOR": "1"})


class _Forked:
    stdin = stdout = None

    def __init__(self, words: Sequence[str], folder: Path, log: Path, env: Mapping[str, str]) -> None:
        self._process: ForkServerProcess = _context().Process(
            target=_run, args=(list(words), str(folder), str(log), dict(env))
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("ivr", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def _context() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(["ivr.cli.run", "pytest"])
    return context


def _run(words: list[str], folder: str, log: str, env: dict[str, str]) -> None:
    """In the new process."""
    # It ends with the interpreter it was forked from, which ends with the test run, however that ends.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for number in (1, 2):
        os.dup2(file, number)
    os.close(file)
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, TextIOWrapper)
        stream.reconfigure(line_buffering=True)
    sys.argv = ["ivr", *words]
    from ivr.cli import main

    main()
