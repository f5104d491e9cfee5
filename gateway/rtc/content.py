"""What invitations and messages say inside: the fields that have a meaning here, and the message that ends a call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from gateway.rtc.fields import ProtocolError

__all__ = ["CallContent", "end_call_of"]


@dataclass(frozen=True, slots=True)
class CallContent:
    """The content of an invitation, or the response to one. What is not there is None."""

    mode: str | None = None
    conference: str | None = None
    channel: str | None = None
    """`ChanId`."""
    display_name: str | None = None
    user_data: str | None = None
    sip_data: str | None = None
    pstn: str | None = None
    """The number is one of the public network: it goes out through the trunk, with the site's prefix."""
    sip_number: str | None = None

    @classmethod
    def parse(cls, text: str | None) -> CallContent:
        """Whatever the text is; what is no JSON object has no fields."""
        value = _object(text or "")
        return cls(**{name: _text(value.get(key)) for key, name in _FIELDS.items()})

    def __str__(self) -> str:
        """As it is sent: the fields that are there, as a JSON object."""
        value = {key: getattr(self, name) for key, name in _FIELDS.items()}
        return json.dumps({k: v for k, v in value.items() if v is not None}, ensure_ascii=False, separators=(",", ":"))


_FIELDS: Final = {
    "Mode": "mode",
    "Conference": "conference",
    "ChanId": "channel",
    "DisplayName": "display_name",
    "UserData": "user_data",
    "SipData": "sip_data",
    "Pstn": "pstn",
    "SipNumber": "sip_number",
}


def end_call_of(text: str) -> str | None:
    """The invitation whose call a message ends: ``{"Cmd":"EndCall","Call":"..."}``; None: it is another message.

    Raises:
        ProtocolError: it does not say which call.
    """
    # Most messages are something else: they need not be parsed to see that.
    if "EndCall" not in text:
        return None
    value = _object(text)
    if value.get("Cmd") != "EndCall":
        return None
    call = value.get("Call")
    if not isinstance(call, str) or not call:
        raise ProtocolError("bad_field", 'text: EndCall names its call: {"Cmd":"EndCall","Call":"<invitation>"}')
    return call


def _object(text: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    """A field as text: old clients write numbers and true as such, and objects in what is only passed on."""
    if value is None or value is False or value == "":
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return json.dumps(value, separators=(",", ":"))
