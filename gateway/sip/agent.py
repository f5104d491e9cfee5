"""The user agent: the one object of the SIP side that the gateway holds. No sockets, no clock of its own.

Bytes in: :meth:`UserAgent.receive`. Bytes out: :meth:`UserAgent.messages_to_send`. Time:
:meth:`UserAgent.next_timer`, :meth:`UserAgent.handle_timer`. News: :meth:`UserAgent.next_event`. After each call of
one of these, or of a session's methods, take what there is from the others.
"""

from __future__ import annotations

import logging
import random as _random
from collections import deque
from collections.abc import Callable, Iterable

from gateway.deadlines import Deadlines
from gateway.sip.authentication import SeatAuthentication
from gateway.sip.capabilities import ACCEPT, SDP, SUPPORTED, capabilities, refusal_of, sdp_of
from gateway.sip.challenged import prepare
from gateway.sip.dialog import Dialog, DialogId
from gateway.sip.digest import DigestClient
from gateway.sip.events import Event, IncomingCall, RegistrationChanged
from gateway.sip.header import NameAddr
from gateway.sip.hop import Hop
from gateway.sip.invite_client import InviteClient
from gateway.sip.invite_server import InviteServer
from gateway.sip.keepalive import KeepAlive
from gateway.sip.message import Message, Request, Response, SipParseError
from gateway.sip.registrar import Binding, Registrar
from gateway.sip.registration import TrunkRegistration, TrunkSettings
from gateway.sip.session import Session
from gateway.sip.session_host import TimerOwner, TransactionUser
from gateway.sip.session_requests import cancel_received, take_request
from gateway.sip.session_timer import TooSmall, agree, propose
from gateway.sip.settings import Challenge, Credentials, Refuse, UserAgentConfig
from gateway.sip.token import new_token
from gateway.sip.transaction import (
    AckReceived,
    CancelReceived,
    ClientTransaction,
    RequestReceived,
    ResponseReceived,
    ServerTransaction,
    Transaction,
    TransactionEvent,
    TransactionLayer,
    TransactionTimedOut,
    TransportFailed,
)
from gateway.sip.uri import SipUri

__all__ = ["UserAgent", "UserAgentConfig"]

log = logging.getLogger(__name__)

_LONGEST_EXPIRES = 3600
"""Seconds; an INVITE that says more is bounded by whoever answers it anyway."""


class UserAgent:
    """Owns transactions, dialogs, sessions, the registrar and the registrations at trunks."""

    def __init__(
        self,
        config: UserAgentConfig,
        *,
        clock: Callable[[], float],
        token: Callable[[], str] = new_token,
        random: Callable[[], float] = _random.random,
        sent_by: Callable[[Hop], tuple[str, int | None]] | None = None,
    ) -> None:
        """``clock`` is read when the owner acts (``session.answer`` ...); it must be the clock that ``now`` is
        taken from. ``token`` gives strings nobody can guess, ``random`` numbers from 0 to 1 for pauses.
        ``sent_by`` gives host and port for our Via towards a hop; without it that is the hop's ``local``."""
        self.config = config
        self.draining = False
        """New calls are answered 503, and so is the OPTIONS of whoever distributes calls."""
        self.timers: Deadlines[tuple[TimerOwner, str]] = Deadlines()
        self.transactions = TransactionLayer(random=token, sent_by=sent_by, t1=config.t1, t2=config.t2)
        self.authentication = SeatAuthentication(config, token)
        self.registrar = Registrar(config, self.authentication, self.timers, self._registration_changed)
        self.registrations: dict[str, TrunkRegistration] = {}
        self._clock = clock
        self._token = token
        self._random = random
        self._keepalive = KeepAlive(self, self.registrar)
        self._dialogs: dict[DialogId, Session] = {}
        self._sessions: set[Session] = set()
        self._events: deque[Event] = deque()

    # What the gateway asks -----------------------------------------------------------------------------

    def receive(self, data: bytes | Message, hop: Hop, now: float) -> None:
        """Take a message that came from ``hop``. Never raises, whatever it is."""
        try:
            self.transactions.receive(data, hop, now)
        except Exception:
            log.exception("a message from %s could not be taken", hop)
        self._work()

    def hop_lost(self, hop: Hop, now: float) -> None:
        """A connection broke, or nothing can be sent to that hop."""
        self.transactions.transport_failed(hop, now)
        self._work()
        if not hop.reliable:
            return
        self.registrar.hop_lost(hop)
        for registration in self.registrations.values():
            registration.hop_lost(hop)
        for session in self._sessions:
            if session.dialog is not None and session.dialog.hop == hop:
                session.dialog.hop_lost()

    def next_timer(self) -> float | None:
        """When :meth:`handle_timer` wants to be called; None: not before something else happens."""
        times = [when for when in (self.transactions.next_timer(), self.timers.next()) if when is not None]
        return min(times, default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due. Never raises."""
        self.transactions.handle_timer(now)
        self._work()
        while (due := self.timers.pop_due(now)) is not None:
            owner, name = due
            try:
                owner.timer_expired(name, now)
            except Exception:
                log.exception("timer %s of %r", name, owner)
        self._work()

    def messages_to_send(self) -> list[tuple[bytes, Hop]]:
        """In their order; they are handed over once."""
        return self.transactions.messages_to_send()

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    def invite(
        self,
        target: SipUri,
        hop: Hop,
        *,
        from_: NameAddr,
        to: NameAddr | None = None,
        sdp: bytes,
        credentials: Credentials | DigestClient | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Session:
        """Place a call.

        Args:
            target: the Request-URI.
            hop: where the INVITE goes: a binding's, or the trunk's.
            from_: who calls, without a tag.
            to: who is called, as he shall see it; ``target`` if None.
            sdp: our offer.
            credentials: what to answer challenges with; a :class:`DigestClient` shared by the calls of a trunk
                spares a challenge a call.
            headers: more headers, such as P-Asserted-Identity.

        Raises:
            ValueError: a value that cannot be sent, or no address of ours for that hop.
        """
        tag, call_id = self.new_tag(), self.new_tag()
        session = Session(self, incoming=False, call_id=call_id, local_tag=tag, hop=hop)
        session.sips = target.scheme == "sips" and hop.secure
        if isinstance(credentials, Credentials):
            session.digest = DigestClient(credentials.username, credentials.password)
        else:
            session.digest = credentials
        timer = propose(self.config.session_timer, None)
        supported = SUPPORTED if self.config.offer_reliable_provisionals else "timer"
        request = Request(
            "INVITE",
            target.as_request_uri(),
            [
                ("From", str(from_.with_tag(tag))),
                ("To", str(to or NameAddr.build(target.as_request_uri()))),
                ("Call-ID", call_id),
                ("CSeq", "1 INVITE"),
                *session.contact_headers(),
                *(header for header in capabilities() if header[0] != "Supported"),
                ("Supported", supported),
                *timer,
                *headers,
                ("Content-Type", SDP),
            ],
            sdp,
        )
        prepare(request, session.digest)
        symmetric = self.registrar.account_at(hop) is not None
        self._sessions.add(session)
        try:
            session.client = InviteClient(self, session, request, hop, session.digest, symmetric=symmetric)
        except ValueError:
            self._sessions.discard(session)
            raise
        return session

    def register_trunk(self, settings: TrunkSettings) -> TrunkRegistration:
        """Register at a trunk and stay registered; replaces a registration of the same name."""
        self.unregister_trunk(settings.name)
        registration = self.registrations[settings.name] = TrunkRegistration(self, settings)
        registration.start()
        return registration

    def unregister_trunk(self, name: str) -> None:
        registration = self.registrations.pop(name, None)
        if registration is not None:
            registration.stop()

    @property
    def sessions(self) -> frozenset[Session]:
        """All that are not forgotten yet."""
        return frozenset(self._sessions)

    def sizes(self) -> dict[str, int]:
        """How much is remembered: for statistics, and for the test that nothing is forgotten to be forgotten."""
        return {
            "transactions": len(self.transactions),
            "dialogs": len(self._dialogs),
            "sessions": len(self._sessions),
            "timers": len(self.timers),
            "seats": len(self.registrar),
            "pinged": len(self._keepalive),
            "failures": len(self.authentication.brake),
        }

    # What the transactions tell ------------------------------------------------------------------------

    def _work(self) -> None:
        while (event := self.transactions.next_event()) is not None:
            try:
                self._dispatch(event)
            except SipParseError as error:
                self._refuse_broken(event, error)
            except Exception:
                log.exception("%r could not be handled", event)
                if isinstance(event, RequestReceived):
                    self._respond(event.transaction, 500)

    def _dispatch(self, event: TransactionEvent) -> None:
        match event:
            case RequestReceived():
                self._request(event.transaction, event.request, event.hop)
            case ResponseReceived():
                if (user := _user(event.transaction)) is not None:
                    user.response(event.transaction, event.response)
            case AckReceived():
                session = self._session_of(event.request)
                if session is not None:
                    session.acknowledge(event.request)
            case CancelReceived():
                if isinstance(event.transaction.owner, Session):
                    cancel_received(event.transaction.owner, event.transaction, event.request)
            case TransactionTimedOut():
                if (user := _user(event.transaction)) is not None and isinstance(event.transaction, ClientTransaction):
                    user.no_response(event.transaction, transport=False)
            case TransportFailed():
                self._transport_failed(event.transaction)

    def _transport_failed(self, transaction: Transaction) -> None:
        if isinstance(transaction, ClientTransaction):
            if (user := _user(transaction)) is not None:
                user.no_response(transaction, transport=True)
        elif isinstance(transaction.owner, Session) and transaction.owner.server is not None:
            session = transaction.owner
            if session.server is not None and session.server.transaction is transaction:
                session.give_up(500, "transport", None, "transport")

    def _refuse_broken(self, event: TransactionEvent, error: SipParseError) -> None:
        if isinstance(event, RequestReceived):
            self._respond(event.transaction, error.status or 400)
        else:
            log.info("ignored: %s", error)

    def _session_of(self, request: Request) -> Session | None:
        key = DialogId(request.call_id, request.to.tag or "", request.from_.tag or "")
        return self._dialogs.get(key)

    def _request(self, transaction: ServerTransaction, request: Request, hop: Hop) -> None:
        in_dialog = request.to.tag is not None
        session = self._session_of(request) if in_dialog else None
        if in_dialog and session is None and request.method != "REGISTER":
            self._respond(transaction, 481)
            return
        registrar = self.config.accounts is not None
        refusal = refusal_of(
            request, registrar=registrar, referred=session is not None and session.referral is not None
        )
        if refusal is not None:
            self._refuse(transaction, refusal)
        elif session is not None:
            if session.dialog is not None and hop.only_connection:
                session.dialog.came_back(hop)
            take_request(session, transaction, request)
        elif request.method == "INVITE":
            self._invited(transaction, request, hop)
        elif request.method == "REGISTER":
            outcome = self.registrar.register(request, hop, self.now())
            if isinstance(outcome, Refuse):
                self._refuse(transaction, outcome)
            else:
                self._respond(transaction, 200, outcome)
        elif request.method == "OPTIONS":
            refusal = self._unavailable()
            if refusal is not None:
                self._refuse(transaction, refusal)
            else:
                self._respond(transaction, 200, [*capabilities(), ("Accept", ACCEPT)])
        else:
            self._respond(transaction, 481)

    def _unavailable(self) -> Refuse | None:
        if self.draining or len(self._sessions) >= self.config.max_sessions:
            return Refuse(503, headers=(("Retry-After", str(self.config.retry_after)),))
        return None

    def _invited(self, transaction: ServerTransaction, request: Request, hop: Hop) -> None:
        refusal = self._unavailable()
        if refusal is not None:
            self._refuse(transaction, refusal)
            return
        verdict = self.config.screen(request, hop) if self.config.screen is not None else None
        account: str | None = None
        if isinstance(verdict, Challenge):
            claimed = request.from_.uri.user_text
            checked = self.authentication.check(request, hop, self.now(), claimed=claimed)
            if isinstance(checked, str):
                account = checked
            else:
                verdict = checked
        if isinstance(verdict, Refuse):
            self._refuse(transaction, verdict)
            return
        interval = agree(request, self.config.session_timer)
        if isinstance(interval, TooSmall):
            self._refuse(transaction, Refuse(422, headers=(("Min-SE", str(interval.min_se)),)))
            return
        self._begin(transaction, request, hop, account)

    def _begin(self, transaction: ServerTransaction, request: Request, hop: Hop, account: str | None) -> None:
        dialog = Dialog.of_request(request, hop, transaction.to_tag)
        expires = request.expires
        session = Session(self, incoming=True, call_id=request.call_id, local_tag=transaction.to_tag, hop=hop)
        session.account = account
        session.sips = request.uri.scheme == "sips" and hop.secure
        session.dialog = dialog
        session.server = InviteServer(self, session, transaction, session.local_tag)
        session.note_capabilities(request)
        transaction.owner = session
        self._sessions.add(session)
        self.keep_dialog(dialog.id, session)
        if expires is not None and expires <= _LONGEST_EXPIRES:
            self.timers.start((session, "expires"), self.now() + expires)
        self.emit(
            IncomingCall(
                session=session,
                from_uri=request.from_.uri,
                from_name=request.from_.display_name,
                to_uri=request.to.uri,
                request_uri=request.uri,
                hop=hop,
                sdp=sdp_of(request),
                account=account,
                request=request,
            )
        )

    def _registration_changed(self, account: str, bindings: tuple[Binding, ...]) -> None:
        for binding in bindings:
            if binding.hop.only_connection:
                self._came_back(binding)
        self._keepalive.changed(account, bindings)
        self.emit(RegistrationChanged(account, bindings))

    def _came_back(self, binding: Binding) -> None:
        """A browser whose WebSocket broke has another: its calls go on over that."""
        for session in self._sessions:
            dialog = session.dialog
            if dialog is not None and dialog.is_lost and dialog.remote_target.matches(binding.contact):
                dialog.came_back(binding.hop)

    def _refuse(self, transaction: ServerTransaction, refusal: Refuse) -> None:
        self._respond(transaction, refusal.status, refusal.headers, refusal.reason)

    def _respond(
        self,
        transaction: ServerTransaction,
        status: int,
        headers: Iterable[tuple[str, str]] = (),
        reason: str | None = None,
    ) -> None:
        tag = transaction.to_tag
        self.send_response(transaction, transaction.request.respond(status, reason, to_tag=tag, headers=headers))

    # What sessions, pings and registrations need -------------------------------------------------------

    def now(self) -> float:
        return self._clock()

    def random(self) -> float:
        return self._random()

    def new_tag(self) -> str:
        return self._token()

    def emit(self, event: Event) -> None:
        self._events.append(event)

    def send_request(self, request: Request, hop: Hop, user: TransactionUser) -> ClientTransaction:
        if "user-agent" not in request.headers:
            request.headers.add("User-Agent", self.config.name)
        transaction = self.transactions.send_request(request, hop, self.now())
        transaction.owner = user
        return transaction

    def send_ack(self, ack: Request, hop: Hop) -> None:
        self.transactions.send_ack(ack, hop)

    def send_response(self, transaction: ServerTransaction, response: Response) -> None:
        if "server" not in response.headers:
            response.headers.add("Server", self.config.name)
        self.transactions.send_response(transaction, response, self.now())

    def cancel(self, transaction: ClientTransaction, headers: Iterable[tuple[str, str]] = ()) -> None:
        self.transactions.cancel(transaction, self.now(), headers)

    def keep_dialog(self, dialog_id: DialogId, session: Session) -> None:
        self._dialogs[dialog_id] = session

    def drop_dialog(self, dialog_id: DialogId) -> None:
        self._dialogs.pop(dialog_id, None)

    def session_over(self, session: Session) -> None:
        self._sessions.discard(session)


def _user(transaction: Transaction) -> TransactionUser | None:
    owner = transaction.owner
    # Server transactions are owned by sessions, which await no response.
    if isinstance(transaction, ClientTransaction) and owner is not None:
        return owner  # type: ignore[return-value]  # send_request() has set it
    return None
