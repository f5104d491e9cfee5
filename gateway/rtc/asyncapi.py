"""The protocol as an AsyncAPI 3 document, made from its messages. ``python -m gateway.rtc.asyncapi`` writes it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from gateway.rtc.answers import Failure, Ok
from gateway.rtc.errors import CODES, INVITATION_ERRORS
from gateway.rtc.fields import Schema, example, open_to_more, schema_of
from gateway.rtc.limits import FRAME_BYTES
from gateway.rtc.notifications import NOTIFICATIONS
from gateway.rtc.protocol import CLOSINGS, SUBPROTOCOL
from gateway.rtc.requests import REQUESTS, Ack, Request

__all__ = ["document", "document_text", "message_schema"]

TARGET: Final = Path("docs/rtc-protocol.asyncapi.yaml")

_ID: Final[Schema] = {"description": "Counted up by the client.", "type": "integer", "minimum": 1, "maximum": 2**53 - 1}
_RE: Final[Schema] = {"description": "The id of the request.", "type": "integer"}
_RE_OR_NULL: Final[Schema] = {"description": "The id of the request, if it could be read.", "type": ["integer", "null"]}
_SEQ: Final[Schema] = {"description": "Counted up in the session; confirm with `ack`.", "type": "integer", "minimum": 1}


def message_schema(message: type[Any]) -> Schema:
    """The JSON Schema of a message with its envelope. What clients send is closed; what they get may grow."""
    more: dict[str, Schema] = {"type": {"const": message.type}}
    if issubclass(message, Request):
        if message is not Ack:
            more["id"] = _ID
        return schema_of(message, more=more)
    if issubclass(message, Ok):
        more["re"] = _RE
    elif message is Failure:
        more["re"] = _RE_OR_NULL
    else:
        more["seq"] = _SEQ
    return open_to_more(schema_of(message, more=more))


def _message(name: str, message: type[Any]) -> dict[str, Any]:
    sample: dict[str, Any] = {"type": message.type}
    if issubclass(message, Request):
        if message is not Ack:
            sample["id"] = 3
    elif issubclass(message, Ok) or message is Failure:
        sample["re"] = 3
    else:
        sample["seq"] = 17
    return {
        "name": name,
        "summary": " ".join((message.__doc__ or "").split()),
        "contentType": "application/json",
        "payload": message_schema(message),
        "examples": [{"payload": sample | example(message)}],
    }


def _answer_name(answer: type[Ok]) -> str:
    return "ok" if answer is Ok else f"ok.{answer.__name__.removesuffix('Ok').lower()}"


def _table(codes: dict[Any, str]) -> str:
    return "\n".join(f"- `{code}`: {text}" for code, text in codes.items())


def _description() -> str:
    return (
        f"JSON objects in text frames of a WebSocket, subprotocol `{SUBPROTOCOL}`, at most {FRAME_BYTES} bytes each.\n"
        "See rtc-protocol.md for how it is used.\n\n"
        f"Error codes:\n\n{_table(CODES)}\n\n"
        f"Errors of invitations:\n\n{_table(INVITATION_ERRORS)}\n\n"
        f"Close codes:\n\n{_table(CLOSINGS)}\n"
    )


def document() -> dict[str, Any]:
    messages: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    channel = {"$ref": "#/channels/rtc"}

    def on_channel(name: str) -> dict[str, str]:
        return {"$ref": f"#/channels/rtc/messages/{name}"}

    for request in REQUESTS.values():
        messages[request.type] = _message(request.type, request)
        operation = {"action": "receive", "channel": channel, "messages": [on_channel(request.type)]}
        if request.answer is not None:
            name = _answer_name(request.answer)
            messages.setdefault(name, _message(name, request.answer))
            operation["reply"] = {"channel": channel, "messages": [on_channel(name), on_channel("error")]}
        operations[request.type] = operation
    messages["error"] = _message("error", Failure)
    for notification in NOTIFICATIONS.values():
        name = f"notify.{notification.type}"
        messages[name] = _message(name, notification)
        operations[name] = {"action": "send", "channel": channel, "messages": [on_channel(name)]}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "RTC clients of the gateway", "version": SUBPROTOCOL, "description": _description()},
        "defaultContentType": "application/json",
        "servers": {
            "gateway": {
                "host": "gateway.example.com:8443",
                "protocol": "wss",
                "description": "As the site's `rtc.listen`.",
            }
        },
        "channels": {
            "rtc": {
                "address": "/rtc",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {
                    "ws": {
                        "method": "GET",
                        "headers": {
                            "type": "object",
                            "properties": {"Sec-WebSocket-Protocol": {"type": "string", "const": SUBPROTOCOL}},
                        },
                    }
                },
            }
        },
        "operations": operations,
        "components": {"messages": messages},
    }


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text and "\r" not in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def document_text() -> str:
    """The document in YAML."""
    # By way of JSON: tuples become lists, and what is not data fails here.
    plain = json.loads(json.dumps(document()))
    head = "# Made from the program by `python -m gateway.rtc.asyncapi`; do not edit.\n"
    return head + yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def main(arguments: Sequence[str] | None = None) -> int:
    target = Path(arguments[0]) if arguments else TARGET
    target.write_text(document_text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
