"""A room of its own for a browser: a network namespace with one cable to ours, which a test pulls and plugs in."""

from __future__ import annotations

import os
import stat
import subprocess
from itertools import count
from pathlib import Path

from tests.peers.process import require, unavailable

__all__ = ["Room"]

# Link-local (RFC 3927): not in use on machines that have a network, and led nowhere by any router.
_NET = "169.254.231"
_numbers = count(1)


class Room:
    """Owns the namespace and the cable. Needs root."""

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0:
            unavailable("a network namespace of our own needs root")
        require("ip", package="iproute2")
        self._name = f"ivr-{os.getpid()}-{next(_numbers)}"
        self._ours, self._theirs = f"iv{os.getpid() % 100_000}a", f"iv{os.getpid() % 100_000}b"
        self.server = f"{_NET}.1"
        """Where programs in the room find us."""
        self._address = f"{_NET}.2"
        _ip("netns", "add", self._name)
        try:
            _ip("link", "add", self._ours, "type", "veth", "peer", "name", self._theirs, "netns", self._name)
            _ip("addr", "add", f"{self.server}/24", "dev", self._ours)
            _ip("link", "set", self._ours, "up")
            self._inside("link", "set", "lo", "up")
            self.plugs_in()
        except BaseException:
            self.close()
            raise
        self._folder = folder

    def program(self, path: str) -> str:
        """A program that runs ``path`` in the room."""
        script = self._folder / f"{Path(path).name}-in-a-room"
        script.write_text(f'#!/bin/sh\nexec ip netns exec {self._name} {path} "$@"\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return str(script)

    def pulls(self) -> None:
        """The cable: no packet goes through, and the room's interface is down."""
        self._inside("link", "set", self._theirs, "down")

    def plugs_in(self) -> None:
        self._inside("addr", "replace", f"{self._address}/24", "dev", self._theirs)
        self._inside("link", "set", self._theirs, "up")

    def moves(self) -> None:
        """Another address, as when a telephone goes from one network to the next."""
        self._inside("addr", "del", f"{self._address}/24", "dev", self._theirs)
        self._address = f"{_NET}.{int(self._address.rpartition('.')[2]) + 1}"
        self.plugs_in()

    def close(self) -> None:
        subprocess.run(["ip", "link", "del", self._ours], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", self._name], capture_output=True, check=False)

    def _inside(self, *words: str) -> None:
        _ip("-n", self._name, *words)


def _ip(*words: str) -> None:
    result = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"ip {' '.join(words)}: {result.stderr}"
