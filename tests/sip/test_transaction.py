"""Transactions in virtual time: the tables, each trap, lossy links, and nothing left behind."""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.deadlines import Deadlines
from gateway.sip import header
from gateway.sip.grammar import SipParseError
from gateway.sip.hop import Hop
from gateway.sip.message import Message, Request, Response, parse_message
from gateway.sip.transaction import (
    CLIENT_INVITE,
    MACHINES,
    AckReceived,
    CancelReceived,
    ClientTransaction,
    Machine,
    RequestReceived,
    ResponseReceived,
    ServerTransaction,
    State,
    Timer,
    TransactionEvent,
    TransactionLayer,
    TransactionTimedOut,
    TransportFailed,
)
from gateway.sip.uri import SipUri

US = ("192.0.2.1", 5060)
PEER = Hop("udp", "192.0.2.9", 5070, None, US)
TCP = Hop("tcp", "192.0.2.9", 41000, 3, US)


class Desk:
    """A layer with its clock, everything it sent and everything it told."""

    def __init__(self, **settings: object) -> None:
        numbers = itertools.count(1)
        self.layer = TransactionLayer(random=lambda: f"r{next(numbers)}", **settings)  # type: ignore[arg-type]
        self.now = 0.0
        self.sent: list[tuple[float, Request | Response, Hop]] = []
        self.told: list[tuple[float, TransactionEvent]] = []

    def collect(self) -> None:
        for data, hop in self.layer.messages_to_send():
            self.sent.append((self.now, parse_message(data), hop))
        while (event := self.layer.next_event()) is not None:
            self.told.append((self.now, event))

    def receive(self, data: bytes | Message, hop: Hop = PEER) -> None:
        self.layer.receive(data, hop, self.now)
        self.collect()

    def wait_until(self, time: float) -> None:
        while (due := self.layer.next_timer()) is not None and due <= time:
            self.now = max(self.now, due)
            self.layer.handle_timer(self.now)
            self.collect()
        self.now = time

    def send(self, request: Request, hop: Hop = PEER) -> ClientTransaction:
        transaction = self.layer.send_request(request, hop, self.now)
        self.collect()
        return transaction

    def answer(self, transaction: ServerTransaction, status: int, **more: object) -> Response:
        response = transaction.request.respond(status, to_tag=transaction.to_tag, **more)  # type: ignore[arg-type]
        self.layer.send_response(transaction, response, self.now)
        self.collect()
        return response

    def cancel(self, transaction: ClientTransaction) -> None:
        self.layer.cancel(transaction, self.now, [("Reason", 'SIP;cause=200;text="elsewhere"')])
        self.collect()

    def times(self, what: str | int) -> list[float]:
        """When a method or a status was sent."""
        return [time for time, message, _ in self.sent if label(message) == what]

    def last(self) -> Request | Response:
        return self.sent[-1][1]

    def incoming(self) -> ServerTransaction:
        events = [event for _, event in self.told if isinstance(event, RequestReceived)]
        assert len(events) == 1
        return events[0].transaction

    def statuses(self) -> list[int]:
        return [event.response.status for _, event in self.told if isinstance(event, ResponseReceived)]

    def kinds(self) -> list[type]:
        return [type(event) for _, event in self.told]


def label(message: Request | Response) -> str | int:
    return message.method if isinstance(message, Request) else message.status


def ours(method: str = "INVITE", **fields: str) -> Request:
    headers = {
        "From": "<sip:us@example.com>;tag=us",
        "To": "<sip:them@example.com>",
        "Call-ID": "call-1",
        "CSeq": f"5 {method}",
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    return Request(method, SipUri.parse("sip:them@192.0.2.9:5070"), headers.items())


def theirs(
    method: str = "INVITE",
    *,
    branch: str | None = "z9hG4bKthem",
    sent_by: str = "192.0.2.9:5070",
    via: str = ";rport",
    to: str = "<sip:us@example.com>",
    cseq: int = 1,
    call_id: str = "call-2",
    uri: str = "sip:us@192.0.2.1",
    more: str = "",
) -> bytes:
    mark = "" if branch is None else f";branch={branch}"
    return (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {sent_by}{via}{mark}\r\n"
        f"From: <sip:them@example.com>;tag=them\r\nTo: {to}\r\nCall-ID: {call_id}\r\n"
        f"CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n{more}Content-Length: 0\r\n\r\n"
    ).encode()


def reply(transaction: ClientTransaction, status: int, tag: str = "fork1") -> Response:
    return transaction.request.respond(status, to_tag=None if status == 100 else tag)


# The tables themselves


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_state_can_be_reached_and_left(machine: Machine) -> None:
    states = {machine.initial}
    while True:
        reached = states | {to for (start, _), (to, _) in machine.moves.items() if start in states}
        if reached == states:
            break
        states = reached
    assert {start for start, _ in machine.moves} == states - {State.TERMINATED}
    assert State.TERMINATED in states
    assert set(machine.timers) == states - {State.TERMINATED}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_timer_that_a_state_starts_moves_it(machine: Machine) -> None:
    for state, timers in machine.timers.items():
        for timer in timers:
            assert (state, timer) in machine.moves
    moved_by = {(state, cause) for state, cause in machine.moves if isinstance(cause, Timer)}
    started = {(state, timer) for state, timers in machine.timers.items() for timer in timers}
    assert moved_by - started == ({(State.PROCEEDING, Timer.CANCELLED)} if machine is CLIENT_INVITE else set())


# Client, INVITE


def test_invite_is_repeated_and_given_up() -> None:
    desk = Desk()
    transaction = desk.send(ours())
    desk.wait_until(100)
    assert desk.times("INVITE") == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert desk.told == [(32.0, TransactionTimedOut(transaction))]
    assert len({message.encode() for _, message, _ in desk.sent}) == 1
    assert len(desk.layer) == 0


def test_our_via_asks_for_the_port_and_is_ours_alone() -> None:
    desk = Desk()
    desk.send(ours())
    desk.send(ours())
    first, second = (message.top_via for _, message, _ in desk.sent)
    assert str(first).startswith("SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK")
    assert first.branch != second.branch
    assert desk.last().max_forwards == 70


def test_a_phone_may_ring_longer_than_a_transaction_lasts() -> None:
    desk = Desk()
    transaction = desk.send(ours())
    desk.wait_until(1.0)
    desk.receive(reply(transaction, 180))
    desk.wait_until(120)
    assert desk.times("INVITE") == [0, 0.5]
    desk.receive(reply(transaction, 200))
    assert desk.statuses() == [180, 200]


def test_a_phone_that_rings_for_ever_is_cancelled_in_the_end() -> None:
    desk = Desk(timer_c=200.0)
    transaction = desk.send(ours())
    desk.receive(reply(transaction, 180))
    desk.wait_until(150)
    desk.receive(reply(transaction, 180))
    desk.wait_until(349)
    assert desk.times("CANCEL") == []
    desk.wait_until(500)
    assert desk.times("CANCEL")[0] == 350
    assert desk.kinds()[-1] is TransactionTimedOut
    assert len(desk.layer) == 0


def test_refusal_is_acknowledged_here_each_time() -> None:
    desk = Desk()
    transaction = desk.send(ours(Route="<sip:p1;lr>"))
    refusal = reply(transaction, 486)
    desk.receive(refusal)
    desk.receive(refusal)
    desk.receive(reply(transaction, 486, "other"))
    acks = [message for _, message, _ in desk.sent if label(message) == "ACK"]
    assert len(acks) == 3
    assert len({ack.encode() for ack in acks}) == 1
    ack = acks[0]
    assert isinstance(ack, Request)
    assert ack.top_via == transaction.request.top_via
    assert len(ack.vias) == 1
    assert str(ack.uri) == str(transaction.request.uri)
    assert ack.cseq == (5, "ACK")
    assert ack.to.tag == "fork1"
    assert ack.headers.get_all("Route") == ["<sip:p1;lr>"]
    assert desk.statuses() == [486]
    desk.wait_until(31.9)
    assert len(desk.layer) == 1
    desk.wait_until(32.1)
    assert len(desk.layer) == 0


def test_every_2xx_is_delivered_repeated_or_forked() -> None:
    desk = Desk()
    transaction = desk.send(ours())
    desk.receive(reply(transaction, 180, "fork1"))
    desk.receive(reply(transaction, 183, "fork2"))
    for tag in ("fork1", "fork1", "fork2"):
        desk.receive(reply(transaction, 200, tag))
    desk.receive(reply(transaction, 487, "fork3"))
    desk.receive(reply(transaction, 180, "fork3"))
    assert desk.statuses() == [180, 183, 200, 200, 200]
    assert desk.times("ACK") == []
    desk.wait_until(33)
    desk.receive(reply(transaction, 200, "fork1"))
    assert len(desk.statuses()) == 5
    assert len(desk.layer) == 0


def test_ack_of_a_2xx_has_a_branch_of_its_own_and_no_transaction() -> None:
    desk = Desk()
    transaction = desk.send(ours())
    desk.receive(reply(transaction, 200))
    ack = ours("ACK", To="<sip:them@example.com>;tag=fork1")
    desk.layer.send_ack(ack, PEER)
    desk.layer.send_ack(ack, PEER)
    desk.collect()
    first, second = (message for _, message, _ in desk.sent if label(message) == "ACK")
    assert first.encode() == second.encode()
    assert first.top_via.branch != transaction.request.top_via.branch
    assert len(desk.layer) == 1


def test_cancel_waits_for_a_provisional() -> None:
    desk = Desk()
    transaction = desk.send(ours(Route="<sip:p1;lr>"))
    desk.cancel(transaction)
    desk.cancel(transaction)
    desk.wait_until(3)
    assert desk.times("CANCEL") == []
    desk.receive(reply(transaction, 100))
    assert desk.times("CANCEL") == [3]
    cancel = desk.last()
    assert isinstance(cancel, Request)
    assert cancel.top_via == transaction.request.top_via
    assert str(cancel.uri) == str(transaction.request.uri)
    assert cancel.cseq == (5, "CANCEL")
    assert cancel.to.tag is None
    assert cancel.from_ == transaction.request.from_
    assert cancel.call_id == transaction.request.call_id
    assert cancel.headers.get("Route") == "<sip:p1;lr>"
    assert cancel.headers.get("Reason") == 'SIP;cause=200;text="elsewhere"'
    desk.receive(cancel.respond(200, to_tag="x"))
    desk.receive(reply(transaction, 487))
    assert desk.times("ACK") == [3]
    assert desk.statuses() == [100, 487]
    desk.wait_until(100)
    assert len(desk.layer) == 0


def test_nothing_is_cancelled_after_a_final_response() -> None:
    for status in (200, 486):
        desk = Desk()
        transaction = desk.send(ours())
        desk.receive(reply(transaction, status))
        desk.cancel(transaction)
        desk.wait_until(100)
        assert desk.times("CANCEL") == []
    desk = Desk()
    transaction = desk.send(ours())
    desk.cancel(transaction)
    desk.receive(reply(transaction, 200))
    desk.wait_until(100)
    assert desk.times("CANCEL") == []
    assert desk.statuses() == [200]


def test_a_2xx_that_crosses_the_cancel_arrives() -> None:
    desk = Desk()
    transaction = desk.send(ours())
    desk.receive(reply(transaction, 180))
    desk.cancel(transaction)
    desk.receive(reply(transaction, 200))
    assert desk.statuses() == [180, 200]
    desk.wait_until(100)
    assert TransactionTimedOut not in desk.kinds()


def test_a_cancelled_invite_does_not_wait_for_ever() -> None:
    desk = Desk()
    transaction = desk.send(ours())
    desk.receive(reply(transaction, 180))
    desk.cancel(transaction)
    desk.wait_until(200)
    assert desk.told[-1] == (32.0, TransactionTimedOut(transaction))
    assert desk.times("CANCEL") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert len(desk.layer) == 0


def test_cancel_of_something_else_does_nothing() -> None:
    desk = Desk()
    transaction = desk.send(ours("OPTIONS"))
    desk.receive(reply(transaction, 100))
    desk.cancel(transaction)
    assert desk.times("CANCEL") == []


# Client, other


def test_other_requests_are_repeated_and_given_up() -> None:
    desk = Desk()
    transaction = desk.send(ours("BYE"))
    desk.wait_until(100)
    assert desk.times("BYE") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert desk.told == [(32.0, TransactionTimedOut(transaction))]


def test_after_a_provisional_they_are_repeated_slowly_and_given_up_all_the_same() -> None:
    desk = Desk()
    transaction = desk.send(ours("REFER"))
    desk.wait_until(0.6)
    desk.receive(reply(transaction, 100))
    desk.wait_until(100)
    assert desk.times("REFER") == [0, 0.5, 1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5]
    assert desk.told[-1] == (32.0, TransactionTimedOut(transaction))


def test_their_final_response_comes_once() -> None:
    desk = Desk()
    transaction = desk.send(ours("BYE"))
    for _ in range(3):
        desk.receive(reply(transaction, 200))
    assert desk.statuses() == [200]
    assert transaction.state is State.COMPLETED
    desk.wait_until(5.1)
    assert len(desk.layer) == 0


def test_reliable_transport_repeats_nothing_and_lingers_nowhere() -> None:
    desk = Desk()
    invite, bye = desk.send(ours(), TCP), desk.send(ours("BYE"), TCP)
    desk.wait_until(10)
    assert len(desk.sent) == 2
    desk.receive(reply(invite, 486), TCP)
    desk.receive(reply(bye, 200), TCP)
    assert desk.times("ACK") == [10]
    assert len(desk.layer) == 0
    assert desk.layer.next_timer() is None


def test_responses_that_are_not_for_us() -> None:
    desk = Desk()
    transaction = desk.send(ours())
    data = reply(transaction, 200).encode()
    desk.receive(data.replace(b"z9hG4bK", b"z9hG4bKx"))
    desk.receive(data.replace(b"5 INVITE", b"5 BYE"))
    desk.receive(data.replace(b"From:", b"Via: SIP/2.0/UDP elsewhere;branch=z9hG4bK1\r\nFrom:"))
    desk.receive(data.replace(b"To: <", b"To: "))
    desk.receive(data.replace(b"Via: SIP", b"Via: PIS"))
    assert desk.told == []


def test_what_cannot_be_sent_says_so() -> None:
    layer = TransactionLayer()
    with pytest.raises(ValueError, match="of its own"):
        layer.send_request(ours("ACK"), PEER, 0)
    with pytest.raises(ValueError, match="no address of ours"):
        layer.send_request(ours(), Hop("udp", "192.0.2.9", 5060), 0)
    with pytest.raises(ValueError, match="branch"):
        layer.send_request(ours(Via="SIP/2.0/UDP a;branch=1"), PEER, 0)
    named = TransactionLayer(sent_by=lambda hop: ("2001:db8::1", 5062))
    named.send_request(ours(), Hop("tcp", "2001:db8::9", 5060), 0)
    assert (
        named.messages_to_send()[0][0]
        .split(b"\r\n")[1]
        .startswith(b"Via: SIP/2.0/TCP [2001:db8::1]:5062;rport;branch=z9hG4bK")
    )
    assert TransactionLayer().new_branch() != TransactionLayer().new_branch()


# Server, INVITE


def test_one_invite_is_one_call_however_often_it_comes() -> None:
    desk = Desk()
    desk.receive(theirs())
    transaction = desk.incoming()
    desk.receive(theirs())
    assert desk.sent == []
    desk.answer(transaction, 180)
    desk.receive(theirs())
    desk.receive(theirs())
    assert desk.times(180) == [0, 0, 0]
    assert len({message.to.tag for _, message, _ in desk.sent}) == 1
    desk.answer(transaction, 200)
    desk.receive(theirs())
    desk.receive(theirs())
    # A 2xx is the user's to repeat (RFC 6026): the transaction only keeps the INVITE from being a new call.
    assert desk.times(200) == [0]
    assert desk.kinds() == [RequestReceived]
    desk.wait_until(31)
    desk.layer.send_response(transaction, transaction.request.respond(200, to_tag="t"), desk.now)
    desk.collect()
    assert desk.times(200) == [0, 31]
    desk.wait_until(33)
    assert len(desk.layer) == 0


def test_silence_of_200_ms_is_a_100() -> None:
    desk = Desk()
    desk.receive(theirs(more="Timestamp: 17.5\r\n"))
    desk.wait_until(5)
    assert desk.times(100) == [0.2]
    assert desk.last().headers.get("Timestamp") == "17.5"
    assert desk.last().to.tag is None
    desk.receive(theirs())
    assert desk.times(100) == [0.2, 5]


def test_an_answer_within_200_ms_needs_no_100() -> None:
    desk = Desk()
    desk.receive(theirs())
    desk.answer(desk.incoming(), 180)
    desk.wait_until(5)
    assert desk.times(100) == []


def test_refusal_is_repeated_until_ack() -> None:
    desk = Desk()
    desk.receive(theirs())
    desk.answer(desk.incoming(), 486)
    desk.wait_until(5)
    assert desk.times(486) == [0, 0.5, 1.5, 3.5]
    desk.receive(theirs())
    assert desk.times(486) == [0, 0.5, 1.5, 3.5, 5]
    ack = theirs("ACK", to="<sip:us@example.com>;tag=x")
    desk.receive(ack)
    desk.receive(ack)
    desk.receive(theirs())
    desk.wait_until(9.9)
    assert len(desk.layer) == 1
    desk.wait_until(10.1)
    assert len(desk.layer) == 0
    assert len(desk.times(486)) == 5
    assert desk.kinds() == [RequestReceived]


def test_refusal_without_ack_is_given_up() -> None:
    desk = Desk()
    desk.receive(theirs())
    transaction = desk.incoming()
    desk.answer(transaction, 404)
    desk.wait_until(100)
    assert desk.times(404) == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert desk.told[-1] == (32.0, TransactionTimedOut(transaction))


def test_ack_of_a_2xx_reaches_the_user_each_time() -> None:
    desk = Desk()
    desk.receive(theirs())
    desk.answer(desk.incoming(), 200)
    new_branch = theirs("ACK", branch="z9hG4bKack", to="<sip:us@example.com>;tag=x")
    desk.receive(new_branch)
    desk.receive(new_branch)
    # Some send it under the INVITE's branch.
    desk.receive(theirs("ACK", to="<sip:us@example.com>;tag=x"))
    assert desk.kinds() == [RequestReceived, AckReceived, AckReceived, AckReceived]


def test_cancel() -> None:
    desk = Desk()
    desk.receive(theirs())
    invite = desk.incoming()
    desk.answer(invite, 180)
    desk.receive(theirs("CANCEL", more="Reason: SIP;cause=200\r\n"))
    desk.receive(theirs("CANCEL"))
    cancelled = [event for _, event in desk.told if isinstance(event, CancelReceived)]
    assert [event.transaction for event in cancelled] == [invite]
    assert cancelled[0].request.headers.get("Reason") == "SIP;cause=200"
    assert desk.times(200) == [0, 0]
    assert desk.last().cseq == (1, "CANCEL")
    assert desk.last().to.tag == invite.to_tag
    desk.answer(invite, 487)
    assert desk.times(487) == [0]


def test_cancel_after_the_answer_changes_nothing() -> None:
    desk = Desk()
    desk.receive(theirs())
    desk.answer(desk.incoming(), 200)
    desk.receive(theirs("CANCEL"))
    assert [label(message) for _, message, _ in desk.sent] == [200, 200]
    assert CancelReceived not in desk.kinds()


def test_cancel_of_nothing() -> None:
    desk = Desk()
    desk.receive(theirs("CANCEL"))
    desk.receive(theirs("CANCEL"))
    assert desk.times(481) == [0, 0]
    assert desk.told == []
    desk.receive(theirs())
    desk.receive(theirs("CANCEL", branch="z9hG4bKother"))
    desk.receive(theirs("CANCEL", sent_by="192.0.2.8:5070"))
    assert CancelReceived not in desk.kinds()
    assert len(desk.times(481)) == 4


# Server, other


def test_other_requests_get_the_same_answer_again() -> None:
    desk = Desk()
    desk.receive(theirs("BYE"))
    desk.receive(theirs("BYE"))
    assert desk.sent == []
    transaction = desk.incoming()
    desk.answer(transaction, 200)
    desk.answer(transaction, 500)
    desk.receive(theirs("BYE"))
    assert [label(message) for _, message, _ in desk.sent] == [200, 200]
    assert len({message.encode() for _, message, _ in desk.sent}) == 1
    desk.wait_until(33)
    assert len(desk.layer) == 0


def test_a_user_who_never_answers_keeps_nothing_alive() -> None:
    desk = Desk()
    desk.receive(theirs("INFO"))
    desk.wait_until(40)
    assert desk.kinds() == [RequestReceived, TransactionTimedOut]
    assert len(desk.layer) == 0


# Which transaction, and where to


def test_branch_sent_by_and_method_name_the_transaction() -> None:
    desk = Desk()
    for number, variation in enumerate(
        [
            theirs(),
            theirs(branch="z9hG4bKTHEM"),
            theirs(sent_by="192.0.2.9:5071"),
            theirs(sent_by="192.0.2.8:5070"),
            theirs("INFO"),
        ]
    ):
        desk.receive(variation.replace(b"call-2", b"call-%d" % number))
    assert desk.kinds() == [RequestReceived] * 5


@pytest.mark.parametrize("branch", [None, "1234", "z9hG4bK"])
def test_without_a_branch_to_rely_on(branch: str | None) -> None:
    desk = Desk()
    desk.receive(theirs(branch=branch))
    desk.receive(theirs(branch=branch))
    desk.receive(theirs("CANCEL", branch=branch))
    assert desk.kinds() == [RequestReceived, CancelReceived]
    desk.answer(desk.incoming(), 487)
    desk.receive(theirs("ACK", branch=branch, to="<sip:us@example.com>;tag=x"))
    desk.wait_until(4)
    assert desk.times(487) == [0]
    desk.receive(theirs(branch=branch, cseq=2))
    assert desk.kinds()[2:] == [RequestReceived]


@pytest.mark.parametrize(
    ("via", "sent_by", "goes_to"),
    [
        (";rport", "10.0.0.5:5070", ("192.0.2.9", 40000)),
        (";RPort", "10.0.0.5", ("192.0.2.9", 40000)),
        ("", "10.0.0.5:5070", ("192.0.2.9", 5070)),
        ("", "10.0.0.5", ("192.0.2.9", 5060)),
        (";maddr=203.0.113.1", "phone.invalid", ("192.0.2.9", 5060)),
        (";received=203.0.113.1;rport=9", "10.0.0.5", ("192.0.2.9", 40000)),
        ("", "[2001:db8::5]:5080", ("192.0.2.9", 5080)),
    ],
)
def test_responses_go_where_they_should(via: str, sent_by: str, goes_to: tuple[str, int]) -> None:
    desk = Desk()
    desk.receive(theirs("OPTIONS", via=via, sent_by=sent_by), Hop("udp", "192.0.2.9", 40000, None, US))
    desk.answer(desk.incoming(), 200)
    _, response, hop = desk.sent[-1]
    assert (hop.host, hop.port, hop.local) == (*goes_to, US)
    assert response.top_via.received == "192.0.2.9"
    assert response.top_via.branch == "z9hG4bKthem"
    assert response.top_via.rport == (40000 if "rport" in via.lower() else None)


def test_streams_are_answered_on_their_connection() -> None:
    desk = Desk()
    desk.receive(theirs("OPTIONS", via=""), TCP)
    desk.answer(desk.incoming(), 200)
    assert desk.sent[-1][2] == TCP
    desk.wait_until(0.1)
    assert len(desk.layer) == 0


def test_the_same_request_by_two_paths_is_one_call() -> None:
    desk = Desk()
    desk.receive(theirs())
    desk.receive(theirs(branch="z9hG4bKpath2"))
    assert desk.kinds() == [RequestReceived]
    assert desk.times(482) == [0]
    desk.answer(desk.incoming(), 200)
    desk.receive(theirs(branch="z9hG4bKpath3"))
    assert desk.times(482) == [0, 0]
    # Within a dialog CSeq is what orders requests.
    desk.receive(theirs("INFO", branch="z9hG4bKa", to="<sip:us@example.com>;tag=x", cseq=2))
    desk.receive(theirs("INFO", branch="z9hG4bKb", to="<sip:us@example.com>;tag=x", cseq=2))
    assert desk.times(482) == [0, 0]


def test_a_refused_request_may_come_back_by_another_path() -> None:
    desk = Desk()
    desk.receive(theirs())
    desk.answer(desk.incoming(), 480)
    desk.receive(theirs(branch="z9hG4bKpath2"))
    assert desk.times(482) == []
    assert desk.kinds() == [RequestReceived, RequestReceived]


# What is refused before it is anybody's


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (theirs().replace(b"Max-Forwards: 70", b"Max-Forwards: 0"), 483),
        (theirs(uri="gopher:us"), 416),
        (theirs().replace(b"us@192.0.2.1 SIP/2.0\r", b"us@192.0.2.1 SIP/3.0\r"), 505),
        (theirs().replace(b"CSeq: 1 INVITE", b"CSeq: x INVITE"), 400),
        (theirs().replace(b"To: <", b'To: "<'), 400),
        (theirs(more="Contact: <\r\n"), 400),
    ],
)
def test_refused_without_a_trace(data: bytes, status: int) -> None:
    desk = Desk()
    desk.layer.receive(data, PEER, 0)
    desk.layer.receive(data, PEER, 0)
    (first, hop), (second, _) = desk.layer.messages_to_send()
    assert first.startswith(b"SIP/2.0 %d " % status)
    assert first == second
    assert (hop.host, hop.port) == ("192.0.2.9", 5070)
    assert len(desk.layer) == 0
    if b'"<' not in data:
        # Its ACK is recognised without a memory of the refusal.
        tag = first.partition(b";tag=")[2].partition(b"To:")[2].partition(b"\r\n")[0].decode()
        desk.receive(theirs("ACK", to=tag.strip()))
        assert desk.told == []


def test_no_answer_to_what_cannot_have_one() -> None:
    desk = Desk()
    desk.receive(theirs("ACK").replace(b"CSeq: 1", b"CSeq: x"))
    desk.receive(theirs("ACK").replace(b"To: <", b'To: "<'))
    desk.receive(theirs().replace(b"Call-ID: call-2\r\n", b""))
    desk.receive(b"\x00" * 50)
    desk.receive(b"SIP/2.0 200 OK\r\n\r\n")
    desk.receive(b"")
    assert (desk.sent, desk.told) == ([], [])


def test_max_forwards_0_within_a_dialog_or_to_ask_us() -> None:
    desk = Desk()
    desk.receive(theirs("OPTIONS").replace(b"Max-Forwards: 70", b"Max-Forwards: 0"))
    bye = theirs("BYE", to="<sip:us@example.com>;tag=x").replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
    desk.receive(bye)
    assert desk.kinds() == [RequestReceived, RequestReceived]


def test_a_full_table_refuses_calls_and_lets_calls_end() -> None:
    desk = Desk(limit=20)
    for number in range(30):
        desk.receive(theirs(branch=f"z9hG4bK{number}", call_id=f"c{number}"))
    assert len(desk.layer) == 20
    assert desk.times(503) == [0] * 10
    assert desk.last().headers.get("Retry-After") == "5"
    desk.receive(theirs("BYE", to="<sip:us@example.com>;tag=x"))
    assert desk.kinds() == [RequestReceived] * 21


# When a connection breaks


def test_a_lost_connection_ends_our_requests_at_once() -> None:
    desk = Desk()
    hop = Hop("tcp", "192.0.2.9", 5060, None, US)
    invite, bye, untouched = desk.send(ours(), hop), desk.send(ours("BYE"), hop), desk.send(ours("BYE"), TCP)
    desk.layer.transport_failed(hop, 1.0)
    desk.collect()
    assert {event.transaction for _, event in desk.told if isinstance(event, TransportFailed)} == {invite, bye}
    assert len(desk.layer) == 1
    assert untouched.state is State.TRYING


def test_a_response_whose_connection_is_gone_tries_a_new_one() -> None:
    desk = Desk()
    desk.receive(theirs(sent_by="192.0.2.9:5090"), TCP)
    transaction = desk.incoming()
    desk.layer.transport_failed(TCP, 1.0)
    desk.answer(transaction, 486)
    fallback = desk.sent[-1][2]
    assert fallback == Hop("tcp", "192.0.2.9", 5090, None, US)
    desk.layer.transport_failed(fallback, 2.0)
    desk.collect()
    assert desk.kinds() == [RequestReceived, TransportFailed]
    assert len(desk.layer) == 0


# Lossy links


class Link:
    """Two layers and the net between them, which does with each message what it is told to."""

    def __init__(self, fates: list[tuple[int, float]], user: Callable[[Link, ServerTransaction], None]) -> None:
        self.near = TransactionLayer(random=map(str, itertools.count(1)).__next__)
        self.far = TransactionLayer(random=map(str, itertools.count(100_000)).__next__)
        self.fates = itertools.chain(fates, itertools.repeat((1, 0.01)))
        self.user = user
        self.queue: list[tuple[float, int, bool, bytes]] = []
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.number = itertools.count()
        self.now = 0.0
        self.near_told: list[TransactionEvent] = []
        self.far_told: list[TransactionEvent] = []

    def later(self, delay: float, work: Callable[[], None]) -> None:
        self.agenda.append((self.now + delay, next(self.number), work))

    def carry(self) -> None:
        for layer, to_far in ((self.near, True), (self.far, False)):
            for data, _ in layer.messages_to_send():
                copies, delay = next(self.fates)
                for copy in range(copies):
                    self.queue.append((self.now + delay * (1 + copy), next(self.number), to_far, data))
        while (event := self.near.next_event()) is not None:
            self.near_told.append(event)
            if isinstance(event, ResponseReceived) and event.transaction.is_invite and event.response.is_success:
                self.near.send_ack(ours("ACK", To=str(event.response.to)), PEER)
        while (event := self.far.next_event()) is not None:
            self.far_told.append(event)
            if isinstance(event, RequestReceived):
                self.user(self, event.transaction)
        if self.near.messages_waiting or self.far.messages_waiting:
            self.carry()

    def run(self) -> None:
        self.carry()
        while True:
            times = [entry[0] for entry in self.queue] + [entry[0] for entry in self.agenda]
            times += [due for due in (self.near.next_timer(), self.far.next_timer()) if due is not None]
            if not times:
                return
            self.now = max(self.now, min(times))
            for entry in sorted(entry for entry in self.queue if entry[0] <= self.now):
                self.queue.remove(entry)
                _, _, to_far, data = entry
                (self.far if to_far else self.near).receive(data, PEER, self.now)
            for work in sorted(work for work in self.agenda if work[0] <= self.now):
                self.agenda.remove(work)
                work[2]()
            self.near.handle_timer(self.now)
            self.far.handle_timer(self.now)
            self.carry()


# A message and its second copy are under way for less than half of T4, as timer I supposes.
FATES = st.lists(
    st.tuples(st.sampled_from([0, 0, 1, 1, 1, 2]), st.sampled_from([0.0, 0.01, 0.3, 0.9, 1.2])), max_size=40
)


@settings(max_examples=150, deadline=None)
@given(FATES, st.sampled_from(["INVITE", "BYE", "MESSAGE"]), st.sampled_from([0.0, 0.1, 1.0, 6.0]), st.booleans())
def test_lossy_link_refused(fates: list[tuple[int, float]], method: str, delay: float, provisional: bool) -> None:
    def user(link: Link, transaction: ServerTransaction) -> None:
        def say(status: int) -> None:
            response = transaction.request.respond(status, to_tag=transaction.to_tag)
            link.far.send_response(transaction, response, link.now)

        if provisional:
            say(180 if method == "INVITE" else 100)
        link.later(delay, lambda: say(486 if method == "INVITE" else 200))

    link = Link(fates, user)
    transaction = link.near.send_request(ours(method), PEER, 0.0)
    link.run()
    finals = [
        event for event in link.near_told if isinstance(event, ResponseReceived) and not event.response.is_provisional
    ]
    timeouts = [event for event in link.near_told if isinstance(event, TransactionTimedOut)]
    assert len(finals) + len(timeouts) == 1
    assert sum(isinstance(event, RequestReceived) for event in link.far_told) <= 1
    if any(isinstance(event, AckReceived) for event in link.far_told):
        # Only the ACK of a refusal that was given up already is nobody's.
        assert any(isinstance(event, TransactionTimedOut) for event in link.far_told)
    assert transaction.state is State.TERMINATED
    assert (len(link.near), len(link.far)) == (0, 0)
    if sum(copies == 0 for copies, _ in fates) < 3:
        # Each side repeats more often than that within 32 s.
        assert finals


@settings(max_examples=150, deadline=None)
@given(FATES, st.sampled_from([0.0, 0.5, 40.0]))
def test_lossy_link_answered(fates: list[tuple[int, float]], delay: float) -> None:
    def user(link: Link, transaction: ServerTransaction) -> None:
        acknowledged: list[AckReceived] = []
        begun: list[float] = []

        def say(status: int) -> None:
            response = transaction.request.respond(status, to_tag=transaction.to_tag)
            link.far.send_response(transaction, response, link.now)

        def answer() -> None:
            begun.append(link.now)
            acknowledged.extend(event for event in link.far_told if isinstance(event, AckReceived))
            if not acknowledged and link.now - begun[0] < 32:
                say(200)
                link.later(min(4.0, 0.5 * 2 ** (len(begun) - 1)), answer)

        say(180)
        link.later(delay, answer)

    link = Link(fates, user)
    link.near.send_request(ours(), PEER, 0.0)
    link.run()
    finals = [e for e in link.near_told if isinstance(e, ResponseReceived) and e.response.is_success]
    assert sum(isinstance(event, RequestReceived) for event in link.far_told) <= 1
    assert len({event.response.to.tag for event in finals}) <= 1
    assert finals or any(isinstance(event, TransactionTimedOut) for event in link.near_told)
    assert (len(link.near), len(link.far)) == (0, 0)
    if sum(copies == 0 for copies, _ in fates) < 3:
        assert finals
        assert any(isinstance(event, AckReceived) for event in link.far_told)


# Nothing is left behind


def call(layer: TransactionLayer, number: int, now: float) -> None:
    """An incoming call that is answered and ended, and an outgoing one that is refused."""
    layer.receive(theirs(branch=f"z9hG4bKi{number}", call_id=f"c{number}"), PEER, now)
    event = layer.next_event()
    assert isinstance(event, RequestReceived)
    to = f"<sip:us@example.com>;tag={event.transaction.to_tag}"
    for status in (180, 200):
        layer.send_response(event.transaction, event.request.respond(status, to_tag=event.transaction.to_tag), now)
    layer.receive(theirs("ACK", branch=f"z9hG4bKa{number}", call_id=f"c{number}", to=to), PEER, now)
    layer.receive(theirs("BYE", branch=f"z9hG4bKb{number}", call_id=f"c{number}", to=to, cseq=2), PEER, now)
    assert isinstance(layer.next_event(), AckReceived)
    bye = layer.next_event()
    assert isinstance(bye, RequestReceived)
    layer.send_response(bye.transaction, bye.request.respond(200), now)
    transaction = layer.send_request(ours(Call_ID=f"o{number}"), PEER, now)
    layer.receive(reply(transaction, 486), PEER, now)
    assert isinstance(layer.next_event(), ResponseReceived)
    layer.messages_to_send()


def test_ten_thousand_calls_leave_what_one_thousand_left() -> None:
    layer = TransactionLayer()
    now = 0.0

    def calls(first: int, last: int) -> None:
        nonlocal now
        for number in range(first, last):
            now += 0.1
            layer.handle_timer(now)
            call(layer, number, now)

    def settle() -> tuple[int, int]:
        nonlocal now
        now += 100
        layer.handle_timer(now)
        # Addresses kept for reading them once are bounded by themselves.
        header._parse_again.cache_clear()
        gc.collect()
        return sys.getallocatedblocks(), layer.timers_stored

    calls(0, 1000)
    assert layer.timers_stored < 4 * len(layer) + 200
    after_thousand, timers = settle()
    assert (len(layer), timers) == (0, 0)
    calls(1000, 10_000)
    after_ten_thousand, timers = settle()
    assert (len(layer), timers, layer.next_timer()) == (0, 0, None)
    # One block a call would be 9,000.
    assert after_ten_thousand - after_thousand < 500


def test_stopped_deadlines_do_not_pile_up() -> None:
    deadlines: Deadlines[int] = Deadlines()
    deadlines.start(-1, 1e9)
    for number in range(10_000):
        deadlines.start(number, 1e6 + number)
        deadlines.stop(number)
    assert len(deadlines) == 1
    assert deadlines.stored <= 2 * 1 + 65
    assert deadlines.pop_due(1e8) is None
    assert deadlines.next() == 1e9
    assert deadlines.pop_due(1e9) == -1
    assert deadlines.next() is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20), st.booleans())))
def test_deadlines_are_a_sorted_dictionary(steps: list[tuple[int, int, bool]]) -> None:
    deadlines: Deadlines[int] = Deadlines()
    model: dict[int, int] = {}
    for key, when, start in steps:
        if start:
            deadlines.start(key, when)
            model[key] = when
        else:
            deadlines.stop(key)
            model.pop(key, None)
        assert deadlines.next() == min(model.values(), default=None)
    popped = []
    while (key_due := deadlines.pop_due(10)) is not None:
        popped.append(model.pop(key_due))
    assert popped == sorted(popped)
    assert all(when > 10 for when in model.values())


@given(st.binary(max_size=200))
def test_noise_never_raises(data: bytes) -> None:
    layer = TransactionLayer()
    for candidate in (data, theirs()[:60] + data + b"\r\n\r\n", theirs().replace(b"rport", data)):
        try:
            layer.receive(candidate, PEER, 0.0)
        except SipParseError:  # pragma: no cover
            pytest.fail("a message from the network got through as an exception")
        for sent, _ in layer.messages_to_send():
            assert sent.startswith(b"SIP/2.0 ")
