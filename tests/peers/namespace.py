"""Network namespaces: a room with a loopback of its own, which nothing leaves but through a relay we hold."""

from __future__ import annotations

import ctypes
import os
import socket
import threading

__all__ = ["connect_inside", "enter", "leave_for_a_new_one"]

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def leave_for_a_new_one() -> None:
    """Move this thread (and what it starts) to a new, empty network namespace. Needs root."""
    _checked(_libc.unshare(_CLONE_NEWNET))


def enter(pid: int) -> None:
    """Move this thread to the network namespace of a process. Needs root."""
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        _checked(_libc.setns(namespace, _CLONE_NEWNET))
    finally:
        os.close(namespace)


def connect_inside(pid: int | None, port: int) -> socket.socket:
    """A TCP connection to a port on the loopback of that process's namespace, or of ours if None."""
    if pid is None:
        return socket.create_connection(("127.0.0.1", port), timeout=None)
    outcome: list[socket.socket | OSError] = []

    def connect() -> None:
        # In a thread of its own: a socket stays in the namespace it was made in, and only this thread moves.
        try:
            enter(pid)
            outcome.append(socket.create_connection(("127.0.0.1", port), timeout=None))
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join()
    if isinstance(outcome[0], OSError):
        raise outcome[0]
    return outcome[0]
