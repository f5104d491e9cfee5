"""A call as a test in YAML: who calls, what is answered outside, what is done, what must come of it.

Whatever is written here the loader of tests reads as the same again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from ivr.flow.kinds import Name, OneOf, seconds_as_text
from ivr.flow.settings import settings_of
from ivr.run.requests import Asked, HttpRequest, Notification, PluginCall, TableLookup
from ivr.run.script import Script
from ivr.run.testing.kinds import Share
from ivr.run.testing.mocks import KINDS, Given, HttpReply, Mock
from ivr.run.testing.model import PROPERTIES, Caller, Property
from ivr.run.testing.moves import (
    HangingUp,
    HearingFails,
    Made,
    Move,
    Mumbling,
    Pressing,
    Saying,
    SeatDoing,
    Waiting,
    in_time,
)
from ivr.run.testing.retelling import in_order
from ivr.run.testing.speech import Said


def as_test(
    name: str,
    *,
    caller: Caller | None = None,
    usual: Caller | None = None,
    closed: Collection[str] = (),
    mocks: Iterable[Mock] = (),
    moves: Iterable[Move] = (),
    properties: Sequence[Property] = (),
    expect: str = "",
) -> str:
    """One test, as it stands in a list of tests. ``usual`` is who calls in a test of that file that does not say it."""
    lines = [f"  - name: {name}"]
    if caller is not None and caller != usual:
        lines.append(f"    call: {_mapping(caller, usual, () if usual else ('number', 'did', 'at'))}")
    if closed:
        lines.append(f"    closed: [{', '.join(sorted(closed))}]")
    by_word: dict[str, list[Mock]] = {}
    for mock in mocks:
        by_word.setdefault(word_of(mock), []).append(mock)
    for word, some in by_word.items():
        lines += [f"    {word}:", *(f"      - {as_yaml(mock)}" for mock in some)]
    steps = [f"      - {as_step(move)}" for move in moves]
    lines += ["    steps:", *steps] if steps else []
    if properties:
        lines += ["    properties:", *(f"      - {_property(one)}" for one in properties)]
    if expect:
        lines.append(f"    expect: {{{expect}}}")
    return "\n".join(lines) + "\n"


def as_file(
    flow: str,
    name: str,
    script: Script,
    caller: Caller,
    mocks: Iterable[Mock],
    made: Sequence[Made],
    closed: Collection[str] = (),
    lengths: Mapping[str, float] = MappingProxyType({}),
) -> str:
    """A file of tests with one that has been played: answers and moves as they came. It passes as it was played.

    ``lengths`` are seconds of prompts that did not take the usual time, by recording or text.
    """
    path = ", ".join(script.path)
    end = f"ended_by: {script.ended_by}" if script.run.finished else f"at_block: {script.run.last_block}"
    expect = f"path: [{path}], {end}"
    moves = in_time(made, script.now)
    test = as_test(name, caller=caller, closed=closed, mocks=in_order(mocks), moves=moves, expect=expect)
    prompts = ", ".join(f"{json.dumps(one)}: {seconds_as_text(seconds)}" for one, seconds in lengths.items())
    defaults = f"defaults: {{prompts: {{{prompts}}}}}\n" if prompts else ""
    return f"flow: {flow}\n{defaults}tests:\n{test}"


def as_step(move: Move) -> str:
    """A move as a step of a test."""
    match move:
        case Pressing(keys):
            return f"press: '{keys}'"
        case Saying(said, talks_over):
            return _spoken("says", _said(said), talks_over)
        case Mumbling(seconds, talks_over):
            return _spoken("mumbles", seconds_as_text(seconds), talks_over)
        case HearingFails(fails):
            return f"hearing: {'fails' if fails else 'works'}"
        case Waiting(seconds):
            return f"wait: {seconds_as_text(seconds)}"
        case SeatDoing(seat, deed):
            return f"{{seat: '{seat}', does: {deed}}}"
        case HangingUp():
            return "hangup: caller"


def _spoken(word: str, what: str, talks_over: bool) -> str:
    return f"{{{word}: {what}, talks_over: yes}}" if talks_over else f"{word}: {what}"


def _said(said: Said) -> str:
    if said == Said(said.text):
        return _quoted(said.text)
    first, *others = (f"text: {_quoted(one.text)}, confidence: {one.confidence:.3g}" for one in said.hypotheses)
    more = f", alternatives: [{', '.join(f'{{{one}}}' for one in others)}]" if others else ""
    return f"{{{first}{more}}}"


def as_yaml(mock: Mock) -> str:
    """The mock as it is written in a file, in one line."""
    return _mapping(mock)


def word_of(mock: Mock) -> str:
    """The word it stands under."""
    return next(word for word, kind in KINDS.items() if isinstance(mock, kind))


def _property(one: Property) -> str:
    return f"{next(word for word, kind in PROPERTIES.items() if isinstance(one, kind))}: {_mapping(one)}"


def _mapping(record: object, usual: object = None, written: Collection[str] = ()) -> str:
    """Settings as they are read, without those that are as usual; ``written`` are there whatever they are."""
    parts: list[str] = []
    for field, one in settings_of(type(record)):
        value = getattr(record, field.name)
        if field.name in written or value != (field.default if usual is None else getattr(usual, field.name)):
            parts.append(f"{one.name}: {_written(value, one.kind)}")
    return "{" + (", ".join(parts) or "status: 200") + "}"


def _written(value: Any, kind: object) -> str:
    match value, kind:
        case HttpReply(), _:
            return _mapping(value)
        case Given(inner), _:
            return _visible(json.dumps(inner, ensure_ascii=False))
        case bool(), _:
            return "yes" if value else "no"
        case datetime(), _:
            return f"'{_moment(value)}'"
        case float(), Share():
            return f"{value:g}%"
        case float(), _:
            return seconds_as_text(value)
        case Mapping(), _:
            return "{" + ", ".join(f"{_key(str(key))}: {_quoted(str(one))}" for key, one in value.items()) + "}"
        case str(), Name() | OneOf():
            return value
        case str(), _:
            return _quoted(value)
        case _:
            return str(value)


def _moment(at: datetime) -> str:
    zone = str(at.tzinfo)
    if "/" not in zone:
        at, zone = at.astimezone(UTC), "UTC"
    return f"{at:%Y-%m-%d %H:%M:%S} {zone}"


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text) else _quoted(text)


def _quoted(text: str) -> str:
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return _visible(json.dumps(text, ensure_ascii=False))


def _visible(text: str) -> str:
    """What YAML does not take as it is, in its own spelling."""
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in text)


def remedy(asked: Asked) -> tuple[str, str]:
    """What was asked, in words, and the mock to write for it."""
    match asked:
        case HttpRequest(method=method, url=url):
            match_ = _quoted(url[:200])
            return f"{method} {url[:200]}", f"http: [{{match: {match_}, reply: {{status: 200, json: {{}}}}}}]"
        case TableLookup(table=table, key=key):
            return (
                f"table {table} for {_quoted(key[:80])}",
                f"lookup: [{{table: {table}, key: {_quoted(key)}, miss: yes}}]",
            )
        case Notification(webhook=webhook):
            return f"webhook {webhook}", f"notify: [{{webhook: {webhook}}}]"
        case PluginCall(plugin=plugin):
            return f"plug-in {plugin}", f"plugin: [{{name: {plugin}, value: null}}]"
