"""The first look at a new request, before anybody owns it: what is wrong with it by its text alone.

No state, no dialogs, no site configuration: RFC 3261 8.2.2.1 (scheme), 16.3 (syntax, hops left). The order of
checks is the order in which a sender can mend them.
"""

from __future__ import annotations

from typing import Final

from gateway.sip.grammar import SipParseError
from gateway.sip.message import Request

_SCHEMES: Final = frozenset(("sip", "sips", "tel"))
_TARGET_SETTING: Final = frozenset(("INVITE", "REGISTER", "SUBSCRIBE", "NOTIFY", "REFER", "UPDATE"))
"""Requests whose Contact and Record-Route will be used: an unreadable one is refused now, not met later."""


def screen(request: Request) -> None:
    """SipParseError, its `status` saying what to answer, if the request should reach nobody.

    Afterwards From, To, the top Via, Request-URI, Max-Forwards and, where they matter, Contact, Route and Record-Route
    are known to be readable.
    """
    uri = request.uri
    if uri.scheme not in _SCHEMES:
        raise SipParseError(f"unsupported scheme {uri.scheme}", 416)
    if uri.headers is not None:
        # They would be headers slipped past everybody who looked at the message's own (RFC 4475 3.1.2.11).
        raise SipParseError("headers in Request-URI")
    _ = request.top_via, request.from_, request.routes
    if not request.call_id:
        raise SipParseError("empty Call-ID")
    to = request.to
    if request.method in _TARGET_SETTING:
        _ = request.contacts, request.record_routes
    if request.max_forwards == 0 and to.tag is None and request.method != "OPTIONS":
        # Hops are counted to end loops of new requests. Within a dialog a refusal would only leave a call
        # hanging that its caller has ended; an OPTIONS with none left asks this very hop (RFC 3261 11.2).
        raise SipParseError("no hops left", 483)
