"""What calls leave behind, counted for Prometheus as it happens.

Labels take few values each: flows, kinds, outcomes. Never numbers, callers or call ids: those are in the records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from ivr.records.events import RecordEvent

__all__ = ["CallCounters"]

_SETUP: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LENGTH: Final = (5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_JITTER: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
_REMEMBERED: Final = 100_000
"""Calls under way; far more than any machine carries."""
_OTHER: Final = "other"


class CallCounters:
    """Owns the counters of one server. Seconds and packets, as the names of the metrics say."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._arrived_at: dict[str, tuple[int, str, str]] = {}
        """Of calls under way: when they arrived (epoch ms), their mode, their flow."""
        self._answered: set[str] = set()
        self._arrived = Counter("ivr_calls_arrived", "Calls that were taken up.", ["mode", "flow"], registry=registry)
        self._ended = Counter(
            "ivr_calls_ended",
            "Calls that are over, by who ended them and whether they had been answered.",
            ["mode", "flow", "ended_by", "answered"],
            registry=registry,
        )
        self._setup = Histogram(
            "ivr_call_setup_seconds",
            "From a call's arrival until it was answered.",
            ["mode"],
            buckets=_SETUP,
            registry=registry,
        )
        self._length = Histogram(
            "ivr_call_seconds", "From a call's arrival to its end.", ["mode"], buckets=_LENGTH, registry=registry
        )
        self._tries = Counter(
            "ivr_tries",
            "Tries of steps that ask callers, by how they answered (keys, speech, nothing) and what came of it.",
            ["flow", "input", "outcome"],
            registry=registry,
        )
        self._errors = Counter("ivr_flow_errors", "Steps that went wrong.", ["flow"], registry=registry)
        self._legs = Counter(
            "ivr_legs_ended",
            "Legs that are over; outcome: answered, or why not.",
            ["kind", "role", "outcome"],
            registry=registry,
        )
        self._packets = Counter(
            "ivr_leg_packets", "RTP packets of legs that are over.", ["kind", "direction"], registry=registry
        )
        self._lost = Counter(
            "ivr_leg_packets_lost",
            "RTP packets that should have come and did not.",
            ["kind"],
            registry=registry,
        )
        self._silent = Counter(
            "ivr_legs_silent", "Legs that were answered and brought no sound at all.", ["kind"], registry=registry
        )
        self._jitter = Histogram(
            "ivr_leg_jitter_seconds",
            "Interarrival jitter of legs at their end (RFC 3550).",
            ["kind"],
            buckets=_JITTER,
            registry=registry,
        )
        self._answered_legs: dict[str, set[str]] = {}
        self._handlers = {
            "call.arrived": self._call_arrived,
            "call.answered": self._call_answered,
            "call.ended": self._call_ended,
            "flow.step": self._step,
            "leg.answered": self._leg_answered,
            "leg.ended": self._leg_ended,
        }

    def event(self, event: RecordEvent) -> None:
        handler = self._handlers.get(event.type)
        if handler is not None:
            handler(event, event.data)

    def sizes(self) -> dict[str, int]:
        """How much is remembered."""
        return {"counted_calls": len(self._arrived_at), "counted_legs": len(self._answered_legs)}

    def _call_arrived(self, event: RecordEvent, data: Mapping[str, object]) -> None:
        mode, flow = _word(data, "mode"), _word(data, "flow")
        if len(self._arrived_at) < _REMEMBERED:
            self._arrived_at[event.call_id] = (event.at, mode, flow)
        self._arrived.labels(mode, flow).inc()

    def _call_answered(self, event: RecordEvent, data: Mapping[str, object]) -> None:
        at, mode, _ = self._arrived_at.get(event.call_id, (None, _OTHER, _OTHER))
        if at is not None and event.call_id not in self._answered:
            self._answered.add(event.call_id)
            self._setup.labels(mode).observe(max(0, event.at - at) / 1000)

    def _call_ended(self, event: RecordEvent, data: Mapping[str, object]) -> None:
        at, mode, flow = self._arrived_at.pop(event.call_id, (event.at, _OTHER, _OTHER))
        answered = "yes" if event.call_id in self._answered else "no"
        self._answered.discard(event.call_id)
        self._answered_legs.pop(event.call_id, None)
        self._ended.labels(mode, flow, _word(data, "ended_by"), answered).inc()
        self._length.labels(mode).observe(max(0, event.at - at) / 1000)

    def _step(self, event: RecordEvent, data: Mapping[str, object]) -> None:
        flow = _word(data, "flow")
        if data.get("error") is not None:
            self._errors.labels(flow).inc()
        if data.get("try_no") is None or data.get("exit") is None:
            return
        exit = data["exit"]
        outcome = str(exit) if exit in ("no_input", "no_match", "failed") else "matched"
        self._tries.labels(flow, _word(data, "input_mode", "nothing"), outcome).inc()

    def _leg_answered(self, event: RecordEvent, data: Mapping[str, object]) -> None:
        if event.leg_id is not None and event.call_id in self._arrived_at:
            self._answered_legs.setdefault(event.call_id, set()).add(event.leg_id)

    def _leg_ended(self, event: RecordEvent, data: Mapping[str, object]) -> None:
        # It comes twice of most legs: when they end, and with what was measured when the call does.
        if data.get("rx_pkts") is None:
            return
        kind = _word(data, "kind")
        legs = self._answered_legs.get(event.call_id, set())
        answered = f"{event.call_id}-{event.leg_id}" in legs or event.leg_id in legs
        outcome = "answered" if answered else _word(data, "outcome", "not_answered")
        self._legs.labels(kind, _word(data, "role"), outcome).inc()
        self._packets.labels(kind, "received").inc(_number(data, "rx_pkts"))
        self._packets.labels(kind, "sent").inc(_number(data, "tx_pkts"))
        self._lost.labels(kind).inc(_number(data, "lost_pkts"))
        if answered:
            self._jitter.labels(kind).observe(_number(data, "jitter_ms") / 1000)
            if not _number(data, "audio_rx_ms"):
                self._silent.labels(kind).inc()


def _word(data: Mapping[str, object], name: str, otherwise: str = _OTHER) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else otherwise


def _number(data: Mapping[str, object], name: str) -> float:
    value = data.get(name)
    return max(0.0, float(value)) if isinstance(value, int | float) else 0.0
