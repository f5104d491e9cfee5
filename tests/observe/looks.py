"""Looks at servers that are not there: what watching makes of them is tried without one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.call import LegReport, LegView
from gateway.media.engine import EngineStatistics
from gateway.view import ClientView, GatewayView, SeatView, TrunkView
from ivr.observe.now import Now
from ivr.records.writer import WriterStatistics
from ivr.run.view import CallView

MEDIA = EngineStatistics(
    legs=2,
    wake_ups=1000,
    late_slots=0,
    missed_slots=0,
    events_dropped=0,
    realtime=True,
    longest_hold_ms=0.0,
    longest_work_ms=0.0,
    commands=10,
    waited_ms=0.0,
    longest_wait_ms=0.0,
    kept_out_ms=0.0,
    longest_kept_out_ms=0.0,
)
REPORT = LegReport(
    leg_id="caller",
    kind="sip",
    role="caller",
    account=None,
    remote="sip:+4930123456@127.0.0.1",
    signalling_id="s1",
    status=None,
    hangup_by="local",
    codec="PCMU",
    packets_received=490,
    packets_lost=10,
    jitter_ms=3.0,
)
CALL = CallView(
    call_id="c1",
    caller="+4930123456",
    caller_name="",
    did="1000",
    mode="ivr",
    flow="main",
    flow_version="1-0",
    language="en",
    state="in_flow",
    block="main_menu",
    verb="menu",
    place="flows/main.yaml:27:7",
    arrived_at=1_000_000,
    step_since=1_060_000,
    legs=(LegView("caller", "answered", REPORT),),
)
QUIET = Now(
    at=1_065_000,
    since=900_000,
    node_id="here",
    calls=(),
    most_calls=10,
    gateway=GatewayView(
        seats=(SeatView("2001", "Sales", ("a phone at 10.0.0.7:5060",)), SeatView("2002", "", ())),
        trunks=(TrunkView("carrier", "registered", 200),),
        clients=(ClientView("alice", "online"), ClientView("bob", "offline")),
        media=MEDIA,
        draining=False,
    ),
    records=WriterStatistics(queued=0, written=5, dropped=0, rejected=0, last_error=None, failing=False),
    complaints=(),
    sizes={"tasks": 7},
)


def look(**changes: Any) -> Now:
    """At a quiet server, but for this; what belongs to the gateway or the records goes there."""
    records = {name: changes.pop(name) for name in list(changes) if hasattr(QUIET.records, name)}
    media = {name: changes.pop(name) for name in list(changes) if hasattr(MEDIA, name)}
    gateway = {name: changes.pop(name) for name in list(changes) if hasattr(QUIET.gateway, name)}
    seen = replace(QUIET.gateway, media=replace(MEDIA, **media), **gateway)
    return replace(QUIET, gateway=seen, records=replace(QUIET.records, **records), **changes)
