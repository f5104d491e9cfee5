"""The INVITE that places a call: provisionals, forks, challenges, CANCEL, and the ACK of every 2xx.

A proxy may ring many telephones for one INVITE. Each answers with its own To tag; the first 2xx is the call,
every other is acknowledged and ended (RFC 3261 13.2.2.4).
"""

from __future__ import annotations

from typing import Protocol

from gateway.sip.capabilities import sdp_of
from gateway.sip.challenged import again, with_credentials
from gateway.sip.dialog import Dialog
from gateway.sip.dialog_request import MAX_CHALLENGES, DialogRequest
from gateway.sip.digest import DigestClient
from gateway.sip.grammar import parse_uint
from gateway.sip.hop import Hop
from gateway.sip.message import Request, Response, SipParseError
from gateway.sip.session_host import SessionHost
from gateway.sip.session_timer import minimum_of
from gateway.sip.transaction import ClientTransaction

__all__ = ["InviteClient", "InviteClientOwner"]

MAX_FORKS = 32
"""A seat has a handful of telephones; what is beyond is hostile."""


class InviteClientOwner(Protocol):
    def early(self, dialog: Dialog) -> None:
        """A further telephone rings: requests may come in its early dialog."""

    def early_over(self, dialog: Dialog) -> None:
        """The INVITE is sent anew: what rang for the one before does so no more."""

    def progress(self, response: Response, sdp: bytes | None) -> None: ...
    def answered_by(self, dialog: Dialog, response: Response, sdp: bytes | None) -> None:
        """The first 2xx; its ACK is sent."""

    def refused(self, response: Response | None, *, transport: bool) -> None:
        """A final refusal, or None: no response."""

    def release(self) -> None:
        """An answer crossed our CANCEL and was dealt with: nothing more is expected."""


class InviteClient:
    """Owns the transactions of the INVITE and the early dialogs it makes."""

    def __init__(
        self,
        host: SessionHost,
        owner: InviteClientOwner,
        request: Request,
        hop: Hop,
        digest: DigestClient | None,
        *,
        symmetric: bool,
    ) -> None:
        self.cancelled = False
        self.settled = False
        """A final response came, or none will."""
        self.winner: Dialog | None = None
        self.dialogs: dict[str, Dialog] = {}
        self._host = host
        self._owner = owner
        self._digest = digest
        self._symmetric = symmetric
        self._challenges = 0
        self._too_small = 0
        self._early_sdp: dict[str, bytes] = {}
        self._rseq: dict[str, int] = {}
        self._acks: dict[str, tuple[Request, Hop]] = {}
        self._number = request.cseq.number
        self._transaction = host.send_request(request, hop, self)

    def cancel(self, headers: list[tuple[str, str]]) -> None:
        """Give the call up. A 2xx that is on its way already is acknowledged and ended."""
        self.cancelled = True
        self._host.cancel(self._transaction, headers)

    def response(self, transaction: ClientTransaction, response: Response) -> None:
        tag = response.to.tag or ""
        if response.is_provisional:
            self._provisional(transaction, response, tag)
        elif response.is_success:
            self._success(transaction, response, tag)
        elif self.winner is None and transaction is self._transaction:
            self._refused(transaction, response)

    def no_response(self, transaction: ClientTransaction, *, transport: bool) -> None:
        if self.winner is None and transaction is self._transaction:
            self.settled = True
            self._owner.refused(None, transport=transport)

    def _provisional(self, transaction: ClientTransaction, response: Response, tag: str) -> None:
        if response.status == 100 or self.winner is not None:
            return
        dialog = self.dialogs.get(tag)
        if dialog is None and tag:
            if len(self.dialogs) >= MAX_FORKS:
                return
            dialog = Dialog.of_response(transaction.request, response, transaction.hop, symmetric=self._symmetric)
            self.dialogs[tag] = dialog
            self._owner.early(dialog)
        if dialog is not None and not self._reliable(transaction, dialog, response, tag):
            return
        sdp = sdp_of(response)
        if sdp is not None:
            self._early_sdp[tag] = sdp
        if not self.cancelled:
            self._owner.progress(response, sdp)

    def _reliable(self, transaction: ClientTransaction, dialog: Dialog, response: Response, tag: str) -> bool:
        """PRACK a reliable provisional (RFC 3262 section 4); False if it is an old one or came out of order."""
        if "100rel" not in response.require:
            return True
        rseq = parse_uint(response.headers.get("rseq") or "", "RSeq")
        last = self._rseq.get(tag)
        if last is not None and rseq != last + 1:
            return False
        self._rseq[tag] = rseq
        # The early dialog may have learnt its route only now: the first provisional can come without.
        self._dialog_of(transaction, response, tag)
        rack = ("RAck", f"{rseq} {transaction.request.cseq}")
        DialogRequest(self._host, None, dialog, self._digest, "PRACK", [rack])
        return True

    def _dialog_of(self, transaction: ClientTransaction, response: Response, tag: str) -> Dialog:
        """The dialog of that fork, its route and target as this response tells them (RFC 3261 13.2.2.4)."""
        fresh = Dialog.of_response(transaction.request, response, transaction.hop, symmetric=self._symmetric)
        dialog = self.dialogs.setdefault(tag, fresh)
        if dialog is not fresh:
            dialog.route_set = fresh.route_set
            dialog.symmetric = fresh.symmetric
            if response.contacts:
                dialog.remote_target = fresh.remote_target
        return dialog

    def _success(self, transaction: ClientTransaction, response: Response, tag: str) -> None:
        sent = self._acks.get(tag)
        if sent is not None:
            self._host.send_ack(*sent)
            return
        if len(self._acks) >= MAX_FORKS:
            return
        try:
            dialog = self._dialog_of(transaction, response, tag)
        except SipParseError:
            # Somebody took the call but cannot be talked to within it. The ACK by the INVITE's own way at least
            # stops the repetition.
            dialog = Dialog.of_response(
                transaction.request,
                transaction.request.respond(200, to_tag=tag or None),
                transaction.hop,
                symmetric=True,
            )
        ack = dialog.ack(transaction.request.cseq.number)
        for name in ("Authorization", "Proxy-Authorization"):
            for line in transaction.request.headers.get_all(name):
                ack.headers.add(name, line)
        self.settled = True
        hop = dialog.next_hop
        self._acks[tag] = (ack, hop)
        self._host.send_ack(ack, hop)
        if self.winner is None and not self.cancelled:
            self.winner = dialog
            self._owner.answered_by(dialog, response, sdp_of(response) or self._early_sdp.get(tag))
        else:
            reason = ("Reason", 'SIP;cause=200;text="Call completed elsewhere"')
            DialogRequest(self._host, None, dialog, self._digest, "BYE", [] if self.cancelled else [reason])
            self._owner.release()

    def _refused(self, transaction: ClientTransaction, response: Response) -> None:
        if not self.cancelled:
            retry = self._retry(transaction, response)
            if retry is not None:
                self._number += 1
                for dialog in self.dialogs.values():
                    self._owner.early_over(dialog)
                self.dialogs.clear()
                self._early_sdp.clear()
                self._rseq.clear()
                self._transaction = self._host.send_request(retry, transaction.hop, self)
                return
        self.settled = True
        self._owner.refused(response, transport=False)

    def _retry(self, transaction: ClientTransaction, response: Response) -> Request | None:
        """The INVITE again: with credentials, or with a longer session interval (422, RFC 4028 section 7.3)."""
        if self._challenges < MAX_CHALLENGES:
            retry = with_credentials(transaction.request, response, self._digest, self._number + 1)
            if retry is not None:
                self._challenges += 1
                return retry
        if response.status == 422 and self._too_small < 2:
            lowest = minimum_of(response)
            if lowest is not None:
                self._too_small += 1
                request = again(transaction.request, self._number + 1)
                request.headers.set("Session-Expires", str(max(lowest, self._session_expires(request))))
                request.headers.set("Min-SE", str(lowest))
                return request
        return None

    @staticmethod
    def _session_expires(request: Request) -> int:
        value = request.headers.get("session-expires")
        return parse_uint(value.partition(";")[0], "Session-Expires") if value else 0
