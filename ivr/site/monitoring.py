"""How other programs watch the server, as written in the site file: ``monitoring``."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

from gateway.call import RtcListen
from ivr.flow.settings import Reader, Schema, scalar, setting, text_schema
from ivr.flow.source import Node
from ivr.site.rtc import WebListenAddress


@dataclass(frozen=True)
class InnerAddress:
    """``http:127.0.0.1:9464``: no password is asked for, so that it is not for the world."""

    def read(self, node: Node, reader: Reader) -> RtcListen | None:
        listen = WebListenAddress().read(node, reader)
        if listen is None:
            return None
        if listen.scheme == "https":
            help = f"write {self.describe()}, and put a web server in front if it must be encrypted"
            reader.problem("E201", node, "metrics and health are told by http only", help)
            return None
        address = ipaddress.ip_address(listen.host)
        if address.is_global:
            message = f"{listen.host} is an address that everybody can reach, and no password is asked for"
            reader.problem("E201", node, message, "write an inner address, or 127.0.0.1")
            return None
        return listen

    def schema(self) -> Schema:
        return text_schema(r"http:(?:\[[^\]]*\]|[^:\[\]/]*):[0-9]{1,5}")

    def describe(self) -> str:
        return "'http:127.0.0.1:9464'"


@dataclass(frozen=True)
class TraceReceiver:
    """``http://127.0.0.1:4318``, without the path, which is always the same."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        if not _is_origin(text.text):
            message = f"'{text.text[:60]}' is not the address of who takes traces"
            reader.problem("E213", text, message, f"write {self.describe()}, without a path")
            return None
        if not _is_installed():
            message = "what sends traces is not installed"
            reader.problem("E213", text, message, "type: pip install 'ivr-gateway[otel]', or leave traces: out")
            return None
        return text.text.rstrip("/")

    def schema(self) -> Schema:
        return text_schema(r"https?://[^\s/?#@]+/?")

    def describe(self) -> str:
        return "'http://127.0.0.1:4318'"


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username or port == 0)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain


def _is_installed() -> bool:
    try:
        return all(find_spec(f"opentelemetry.{part}") is not None for part in ("sdk", "exporter.otlp.proto.http"))
    except ModuleNotFoundError:
        return False


@dataclass(frozen=True, slots=True)
class MonitoringPart:
    """The settings of ``monitoring``, as written."""

    listen: RtcListen | None = setting(
        InnerAddress(),
        "where /metrics, /healthz and /readyz are; an inner address: there is no password",
        default=None,
    )
    traces: str | None = setting(
        TraceReceiver(),
        "who takes a trace of each call: OpenTelemetry, OTLP over HTTP (needs the extra `otel`)",
        default=None,
    )
