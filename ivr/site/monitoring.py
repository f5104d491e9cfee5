"""How other programs watch the server, as written in the site file: ``monitoring``."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from gateway.call import RtcListen
from ivr.flow.settings import Reader, Schema, setting, text_schema
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


@dataclass(frozen=True, slots=True)
class MonitoringPart:
    """The settings of ``monitoring``, as written."""

    listen: RtcListen = setting(
        InnerAddress(), "where /metrics, /healthz and /readyz are; an inner address: there is no password"
    )
