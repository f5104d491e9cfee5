"""What a server looks like at one moment, and what is wrong with it: said once for metrics, health and the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from gateway.view import GatewayView
from ivr.records.writer import WriterStatistics
from ivr.run.view import CallView

__all__ = ["Alarm", "Now", "Severity", "alarms_of"]

Severity = Literal["warning", "critical"]

_SPOOL_NEARLY_FULL: Final = 0.5


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that somebody should do something about."""

    name: str
    """Never changes: what the alert rules call it too."""
    severity: Severity
    text: str
    """What is wrong, and the remedy."""


@dataclass(frozen=True, slots=True)
class Now:
    """One look at a server."""

    at: int
    """UTC epoch milliseconds."""
    since: int
    """When it began to take calls."""
    node_id: str
    calls: tuple[CallView, ...]
    most_calls: int
    """The limit."""
    gateway: GatewayView
    records: WriterStatistics
    complaints: tuple[str, ...]
    """What keeps the flows on disk from being live."""
    sizes: Mapping[str, int]
    """How much is remembered, by what."""
    hearing: Mapping[str, bool] = field(default_factory=dict)
    """Whether somebody listens, by the languages in which flows do."""

    @property
    def ready(self) -> bool:
        """Whether new calls are taken."""
        return not self.gateway.draining and len(self.calls) < self.most_calls

    def by_state(self) -> Mapping[str, int]:
        return Counter(call.state for call in self.calls)

    def as_json(self, before: Now | None = None) -> dict[str, Any]:
        """JSON values only, with the alarms."""
        return {
            "at": self.at,
            "since": self.since,
            "node_id": self.node_id,
            "ready": self.ready,
            "most_calls": self.most_calls,
            "calls": [_call(call) for call in self.calls],
            "seats": [asdict(seat) for seat in self.gateway.seats],
            "trunks": [asdict(trunk) for trunk in self.gateway.trunks],
            "clients": [asdict(client) for client in self.gateway.clients],
            "media": asdict(self.gateway.media),
            "records": asdict(self.records),
            "hearing": dict(self.hearing),
            "alarms": [asdict(alarm) for alarm in alarms_of(self, before)],
        }


def _call(call: CallView) -> dict[str, Any]:
    told = asdict(call)
    # JSON has lists only, and invitations are of no use to who looks on.
    told["legs"] = [
        {
            "name": leg.name,
            "state": leg.state,
            **{
                name: getattr(leg.report, name)
                for name in (
                    "kind",
                    "role",
                    "account",
                    "remote",
                    "codec",
                    "packets_received",
                    "packets_lost",
                    "jitter_ms",
                    "round_trip_ms",
                    "audio_received_ms",
                )
            },
        }
        for leg in call.legs
    ]
    return told


def alarms_of(now: Now, before: Now | None = None) -> Sequence[Alarm]:
    """What is wrong, the worst first. ``before``: a look some time ago; without one, what has grown is not known."""
    found: list[Alarm] = []
    records, media = now.records, now.gateway.media
    if records.failing:
        where = "in var/spool" if records.spool_error is None else "in memory"
        text = f"the database takes no records: {records.last_error}; {records.queued} events wait {where}"
        found.append(Alarm("records_failing", "critical", text))
    if records.spool_error is not None:
        text = f"var/spool takes no records: {records.spool_error}; a crash would cost events: make room on that disk"
        found.append(Alarm("spool_failing", "critical", text))
    elif records.spool_filling >= _SPOOL_NEARLY_FULL:
        text = f"{records.spool_filling:.0%} of var/spool is full of records that the database has not taken (spool:)"
        found.append(Alarm("spool_filling", "warning", text))
    if before is not None and records.lost > before.records.lost:
        text = f"{records.lost - before.records.lost} events in var/spool were damaged and are lost: check that disk"
        found.append(Alarm("spool_damaged", "critical", text))
    if before is not None and records.dropped > before.records.dropped:
        text = f"{records.dropped - before.records.dropped} events were given up: more came than the database takes"
        found.append(Alarm("records_dropped", "critical", text))
    for trunk in now.gateway.trunks:
        if trunk.registration == "failed":
            said = f"it says {trunk.status}" if trunk.status is not None else "it does not answer"
            text = f"trunk {trunk.name} does not take our registration ({said}): no calls come from there"
            found.append(Alarm("trunk_not_registered", "critical", text))
    for language, heard in now.hearing.items():
        if not heard:
            text = f"nobody listens to callers in {language}, who can only press keys: the log says why"
            found.append(Alarm("hearing_down", "critical", text))
    if len(now.calls) >= now.most_calls:
        text = f"{len(now.calls)} calls, as many as are allowed: further ones are turned away (limits: calls:)"
        found.append(Alarm("calls_at_limit", "critical", text))
    if before is not None and media.missed_slots > before.gateway.media.missed_slots:
        missed = media.missed_slots - before.gateway.media.missed_slots
        text = f"sound had gaps: {missed} times 5 ms were missed; the machine is too busy"
        found.append(Alarm("media_late", "critical", text))
    if now.complaints:
        count = f"{len(now.complaints)} mistake{'' if len(now.complaints) == 1 else 's'}"
        text = f"the flows on disk have {count} and are not live: ivr check names them"
        found.append(Alarm("flows_broken", "warning", text))
    if now.gateway.draining:
        found.append(Alarm("draining", "warning", "no new calls are taken: the server is about to stop"))
    if not media.realtime:
        text = "the media thread runs without priority: sound may suffer when the machine is busy (CAP_SYS_NICE)"
        found.append(Alarm("media_not_realtime", "warning", text))
    return sorted(found, key=lambda alarm: alarm.severity != "critical")
