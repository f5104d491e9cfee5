"""One trace for each call, for programs that take OpenTelemetry (OTLP over HTTP): Jaeger, Tempo, a collector.

The call is the root span; its legs and the steps it went through are children. Times are those of the records, whose
events everything is made of: nothing is measured twice. Spans are made when what they tell of is over, and sent by a
thread of the SDK's, in batches; when nobody takes them they are given up, and calls never notice.

Telephone numbers are masked wherever they stand. Only this module knows OpenTelemetry, which need not be installed.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ivr.masking import masked
from ivr.records.events import RecordEvent

__all__ = ["Traces", "sending_to"]

log = logging.getLogger(__name__)

CALLS_REMEMBERED: Final = 20_000
"""Under way at a time; far more than any machine carries. Those above have no trace."""
LEGS_REMEMBERED: Final = 64
"""Of a call. Further ones push out the first: a call that tries seats all night must not grow."""
SPANS_AT_MOST: Final = 1_000
"""Of a call: what follows is counted, and told by the root's ``ivr.spans.dropped``."""
EVENTS_AT_MOST: Final = 32
"""Of a span."""
WAITING_AT_MOST: Final = 8_192
"""Spans that are not sent yet; further ones are given up. A short call has ten."""
_EVERY_MS: Final = 1_000
_SEND_S: Final = 5
"""A batch that is not taken within that time is given up."""
_TEXT: Final = 300

_IDS: Final = frozenset(("sip_call_id", "invitation", "flow_version"))
"""Digits in them are nobody's number."""
# Extensions, which are shorter, are no secret.
_NUMBER: Final = re.compile(r"\+?\d{7,}")


@dataclass(slots=True)
class _Span:
    """What is going on, to be told of when it is over."""

    name: str
    began: int
    """UTC epoch ms."""
    context: SpanContext
    attributes: dict[str, str | int | float | bool] = field(default_factory=dict)
    events: list[tuple[str, int]] = field(default_factory=list)
    ended: int | None = None

    def note(self, name: str, at: int) -> None:
        if len(self.events) < EVENTS_AT_MOST:
            self.events.append((name, at))


@dataclass(slots=True)
class _Call:
    root: _Span
    legs: OrderedDict[str, _Span] = field(default_factory=OrderedDict)
    spans: int = 1
    dropped: int = 0


def sending_to(url: str) -> SpanProcessor:
    """To that receiver, ``http://127.0.0.1:4318``, in batches, from a thread of its own.

    Passwords for it come by the environment, as OpenTelemetry has it (``OTEL_EXPORTER_OTLP_HEADERS``).
    """
    # What the SDK logs of every batch that nobody takes is told once, by us.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces", timeout=_SEND_S)
    return _InBatches(_TellingOnce(exporter, url))


class Traces:
    """A watcher of a :class:`~ivr.observe.tap.Tap`. Owns the calls that are traced, and what takes their spans."""

    def __init__(self, processor: SpanProcessor, node_id: str) -> None:
        self._processor = processor
        self._resource = Resource.create(
            {"service.name": "ivr", "service.version": _own_version(), "service.instance.id": node_id}
        )
        self._scope = InstrumentationScope("ivr")
        self._calls: dict[str, _Call] = {}
        self._handlers: dict[str, Callable[[_Call, RecordEvent], None]] = {
            "call.answered": _answered,
            "call.ended": self._ended,
            "call.marked": _marked,
            "leg.created": self._leg_created,
            "leg.ringing": _noted("ringing"),
            "leg.early_media": _noted("early media"),
            "leg.answered": _noted("answered"),
            "leg.held": _noted("held"),
            "leg.retrieved": _noted("retrieved"),
            "leg.ended": self._leg_ended,
            "flow.step": self._step,
        }

    def event(self, event: RecordEvent) -> None:
        if event.type == "call.arrived":
            self._arrived(event)
            return
        call = self._calls.get(event.call_id)
        handler = self._handlers.get(event.type)
        if call is not None and handler is not None:
            handler(call, event)

    def new_id(self) -> str:
        """Of a trace to be, as W3C Trace Context has it: 32 hexadecimal digits, random, not all zero."""
        return f"{int.from_bytes(os.urandom(16)) or 1:032x}"

    def sizes(self) -> dict[str, int]:
        """How much is remembered."""
        return {"traced_calls": len(self._calls)}

    def close(self) -> None:
        """Send what is left, for as long as a batch may take. Blocks."""
        self._processor.shutdown()

    # What happens -------------------------------------------------------------------------------------

    def _arrived(self, event: RecordEvent) -> None:
        trace_id = event.data.get("trace_id")
        if not isinstance(trace_id, str) or len(self._calls) >= CALLS_REMEMBERED:
            return
        data = event.data
        context = _context(int(trace_id, 16))
        root = _Span(f"call {data.get('flow')}", event.at, context, {"ivr.call.id": event.call_id})
        # A number of ours is told; one that a client of ours has called is somebody's.
        did = str(data.get("did") or "")
        root.attributes |= _told(
            data,
            {"mode": "ivr.call.mode", "caller": "ivr.call.caller", "flow": "ivr.flow.name"}
            | {"flow_version": "ivr.flow.version", "language": "ivr.call.language"},
        )
        root.attributes["ivr.call.did"] = did if data.get("mode") == "ivr" else _masked(did)
        self._calls[event.call_id] = _Call(root)

    def _ended(self, call: _Call, event: RecordEvent) -> None:
        del self._calls[event.call_id]
        for leg in call.legs.values():
            self._send_leg(call, leg, event.at)
        root, data = call.root, event.data
        root.attributes |= _told(
            data,
            {"ended_by": "ivr.call.ended_by", "end_cause": "ivr.call.end_cause", "sip_status": "sip.response.status"}
            | {"last_block": "ivr.flow.last_block", "goal": "ivr.call.goal", "disposition": "ivr.call.disposition"},
        )
        if call.dropped:
            root.attributes["ivr.spans.dropped"] = call.dropped
        wrong = data.get("ended_by") in ("network", "system")
        self._send(root, None, event.at, SpanKind.SERVER, str(data.get("end_cause")) if wrong else None)

    def _leg_created(self, call: _Call, event: RecordEvent) -> None:
        if event.leg_id is None or event.leg_id in call.legs:
            return
        if len(call.legs) >= LEGS_REMEMBERED:
            _, first = call.legs.popitem(last=False)
            self._send_leg(call, first, event.at)
        call.legs[event.leg_id] = leg = _Span(
            f"leg {event.data.get('role')}", event.at, self._child(call), {"ivr.leg.id": event.leg_id}
        )
        leg.attributes |= _told(event.data, _LEG)

    def _leg_ended(self, call: _Call, event: RecordEvent) -> None:
        leg = call.legs.get(event.leg_id or "")
        if leg is not None:
            # It comes twice: when the leg ends, and with what was measured when the call does.
            leg.attributes |= _told(event.data, _LEG)
            leg.ended = leg.ended or event.at

    def _send_leg(self, call: _Call, leg: _Span, at: int) -> None:
        outcome = leg.attributes.get("ivr.leg.outcome")
        wrong = "failed" if outcome == "failed" else None
        if leg.attributes.get("ivr.leg.hangup_by") == "network":
            wrong = "network"
        kind = SpanKind.INTERNAL if leg.attributes.get("ivr.leg.role") == "caller" else SpanKind.CLIENT
        if leg.attributes.get("ivr.leg.kind") in ("sip", "pstn"):
            leg.attributes["network.protocol.name"] = "sip"
        self._send_child(call, leg, leg.ended or at, kind, wrong)

    def _step(self, call: _Call, event: RecordEvent) -> None:
        data = event.data
        began, ended = (_ms(data.get(name), event.at) for name in ("from_at", "until_at"))
        # What the caller has entered or said is his affair.
        step = _Span(f"{data.get('block')} {data.get('verb')}", began, self._child(call), _told(data, _STEP))
        error = data.get("error")
        self._send_child(call, step, ended, SpanKind.INTERNAL, None if error is None else str(error))

    # Spans --------------------------------------------------------------------------------------------

    def _child(self, call: _Call) -> SpanContext:
        return _context(call.root.context.trace_id)

    def _send_child(self, call: _Call, span: _Span, ended: int, kind: SpanKind, error: str | None) -> None:
        if call.spans >= SPANS_AT_MOST:
            call.dropped += 1
            return
        call.spans += 1
        self._send(span, call.root.context, ended, kind, error)

    def _send(self, span: _Span, parent: SpanContext | None, ended: int, kind: SpanKind, error: str | None) -> None:
        if error is not None:
            error = _masked(error)
            span.attributes["error.type"] = error.split(":")[0][:100]
        self._processor.on_end(
            ReadableSpan(
                span.name[:_TEXT],
                span.context,
                parent,
                self._resource,
                span.attributes,
                [Event(name, timestamp=at * 1_000_000) for name, at in span.events],
                kind=kind,
                status=Status(StatusCode.UNSET) if error is None else Status(StatusCode.ERROR, error[:_TEXT]),
                start_time=span.began * 1_000_000,
                end_time=max(span.began, ended) * 1_000_000,
                instrumentation_scope=self._scope,
            )
        )


class _InBatches(BatchSpanProcessor):
    """Owns the SDK's thread. The SDK would wait half a minute at the end for somebody who takes nothing."""

    def __init__(self, exporter: _TellingOnce) -> None:
        super().__init__(exporter, max_queue_size=WAITING_AT_MOST, schedule_delay_millis=_EVERY_MS)
        self._exporter = exporter

    def shutdown(self) -> None:
        enough = threading.Timer(0 if self._exporter.failing else _SEND_S, self._exporter.shutdown)
        enough.start()
        try:
            super().shutdown()  # type: ignore[no-untyped-call]
        finally:
            enough.cancel()
            enough.join()


class _TellingOnce(SpanExporter):
    """Says when nobody takes the spans, and when somebody does again: not for every batch. On the SDK's thread."""

    def __init__(self, exporter: SpanExporter, url: str) -> None:
        self._exporter = exporter
        self._url = url
        self.failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self.failing:
            log.warning("traces are given up: %s does not take them (monitoring: traces)", self._url)
        elif self.failing and not failed:
            log.info("traces are taken by %s again", self._url)
        self.failing = failed
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


_LEG: Final = {
    "kind": "ivr.leg.kind",
    "role": "ivr.leg.role",
    "account": "ivr.leg.account",
    "remote": "ivr.leg.remote",
    "sip_call_id": "sip.call_id",
    "sip_status": "sip.response.status",
    "hangup_by": "ivr.leg.hangup_by",
    "outcome": "ivr.leg.outcome",
    "transfer_kind": "ivr.leg.transfer_kind",
    "invitation": "ivr.leg.invitation",
    "invitation_state": "ivr.leg.invitation_state",
    "invitation_error": "ivr.leg.invitation_error",
    "codec": "ivr.leg.codec",
    "rx_pkts": "ivr.leg.packets_received",
    "tx_pkts": "ivr.leg.packets_sent",
    "lost_pkts": "ivr.leg.packets_lost",
    "jitter_ms": "ivr.leg.jitter_ms",
    "rtt_ms": "ivr.leg.round_trip_ms",
    "mos": "ivr.leg.mos",
    "audio_rx_ms": "ivr.leg.audio_received_ms",
    "audio_tx_ms": "ivr.leg.audio_sent_ms",
}
_STEP: Final = {
    "flow": "ivr.flow.name",
    "block": "ivr.step.block",
    "step": "ivr.step.number",
    "verb": "ivr.step.verb",
    "line": "ivr.step.line",
    "try_no": "ivr.step.try",
    "input_mode": "ivr.step.input_mode",
    "confidence": "ivr.step.confidence",
    "barged_in": "ivr.step.barged_in",
    "heard_ms": "ivr.step.heard_ms",
    "exit": "ivr.step.exit",
    "next_block": "ivr.step.next_block",
}


def _told(data: Mapping[str, object], names: Mapping[str, str]) -> dict[str, str | int | float | bool]:
    """What an event says, by the names of attributes; what it does not know is left out."""
    told: dict[str, str | int | float | bool] = {}
    for name, attribute in names.items():
        value = data.get(name)
        if isinstance(value, str):
            told[attribute] = (value if name in _IDS else _masked(value))[:_TEXT]
        elif isinstance(value, (int, float)):
            told[attribute] = value
    return told


def _answered(call: _Call, event: RecordEvent) -> None:
    call.root.note("answered", event.at)


def _marked(call: _Call, event: RecordEvent) -> None:
    names = {name: f"ivr.call.{name}" for name in ("language", "variant", "goal", "disposition")}
    call.root.attributes |= _told(event.data, names)


def _noted(name: str) -> Callable[[_Call, RecordEvent], None]:
    def note(call: _Call, event: RecordEvent) -> None:
        leg = call.legs.get(event.leg_id or "")
        if leg is not None:
            leg.note(name, event.at)

    return note


def _context(trace_id: int) -> SpanContext:
    span_id = int.from_bytes(os.urandom(8)) or 1
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _masked(text: str) -> str:
    return _NUMBER.sub(lambda found: masked(found[0]), text)


def _ms(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _own_version() -> str:
    try:
        return version("ivr-gateway")
    except PackageNotFoundError:
        return "unknown"
