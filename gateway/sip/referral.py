"""Asking the peer to call somebody else: REFER within the dialog, and the NOTIFYs that tell how it goes (RFC 3515).

Theory
======

A REFER that is taken makes a subscription of its own (RFC 3515 2.4.4), in the same dialog; each NOTIFY carries the
first line of the response that the peer has got from whom it calls (message/sipfrag, RFC 3420):

    ASKED  --2xx-->  TAKEN  --NOTIFY with a final status, or the last one-->  OVER
    ASKED, TAKEN  --refused, no response, given up-->  OVER

The first NOTIFY may overtake the 2xx. Without ``wait`` TAKEN is the end, and the peer is told that nothing needs to
be reported (RFC 4488). There is no time limit here: how long somebody may ring is the owner's business.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gateway.sip.dialog import Dialog
from gateway.sip.dialog_request import DialogRequest
from gateway.sip.events import SessionReferEnded, SessionReferProgress
from gateway.sip.message import Request, Response

if TYPE_CHECKING:
    from gateway.sip.session import Session

__all__ = ["Referral"]

_STATUS_LINE: Final = re.compile(rb"SIP/2\.0[ \t]+([1-6][0-9]{2})(?:[ \t]+([^\r\n]*))?(?:\r?\n|\Z)")
_LONGEST_REASON: Final = 200
_PACKAGE: Final = "refer"


class Referral:
    """Owns one REFER of a session and the subscription that comes of it. Its end is told once."""

    def __init__(self, session: Session, address: str, *, wait: bool) -> None:
        self.address = address
        self.over = False
        self._session = session
        self._wait = wait
        self._given_up = False
        self._dialog: Dialog | None = None
        self._first = 0
        """CSeq of the REFER: it names the subscription. With credentials it is sent again, under a higher one."""

    def start(self, dialog: Dialog) -> None:
        """Send the REFER, once; the session is confirmed."""
        if self._dialog is not None or self.over:
            return
        session = self._session
        self._dialog, self._first = dialog, dialog.local_seq + 1
        contact = session.contact_headers()
        headers = [*contact, ("Refer-To", f"<{self.address}>"), ("Referred-By", contact[0][1])]
        if not self._wait:
            headers += [("Refer-Sub", "false"), ("Supported", "norefersub")]
        DialogRequest(session.host, self, dialog, session.digest, "REFER", headers)

    def request_done(self, request: DialogRequest, response: Response | None, *, transport: bool) -> None:
        if self.over or self._session.over:
            return
        if response is None:
            self._end(None, "no response to REFER", taken=False)
        elif not response.is_success:
            self._end(response.status, response.reason, taken=False)
            if response.status == 481:
                # RFC 3261 12.2.1.2: to the other side there is no such dialog.
                self._session.end("network", "dialog_lost", status=481)
        elif not self._wait:
            self._end(response.status, response.reason, taken=True)

    def notified(self, request: Request) -> int:
        """Take a NOTIFY of the dialog. Returns the status to answer it with."""
        package, _, params = (request.headers.get("event") or "").partition(";")
        if package.strip().lower() != _PACKAGE:
            return 489
        if self._dialog is None or self._given_up or not self._is_ours(params):
            return 481
        if self.over:
            # Some tell the result first and the end of the subscription in one more.
            return 200
        state = (request.headers.get("subscription-state") or "").partition(";")[0].strip().lower()
        found = _STATUS_LINE.match(request.body) if request.content_type == "message/sipfrag" else None
        status = int(found[1]) if found is not None else None
        reason = (found[2] or b"")[:_LONGEST_REASON].decode("utf-8", "replace").strip() if found is not None else ""
        if status is not None and status >= 200:
            self._end(status, reason, taken=True)
        elif state == "terminated":
            # It tells no more, and nothing final was told.
            self._end(None, reason, taken=True)
        elif status is None:
            return 400
        else:
            self._session.tell(SessionReferProgress(self._session, status, reason))
        return 200

    def forget(self) -> None:
        """The result does not matter any more: later NOTIFYs are refused, which ends the subscription (RFC 6665)."""
        if not self.over:
            self.over = self._given_up = True

    def _is_ours(self, params: str) -> bool:
        # RFC 3515 2.4.6: the first REFER of a dialog may go without a number, the others must have theirs.
        for param in params.split(";"):
            name, _, value = param.partition("=")
            if name.strip().lower() == "id":
                number = value.strip()
                known = number.isascii() and number.isdigit() and len(number) <= 10
                return known and self._first <= int(number)
        return True

    def _end(self, status: int | None, reason: str, *, taken: bool) -> None:
        self.over = True
        self._session.tell(SessionReferEnded(self._session, status, reason, taken))
