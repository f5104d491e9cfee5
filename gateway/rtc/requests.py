"""What clients ask of the gateway. One class a request; its answer is named beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from gateway.rtc.answers import InviteOk, LoginOk, Ok, PresenceOk, StateOk
from gateway.rtc.fields import Flag, Items, Nested, Text, Whole, described
from gateway.rtc.limits import KEYS, MESSAGE_BYTES, SUBSCRIPTIONS, TOKEN_BYTES
from gateway.rtc.values import CONTENT, DEVICE, ID, RESPONSE, SECRET, Candidate, Description, Resume

__all__ = [
    "REQUESTS",
    "Accept",
    "Ack",
    "Cancel",
    "HangUp",
    "Hold",
    "Invite",
    "Keys",
    "Login",
    "Logout",
    "OfferCandidate",
    "OfferMedia",
    "Ping",
    "PresenceSubscribe",
    "PresenceUnsubscribe",
    "Received",
    "Refuse",
    "Request",
    "SendMessage",
    "State",
]

_INVITATION: Final = "rP0aQm2bX9cK4dL7eW1fZ6gH3iV8jN5k"
_AnswerClass = type[Ok] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What every request is. All but `ack` carry an `id`, which is not a field here: it belongs to the envelope."""

    type: ClassVar[str]
    answer: ClassVar[_AnswerClass] = Ok
    once: ClassVar[bool] = True
    """It is not done again when it is repeated; what changes nothing, or may as well be done twice, is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login(Request):
    """Say who you are. The first message on a connection, within 6 s; up to three tries."""

    type: ClassVar[str] = "login"
    answer: ClassVar[_AnswerClass] = LoginOk
    once: ClassVar[bool] = False

    token: str = described(Text(TOKEN_BYTES), "A signed token (JWT) of this gateway.", example="eyJhbGciOi...")
    device: str = described(
        DEVICE,
        "Names the device among those of the user; a new login of the same device replaces the old one.",
        example="web-7f3a",
    )
    resume: Resume | None = described(Nested(Resume), "Go on with a session whose connection was lost.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping(Request):
    """Say that you are there, every `ping_ms`. Any other message says so as well."""

    type: ClassVar[str] = "ping"
    once: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Logout(Request):
    """End the session and its calls. The gateway closes the connection after the answer."""

    type: ClassVar[str] = "logout"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceSubscribe(Request):
    """Watch users: their states now in the answer, every change as a notification."""

    type: ClassVar[str] = "presence.subscribe"
    answer: ClassVar[_AnswerClass] = PresenceOk
    once: ClassVar[bool] = False

    users: tuple[str, ...] = described(Items(ID, SUBSCRIPTIONS, least=1), "Whom.", example=["bob", "carol"])


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceUnsubscribe(Request):
    """Watch users no more."""

    type: ClassVar[str] = "presence.unsubscribe"
    once: ClassVar[bool] = False

    users: tuple[str, ...] = described(Items(ID, SUBSCRIPTIONS, least=1), "Whom.", example=["carol"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessage(Request):
    """Send a text to all devices of a user. `ok` means that one of them confirmed it.

    The text `{"Cmd":"EndCall","Call":"<invitation>"}` goes to nobody: it ends that call, whoever `to` names.
    """

    type: ClassVar[str] = "message"

    to: str = described(ID, "The user.", example="bob")
    text: str = described(Text(MESSAGE_BYTES), "The message.", example="back in five minutes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite(Request):
    """Call somebody. The answer names the invitation; how it goes comes as notifications."""

    type: ClassVar[str] = "invite"
    answer: ClassVar[_AnswerClass] = InviteOk

    to: str = described(ID, "A number of the site's plan, or a user.", example="1000")
    content: str | None = described(
        CONTENT,
        "For who is called; usually a JSON object (`Mode`, `Conference`, `ChanId`, `DisplayName`, `UserData`, "
        "`SipData`, `Pstn`).",
        default=None,
        example='{"DisplayName":"Alice"}',
    )
    channel: str | None = described(ID, "A channel to join; without it the call gets a new one.", default=None)
    description: Description = described(Nested(Description), "The offer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferCandidate(Request):
    """One more ICE candidate of this client (trickle ICE, RFC 8838)."""

    type: ClassVar[str] = "candidate"

    invitation: str = described(SECRET, "The call.", example=_INVITATION)
    candidate: Candidate | None = described(Nested(Candidate), "The candidate; null: that was the last.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received(Request):
    """This device has the invitation and tells its user of it. Say so at once, before anybody is asked."""

    type: ClassVar[str] = "received"
    once: ClassVar[bool] = False

    invitation: str = described(SECRET, "The invitation.", example=_INVITATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept(Request):
    """Take the call. Of several devices the first wins."""

    type: ClassVar[str] = "accept"

    invitation: str = described(SECRET, "The invitation.", example=_INVITATION)
    response: str | None = described(RESPONSE, "For who called.", default=None)
    description: Description = described(Nested(Description), "The answer to the offer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse(Request):
    """Do not take the call. With the response `busy` other devices of the user go on ringing; else they stop."""

    type: ClassVar[str] = "refuse"

    invitation: str = described(SECRET, "The invitation.", example=_INVITATION)
    response: str | None = described(RESPONSE, "Why; `busy` means busy.", default=None, example="busy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(Request):
    """Give up a call of one's own that nobody took yet."""

    type: ClassVar[str] = "cancel"

    invitation: str = described(SECRET, "The invitation.", example=_INVITATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp(Request):
    """End a call that was accepted. One that was not is cancelled or refused by this, as fits."""

    type: ClassVar[str] = "hangup"

    invitation: str = described(SECRET, "The call.", example=_INVITATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Request):
    """Put the other side on hold, or take it back."""

    type: ClassVar[str] = "hold"

    invitation: str = described(SECRET, "The call.", example=_INVITATION)
    on: bool = described(Flag(), "Whether it is to be on hold.", example=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys(Request):
    """Press keys, where RTP cannot carry them (RFC 4733 is better: it keeps time)."""

    type: ClassVar[str] = "keys"

    invitation: str = described(SECRET, "The call.", example=_INVITATION)
    keys: str = described(
        Text(KEYS, pattern="[0-9*#A-D]+", pattern_words="keys: 0-9, *, #, A-D"), "In their order.", example="12#"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferMedia(Request):
    """A new offer (ICE restart, another device), answered by the notification `media`; or the answer to one."""

    type: ClassVar[str] = "media"

    invitation: str = described(SECRET, "The call.", example=_INVITATION)
    description: Description = described(Nested(Description), "The offer or answer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class State(Request):
    """Ask for the state of an invitation (getState)."""

    type: ClassVar[str] = "state"
    answer: ClassVar[_AnswerClass] = StateOk
    once: ClassVar[bool] = False

    invitation: str = described(SECRET, "The invitation.", example=_INVITATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack(Request):
    """All notifications up to this one were taken. Has no `id` and gets no answer."""

    type: ClassVar[str] = "ack"
    answer: ClassVar[_AnswerClass] = None

    seq: int = described(Whole(1), "The `seq` of the latest notification taken.", example=17)


REQUESTS: Final[dict[str, type[Request]]] = {
    request.type: request
    for request in (
        Login,
        Ping,
        Logout,
        PresenceSubscribe,
        PresenceUnsubscribe,
        SendMessage,
        Invite,
        OfferCandidate,
        Received,
        Accept,
        Refuse,
        Cancel,
        HangUp,
        Hold,
        Keys,
        OfferMedia,
        State,
        Ack,
    )
}
