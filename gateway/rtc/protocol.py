"""The signalling protocol between RTC clients and the gateway: JSON in frames of a WebSocket, version ``ivr.rtc.1``.

Messages stand in `requests`, `answers` and `notifications`; here they become text and text becomes them. The
document of the protocol (`docs/rtc-protocol.asyncapi.yaml`) is made from the same classes by `gateway.rtc.asyncapi`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from gateway.rtc.answers import Failure, InviteOk, LoginOk, Ok, PresenceOk, StateOk
from gateway.rtc.fields import ProtocolError, Whole, in_wire_form, read_fields
from gateway.rtc.limits import FRAME_BYTES
from gateway.rtc.notifications import Notification
from gateway.rtc.requests import REQUESTS, Ack, Request

__all__ = [
    "CLOSINGS",
    "SUBPROTOCOL",
    "Envelope",
    "Failure",
    "InviteOk",
    "LoginOk",
    "Notification",
    "Ok",
    "PresenceOk",
    "ProtocolError",
    "Request",
    "StateOk",
    "answer_text",
    "notification_text",
    "parse_request",
]

SUBPROTOCOL: Final = "ivr.rtc.1"
"""Of the WebSocket; a change that old clients do not bear gets a new number."""

ID: Final = Whole(1)

CLOSINGS: Final[dict[int, str]] = {
    1001: "The gateway stops.",
    1013: "The gateway has as many connections as it takes, in all or from that address.",
    4000: "Logged out.",
    4001: "Not logged in in time, or too many tries.",
    4002: "The same device logged in anew, or resumed elsewhere.",
    4003: "Nothing was heard for 30 s: the session is over.",
    4004: "Too many frames, or one that is too large.",
    4005: "The client does not take what it is sent: the session is over.",
    4006: "The user was logged out by the site.",
}
"""Close codes of the WebSocket (RFC 6455 section 7.4) that the gateway uses."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A request as it came."""

    id: int | None
    """None: `ack`, which has none; or it could not be read."""
    request: Request | None
    error: ProtocolError | None = None
    """Why there is no request."""


def parse_request(text: str) -> Envelope:
    """Read a frame of a client. Never raises, whatever it is."""
    number: int | None = None
    try:
        value = _object(text)
        kind = value.get("type")
        if not isinstance(kind, str):
            raise ProtocolError("bad_field", "type is missing; every message has one")
        request = REQUESTS.get(kind)
        if request is not Ack:
            if "id" not in value:
                raise ProtocolError("bad_field", "id is missing; requests are counted up from 1")
            number = ID.read(value["id"], "id")
        if request is None:
            shown = kind.encode("utf-8", "replace").decode()[:40]
            raise ProtocolError("unknown_type", f"there is no request {shown!r}; there are: {', '.join(REQUESTS)}")
        besides = ("type",) if request is Ack else ("type", "id")
        return Envelope(number, read_fields(request, value, besides=besides))
    except ProtocolError as error:
        return Envelope(number, None, error)


def _object(text: str) -> dict[str, Any]:
    if len(text) > FRAME_BYTES:
        raise ProtocolError("too_long", f"the frame is longer than {FRAME_BYTES} bytes")
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ProtocolError("not_json", "the frame is nested too deeply") from None
    except ValueError as error:
        raise ProtocolError("not_json", f"the frame is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ProtocolError("not_json", "the frame is JSON but not an object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def answer_text(re: int | None, answer: Ok | Failure) -> str:
    """The frame of an answer to the request with that id."""
    return _text({"type": answer.type, "re": re, **in_wire_form(answer)})


def notification_text(seq: int, notification: Notification) -> str:
    return _text({"type": notification.type, "seq": seq, **in_wire_form(notification)})


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
