"""One call as a story: what happened when, where that stands in the flow, what was said to telephones. Reads only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final

from sqlalchemy import Connection, Engine, select

from ivr.masking import masked_in
from ivr.records import model
from ivr.records.query import LegSummary, legs_of
from ivr.records.steps import file_of

__all__ = ["Ladder", "Message", "NoSuchCall", "SeveralCalls", "TraceLine", "TracedCall", "traced"]

_SOURCES: Final = {"rfc4733": "RFC 4733", "info": "SIP INFO", "inband": "tones"}
_MOST_MATCHES: Final = 10


class NoSuchCall(Exception):
    """No call has that id."""


class SeveralCalls(Exception):
    """What was given of an id fits several calls; those are its arguments."""


@dataclass(frozen=True, slots=True)
class TraceLine:
    """Something that happened."""

    at_ms: int
    """Since the call arrived."""
    kind: str
    """What the caller was in (``ring``, ``ivr``, ``offer``, ``talk``, ``hold``), or ``error``."""
    place: str
    """Where that stands: ``main.yaml:29``; empty if nowhere."""
    block: str
    what: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message about a leg."""

    at_ms: int
    incoming: bool
    peer: str
    text: str
    number: int | None
    sound: str | None


@dataclass(frozen=True, slots=True)
class Ladder:
    """All that was said about one leg."""

    leg: str
    """``caller``, ``leg1``."""
    title: str
    """Who is at the other end."""
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class TracedCall:
    call_id: str
    caller: str
    did: str
    flow: str
    flow_version: str
    mode: str
    arrived_at: int
    """UTC epoch ms, as the next."""
    ended_at: int | None
    """None: it is under way."""
    ended_by: str | None
    end_cause: str | None
    facts: Mapping[str, str]
    """Language, goal, disposition, tags: what the flow has said of it."""
    lines: tuple[TraceLine, ...]
    legs: tuple[LegSummary, ...]
    ladders: tuple[Ladder, ...]


def traced(engine: Engine, wanted: str, *, numbers: bool = False) -> TracedCall:
    """The call of that id, of which its beginning or its end is enough; ``last`` is the one that arrived last.

    Numbers of callers are masked unless ``numbers``. Raises NoSuchCall and SeveralCalls.
    """
    with engine.connect() as connection:
        call = _find(connection, wanted)
        events = model.Event
        rows = connection.execute(
            select(events.at, events.type, events.leg_id, events.data)
            .where(events.call_id == call.call_id)
            .order_by(events.seq)
        ).all()
        legs = legs_of(connection, [call.call_id]).get(call.call_id, [])
        telling = _Telling(connection, call, numbers)
        for row in rows:
            telling.take(row.at, row.type, row.leg_id, json.loads(row.data) if row.data else {})
    return TracedCall(
        call_id=call.call_id,
        caller=telling.shown(call.caller or ""),
        did=call.did or "",
        flow=call.flow or "",
        flow_version=call.flow_version or "",
        mode=call.mode,
        arrived_at=call.arrived_at,
        ended_at=call.ended_at,
        ended_by=call.ended_by,
        end_cause=call.end_cause,
        facts={
            **{
                name: value for name in ("language", "variant", "goal", "disposition") if (value := getattr(call, name))
            },
            **telling.tags,
        },
        lines=tuple(telling.sorted_lines()),
        legs=tuple(legs),
        ladders=tuple(telling.ladders()),
    )


def _find(connection: Connection, wanted: str) -> Any:
    calls = model.Call
    if wanted == "last":
        found = connection.execute(
            select(*model.Call.__table__.columns).order_by(calls.arrived_at.desc()).limit(1)
        ).all()
    else:
        columns = select(*model.Call.__table__.columns)
        found = connection.execute(columns.where(calls.call_id == wanted)).all()
        if not found and wanted:
            ends = calls.call_id.startswith(wanted, autoescape=True) | calls.call_id.endswith(wanted, autoescape=True)
            found = connection.execute(columns.where(ends).order_by(calls.arrived_at).limit(_MOST_MATCHES)).all()
    if not found:
        raise NoSuchCall(wanted)
    if len(found) > 1:
        raise SeveralCalls(*(row.call_id for row in found))
    return found[0]


@dataclass(slots=True)
class _Telling:
    """Reads the events of one call in order."""

    connection: Connection
    call: Any
    numbers: bool
    tags: dict[str, str] = field(default_factory=dict)
    _lines: list[TraceLine] = field(default_factory=list)
    _ladders: dict[str, tuple[Message, ...]] = field(default_factory=dict)
    _titles: dict[str, str] = field(default_factory=dict)
    _files: dict[tuple[str | None, str | None], str | None] = field(default_factory=dict)
    _kind: str = "ring"
    _source: str | None = None
    _answered: bool = False
    _measured: set[str] = field(default_factory=set)
    _now: int = 0
    _caller: str = "caller"
    """What the caller's leg is called."""

    def shown(self, text: str) -> str:
        return text if self.numbers else masked_in(text, self.call.caller or "")

    def take(self, at: int, type: str, leg_id: str | None, data: Mapping[str, Any]) -> None:
        self._now = max(self._now, at)
        name = (leg_id or "").removeprefix(f"{self.call.call_id}-") or "caller"
        handler = _HANDLERS.get(type)
        if handler is not None:
            handler(self, name, data)

    def sorted_lines(self) -> list[TraceLine]:
        """A step is written down when it is over, and told when it began."""
        return sorted(self._lines, key=lambda line: line.at_ms)

    def ladders(self) -> Iterator[Ladder]:
        for leg, messages in self._ladders.items():
            yield Ladder("caller" if leg == self._caller else leg, self._titles.get(leg, leg), messages)

    def _tell(
        self, what: str, *, at: int | None = None, kind: str | None = None, place: str = "", block: str = ""
    ) -> None:
        at_ms = (self._now if at is None else at) - self.call.arrived_at
        self._lines.append(TraceLine(max(0, at_ms), kind or self._kind, place, block, self.shown(what)))

    def _answers(self, name: str, data: Mapping[str, Any]) -> None:
        self._answered, self._kind = True, "ivr"
        self._tell("answered")

    def _ended(self, name: str, data: Mapping[str, Any]) -> None:
        self._tell(f"ended by {data.get('ended_by')} ({data.get('end_cause')})")

    def _marked(self, name: str, data: Mapping[str, Any]) -> None:
        self._tell(", ".join(f"{key}: {value}" for key, value in data.items()))

    def _tagged(self, name: str, data: Mapping[str, Any]) -> None:
        self.tags[str(data.get("name"))] = str(data.get("value"))
        self._tell(f"tag {data.get('name')}: {data.get('value')}")

    def _pressed(self, name: str, data: Mapping[str, Any]) -> None:
        self._source = data.get("source")

    def _logged(self, name: str, data: Mapping[str, Any]) -> None:
        self._tell(str(data.get("text")), place=_short(str(data.get("place", ""))))

    def _went_wrong(self, name: str, data: Mapping[str, Any]) -> None:
        self._tell(str(data.get("text")), kind="error", place=_short(str(data.get("place", ""))))

    def _leg_created(self, name: str, data: Mapping[str, Any]) -> None:
        if data.get("role") == "caller":
            self._caller = name
            self._titles[name] = self.shown(self.call.caller or "caller")
            return
        self._titles[name] = str(data.get("remote") or data.get("account") or name)
        how = f" by {data['transfer_kind']}" if data.get("transfer_kind") else ""
        self._tell(f"calls {self._titles[name]}{how}", kind="offer")

    def _leg_told(self, words: str) -> Callable[[str, Mapping[str, Any]], None]:
        def told(name: str, data: Mapping[str, Any]) -> None:
            caller = name == self._caller
            who = "the caller" if caller else self._titles.get(name, name)
            self._tell(f"{who} {words}", kind=None if caller or self._kind in ("talk", "hold") else "offer")

        return told

    def _leg_ringing(self, name: str, data: Mapping[str, Any]) -> None:
        self._leg_told("rings")(name, data)

    def _leg_answered(self, name: str, data: Mapping[str, Any]) -> None:
        if name != self._caller:
            self._leg_told("answers")(name, data)

    def _leg_early(self, name: str, data: Mapping[str, Any]) -> None:
        self._leg_told("hears us before the answer" if name == self._caller else "sends sound before it answers")(
            name, data
        )

    def _held(self, name: str, data: Mapping[str, Any]) -> None:
        self._kind = "hold"
        self._leg_told("holds")(name, data)

    def _retrieved(self, name: str, data: Mapping[str, Any]) -> None:
        self._kind = "talk"
        self._leg_told("is back")(name, data)

    def _leg_ended(self, name: str, data: Mapping[str, Any]) -> None:
        if data.get("rx_pkts") is not None:
            # What was measured comes when all is over; it stands with the legs.
            return
        by = {"remote": "hangs up", "network": "is lost"}.get(str(data.get("hangup_by")))
        outcome = data.get("outcome")
        if outcome is not None:
            status = f" ({data['sip_status']})" if data.get("sip_status") else ""
            self._leg_told(f"does not take the call: {str(outcome).replace('_', ' ')}{status}")(name, data)
        elif by is not None:
            self._leg_told(by)(name, data)
        elif name != self._caller:
            self._leg_told("is let go")(name, data)

    def _offering(self, name: str, data: Mapping[str, Any]) -> None:
        self._kind = "offer"

    def _offered(self, name: str, data: Mapping[str, Any]) -> None:
        self._kind = "ivr" if self._answered else "ring"
        self._tell(f"{str(data.get('outcome')).replace('_', ' ')}", kind="offer")

    def _joined(self, name: str, data: Mapping[str, Any]) -> None:
        self._kind = "talk"
        name = str(data.get("leg") or name)
        self._tell(f"talks with {self._titles.get(name, name)}")

    def _parted(self, name: str, data: Mapping[str, Any]) -> None:
        self._tell(f"no longer talks with {self._titles.get(name, name)}")
        self._kind = "ivr"

    def _signalled(self, name: str, data: Mapping[str, Any]) -> None:
        messages = [
            Message(at - self.call.arrived_at, way == "in", peer, self.shown(text), number, sound)
            for at, way, peer, text, number, sound in data.get("lines", ())
        ]
        self._ladders[name] = tuple(messages)

    def _step(self, name: str, data: Mapping[str, Any]) -> None:
        version = data.get("flow"), data.get("flow_version")
        if version not in self._files:
            self._files[version] = file_of(self.connection, *version)
        file = self._files[version]
        place = f"{PurePath(file).name if file else data.get('flow')}:{data.get('line')}"
        asked = data.get("try_no") is not None
        words = [str(data.get("verb"))]
        if asked:
            words.append(f"try {data['try_no']}:")
        entered = self._entered(data) or ""
        heard = f"{data['heard_ms'] / 1000:.1f} s" if data.get("heard_ms") else ""
        if data.get("barged_in"):
            entered += f" cutting the prompt after {heard}" if heard else " cutting the prompt"
        elif heard:
            heard = f"prompt heard {heard}" if asked else f"heard {heard}"
        parts = [entered.strip(), "" if data.get("barged_in") else heard]
        detail = data.get("detail") or {}
        parts += _outside(detail)
        if data.get("exit") not in (None, "next", data.get("input"), detail.get("state")):
            parts.append(str(data["exit"]))
        words.append(", ".join(filter(None, parts)))
        if data.get("next_block"):
            words.append(f"→ {data['next_block']}")
        if data.get("error"):
            words.append(f"({data['error']})")
        kind = "error" if data.get("error") else "ivr"
        block, told = str(data.get("block") or ""), " ".join(filter(None, words))
        self._tell(told, at=data.get("from_at"), kind=kind, place=place, block=block)
        self._source = None

    def _entered(self, data: Mapping[str, Any]) -> str | None:
        mode, entered = data.get("input_mode"), data.get("input")
        if mode is None:
            return None
        if mode == "speech":
            unclear = "alternatives" in (data.get("detail") or {})
            nothing = "what nobody understood" if unclear else "what is secret"
            heard = f'"{entered}"' if entered is not None else nothing
            sure = f" {data['confidence']:.2f}" if data.get("confidence") is not None else ""
            return f"said {heard}{sure}"
        keys = f"key{'s' if entered is None or len(entered) != 1 else ''}"
        told = f"{keys} '{entered}'" if entered is not None else f"{keys} that are secret"
        return f"{told} ({_SOURCES[self._source]})" if self._source in _SOURCES else told


def _outside(detail: Mapping[str, Any]) -> Iterator[str]:
    """What came of it outside, in a few words: the rest is in the records."""
    if "method" in detail:
        status = detail.get("status", detail.get("exit", ""))
        yield f"{detail['method']} {detail.get('url', '')} {status}".rstrip()
    for name in ("table", "webhook", "rule", "state", "outcome", "mode"):
        if detail.get(name) is not None and "method" not in detail:
            yield f"{name} {detail[name]}"
    if "seconds" in detail:
        yield f"in {detail['seconds']:.2f} s"
    if "talk_ms" in detail:
        yield f"talked {detail['talk_ms'] / 1000:.1f} s"


def _short(place: str) -> str:
    """``flows/main.yaml:29:7`` as ``main.yaml:29``."""
    file, _, rest = PurePath(place).name.partition(":")
    return f"{file}:{rest.partition(':')[0]}" if rest else file


_HANDLERS: Final[Mapping[str, Callable[[_Telling, str, Mapping[str, Any]], None]]] = {
    "call.answered": _Telling._answers,
    "call.ended": _Telling._ended,
    "call.marked": _Telling._marked,
    "tag": _Telling._tagged,
    "key": _Telling._pressed,
    "log": _Telling._logged,
    "error": _Telling._went_wrong,
    "leg.created": _Telling._leg_created,
    "leg.ringing": _Telling._leg_ringing,
    "leg.answered": _Telling._leg_answered,
    "leg.early_media": _Telling._leg_early,
    "leg.held": _Telling._held,
    "leg.retrieved": _Telling._retrieved,
    "leg.ended": _Telling._leg_ended,
    "leg.signalling": _Telling._signalled,
    "offer.start": _Telling._offering,
    "offer.end": _Telling._offered,
    "bridge.join": _Telling._joined,
    "bridge.leave": _Telling._parted,
    "flow.step": _Telling._step,
}
