"""What becomes of an RTC party: what its call is told, what its report says, in SIP's words and in the invitation's."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gateway.call import InvitationEnd
from gateway.media.engine import LegStatistics, MediaLeg
from gateway.negotiation import Negotiation
from gateway.rtc.agent import RtcAgent
from gateway.rtc.events import (
    Event,
    HungUp,
    InvitationAccepted,
    InvitationCancelled,
    InvitationDelivered,
    InvitationFailed,
    InvitationRefused,
    NotReachable,
)
from gateway.rtc.peer import PeerLost, RtcPeer
from gateway.rtcparty import RtcCallee, RtcCaller
from gateway.sdp import Refused


class Around:
    """Everything a party talks to; writes down what it is asked, and what the call is told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses_answers = False
        self.reachable = True
        self.id = 1
        self.codec = "PCMU"
        self.held = False

    # The agent, and the call.

    def invite(self, user: str, **_: Any) -> str | NotReachable:
        return "inv1" if self.reachable else NotReachable("offline")

    def __getattr__(self, name: str) -> Any:
        def noted(*arguments: Any, **named: Any) -> None:
            words = [str(one) for one in arguments if isinstance(one, str | int) or one is None]
            self.asked.append(
                " ".join([name, *words[0 if name.startswith("party") else 1 :], *map(str, named.values())])
            )

        return noted

    # The media leg, and the negotiation.

    def statistics(self) -> LegStatistics:
        return LegStatistics(packets_received=7)

    def close(self) -> LegStatistics:
        return self.statistics()

    def offer(self) -> bytes:
        return b"offer"

    def accept(self, *arguments: Any) -> Refused | None:
        if arguments[0] == "inv1":
            self.asked.append("accept")
            return None
        return Refused("nothing in common") if self.refuses_answers else None


def _parts(around: Around) -> tuple[Any, RtcAgent, MediaLeg, RtcPeer, Negotiation]:
    return (
        around,
        cast(RtcAgent, around),
        cast(MediaLeg, around),
        cast(RtcPeer, around),
        cast(Negotiation, around),
    )


def callee(around: Around) -> RtcCallee:
    party = RtcCallee(*_parts(around), leg_id="leg1", user="alice")
    started = party.start(cast(RtcAgent, around), caller="3002", name="Bob", number="3001", channel="chan")
    assert (started is None) == around.reachable
    return party


def caller(around: Around) -> RtcCaller:
    return RtcCaller(*_parts(around), leg_id="caller", user="alice", invitation="inv1", channel="chan")


@pytest.mark.parametrize(
    ("event", "outcome", "status", "end"),
    [
        (InvitationRefused("inv1", "busy"), "busy", 486, InvitationEnd("refused", "busy", "chan")),
        (InvitationRefused("inv1", "later"), "refused", 603, InvitationEnd("refused", "later", "chan")),
        (InvitationRefused("inv1", "x" * 8000), "refused", 603, InvitationEnd("refused", "x" * 64, "chan")),
        (InvitationRefused("inv1", None), "refused", 603, InvitationEnd("refused", None, "chan")),
        (InvitationFailed("inv1", "peer_offline"), "offline", 480, InvitationEnd("failed", "peer_offline", "chan")),
        (InvitationFailed("inv1", "no_response"), "no_answer", 408, InvitationEnd("failed", "no_response", "chan")),
        (InvitationFailed("inv1", "expired"), "no_answer", 480, InvitationEnd("failed", "expired", "chan")),
        (InvitationFailed("inv1", "not_logged_in"), "failed", 503, InvitationEnd("failed", "not_logged_in", "chan")),
        (InvitationFailed("inv1", "accept_failed"), "failed", 500, InvitationEnd("failed", "accept_failed", "chan")),
    ],
)
def test_an_invitation_of_ours_comes_to_nothing(event: Event, outcome: str, status: int, end: InvitationEnd) -> None:
    around = Around()
    party = callee(around)
    party.invitation_event(InvitationDelivered("inv1", "web"))
    party.invitation_event(event)
    assert around.asked[0] == "party_ringing"
    assert around.asked[1].startswith(f"party_failed {outcome} {status}")
    report = party.report()
    assert (report.kind, report.account, report.remote) == ("rtc", "alice", "rtc:alice")
    assert (report.signalling_id, report.status, report.codec, report.invitation) == ("inv1", status, None, end)
    assert report.packets_received == 7
    # What comes late changes nothing.
    party.invitation_event(InvitationAccepted("inv1", "web", None, "answer"))
    assert len(around.asked) == 2
    assert party.report() == report


def test_an_invitation_of_ours_is_accepted() -> None:
    around = Around()
    party = callee(around)
    party.invitation_event(InvitationAccepted("inv1", "web", None, "answer"))
    party.invitation_event(HungUp("inv1", "hangup"))
    assert around.asked == ["party_answered", "party_left False hangup"]
    report = party.report()
    assert (report.status, report.hangup_by, report.codec) == (200, "remote", "PCMU")
    assert report.invitation == InvitationEnd("accepted", None, "chan")


def test_an_answer_with_nothing_in_common() -> None:
    around = Around()
    around.refuses_answers = True
    party = callee(around)
    party.invitation_event(InvitationAccepted("inv1", "web", None, "answer"))
    assert around.asked == ["end failed", "party_failed failed 488 nothing in common"]
    assert (party.report().status, party.report().invitation) == (488, InvitationEnd("accepted", "failed", "chan"))


def test_an_invitation_that_we_take_back() -> None:
    around = Around()
    party = callee(around)
    party.end("answered_elsewhere")
    assert around.asked == ["cancel answered_elsewhere"]
    assert party.report().invitation == InvitationEnd("cancelled", "answered_elsewhere", "chan")
    assert party.report().hangup_by == "local"


def test_somebody_who_is_not_there_was_never_invited() -> None:
    around = Around()
    around.reachable = False
    party = callee(around)
    assert (party.report().status, party.report().invitation, party.report().signalling_id) == (480, None, "")


@pytest.mark.parametrize(
    ("status", "response"),
    [
        (486, "busy"),
        (600, "busy"),
        (603, "refused"),
        (403, "refused"),
        (480, "offline"),
        (404, "offline"),
        (408, "no_answer"),
        (487, "no_answer"),
        (500, "failed"),
        (503, "failed"),
        (488, "failed"),
    ],
)
def test_a_caller_is_refused(status: int, response: str) -> None:
    around = Around()
    party = caller(around)
    party.reject(status, "")
    assert around.asked == [f"refuse {response} {status}"]
    assert (party.report().status, party.report().invitation) == (status, InvitationEnd("refused", response, "chan"))


@pytest.mark.parametrize(
    ("event", "told", "status", "end"),
    [
        (InvitationCancelled("inv1"), "party_left False cancel", 487, InvitationEnd("cancelled", None, "chan")),
        (
            InvitationFailed("inv1", "accept_failed"),
            "party_left True accept_failed",
            500,
            InvitationEnd("failed", "accept_failed", "chan"),
        ),
    ],
)
def test_a_caller_who_does_not_wait(event: Event, told: str, status: int, end: InvitationEnd) -> None:
    around = Around()
    party = caller(around)
    party.invitation_event(event)
    assert around.asked == [told]
    assert (party.report().status, party.report().invitation) == (status, end)


def test_a_caller_whose_transport_fails_before_the_answer_and_after() -> None:
    around = Around()
    before = caller(around)
    before.peer_event(PeerLost("ice_failed"))
    assert around.asked == ["refuse failed 488", "party_left True ice_failed"]
    assert before.report().invitation == InvitationEnd("refused", "failed", "chan")
    around.asked.clear()
    after = caller(around)
    after.answer()
    after.peer_event(PeerLost("consent_lost"))
    assert around.asked == ["accept", "end network", "party_left True consent_lost"]
    assert (after.report().status, after.report().invitation) == (200, InvitationEnd("accepted", None, "chan"))
