"""What is true now, as Prometheus metrics: one look at the server for each time it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ivr.observe.now import Now, alarms_of

__all__ = ["page"]

_STATES: Final = ("ringing", "in_flow", "offering", "talking", "on_hold")
_PRESENCES: Final = ("online", "busy", "unreachable", "offline")


class _Look:
    """Makes metrics of one look."""

    def __init__(self, now: Now, before: Now | None) -> None:
        self._now = now
        self._before = before

    def collect(self) -> Iterator[Metric]:
        now = self._now
        yield _gauge("ivr_ready", "Whether new calls are taken.", now.ready)
        states = now.by_state()
        calls = GaugeMetricFamily("ivr_calls", "Calls under way.", labels=["state"])
        for state in _STATES:
            calls.add_metric([state], states.get(state, 0))
        yield calls
        yield _gauge("ivr_calls_limit", "Calls that are allowed at the same time.", now.most_calls)
        yield from self._media()
        yield from self._parties()
        yield from self._records()
        yield _gauge(
            "ivr_flows_disk_mistakes", "Mistakes that keep the flows on disk from being live.", len(now.complaints)
        )
        alarms = GaugeMetricFamily("ivr_alarm", "1 for each alarm there is.", labels=["alarm", "severity"])
        # Several may be of one name: two trunks.
        for name, severity in dict.fromkeys((one.name, one.severity) for one in alarms_of(now, self._before)):
            alarms.add_metric([name, severity], 1)
        yield alarms
        remembered = GaugeMetricFamily("ivr_remembered", "How much is remembered.", labels=["what"])
        for what, size in now.sizes.items():
            remembered.add_metric([what], size)
        yield remembered

    def _media(self) -> Iterator[Metric]:
        media = self._now.gateway.media
        yield _gauge("ivr_media_legs", "Legs with sound.", media.legs)
        yield _gauge("ivr_media_realtime", "Whether the media thread runs with priority.", media.realtime)
        yield _counter("ivr_media_slots_late", "Slots of 5 ms that were run after the next was due.", media.late_slots)
        yield _counter("ivr_media_slots_missed", "Slots of 5 ms that were left out.", media.missed_slots)
        yield _counter("ivr_media_events_dropped", "Events of the engine there was no room for.", media.events_dropped)

    def _parties(self) -> Iterator[Metric]:
        gateway = self._now.gateway
        seats = GaugeMetricFamily("ivr_seats", "Seats, by whether a telephone is registered.", labels=["registered"])
        there = sum(bool(seat.telephones) for seat in gateway.seats)
        seats.add_metric(["yes"], there)
        seats.add_metric(["no"], len(gateway.seats) - there)
        yield seats
        trunks = GaugeMetricFamily("ivr_trunk_registered", "Whether a trunk has our registration.", labels=["trunk"])
        for trunk in gateway.trunks:
            if trunk.registration != "none":
                trunks.add_metric([trunk.name], trunk.registration == "registered")
        yield trunks
        clients = GaugeMetricFamily("ivr_clients", "RTC clients, by presence.", labels=["presence"])
        for presence in _PRESENCES:
            clients.add_metric([presence], sum(client.presence == presence for client in gateway.clients))
        yield clients
        hearing = GaugeMetricFamily(
            "ivr_hearing", "Whether somebody listens to callers in a language.", labels=["language"]
        )
        for language, heard in self._now.hearing.items():
            hearing.add_metric([language], heard)
        yield hearing

    def _records(self) -> Iterator[Metric]:
        records = self._now.records
        yield _gauge("ivr_records_waiting", "Events that are not in the database yet.", records.queued)
        yield _gauge("ivr_records_failing", "Whether the database takes nothing.", records.failing)
        yield _gauge("ivr_spool_failing", "Whether the spool of events takes nothing.", records.spool_error is not None)
        yield _gauge("ivr_spool_filling", "Part of its bound that the spool has reached.", records.spool_filling)
        yield _counter("ivr_records_lost", "Events of the spool that could not be read.", records.lost)
        yield _counter("ivr_records_written", "Events that are in the database.", records.written)
        yield _counter("ivr_records_dropped", "Events that were given up.", records.dropped)
        yield _counter("ivr_records_rejected", "Events that the database refused.", records.rejected)


def page(counters: CollectorRegistry, now: Now, before: Now | None = None) -> bytes:
    """Everything as Prometheus reads it: text format 0.0.4. May be made on any thread."""
    look = CollectorRegistry(auto_describe=False)
    look.register(_Look(now, before))
    return generate_latest(look) + generate_latest(counters)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=float(value))


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(name, words, value=float(value))
