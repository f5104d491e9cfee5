"""The codes of errors: what each means to the client that is told it. One table for code, documents and tests."""

from __future__ import annotations

from typing import Final

__all__ = ["CODES", "INVITATION_ERRORS"]

CODES: Final[dict[str, str]] = {
    "not_json": "The frame is not a JSON object in UTF-8.",
    "unknown_type": "There is no request of that type.",
    "bad_field": "A field is missing, of the wrong kind, or not known; the text names it.",
    "too_long": "A field is longer than allowed; the text names it, its size and the limit.",
    "too_fast": "Too many requests of that kind; `retry_ms` says when to try again.",
    "stale_id": "The id is lower than one used before, and its answer is no longer known. Ids count up.",
    "not_logged_in": "`login` has to come first.",
    "already_logged_in": "This connection is logged in; close it to log in as somebody else.",
    "token_invalid": "The token is not one of ours, or it is not complete; the text says what is wrong with it.",
    "token_expired": "The token was good and is over. Get a new one.",
    "too_many_logins": "More than two logins a second of this user; `retry_ms` says when to try again.",
    "too_many_devices": "The user is logged in with as many devices as allowed; log one out.",
    "not_resumable": "That session is over or was never there. Log in without `resume`; its calls are gone.",
    "full": "The gateway has as many clients as it takes; try again later.",
    "not_allowed": "The rights in the token do not include this.",
    "too_many_subscriptions": "More users are watched than allowed; unsubscribe some.",
    "too_many_invitations": "More calls at a time than allowed; end one.",
    "peer_offline": "The user is not logged in. Nothing was delivered.",
    "peer_full": "The user does not confirm what was sent before. Nothing was delivered.",
    "no_response": "The user did not confirm in time. It may still be delivered.",
    "unknown_invitation": "There is no such invitation, or it is over.",
    "wrong_state": "The invitation is in a state in which this cannot be done; the text names it.",
    "answered_elsewhere": "Another device of the same user took the call.",
    "shutting_down": "The gateway takes no new calls; try again later.",
    "internal": "The gateway made a mistake; its log tells more.",
}
"""Of the answer `error`."""

INVITATION_ERRORS: Final[dict[str, str]] = {
    "peer_offline": "Who was called was not reachable for 30 s, or who called is gone.",
    "no_response": "The device of who was called did not say within 30 s that it has the invitation.",
    "expired": "60 s after sending, nobody had answered.",
    "not_logged_in": "The session of the own side is over.",
    "accept_failed": "The acceptance could not be delivered to who called.",
    "answered_elsewhere": "Another device of the same user took the call.",
    "refused_elsewhere": "Another device of the same user refused the call.",
}
"""Of the notification `invitation`, with the states `failed` and `cancelled`."""
