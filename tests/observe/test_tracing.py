"""Traces of calls, as who takes them sees them: from events, and from a call on a real server."""

from __future__ import annotations

import logging
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import create_engine, select

from ivr.observe import tracing
from ivr.observe.tracing import Traces, sending_to
from ivr.records import model
from ivr.records.events import RecordEvent
from ivr.site import load_site
from tests.live.served import Running
from tests.observe.receiver import Received, Receiver
from tests.peers.company import Company
from tests.peers.ports import free_port
from tests.records.calls import T0, Script, any_call, arrived, typical_call

SERVER, CLIENT, INTERNAL = 2, 3, 1


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def traced(receiver: Receiver, events: list[RecordEvent]) -> list[Received]:
    """All spans of these events."""
    traces = Traces(sending_to(receiver.url), "node1")
    for event in events:
        traces.event(event)
    traces.close()
    assert traces.sizes() == {"traced_calls": 0}
    return receiver.spans


def test_a_call_its_legs_and_its_steps(receiver: Receiver) -> None:
    spans = traced(receiver, typical_call("c1", trace_id="0af7651916cd43dd8448eb211c80319c", flow_version="7-12345678"))
    assert {span.trace_id for span in spans} == {"0af7651916cd43dd8448eb211c80319c"}
    assert len({span.span_id for span in spans}) == len(spans)
    (root,) = [span for span in spans if not span.parent]
    assert {span.parent for span in spans if span is not root} == {root.span_id}
    assert (root.name, root.kind, root.began_ms, root.ended_ms) == ("call main", SERVER, T0, T0 + 60_000)
    assert root.events == (("answered", T0 + 100),)
    assert root.error is None
    assert root.attributes == {
        "ivr.call.id": "c1",
        "ivr.call.mode": "ivr",
        "ivr.call.caller": "••••••••456",
        "ivr.call.did": "1000",
        "ivr.call.language": "en",
        "ivr.flow.name": "main",
        "ivr.flow.version": "7-12345678",
        "ivr.call.ended_by": "caller",
        "ivr.call.end_cause": "bye",
        "sip.response.status": 200,
        "ivr.flow.last_block": "sales",
    }
    assert root.resource["service.name"] == "ivr"
    assert root.resource["service.instance.id"] == "node1"
    by_name = {span.name: span for span in spans}
    assert set(by_name) == {
        "call main", "leg caller", "leg agent", "welcome say", "menu menu", "sales dial",
    }  # fmt: skip
    agent = by_name["leg agent"]
    assert (agent.kind, agent.began_ms, agent.ended_ms) == (CLIENT, T0 + 8_000, T0 + 60_000)
    assert [name for name, _ in agent.events] == ["ringing", "answered", "held", "retrieved"]
    assert agent.attributes["network.protocol.name"] == "sip"
    assert agent.attributes["ivr.leg.packets_received"] == 2400
    assert agent.attributes["ivr.leg.jitter_ms"] == 1.25
    assert by_name["leg caller"].kind == INTERNAL
    wrong, right = (span for span in spans if span.name == "menu menu")
    assert (wrong.began_ms, wrong.ended_ms) == (T0 + 3_000, T0 + 5_000)
    assert (wrong.attributes["ivr.step.exit"], right.attributes["ivr.step.next_block"]) == ("no_match", "sales")
    assert right.attributes["ivr.step.barged_in"] is True
    # What callers enter is theirs.
    assert not any(name.endswith("input") for span in spans for name in span.attributes)


def test_what_went_wrong_and_numbers_nobody_need_know(receiver: Receiver) -> None:
    call = Script("c1").at(0, "call.arrived", **arrived(trace_id="1" * 32, mode="rtc_to_sip", did="013800138000"))
    call.at(0, "leg.created", "a", kind="sip", role="caller", remote="sip:+4930123456@192.0.2.1")
    call.at(1, "leg.created", "b", kind="pstn", role="agent", account="13800138000", remote="tel:13800138000")
    call.at(2, "leg.ended", "b", hangup_by="remote", sip_status=503, outcome="failed")
    call.step(0, "out", 1, 2, verb="transfer", error="no way to 13800138000: 503", exit="failed")
    call.at(9, "leg.ended", "a", hangup_by="network").at(9, "call.ended", ended_by="network", end_cause="media_timeout")
    spans = traced(receiver, call.events)
    errors = {span.name: (span.error, span.attributes.get("error.type")) for span in spans}
    assert errors == {
        "call main": ("media_timeout", "media_timeout"),
        "leg caller": ("network", "network"),
        "leg agent": ("failed", "failed"),
        "out transfer": ("no way to ••••••••000: 503", "no way to ••••••••000"),
    }
    told = repr(spans)
    assert "4930123456" not in told
    assert "13800138000" not in told
    assert "••••••••456@192.0.2.1" in told


def test_a_call_without_a_trace_is_none(receiver: Receiver) -> None:
    assert traced(receiver, typical_call("c1")) == []


def test_a_call_does_not_grow(receiver: Receiver) -> None:
    call = Script("c1").at(0, "call.arrived", **arrived(trace_id="1" * 32))
    for number in range(3_000):
        leg = f"leg{number}"
        call.at(number, "leg.created", leg, kind="sip", role="agent", remote="sip:2001")
        for _ in range(3):
            call.at(number, "leg.held", leg).at(number, "leg.retrieved", leg)
        call.step(number, "again", number, number, verb="ring")
    traces = Traces(sending_to(receiver.url), "node1")
    tracemalloc.start()
    for event in call.events:
        traces.event(event)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A thousand spans that are not sent yet are half of it.
    assert held < 4_000_000
    traces.event(RecordEvent(T0 + 9_000_000, "call.ended", "c1", None, {"ended_by": "flow"}))
    traces.close()
    (root,) = [span for span in receiver.spans if not span.parent]
    assert len(receiver.spans) == tracing.SPANS_AT_MOST
    assert root.attributes["ivr.spans.dropped"] == 6_001 - tracing.SPANS_AT_MOST


@settings(max_examples=60)
@given(any_call())
def test_nothing_that_comes_is_too_much(events: list[RecordEvent]) -> None:
    """A mistake here would end all traces (and nothing else)."""
    traces = Traces(SimpleSpanProcessor(InMemorySpanExporter()), "node1")
    for event in events:
        if event.type == "call.arrived":
            event = RecordEvent(event.at, event.type, event.call_id, None, {**event.data, "trace_id": "a" * 32})
        traces.event(event)


def test_nobody_takes_them(caplog: pytest.LogCaptureFixture) -> None:
    """Told once; nothing piles up, and nobody waits."""
    traces = Traces(sending_to(f"http://127.0.0.1:{free_port()}"), "node1")
    with caplog.at_level(logging.INFO):
        for number in range(1_500):
            for event in typical_call(f"c{number}", trace_id=f"{number + 1:032x}"):
                traces.event(event)
        began = time.monotonic()
        traces.close()
    assert time.monotonic() - began < 20
    assert [record.message for record in caplog.records if "given up" in record.message]
    assert len(caplog.records) == 1


def test_what_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ivr.site.monitoring.find_spec", lambda name: None)
    site = tmp_path / "site.yaml"
    site.write_text("numbers: {'1000': main}\nmonitoring: {traces: 'http://127.0.0.1:4318'}\n")
    told = "\n".join(map(str, load_site(site, {}).problems))
    assert "site.yaml:2:22: error E213 what sends traces is not installed" in told
    assert "pip install 'ivr-gateway[otel]'" in told


@pytest.mark.peer
def test_a_call_on_a_server(receiver: Receiver, company: Company, tmp_path: Path) -> None:
    running = Running(tmp_path, monitoring={"traces": receiver.url})
    try:
        caller = company.phone("4930123456", running.address)
        caller.dials("1000")
        caller.is_connected()
        caller.hears(700)
        caller.presses("1")
        caller.is_hung_up()
        spans = receiver.gets(lambda spans: any(not span.parent for span in spans), "the call did not come")
    finally:
        running.close()
    (root,) = [span for span in spans if not span.parent]
    names = [span.name for span in spans]
    assert set(names) >= {"call main", "leg caller", "menu answer", "menu menu", "bye say", "last hangup"}
    engine = create_engine(running.settings["records"])
    with engine.connect() as connection:
        call = connection.execute(select(model.Call.__table__)).one()
        steps = connection.execute(select(model.FlowStep.__table__).order_by(model.FlowStep.seq)).all()
    engine.dispose()
    assert (call.trace_id, call.call_id) == (root.trace_id, root.attributes["ivr.call.id"])
    assert (call.arrived_at, call.ended_at) == (root.began_ms, root.ended_ms)
    assert len(names) == 2 + len(steps)
    assert "4930123456" not in repr(spans)
