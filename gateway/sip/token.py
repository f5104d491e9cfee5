"""Strings that nobody can guess: for tags, branches and Call-IDs."""

from __future__ import annotations

import os

__all__ = ["new_token"]

_BYTES = 8
_AT_ONCE = 128
"""One system call for so many: it costs more than all the rest of a token."""

_store: list[str] = []


def new_token() -> str:
    """64 bits from the kernel in hexadecimal, never given twice."""
    try:
        return _store.pop()
    except IndexError:
        digits = os.urandom(_BYTES * _AT_ONCE).hex()
        _store.extend([digits[at : at + 2 * _BYTES] for at in range(0, len(digits), 2 * _BYTES)])
        return _store.pop()
