"""A session: one call between us and one peer, from its INVITE to its BYE, in either direction (RFC 3261 13-15).

Theory
======

    WAITING    the peer's INVITE is ours to answer        CALLING   our INVITE is the peer's to answer
    ANSWERED   we said 200, the ACK is still to come
    CONFIRMED  both know that it is answered
    OVER       the owner was told so; what is left is to say BYE and to answer what crosses it

Offer and answer (RFC 3264, RFC 6337): one exchange at a time. `_pending` is the peer's offer that waits for the
owner, `_asked` ours that waits for the peer, `_wanted` ours that waits for its turn. An offer of the peer that
meets one of ours is refused with 491, and so may ours be: then both wait, for different times (14.1).

The INVITE transactions live in `invite_server` and `invite_client`, what goes out within the dialog in
`dialog_request`, the peer's requests come in by `session_requests`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Literal

from gateway.sip.capabilities import SDP, capabilities, sdp_of
from gateway.sip.dialog import Dialog, DialogId
from gateway.sip.dialog_request import DialogRequest
from gateway.sip.digest import DigestClient
from gateway.sip.events import (
    FailureCause,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionEvent,
    SessionFailed,
    SessionOfferAnswered,
    SessionOfferRefused,
    SessionProgress,
)
from gateway.sip.grammar import check_sendable
from gateway.sip.hop import Hop
from gateway.sip.invite_client import InviteClient
from gateway.sip.invite_server import InviteServer
from gateway.sip.message import REASONS, Message, Request, Response
from gateway.sip.reason import q850_of, reason_of, telling_headers
from gateway.sip.referral import Referral
from gateway.sip.session_host import SessionHost
from gateway.sip.session_timer import Refresh, agree, agreed, minimum_of, propose
from gateway.sip.transaction import ServerTransaction
from gateway.sip.uri import SipUri

__all__ = ["Session", "State"]

EndedBy = Literal["remote", "local", "network"]

MAX_GLARES = 6
"""So often our offer meets the peer's before we let it be."""
REFRESH_RETRY = 5.0
"""Seconds; a refresh that could not be sent or taken right now is tried again after that."""


class State(Enum):
    WAITING = "waiting"
    CALLING = "calling"
    ANSWERED = "answered"
    CONFIRMED = "confirmed"
    OVER = "over"


class Session:
    """Owns the dialog and everything that is going on in it. Made by the user agent."""

    def __init__(self, host: SessionHost, *, incoming: bool, call_id: str, local_tag: str, hop: Hop) -> None:
        self.incoming = incoming
        self.call_id = call_id
        self.local_tag = local_tag
        self.hop = hop
        """Where the INVITE came from, or went."""
        self.sips = False
        """It was called by a sips: URI, and so is whoever takes part in it (RFC 5630 section 5)."""
        self.account: str | None = None
        """The seat that proved its password."""
        self.state = State.WAITING if incoming else State.CALLING
        self.dialog: Dialog | None = None
        self.host = host
        self.server: InviteServer | None = None
        """The INVITE that began it, if the peer sent it."""
        self.client: InviteClient | None = None
        self.digest: DigestClient | None = None
        self.pending: InviteServer | ServerTransaction | None = None
        """The re-INVITE or UPDATE with an offer that waits for the owner."""
        self.unacknowledged_servers: dict[int, InviteServer] = {}
        self.referral: Referral | None = None
        """Our REFER, the last one."""
        self._asked: DialogRequest | None = None
        self._refreshing: DialogRequest | None = None
        self._ending: DialogRequest | None = None
        self._wanted: bytes | None = None
        self._backing_off = False
        self._glares = 0
        self._min_se: int | None = None
        self._refresh: Refresh | None = None
        self._last_sdp: bytes | None = None
        self._peer_updates = False
        self._bye: list[tuple[str, str]] | None = None
        self._early: list[DialogId] = []

    @property
    def over(self) -> bool:
        """Nothing more is told of it."""
        return self.state is State.OVER

    @property
    def answered(self) -> bool:
        return self.state in (State.ANSWERED, State.CONFIRMED)

    def __repr__(self) -> str:
        return f"<Session {self.call_id} {'in' if self.incoming else 'out'} {self.state.value}>"

    # What the owner may ask ----------------------------------------------------------------------------

    def ring(self, status: int = 180, sdp: bytes | None = None) -> None:
        """Tell the caller that it rings (180), or let him hear something before the answer (183 with SDP).

        The SDP is an answer: none is sent to a caller who made no offer. No effect once answered or over.
        """
        if self.state is State.WAITING and self.server is not None and 100 < status < 200:
            offered = bool(self.server.request.body)
            self.server.provisional(status, None, self.contact_headers(), sdp if offered else None)

    def answer(self, sdp: bytes) -> None:
        """Take the call. ``sdp`` is the answer; our offer, if the INVITE had none. No effect once answered."""
        if self.state is not State.WAITING or self.server is None:
            return
        self.state = State.ANSWERED
        self._last_sdp = sdp
        self.host.timers.stop((self, "expires"))
        self.unacknowledged_servers[self.server.number] = self.server
        timer = self.take_refresh(self.server.request)
        self.server.accept([*self.contact_headers(), *capabilities(), *timer], sdp)

    def reject(self, status: int, reason: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Refuse the call with a status of 300 to 699. :class:`SessionFailed` follows. No effect once answered."""
        if self.state is State.WAITING:
            self.refuse_invite(status, reason, list(headers))
            self.failed(status, reason or REASONS.get(status, ""), "rejected")

    def cancel(self, reason_header: str | None = None) -> None:
        """Give up a call that was placed. :class:`SessionFailed` (cancelled) follows at once.

        One that was answered is ended by BYE instead. ``reason_header``: e.g.
        ``SIP;cause=200;text="Call completed elsewhere"`` (RFC 3326).
        """
        if self.state is State.CALLING and self.client is not None:
            self.client.cancel(_reason_headers(reason_header))
            self.failed(487, "Request Terminated", "cancelled")
        elif self.answered:
            self.bye(reason_header)

    def bye(self, reason_header: str | None = None) -> None:
        """End the session, in whatever state it is. :class:`SessionEnded` or :class:`SessionFailed` follows at
        once; what the peer must be told is told in time."""
        if self.state is State.WAITING:
            self.reject(480)
        elif self.state is State.CALLING:
            self.cancel(reason_header)
        elif self.answered:
            self.end("local", "bye", reason_header)

    def offer(self, sdp: bytes) -> None:
        """Change the session by a re-INVITE: as soon as it is allowed. :class:`SessionOfferAnswered` or
        :class:`SessionOfferRefused` follows; of several offers that had to wait only the last is sent."""
        if not self.over:
            self._wanted = sdp
            if not self._backing_off:
                self._glares = 0
            self._send_wanted()

    def refer(self, address: str, *, wait: bool = True) -> None:
        """Ask the peer of an answered session to call ``address`` (a URI) itself: as soon as that is allowed.

        :class:`SessionReferProgress` and, once, :class:`SessionReferEnded` follow; without ``wait`` it is told as
        soon as the peer takes the task. A REFER that is still under way is forgotten. ValueError: no such address.
        """
        check_sendable(address)
        if not self.answered:
            return
        self.forget_referral()
        self.referral = Referral(self, address, wait=wait)
        self._send_referral()

    def forget_referral(self) -> None:
        """What comes of ``refer`` does not matter any more."""
        if self.referral is not None:
            self.referral.forget()

    def _send_referral(self) -> None:
        if self.referral is not None and self.state is State.CONFIRMED and self.dialog is not None:
            self.referral.start(self.dialog)

    def answer_offer(self, sdp: bytes) -> None:
        """Answer :class:`SessionOffer`; with an offer of ours if it had none. No effect if it is over by now."""
        pending, self.pending = self.pending, None
        if pending is None or self.over or self.dialog is None:
            return
        request = pending.request
        self.dialog.refresh_target(request)
        self.note_capabilities(request)
        self._last_sdp = sdp
        headers = [*self.contact_headers(), *capabilities(), *self.take_refresh(request)]
        if isinstance(pending, InviteServer):
            self.unacknowledged_servers[pending.number] = pending
            pending.accept(headers, sdp)
        else:
            response = request.respond(200, headers=headers, body=sdp, content_type=SDP)
            self.host.send_response(pending, response)
        self._send_wanted()

    def refuse_offer(self, status: int = 488) -> None:
        """Refuse :class:`SessionOffer`: the session stays as it was."""
        pending, self.pending = self.pending, None
        if isinstance(pending, InviteServer):
            pending.refuse(status, None, [])
        elif pending is not None:
            self.host.send_response(pending, pending.request.respond(status))
        self._send_wanted()

    # What becomes of our INVITE ------------------------------------------------------------------------

    def early(self, dialog: Dialog) -> None:
        self._early.append(dialog.id)
        self.host.keep_dialog(dialog.id, self)

    def early_over(self, dialog: Dialog) -> None:
        self._early.remove(dialog.id)
        self.host.drop_dialog(dialog.id)

    def progress(self, response: Response, sdp: bytes | None) -> None:
        fork = response.to.tag or ""
        self.tell(SessionProgress(self, response.status, response.reason, sdp, fork))

    def answered_by(self, dialog: Dialog, response: Response, sdp: bytes | None) -> None:
        """The first 2xx; its ACK is sent."""
        self._drop_early()
        self.dialog = dialog
        self.host.keep_dialog(dialog.id, self)
        self.state = State.CONFIRMED
        self.note_capabilities(response)
        self.tell(SessionAnswered(self, sdp))
        self._start_session_timer(agreed(response))
        self._send_wanted()

    def refused(self, response: Response | None, *, transport: bool) -> None:
        if response is None:
            cause: FailureCause = "transport" if transport else "timeout"
            self.failed(None, "", cause)
        else:
            cause = "loop" if response.status in (482, 483) else "rejected"
            self.failed(response.status, response.reason, cause, response)
        self.release()

    # What becomes of what we answered ------------------------------------------------------------------

    def acknowledge(self, ack: Request) -> None:
        """An ACK came: to the 2xx that began the session, or to one within it."""
        server = self.unacknowledged_servers.get(ack.cseq.number)
        if server is None or not server.acknowledged(ack):
            return
        del self.unacknowledged_servers[ack.cseq.number]
        sdp = sdp_of(ack) if server.made_offer else None
        if server is self.server:
            if self.state is State.ANSWERED:
                self.state = State.CONFIRMED
            self.tell(SessionConfirmed(self, sdp))
            self._send_referral()
        elif server.made_offer:
            self.tell(SessionOfferAnswered(self, sdp))
        self._say_bye()
        self._send_wanted()

    def unacknowledged(self, server: InviteServer) -> None:
        self.unacknowledged_servers.pop(server.number, None)
        if not self.over:
            self.end("network", "no_ack")
        self._say_bye()
        self.release()

    def unpracked(self, server: InviteServer) -> None:
        # RFC 3262 section 3: a 5xx; the one that says that somebody did not answer in time.
        self.give_up(504, "timeout", None, "no_ack")

    def give_up(self, status: int, cause: FailureCause, message: Message | None, end_cause: str) -> None:
        """Refuse the INVITE that began it for a reason that is not the owner's."""
        self.refuse_invite(status, None, [])
        if self.state is State.WAITING:
            self.failed(status, REASONS[status], cause, message)
        elif not self.over:
            # The owner has answered, but the 200 was held back and the peer never saw it.
            by: EndedBy = "remote" if cause == "cancelled" else "network"
            self.tell(SessionEnded(self, by, end_cause, status, reason_of(message) if message else None))
            self._become_over()
            self.release()

    # Within the dialog ---------------------------------------------------------------------------------

    def _send_wanted(self) -> None:
        if self._wanted is None or self.busy or self._backing_off:
            return
        if self.state is not State.CONFIRMED or self.dialog is None:
            return
        body, self._wanted = self._wanted, None
        self._asked = self._reinvite(self.dialog, body)

    @property
    def busy(self) -> bool:
        """An offer of either side is under way."""
        return self.offering or self.pending is not None or bool(self.unacknowledged_servers)

    @property
    def offering(self) -> bool:
        """An INVITE of ours is under way within the dialog."""
        refreshing = self._refreshing
        return self._asked is not None or (refreshing is not None and refreshing.method == "INVITE")

    def _reinvite(self, dialog: Dialog, body: bytes) -> DialogRequest:
        self._last_sdp = body
        headers = [*self._target_headers(), ("Content-Type", SDP)]
        return DialogRequest(self.host, self, dialog, self.digest, "INVITE", headers, body)

    def _target_headers(self) -> list[tuple[str, str]]:
        timer = propose(self.host.config.session_timer, self._refresh, self._min_se)
        return [*self.contact_headers(), *capabilities(), *timer]

    def request_done(self, request: DialogRequest, response: Response | None, *, transport: bool) -> None:
        """What became of a request of ours within the dialog."""
        if request is self._ending:
            self._ending = None
            self.release()
            return
        refresh = request is self._refreshing
        if refresh:
            self._refreshing = None
        elif request is self._asked:
            self._asked = None
        if self.over:
            self._say_bye()
            self.release()
        elif response is None:
            self.end("network", "transport" if transport else "timeout")
        elif response.is_success:
            self._change_taken(request, response)
        elif response.status in (408, 481):
            # RFC 3261 12.2.1.2: to the other side there is no such dialog.
            self.end("network", "dialog_lost" if response.status == 481 else "timeout", status=response.status)
        else:
            self._change_refused(request, response, refresh=refresh)
        self._send_wanted()

    def _change_taken(self, request: DialogRequest, response: Response) -> None:
        if self.dialog is not None:
            self.dialog.refresh_target(response)
        self.note_capabilities(response)
        self._start_session_timer(agreed(response))
        if request.method == "INVITE":
            self.tell(SessionOfferAnswered(self, sdp_of(response)))

    def _change_refused(self, request: DialogRequest, response: Response, *, refresh: bool) -> None:
        if response.status == 422:
            lowest = minimum_of(response)
            if lowest is not None and lowest > (self._min_se or 0):
                self._min_se = lowest
                if refresh:
                    self._send_refresh()
                else:
                    self._wanted = self._wanted or request.body
                return
        if refresh:
            if response.status in (405, 501):
                self._peer_updates = False
            # Until the interval is over there is time for another attempt.
            self.host.timers.start((self, "refresh"), self.host.now() + REFRESH_RETRY)
        elif response.status == 491 and self._glares < MAX_GLARES:
            self._glares += 1
            self._backing_off = True
            self._wanted = self._wanted or request.body
            self.host.timers.start((self, "glare"), self.host.now() + self._glare_pause())
        else:
            self.tell(SessionOfferRefused(self, response.status, response.reason))

    def _glare_pause(self) -> float:
        """RFC 3261 14.1: whoever owns the Call-ID waits longer, in steps of 10 ms."""
        lowest, span = (0.0, 200) if self.incoming else (2.1, 190)
        return lowest + int(self.host.random() * (span + 1)) / 100

    def timer_expired(self, name: str, now: float) -> None:
        match name:
            case "glare":
                self._backing_off = False
                self._send_wanted()
            case "refresh":
                self._send_refresh()
            case "session" if not self.over:
                self.end("network", "session_expired", 'SIP;cause=408;text="Session expired"')
            case "expires" if self.state is State.WAITING:
                # RFC 3261 13.3.1: the time that the INVITE itself allowed is over.
                self.give_up(487, "timeout", None, "timeout")
            case _:
                pass

    def take_refresh(self, request: Request) -> list[tuple[str, str]]:
        """Start the session timer by a request that is being answered with 2xx; the headers for that."""
        outcome = agree(request, self.host.config.session_timer)
        # An interval that is too small was refused when the request came.
        refresh, headers = outcome if isinstance(outcome, tuple) else (None, [])
        self._start_session_timer(refresh)
        return headers

    def _start_session_timer(self, refresh: Refresh | None) -> None:
        self._refresh = refresh
        self.host.timers.stop((self, "refresh"))
        self.host.timers.stop((self, "session"))
        if refresh is None or self.over:
            return
        now = self.host.now()
        self.host.timers.start((self, "session"), now + refresh.give_up_after)
        if refresh.ours:
            self.host.timers.start((self, "refresh"), now + refresh.refresh_after)

    def _send_refresh(self) -> None:
        if self.over or self.dialog is None or self._refreshing is not None:
            return
        by_update = self._peer_updates or self._last_sdp is None
        if self.state is not State.CONFIRMED or (not by_update and self.busy):
            self.host.timers.start((self, "refresh"), self.host.now() + REFRESH_RETRY)
        elif by_update:
            self._refreshing = DialogRequest(
                self.host, self, self.dialog, self.digest, "UPDATE", self._target_headers()
            )
        elif self._last_sdp is not None:
            self._refreshing = self._reinvite(self.dialog, self._last_sdp)

    # The end -------------------------------------------------------------------------------------------

    def refuse_invite(self, status: int, reason: str | None, headers: list[tuple[str, str]]) -> None:
        if self.server is not None:
            self.server.refuse(status, reason, headers)

    def failed(self, status: int | None, reason: str, cause: FailureCause, message: Message | None = None) -> None:
        """It ends without an answer: tell the owner, once."""
        if not self.over:
            headers = telling_headers(message) if message is not None else ()
            self.tell(SessionFailed(self, status, reason, cause, headers, q850_of(headers)))
            self._become_over()
            if self.incoming:
                self.release()

    def end(self, by: EndedBy, cause: str, reason_header: str | None = None, *, status: int | None = None) -> None:
        """It ends after an answer: tell the owner, once, and the peer, unless it told us."""
        if self.over:
            return
        self.tell(SessionEnded(self, by, cause, status, reason_header if by == "remote" else None))
        if by != "remote":
            self._bye = _reason_headers(reason_header)
        self._become_over()
        self._say_bye()
        self.release()

    def left(self) -> None:
        """The peer says BYE to what we have ended already: ours, if it still waits for an ACK, is not needed."""
        if self._bye is not None:
            self._bye = None
            self.release()

    def _become_over(self) -> None:
        self.state = State.OVER
        self._wanted = None
        for name in ("glare", "refresh", "session", "expires"):
            self.host.timers.stop((self, name))
        pending, self.pending = self.pending, None
        if isinstance(pending, InviteServer):
            pending.refuse(487, None, [])
        elif pending is not None:
            self.host.send_response(pending, pending.request.respond(487))

    def _say_bye(self) -> None:
        # RFC 3261 15: whoever was called says no BYE before the ACK came, or can come no more.
        if self._bye is None or self.dialog is None or self.unacknowledged_servers:
            return
        headers, self._bye = self._bye, None
        self._ending = DialogRequest(self.host, self, self.dialog, self.digest, "BYE", headers)

    def release(self) -> None:
        """Forget the session if nothing is left to do."""
        if not self.over or self._bye is not None or self._ending is not None:
            return
        if self.incoming or self.client is None or self.client.settled:
            for server in self.unacknowledged_servers.values():
                server.stop()
            self.unacknowledged_servers.clear()
            self._drop_early()
            if self.dialog is not None:
                self.host.drop_dialog(self.dialog.id)
            self.host.session_over(self)
            # They know the session too: apart, all of them are freed at once instead of when the collector comes.
            self.server = self.client = self.referral = None

    def _drop_early(self) -> None:
        for dialog_id in self._early:
            self.host.drop_dialog(dialog_id)
        self._early.clear()

    # Small things --------------------------------------------------------------------------------------

    def tell(self, event: SessionEvent) -> None:
        if not self.over:
            self.host.emit(event)

    def contact_headers(self) -> list[tuple[str, str]]:
        hop = self.dialog.hop if self.dialog is not None else self.hop
        uri = self.host.config.contact(hop)
        if self.sips:
            uri = SipUri.build(uri.user_text, uri.host, uri.port, scheme="sips")
        return [("Contact", f"<{uri}>")]

    def note_capabilities(self, message: Message) -> None:
        """Remember what the peer says it can do."""
        if "allow" in message.headers:
            self._peer_updates = "UPDATE" in message.allow


def _reason_headers(reason_header: str | None) -> list[tuple[str, str]]:
    return [("Reason", reason_header)] if reason_header else []
