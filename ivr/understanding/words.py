"""Texts without what does not count when words are compared: case, width, accents of punctuation, spaces."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["plain"]

_APOSTROPHES: Final = str.maketrans({"’": "'", "ʼ": "'", "`": "'", "‘": "'"})


def plain(text: str) -> str:
    """Small letters, one width, one kind of apostrophe, single spaces; punctuation stays."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", folded).translate(_APOSTROPHES)).strip()
