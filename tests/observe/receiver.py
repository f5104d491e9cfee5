"""Who takes traces: a small OTLP/HTTP receiver, which decodes what it gets with OpenTelemetry's own messages."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.peers.patience import until

__all__ = ["Received", "Receiver"]


@dataclass(frozen=True, slots=True)
class Received:
    """One span as it came."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    """Empty: it is a root."""
    kind: int
    began_ms: int
    ended_ms: int
    attributes: dict[str, Any]
    events: tuple[tuple[str, int], ...]
    """Name and UTC epoch ms."""
    error: str | None
    resource: dict[str, Any]


class Receiver:
    """Listens on a free port of loopback. ``answers``: the status it gives."""

    def __init__(self, answers: int = 200) -> None:
        self.answers = answers
        self.requests = 0
        self._spans: list[Received] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver._take(self.path, self.headers.get("Content-Encoding"), body)
                self.send_response(receiver.answers)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def spans(self) -> list[Received]:
        return list(self._spans)

    def gets(self, what: Callable[[list[Received]], bool], words: str) -> list[Received]:
        """Wait until what came so far is enough."""
        return until(
            lambda: spans if what(spans := self.spans) else None,
            lambda: f"{words}: {[span.name for span in self.spans]}",
        )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _take(self, path: str, encoding: str | None, body: bytes) -> None:
        self.requests += 1
        if path != "/v1/traces" or self.answers != 200:
            return
        request = ExportTraceServiceRequest.FromString(gzip.decompress(body) if encoding == "gzip" else body)
        for of_resource in request.resource_spans:
            resource = _attributes(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                self._spans += [_received(span, resource) for span in of_scope.spans]


def _received(span: Span, resource: dict[str, Any]) -> Received:
    return Received(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.kind,
        span.start_time_unix_nano // 1_000_000,
        span.end_time_unix_nano // 1_000_000,
        _attributes(span.attributes),
        tuple((event.name, event.time_unix_nano // 1_000_000) for event in span.events),
        span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else None,
        resource,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    def value(one: AnyValue) -> Any:
        kind = one.WhichOneof("value")
        return None if kind is None else getattr(one, kind)

    found: dict[str, Any] = {}
    pair: KeyValue
    for pair in pairs:
        found[pair.key] = value(pair.value)
    return found
