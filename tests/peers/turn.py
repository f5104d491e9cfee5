"""A TURN server (coturn), for browsers that reach us by nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.peers.patience import until
from tests.peers.ports import free_port, free_range
from tests.peers.process import Child, require

__all__ = ["TurnServer"]

_RELAYS = 40


class TurnServer:
    """Owns coturn's process; one user."""

    def __init__(self, user: str, password: str, *, folder: Path) -> None:
        turnserver = require("turnserver", package="coturn")
        folder = folder / "turn"
        folder.mkdir()
        port, relays = free_port(), free_range(_RELAYS)
        self.address = f"127.0.0.1:{port}"
        settings = {
            "listening-ip": "127.0.0.1",
            "listening-port": port,
            "relay-ip": "127.0.0.1",
            "min-port": relays.start,
            "max-port": relays.stop - 1,
            "realm": "ivr",
            "user": f"{user}:{password}",
            "userdb": folder / "turndb",
            "pidfile": folder / "pid",
        }
        flags = ("lt-cred-mech", "allow-loopback-peers", "no-tls", "no-dtls", "no-cli", "no-stdout-log", "simple-log")
        file = folder / "turnserver.conf"
        file.write_text("\n".join([*(f"{name}={value}" for name, value in settings.items()), *flags, ""]))
        self.child = Child("turnserver", [turnserver, "-c", str(file), "-l", str(folder / "log")], folder=folder)
        until(lambda: _listens(port), lambda: f"the TURN server does not listen: {self.child.said()}")

    def close(self) -> None:
        self.child.close()


def _listens(port: int) -> bool:
    wanted = f":{port:04X} "
    return any(wanted in line for line in Path("/proc/net/udp").read_text().splitlines())
