"""What goes through the pipes of a process that listens: frames of a kind, the number of a session, and a body.

Both ends are this program, and the process is its child: bodies that are no sound are pickled. To the process go
``OPEN``, ``SOUND``, ``CLOSE``, ``CHECK`` and ``PING``, the other way goes all else.
"""

from __future__ import annotations

import pickle
import struct
from enum import IntEnum
from typing import Final

from ivr.hearing import Recognition, Wanted

__all__ = ["HEAD", "Kind", "frame", "unpacked"]

HEAD: Final = struct.Struct("!BII")
"""Kind, session, size of the body."""


class Kind(IntEnum):
    OPEN = 1
    """Listen for what the body says (:class:`~ivr.hearing.Wanted`), in a session of that new number."""
    SOUND = 2
    """Samples of the session."""
    CLOSE = 3
    """Nothing of the session is wanted any more."""
    CHECK = 4
    """What of several ``Wanted`` (a tuple) cannot be heard; ``CHECKED`` under the same number answers."""
    PING = 5
    """``PONG`` answers, as soon as all that came before has been looked at."""
    LOADED = 6
    """The model is there: the engine's version (a string). The first that comes, or instead of it"""
    REFUSED = 7
    """why it is not (a string); the process ends."""
    BEGAN = 8
    """The caller speaks, since so many milliseconds (an int)."""
    ENDED = 9
    """He has spoken, and is no longer listened to; what he said follows."""
    HEARD = 10
    """What he said (:class:`~ivr.hearing.Recognition`); the session is over."""
    FAILED = 11
    """Why he is not heard (a string); the session is over."""
    CHECKED = 12
    """For each ``Wanted``, the sentences that are to be said of it."""
    PONG = 13


Body = Wanted | Recognition | tuple[Wanted, ...] | tuple[tuple[str, ...], ...] | str | int | None


def frame(kind: Kind, session: int = 0, body: Body | bytes = None) -> bytes:
    """Bytes go as they are (sound), anything else pickled."""
    packed = body if isinstance(body, bytes) else b"" if body is None else pickle.dumps(body)
    return HEAD.pack(kind, session, len(packed)) + packed


def unpacked(body: bytes) -> Body:
    value: Body = pickle.loads(body)
    return value
