"""What the peer asks within a session: BYE, re-INVITE, UPDATE, INFO, PRACK, NOTIFY, OPTIONS. One function a method."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.sip.capabilities import ACCEPT, capabilities, sdp_of
from gateway.sip.dialog import Dialog
from gateway.sip.events import SessionInfo, SessionOffer
from gateway.sip.info import keys_of
from gateway.sip.invite_server import InviteServer
from gateway.sip.message import Request
from gateway.sip.reason import reason_of
from gateway.sip.session import Session, State
from gateway.sip.session_timer import TooSmall, agree
from gateway.sip.transaction import ServerTransaction

__all__ = ["cancel_received", "take_request"]

MAX_UNACKNOWLEDGED = 4
"""re-INVITEs that were answered and not acknowledged; a peer that goes on has lost its way."""


def take_request(session: Session, transaction: ServerTransaction, request: Request) -> None:
    """Answer a request within the session, or pass it to the owner.

    Raises:
        SipParseError: a broken header; nothing was done then (400).
    """
    dialog = session.dialog
    if dialog is None and session.client is not None:
        dialog = session.client.dialogs.get(request.from_.tag or "")
    if dialog is None:
        _respond(session, transaction, 481)
    elif not dialog.takes(request):
        # RFC 3261 12.2.2: out of order.
        _respond(session, transaction, 500)
    elif session.over and request.method != "BYE":
        _respond(session, transaction, 481)
    else:
        _METHODS.get(request.method, _unknown)(session, dialog, transaction, request)


def cancel_received(session: Session, transaction: ServerTransaction, cancel: Request) -> None:
    """The peer gives up an INVITE of its own: the one that began the session, or one within it."""
    if session.server is not None and transaction is session.server.transaction:
        session.give_up(487, "cancelled", cancel, "cancel")
    elif isinstance(session.pending, InviteServer) and session.pending.transaction is transaction:
        session.refuse_offer(487)


def _bye(session: Session, dialog: Dialog, transaction: ServerTransaction, request: Request) -> None:
    _respond(session, transaction, 200)
    if session.state is State.WAITING:
        # The caller may end an early dialog so (RFC 3261 section 15).
        session.give_up(487, "cancelled", request, "bye")
    elif session.answered:
        session.end("remote", "bye", reason_of(request))
    else:
        session.left()


def _invite(session: Session, dialog: Dialog, transaction: ServerTransaction, request: Request) -> None:
    unacknowledged = session.unacknowledged_servers.values()
    if session.state is State.CALLING or session.offering or any(s.made_offer for s in unacknowledged):
        # An offer of ours is under way (RFC 3261 14.2).
        _respond(session, transaction, 491)
    elif not session.answered or session.pending is not None or len(unacknowledged) >= MAX_UNACKNOWLEDGED:
        _later(session, transaction)
    elif not _interval_refused(session, transaction, request):
        transaction.owner = session
        session.pending = InviteServer(session.host, session, transaction, session.local_tag)
        session.tell(SessionOffer(session, sdp_of(request)))


def _update(session: Session, dialog: Dialog, transaction: ServerTransaction, request: Request) -> None:
    if request.body:
        if session.state is State.CALLING or session.offering:
            _respond(session, transaction, 491)
            return
        if not session.answered or session.pending is not None:
            # RFC 3311 5.2: the offer before this one is not answered yet.
            _later(session, transaction)
            return
    if _interval_refused(session, transaction, request):
        return
    if request.body:
        session.pending = transaction
        session.tell(SessionOffer(session, sdp_of(request)))
        return
    dialog.refresh_target(request)
    session.note_capabilities(request)
    _respond(session, transaction, 200, [*session.contact_headers(), *session.take_refresh(request)])


def _info(session: Session, dialog: Dialog, transaction: ServerTransaction, request: Request) -> None:
    _respond(session, transaction, 200)
    keys, duration_ms = keys_of(request)
    if keys:
        session.tell(SessionInfo(session, keys, duration_ms))


def _prack(session: Session, dialog: Dialog, transaction: ServerTransaction, request: Request) -> None:
    server = session.server
    if server is None or server.over or not server.pracked(request):
        _respond(session, transaction, 481)
        return
    # A further offer before the answer: allowed, never seen, not worth a state.
    _respond(session, transaction, 488 if request.body else 200)
    server.prack_answered()


def _notify(session: Session, dialog: Dialog, transaction: ServerTransaction, request: Request) -> None:
    # It is only taken where there has been a REFER of ours.
    _respond(session, transaction, 489 if session.referral is None else session.referral.notified(request))


def _options(session: Session, dialog: Dialog, transaction: ServerTransaction, request: Request) -> None:
    _respond(session, transaction, 200, [*capabilities(), ("Accept", ACCEPT)])


def _unknown(session: Session, dialog: Dialog, transaction: ServerTransaction, request: Request) -> None:
    _respond(session, transaction, 501)


_METHODS: dict[str, Callable[[Session, Dialog, ServerTransaction, Request], None]] = {
    "BYE": _bye,
    "INVITE": _invite,
    "UPDATE": _update,
    "INFO": _info,
    "PRACK": _prack,
    "NOTIFY": _notify,
    "OPTIONS": _options,
}


def _interval_refused(session: Session, transaction: ServerTransaction, request: Request) -> bool:
    outcome = agree(request, session.host.config.session_timer)
    if isinstance(outcome, TooSmall):
        _respond(session, transaction, 422, [("Min-SE", str(outcome.min_se))])
        return True
    return False


def _later(session: Session, transaction: ServerTransaction) -> None:
    """RFC 3261 14.2: try again, somewhere within the next ten seconds."""
    _respond(session, transaction, 500, [("Retry-After", str(int(session.host.random() * 11)))])


def _respond(
    session: Session, transaction: ServerTransaction, status: int, headers: Iterable[tuple[str, str]] = ()
) -> None:
    response = transaction.request.respond(status, to_tag=session.local_tag, headers=headers)
    session.host.send_response(transaction, response)
