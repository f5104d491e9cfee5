"""A request of ours that was challenged, once more with credentials (RFC 3261 section 22.2)."""

from __future__ import annotations

from gateway.sip.digest import AuthParams, DigestClient
from gateway.sip.message import Request, Response

__all__ = ["again", "prepare", "with_credentials"]


def again(request: Request, number: int) -> Request:
    """The same request as a new transaction: another CSeq number, and a branch that is yet to be made."""
    copy = request.copy()
    copy.headers.remove("Via")
    copy.headers.set("CSeq", f"{number} {request.method}")
    return copy


def with_credentials(request: Request, response: Response, client: DigestClient | None, number: int) -> Request | None:
    """``request`` again with an answer to the challenge in ``response``; None if there is none to give.

    Raises:
        SipParseError: the challenge cannot be read.
    """
    if client is None or response.status not in (401, 407):
        return None
    answer = client.answer(request, response)
    if answer is None:
        return None
    name, value = answer
    realm = AuthParams.parse(value).get("realm")
    copy = again(request, number)
    kept = [line for line in copy.headers.get_all(name) if AuthParams.parse(line).get("realm") != realm]
    copy.headers.remove(name)
    for line in (*kept, value):
        copy.headers.add(name, line)
    return copy


def prepare(request: Request, client: DigestClient | None) -> None:
    """Put in what earlier challenges asked for, so that this request need not be challenged."""
    for name, value in client.prepare(request) if client is not None else ():
        request.headers.add(name, value)
