"""Ports nobody uses at the moment, on loopback."""

from __future__ import annotations

import os
import random
import socket
from collections import deque
from contextlib import ExitStack

__all__ = ["free_port", "free_range"]

# Below the kernel's ephemeral range, so that no outgoing connection takes a port between our look and its use.
_FIRST, _LAST = 10240, 32000
# Above it, for a server of many calls; there is one at a time.
_LARGE = 300
_FIRST_LARGE, _LAST_LARGE = 61_000, 65_500
if (_worker := os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")).isdigit():
    # Runs side by side stay out of each other's way, each in a part of its own.
    _count = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    _part, _part_large = (_LAST - _FIRST) // _count, (_LAST_LARGE - _FIRST_LARGE) // _count
    _FIRST, _FIRST_LARGE = _FIRST + int(_worker) * _part, _FIRST_LARGE + int(_worker) * _part_large
    _LAST, _LAST_LARGE = _FIRST + _part, _FIRST_LARGE + _part_large
# Not the tests' own generator: two runs on one machine must not look at the same ports.
_dice = random.SystemRandom()
# What was given lately; a long run comes by every port more than once.
_given: deque[range] = deque(maxlen=40)


def free_port() -> int:
    """A port that is free for UDP and TCP."""
    return free_range(1).start


def free_range(size: int) -> range:
    """``size`` adjoining ports, the first one even, free for UDP and TCP and not given lately."""
    if size >= _LARGE:
        for first in range(_FIRST_LARGE + _FIRST_LARGE % 2, _LAST_LARGE - size + 1, 50):
            if _is_free(first) and _is_free(first + size - 1):
                return range(first, first + size)
        raise RuntimeError(f"no {size} free ports between {_FIRST_LARGE} and {_LAST_LARGE}")
    for _ in range(200):
        ports = range(first := _dice.randrange(_FIRST, _LAST - size) & ~1, first + size)
        if not any(ports.start < taken.stop and taken.start < ports.stop for taken in _given) and all(
            map(_is_free, (ports.start, ports[-1]))
        ):
            if size <= 64 and not all(map(_is_free, ports)):
                continue
            _given.append(ports)
            return ports
    raise RuntimeError(f"no {size} free ports between {_FIRST} and {_LAST}")


def _is_free(port: int) -> bool:
    with ExitStack() as stack:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            trial = stack.enter_context(socket.socket(socket.AF_INET, kind))
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
