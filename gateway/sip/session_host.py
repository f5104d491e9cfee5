"""What a session needs from the user agent that owns it. The user agent is the only one that implements it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from gateway.deadlines import Deadlines
from gateway.sip.dialog import DialogId
from gateway.sip.events import Event
from gateway.sip.hop import Hop
from gateway.sip.message import Request, Response
from gateway.sip.settings import UserAgentConfig
from gateway.sip.transaction import ClientTransaction, ServerTransaction

if TYPE_CHECKING:
    from gateway.sip.session import Session

__all__ = ["SessionHost", "TimerOwner", "TransactionUser"]


class TimerOwner(Protocol):
    """Whoever starts a timer, under a name of its own choice, is told when it is due."""

    def timer_expired(self, name: str, now: float) -> None: ...


class TransactionUser(Protocol):
    """Whoever sent a request hears what becomes of it (RFC 3261 section 8: the TU)."""

    def response(self, transaction: ClientTransaction, response: Response) -> None:
        """A provisional above 100, the final response, or one more 2xx to an INVITE.

        Raises:
            SipParseError: the response has a broken header; it is then taken as if it had not come.
        """

    def no_response(self, transaction: ClientTransaction, *, transport: bool) -> None:
        """There will be none: too late, or (``transport``) it could not be sent."""


class SessionHost(Protocol):
    """Clock, randomness, timers, transactions, and the table of dialogs."""

    config: UserAgentConfig
    timers: Deadlines[tuple[TimerOwner, str]]

    def now(self) -> float: ...
    def random(self) -> float:
        """From 0 up to, not including, 1."""

    def new_tag(self) -> str:
        """A token nobody can guess (RFC 3261 19.3)."""

    def emit(self, event: Event) -> None: ...
    def send_request(self, request: Request, hop: Hop, user: TransactionUser) -> ClientTransaction: ...
    def send_ack(self, ack: Request, hop: Hop) -> None: ...
    def send_response(self, transaction: ServerTransaction, response: Response) -> None: ...
    def cancel(self, transaction: ClientTransaction, headers: Iterable[tuple[str, str]] = ()) -> None: ...
    def keep_dialog(self, dialog_id: DialogId, session: Session) -> None:
        """Requests of that dialog are this session's from now on."""

    def drop_dialog(self, dialog_id: DialogId) -> None: ...
    def session_over(self, session: Session) -> None:
        """Nothing is left to do for it."""
