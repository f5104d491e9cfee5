"""Asking the peer to call somebody else (RFC 3515): what it answers, what its NOTIFYs tell, and what is nobody's."""

from __future__ import annotations

import pytest

from gateway.sip.events import SessionEnded, SessionReferEnded, SessionReferProgress
from gateway.sip.message import Request
from tests.sip.session_link import ANSWER, Network
from tests.sip.test_session_changes import Caller

TO = "sip:2001@192.0.2.7"


@pytest.fixture
def network() -> Network:
    return Network()


def referred(caller: Caller, *, wait: bool = True, status: int | None = 202) -> Request:
    """Our REFER, answered by the peer."""
    caller.session.refer(TO, wait=wait)
    caller.network.run()
    refer = caller.peer.requests("REFER")[-1]
    if status is not None:
        caller.peer.responds(refer, status, caller.gateway)
        caller.network.run()
    return refer


def notifies(
    caller: Caller,
    line: str,
    *,
    state: str = "active;expires=60",
    event: str = "refer",
    content_type: str = "message/sipfrag;version=2.0",
) -> int:
    """The status that a NOTIFY of the peer is answered with."""
    headers = [("Event", event), ("Subscription-State", state)]
    body = f"{line}\r\n".encode() if line else b""
    return caller.reply(caller.asks("NOTIFY", headers=headers, body=body, content_type=content_type)).status


def test_the_peer_is_told_whom_to_call(network: Network) -> None:
    caller = Caller(network)
    refer = referred(caller)
    assert refer.headers.get("Refer-To") == f"<{TO}>"
    assert refer.headers.get("Referred-By") == refer.headers.get("Contact") == "<sip:gw@192.0.2.1:5060>"
    assert refer.headers.get("Refer-Sub") is None
    assert refer.to.tag == "peer"
    assert not caller.gateway.told(SessionReferEnded)


def test_it_tells_how_it_goes(network: Network) -> None:
    caller = Caller(network)
    referred(caller)
    assert notifies(caller, "SIP/2.0 100 Trying") == 200
    assert notifies(caller, "SIP/2.0 180 Ringing") == 200
    assert [event.status for event in caller.gateway.told(SessionReferProgress)] == [100, 180]
    assert notifies(caller, "SIP/2.0 200 OK", state="terminated;reason=noresource") == 200
    assert caller.gateway.told(SessionReferEnded) == [SessionReferEnded(caller.session, 200, "OK", True)]
    assert not caller.session.over


@pytest.mark.parametrize("line", ["SIP/2.0 486 Busy Here", "SIP/2.0 603 Decline", "SIP/2.0 503"])
def test_whom_it_calls_will_not(network: Network, line: str) -> None:
    caller = Caller(network)
    referred(caller)
    assert notifies(caller, line, state="terminated;reason=noresource") == 200
    ended = caller.gateway.last(SessionReferEnded)
    assert (str(ended.status), ended.taken) == (line.split()[1], True)


@pytest.mark.parametrize("status", [400, 405, 501, 603])
def test_it_will_not_or_cannot(network: Network, status: int) -> None:
    caller = Caller(network)
    referred(caller, status=status)
    ended = caller.gateway.last(SessionReferEnded)
    assert (ended.status, ended.taken) == (status, False)
    assert not caller.session.over


def test_it_never_answers(network: Network) -> None:
    caller = Caller(network)
    referred(caller, status=None)
    network.run(40)
    ended = caller.gateway.last(SessionReferEnded)
    assert (ended.status, ended.taken) == (None, False)


def test_there_is_no_such_dialog_any_more(network: Network) -> None:
    caller = Caller(network)
    referred(caller, status=481)
    assert caller.gateway.last(SessionReferEnded).taken is False
    assert caller.gateway.last(SessionEnded).cause == "dialog_lost"


def test_a_notify_that_overtakes_the_answer(network: Network) -> None:
    caller = Caller(network)
    refer = referred(caller, status=None)
    assert notifies(caller, "SIP/2.0 200 OK") == 200
    caller.peer.responds(refer, 202, caller.gateway)
    network.run()
    assert [event.status for event in caller.gateway.told(SessionReferEnded)] == [200]


def test_the_result_and_the_end_in_two_notifies(network: Network) -> None:
    caller = Caller(network)
    referred(caller)
    assert notifies(caller, "SIP/2.0 200 OK") == 200
    assert notifies(caller, "SIP/2.0 200 OK", state="terminated;reason=noresource") == 200
    assert len(caller.gateway.told(SessionReferEnded)) == 1


def test_an_end_that_tells_nothing(network: Network) -> None:
    caller = Caller(network)
    referred(caller)
    assert notifies(caller, "SIP/2.0 100 Trying", state="terminated;reason=noresource") == 200
    ended = caller.gateway.last(SessionReferEnded)
    assert (ended.status, ended.taken) == (None, True)


def test_without_waiting_its_word_is_enough(network: Network) -> None:
    caller = Caller(network)
    refer = referred(caller, wait=False)
    assert (refer.headers.get("Refer-Sub"), refer.headers.get("Supported")) == ("false", "norefersub")
    ended = caller.gateway.last(SessionReferEnded)
    assert (ended.status, ended.taken) == (202, True)
    # One that does not know Refer-Sub notifies all the same.
    assert notifies(caller, "SIP/2.0 486 Busy Here", state="terminated;reason=noresource") == 200
    assert len(caller.gateway.told(SessionReferEnded)) == 1


def test_nobody_waits_any_more(network: Network) -> None:
    caller = Caller(network)
    refer = referred(caller)
    caller.session.forget_referral()
    # RFC 6665 4.1.3: 481 ends the subscription.
    assert notifies(caller, "SIP/2.0 200 OK") == 481
    assert not caller.gateway.told(SessionReferEnded)
    second = referred(caller)
    assert second.cseq.number > refer.cseq.number
    assert notifies(caller, "SIP/2.0 486 Busy Here", event=f"refer;id={refer.cseq.number}") == 481
    assert notifies(caller, "SIP/2.0 200 OK", event=f"refer;id={second.cseq.number}") == 200
    assert [event.status for event in caller.gateway.told(SessionReferEnded)] == [200]


def test_other_notifies(network: Network) -> None:
    caller = Caller(network)
    assert notifies(caller, "SIP/2.0 200 OK") == 489
    referred(caller)
    assert notifies(caller, "Messages-Waiting: yes", event="message-summary") == 489
    assert notifies(caller, "SIP/2.0 200 OK", event="refer;id=x") == 481
    assert not caller.gateway.told(SessionReferEnded)


@pytest.mark.parametrize("line", ["", "SIP/2.0", "SIP/2.0 99 Early", "SIP/2.0 200OK", "HTTP/1.1 200 OK", "\0\xff"])
def test_what_cannot_be_read(network: Network, line: str) -> None:
    caller = Caller(network)
    referred(caller)
    assert notifies(caller, line) == 400
    assert notifies(caller, "SIP/2.0 200 OK", content_type="text/plain") == 400
    assert not caller.gateway.told(SessionReferEnded)
    assert not caller.session.over


def test_a_refer_waits_for_the_ack(network: Network) -> None:
    caller = Caller(network, answer=False)
    caller.session.answer(ANSWER)
    caller.session.refer(TO)
    network.run()
    assert not caller.peer.requests("REFER")
    caller.peer.ack(caller.peer.responses(200)[0], caller.gateway)
    network.run()
    assert caller.peer.requests("REFER")


def test_an_unanswered_call_cannot_be_referred(network: Network) -> None:
    caller = Caller(network, answer=False)
    caller.session.refer(TO)
    network.run()
    assert not caller.peer.requests("REFER")


def test_an_address_never_begins_another_header(network: Network) -> None:
    caller = Caller(network)
    with pytest.raises(ValueError, match="CR, LF"):
        caller.session.refer("sip:2001@192.0.2.7\r\nRefer-To: <sip:evil@192.0.2.8>")


def test_the_peer_hangs_up_meanwhile(network: Network) -> None:
    caller = Caller(network)
    referred(caller)
    caller.asks("BYE")
    assert caller.gateway.last(SessionEnded).by == "remote"
    assert notifies(caller, "SIP/2.0 200 OK") == 481
    network.run(40)
    assert caller.gateway.agent.sizes()["sessions"] == 0


def test_we_hang_up_while_the_refer_is_under_way(network: Network) -> None:
    caller = Caller(network)
    referred(caller, status=None)
    caller.session.bye()
    network.run(1)
    caller.peer.responds(caller.peer.requests("BYE")[0], 200, caller.gateway)
    network.run(40)
    assert not caller.gateway.told(SessionReferEnded)
    assert all(caller.gateway.agent.sizes()[name] == 0 for name in ("sessions", "dialogs", "timers"))
