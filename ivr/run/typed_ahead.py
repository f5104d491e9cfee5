"""The keys that a caller pressed before they were asked for."""

from __future__ import annotations

TYPED_AHEAD_LIMIT = 64
"""More keys than any caller types ahead on purpose; a stuck key must not fill the memory."""


class TypedAhead:
    """The keys a caller pressed when nobody was listening; one for a call."""

    def __init__(self) -> None:
        self._keys = ""
        self._forgiven = ""
        self._forgiven_until = 0.0

    def __bool__(self) -> bool:
        return bool(self._keys)

    def push(self, key: str) -> None:
        """Keep a key; one too many is lost."""
        if len(self._keys) < TYPED_AHEAD_LIMIT:
            self._keys += key

    def pop(self) -> str:
        """The oldest key. Raises IndexError if there is none."""
        key, self._keys = self._keys[0], self._keys[1:]
        return key

    def clear(self) -> None:
        self._keys = ""

    def forgive(self, key: str, until: float) -> None:
        """Let ``key`` count for nothing if it is what comes next, and comes until then.

        Callers who were told to end with a hash key press it also when the last digit has been enough.
        """
        if self._keys:
            self._keys = self._keys.removeprefix(key)
        else:
            self._forgiven, self._forgiven_until = key, until

    def forgives(self, key: str, now: float) -> bool:
        """Whether this key, which was just pressed, counts for nothing. To be asked of every key, before it is used."""
        forgiven, self._forgiven = self._forgiven, ""
        return bool(forgiven) and key == forgiven and now <= self._forgiven_until
