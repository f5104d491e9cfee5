"""Events of calls become numbers, read back with the parser of Prometheus' own library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from ivr.observe.counting import CallCounters
from ivr.observe.metrics import page
from ivr.records.events import EventType, RecordEvent
from tests.observe.looks import CALL, QUIET, look


class Counted:
    """Counters, and what is read of them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.counters = CallCounters(self.registry)

    def happens(
        self, at: int, event: EventType, /, call_id: str = "c1", leg: str | None = None, **data: object
    ) -> None:
        self.counters.event(RecordEvent(at, event, call_id, leg, data))

    def value(self, name: str, **labels: str) -> float | None:
        for sample in self.samples():
            if sample[0] == name and sample[1] == labels:
                return sample[2]
        return None

    def samples(self) -> Iterator[tuple[str, dict[str, str], float]]:
        for family in text_string_to_metric_families(page(self.registry, QUIET).decode()):
            for sample in family.samples:
                yield sample.name, dict(sample.labels), sample.value


def test_a_call_is_counted_from_its_arrival_to_its_end() -> None:
    counted = Counted()
    counted.happens(1000, "call.arrived", mode="ivr", flow="main")
    counted.happens(1400, "call.answered")
    counted.happens(1400, "leg.answered", leg="c1-caller")
    counted.happens(2000, "flow.step", flow="main", try_no=1, exit="no_match", input_mode="keys")
    counted.happens(2500, "flow.step", flow="main", try_no=2, exit="1", input_mode="speech")
    counted.happens(2600, "flow.step", flow="main", exit="next", error="the door is shut")
    quality: dict[str, Any] = {"rx_pkts": 50, "tx_pkts": 60, "lost_pkts": 2, "jitter_ms": 3.0, "audio_rx_ms": 0}
    counted.happens(9000, "leg.ended", leg="c1-caller", hangup_by="remote")
    counted.happens(9000, "leg.ended", leg="c1-caller", kind="sip", role="caller", **quality)
    counted.happens(9000, "call.ended", ended_by="caller")
    assert counted.value("ivr_calls_arrived_total", mode="ivr", flow="main") == 1
    assert counted.value("ivr_calls_ended_total", mode="ivr", flow="main", ended_by="caller", answered="yes") == 1
    assert counted.value("ivr_call_setup_seconds_sum", mode="ivr") == 0.4
    assert counted.value("ivr_call_seconds_sum", mode="ivr") == 8.0
    assert counted.value("ivr_tries_total", flow="main", input="keys", outcome="no_match") == 1
    assert counted.value("ivr_tries_total", flow="main", input="speech", outcome="matched") == 1
    assert counted.value("ivr_flow_errors_total", flow="main") == 1
    assert counted.value("ivr_legs_ended_total", kind="sip", role="caller", outcome="answered") == 1
    assert counted.value("ivr_leg_packets_total", kind="sip", direction="received") == 50
    assert counted.value("ivr_leg_packets_lost_total", kind="sip") == 2
    assert counted.value("ivr_legs_silent_total", kind="sip") == 1
    assert counted.value("ivr_leg_jitter_seconds_sum", kind="sip") == 0.003
    assert set(counted.counters.sizes().values()) == {0}


def test_a_call_that_was_not_answered_and_a_leg_that_was_busy() -> None:
    counted = Counted()
    counted.happens(1000, "call.arrived", mode="sip_to_rtc", flow="(direct)")
    counted.happens(
        1500, "leg.ended", leg="c1-leg1", kind="rtc", role="agent", outcome="busy", rx_pkts=0, tx_pkts=0, lost_pkts=0
    )
    counted.happens(2000, "call.ended", ended_by="system")
    ended = {"mode": "sip_to_rtc", "flow": "(direct)", "ended_by": "system", "answered": "no"}
    assert counted.value("ivr_calls_ended_total", **ended) == 1
    assert counted.value("ivr_legs_ended_total", kind="rtc", role="agent", outcome="busy") == 1
    assert counted.value("ivr_legs_silent_total", kind="rtc") is None
    assert set(counted.counters.sizes().values()) == {0}


def test_events_of_strange_shapes_are_counted_somewhere() -> None:
    counted = Counted()
    counted.happens(1, "call.ended")
    counted.happens(1, "leg.ended", rx_pkts="many", kind=7, jitter_ms=None)
    counted.happens(1, "call.answered", call_id="")
    assert counted.value("ivr_calls_ended_total", mode="other", flow="other", ended_by="other", answered="no") == 1
    assert set(counted.counters.sizes().values()) == {0}


def test_what_is_true_now_is_on_the_page() -> None:
    now = look(calls=(CALL, CALL), failing=True, last_error="gone", queued=4)
    text = page(CollectorRegistry(), now).decode()
    told = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert told["ivr_calls", ("state", "in_flow")] == 2
    assert told["ivr_seats", ("registered", "yes")] == 1
    assert told["ivr_clients", ("presence", "online")] == 1
    assert told["ivr_trunk_registered", ("trunk", "carrier")] == 1
    assert told[("ivr_records_waiting",)] == 4
    assert told["ivr_alarm", ("alarm", "records_failing"), ("severity", "critical")] == 1
    assert told["ivr_remembered", ("what", "tasks")] == 7
