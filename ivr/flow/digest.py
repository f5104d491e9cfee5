"""What a caller could notice of a flow, as one text, and its digest: titles, places and spelling do not count.

Looks at any data and knows none of it: what is compared of it are the fields that its dataclass compares.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring
from types import MappingProxyType
from typing import Any, Final

from ivr.flow.keys import KeyPatterns

Usual = Callable[[Any], object]
"""From a record to the value of one of its fields with which the record means what it meant without the field."""

_PLAIN = frozenset({str, int, bool, type(None)})


def digest(flow: object) -> str:
    """SHA-256 of all that a caller could notice: titles, places, spelling and order of names do not count."""
    return hashlib.sha256(normal_text(flow).encode("utf-8", "surrogatepass")).hexdigest()


def normal_text(value: object) -> str:
    """:func:`normal` as JSON, names sorted, without making it first."""
    return _normal_text(value, {})


def _normal_text(value: Any, known: dict[int, str]) -> str:
    """``known``: what was written before, by id; one expression stands in many places."""
    kind: Any = type(value)
    if kind is tuple:
        return f"[{','.join([_normal_text(item, known) for item in value])}]"
    if (names := _in_text(kind)) is not None:
        text = known.get(id(value))
        if text is None:
            text = f'{{"":"{kind.__name__}"'
            for name, before, usual in names:
                part = getattr(value, name)
                if usual is not None and part == usual(value):
                    continue
                text += before + (_quoted(part) if type(part) is str else _normal_text(part, known))
            known[id(value)] = text = text + "}"
        return text
    if kind is MappingProxyType:
        return f"{{{','.join([f'{_quoted(key)}:{_normal_text(value[key], known)}' for key in sorted(value)])}}}"
    if kind is KeyPatterns:
        return f"[{','.join([_quoted(pattern) for pattern in sorted(value.patterns)])}]"
    if value is True or value is False:
        return "true" if value else "false"
    return _quoted(value) if kind is str else json.dumps(normal(value), **_AS_TEXT)


_AS_TEXT: Final[Any] = {"sort_keys": True, "ensure_ascii": False, "separators": (",", ":")}
_quoted: Final = encode_basestring


@lru_cache(maxsize=500)
def _in_text(kind: Any) -> tuple[tuple[str, str, Usual | None], ...] | None:
    """The fields of :func:`_compared` in order, with what is written before each."""
    compared = _compared(kind)
    if compared is None:
        return None
    return tuple((name, f',"{name}":', usual) for name, usual in sorted(compared, key=lambda one: one[0]))


def normal(value: object) -> object:
    """A flow, or a part of one, without all that no caller could notice: to be compared."""
    kind: Any = type(value)
    if kind in _PLAIN:
        return value
    if (names := _compared(kind)) is not None:
        found: dict[str, object] = {"": kind.__name__}
        for name, usual in names:
            part = getattr(value, name)
            if usual is not None and part == usual(value):
                continue
            found[name] = part if type(part) in _PLAIN else normal(part)
        return found
    if isinstance(value, Mapping):
        return {str(key): normal(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [normal(item) for item in value]
    if isinstance(value, KeyPatterns):
        return sorted(value.patterns)
    return value if isinstance(value, str | int) else f"{kind.__name__} {value}"


@lru_cache(maxsize=500)
def _compared(kind: type[Any]) -> tuple[tuple[str, Usual | None], ...] | None:
    """The fields of a dataclass that a caller could notice, and of those that were :func:`~ivr.flow.model.added` what
    they usually are; None for what is none."""
    if not dataclasses.is_dataclass(kind):
        return None
    fields = (one for one in dataclasses.fields(kind) if one.compare)
    left_out = ("title", "renamed_from")
    return tuple((one.name, one.metadata.get("usual")) for one in fields if one.name not in left_out)
