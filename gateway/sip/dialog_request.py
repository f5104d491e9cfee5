"""One request of ours within a dialog, from sending to its outcome: credentials if asked, ACK if it is an INVITE."""

from __future__ import annotations

from typing import Protocol

from gateway.sip.challenged import prepare, with_credentials
from gateway.sip.dialog import Dialog
from gateway.sip.digest import DigestClient
from gateway.sip.hop import Hop
from gateway.sip.message import Request, Response
from gateway.sip.session_host import SessionHost
from gateway.sip.transaction import ClientTransaction

__all__ = ["DialogRequest", "DialogRequestOwner"]

MAX_CHALLENGES = 3
"""A proxy, the far end, and a nonce gone stale."""


class DialogRequestOwner(Protocol):
    def request_done(self, request: DialogRequest, response: Response | None, *, transport: bool) -> None:
        """The final response, or None: there is none, because of time or (``transport``) of the network."""


class DialogRequest:
    """Owns the transactions of one request. Its owner hears of it once."""

    def __init__(
        self,
        host: SessionHost,
        owner: DialogRequestOwner | None,
        dialog: Dialog,
        digest: DigestClient | None,
        method: str,
        headers: list[tuple[str, str]],
        body: bytes = b"",
    ) -> None:
        self.method = method
        self.body = body
        self.done = False
        self._host = host
        self._owner = owner
        self._dialog = dialog
        self._digest = digest
        self._challenges = 0
        self._ack: tuple[Request, Hop] | None = None
        request = dialog.request(method, headers, body)
        prepare(request, digest)
        host.send_request(request, dialog.next_hop, self)

    def response(self, transaction: ClientTransaction, response: Response) -> None:
        if response.is_provisional:
            return
        if self.method == "INVITE" and response.is_success:
            self._acknowledge(transaction, response)
        if self.done:
            return
        if self._challenges < MAX_CHALLENGES:
            number = self._dialog.local_seq + 1
            retry = with_credentials(transaction.request, response, self._digest, number)
            if retry is not None:
                self._challenges += 1
                self._dialog.local_seq = number
                self._host.send_request(retry, transaction.hop, self)
                return
        self._finish(response, transport=False)

    def no_response(self, transaction: ClientTransaction, *, transport: bool) -> None:
        if not self.done:
            self._finish(None, transport=transport)

    def _finish(self, response: Response | None, *, transport: bool) -> None:
        self.done = True
        if self._owner is not None:
            self._owner.request_done(self, response, transport=transport)

    def _acknowledge(self, transaction: ClientTransaction, response: Response) -> None:
        # Every 2xx, the repeated ones too, is acknowledged by the same ACK (RFC 3261 13.2.2.4).
        if self._ack is None:
            self._dialog.refresh_target(response)
            ack = self._dialog.ack(transaction.request.cseq.number)
            for name in ("Authorization", "Proxy-Authorization"):
                for line in transaction.request.headers.get_all(name):
                    ack.headers.add(name, line)
            self._ack = (ack, self._dialog.next_hop)
        self._host.send_ack(*self._ack)
