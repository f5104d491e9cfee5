"""RTC clients of a running gateway: what becomes of their calls when they go away, come back, or ask too much of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack

from gateway.call import (
    CallerHeld,
    CallerLeft,
    CallerRetrieved,
    CallEvent,
    LegAnswered,
    LegEnded,
    LegFailed,
    LegRinging,
    Target,
)
from gateway.rtc.agent import RtcAgent
from gateway.rtc.limits import Limits
from tests.gateway.calls import says_hello
from tests.gateway.exchange import Exchange, Owned
from tests.gateway.webphone import WebPhone, web_exchange
from tests.peers.patience import until

Phones = Callable[..., WebPhone]
Make = Callable[..., Exchange]
Impatient = Callable[[float], Exchange]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Exchange] = []

    def open_one(**config: Any) -> Exchange:
        made.append(web_exchange(tmp_path, **config))
        return made[-1]

    yield open_one
    for each in made:
        each.close()


@pytest.fixture
def exchange(make: Make) -> Exchange:
    exchange = make()
    exchange.greets = says_hello
    return exchange


@pytest.fixture
def impatient(make: Make, monkeypatch: pytest.MonkeyPatch) -> Impatient:
    """Misses a client after half a second, and gives it up after so many."""

    def open_one(offline_after: float) -> Exchange:
        limits = Limits(unreachable_after=0.5, offline_after=offline_after)
        monkeypatch.setattr("gateway.clients.RtcAgent", partial(RtcAgent, limits=limits))
        monkeypatch.setattr("gateway.clients._LISTEN_EVERY", 0.1)
        exchange = make()
        exchange.greets = says_hello
        return exchange

    return open_one


@pytest.fixture
def phone(request: pytest.FixtureRequest) -> Iterator[Phones]:
    phones: list[WebPhone] = []

    def log_in(exchange: Exchange, user: str = "alice", device: str = "web") -> WebPhone:
        phones.append(WebPhone(exchange, user, device))
        return phones[-1]

    yield log_in
    for each in phones:
        each.close()


def talks(exchange: Exchange, phone: Phones) -> tuple[WebPhone, str, RTCPeerConnection]:
    """Who has called, her invitation and her transport, which is up."""
    alice = phone(exchange)
    invitation, rtc = alice.calls("1000")
    alice.connects(rtc)
    return alice, invitation, rtc


def speaks(alice: WebPhone, rtc: RTCPeerConnection, track: AudioStreamTrack | None) -> None:
    alice.do(lambda: rtc.getSenders()[0].replaceTrack(track))


def rings(users: tuple[str, ...]) -> Callable[[Owned], None]:
    """All of them at once; the first who answers has the caller."""

    def ring(owned: Owned) -> None:
        def react(event: CallEvent) -> None:
            if isinstance(event, LegAnswered):
                owned.call.answer()
                owned.call.connect(event.leg_id)
            elif isinstance(event, CallerLeft):
                owned.call.hangup()

        owned.react = react
        for user in users:
            owned.call.dial(user, Target("rtc", user))

    return ring


# Away, and back. ------------------------------------------------------------------------------------------


def test_who_signals_no_more_is_held_only_while_he_is_silent_too(
    impatient: Callable[[float], Exchange], phone: Phones
) -> None:
    exchange = impatient(60.0)
    alice, invitation, rtc = talks(exchange, phone)
    owned = exchange.takes()
    alice.vanishes()
    clients = exchange.gateway._clients
    assert clients is not None
    until(lambda: invitation in clients._listening, "it is not missed")
    assert not owned.has(CallerHeld)
    speaks(alice, rtc, None)
    owned.hears(CallerHeld)
    speaks(alice, rtc, AudioStreamTrack())
    owned.hears(CallerRetrieved)
    alice.comes_back()
    until(lambda: not clients._listening, "it is listened to although it signals")
    assert alice.asks("hangup", invitation=invitation)["type"] == "ok"
    assert owned.hears(CallerLeft).by == "caller"
    exchange.is_clean()


def test_who_comes_back_in_time_has_his_call_and_what_was_told_meanwhile(
    impatient: Callable[[float], Exchange], phone: Phones
) -> None:
    exchange = impatient(60.0)
    alice, invitation, _ = talks(exchange, phone)
    owned = exchange.takes()
    alice.vanishes()
    owned.asks(lambda call: call.hangup())
    alice.comes_back()
    alice.hears("ended", invitation=invitation)
    exchange.is_clean()


def test_who_does_not_come_back_has_left(impatient: Impatient, phone: Phones) -> None:
    exchange = impatient(1.5)
    alice, *_ = talks(exchange, phone)
    alice.vanishes()
    # Sound alone keeps no call: nobody could end it.
    assert exchange.takes().hears(CallerLeft) == CallerLeft("network", "network")
    exchange.is_clean()


# Several devices. -----------------------------------------------------------------------------------------


def test_one_device_takes_the_call_and_the_others_are_told(exchange: Exchange, phone: Phones) -> None:
    exchange.greets = rings(("bob",))
    alice, desk, mobile = phone(exchange), phone(exchange, "bob", "desk"), phone(exchange, "bob", "mobile")
    _, rtc = alice.calls("bob")
    invited = mobile.hears("invited")
    desk.hears("invited", invitation=invited["invitation"])
    mobile.connects(mobile.takes(invited))
    alice.connects(rtc)
    desk.hears("invitation", invitation=invited["invitation"], state="cancelled", error="answered_elsewhere")
    # The device that has no part in it can do nothing to the call.
    desk.asks("hangup", invitation=invited["invitation"])
    owned = exchange.takes()
    assert not owned.has(LegEnded)
    mobile.asks("hangup", invitation=invited["invitation"])
    assert owned.hears(LegEnded).by == "agent"


def test_a_device_that_goes_leaves_the_others_ringing(exchange: Exchange, phone: Phones) -> None:
    exchange.greets = rings(("bob",))
    alice, desk, mobile = phone(exchange), phone(exchange, "bob", "desk"), phone(exchange, "bob", "mobile")
    alice.calls("bob")
    desk.hears("invited")
    desk.asks("logout")
    invited = mobile.hears("invited")
    mobile.asks("received", invitation=invited["invitation"])
    owned = exchange.takes()
    owned.hears(LegRinging)
    assert not owned.has(LegFailed)
    mobile.asks("logout")
    assert owned.hears(LegFailed).outcome == "offline"


# Too much. ------------------------------------------------------------------------------------------------


def test_sixteen_in_a_channel_and_one_too_many(make: Make, phone: Phones) -> None:
    exchange = make(media_port_count=80, calls_per_second=1000.0)
    exchange.greets = rings(("bob",))
    alice, bob = phone(exchange), phone(exchange, "bob")
    invitation, rtc = alice.calls("bob")
    invited = bob.hears("invited")
    bob.connects(bob.takes(invited))
    alice.connects(rtc)
    alice.hears("invitation", invitation=invitation, state="accepted")
    # Each has at most eight invitations at a time.
    joining = [phone(exchange, "carol"), phone(exchange, "dave")]
    members = [(each, each.invites("bob", channel=invited["channel"])) for each in joining for _ in range(7)]
    for each, member in members:
        each.hears("invitation", invitation=member, state="accepted")
    eve = phone(exchange, "eve")
    too_many = eve.invites("bob", channel=invited["channel"])
    assert eve.hears("invitation", invitation=too_many, state="refused")["status"] == 486
    assert len(exchange.owned) == 1
    assert exchange.do(exchange.sizes)["legs"] == 16
    # There is room again when one has gone.
    joining[0].asks("hangup", invitation=members[0][1])
    again = eve.invites("bob", channel=invited["channel"])
    eve.hears("invitation", invitation=again, state="accepted")
    alice.asks("hangup", invitation=invitation)
    for each, member in [*members[1:], (eve, again)]:
        each.hears("ended", invitation=member)
    exchange.is_clean()


def test_no_port_is_left_for_a_caller_or_for_whom_he_calls(
    make: Make, phone: Phones, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = make(media_port_count=4)
    alice, bob = phone(exchange), phone(exchange, "bob")
    talk = alice.invites("1000")
    ring = alice.invites("1001")
    owned = exchange.takes(2)
    owned.asks(lambda call: call.dial("leg1", Target("rtc", "bob")))
    assert owned.hears(LegFailed) == LegFailed("leg1", "failed", None, "no media port is left")
    refused = bob.invites("1000")
    assert bob.hears("invitation", invitation=refused, state="refused")["status"] == 503
    assert "no media port is left" in caplog.text
    # Nothing of it is left, and with a port there is a call again.
    assert exchange.do(exchange.sizes)["legs"] == 2
    for invitation in (talk, ring):
        alice.asks("hangup", invitation=invitation)
    for each in exchange.owned:
        each.asks(lambda call: call.hangup())
    exchange.is_clean()

    def is_taken() -> bool:
        before = len(exchange.owned)
        bob.asks("hangup", invitation=bob.invites("1000"))
        return len(exchange.owned) > before

    # Ports rest for a moment.
    until(is_taken, "the ports do not come back", every=0.1)


# At its transport. ----------------------------------------------------------------------------------------


def test_a_browser_that_is_hung_up_on_is_told_by_dtls_too(exchange: Exchange, phone: Phones) -> None:
    _, _, rtc = talks(exchange, phone)
    exchange.takes().asks(lambda call: call.hangup())
    # Otherwise it would wait for consent to run out, if signalling were lost.
    until(lambda: rtc.getSenders()[0].transport.state == "closed", "no close_notify came")
    exchange.is_clean()


def test_sound_that_is_replayed_or_forged_is_not_taken(exchange: Exchange, phone: Phones) -> None:
    alice = phone(exchange)
    sent: list[bytes] = []
    rtc, sdp = alice.awaits(alice._offers())
    path = rtc.getSenders()[0].transport.transport
    send = path._send

    async def noted(data: bytes) -> None:
        if 127 < data[0] < 192 and not 192 <= data[1] <= 223:
            sent.append(data)
        await send(data)

    path._send = noted
    alice.sets_answer(rtc, alice.invites("1000", sdp))
    alice.connects(rtc)
    until(lambda: len(sent) >= 20, "no sound was sent")
    replayed = list(sent)
    # Numbers that have not been there yet, so that it is the seal that tells.
    forged = [data[:2] + (int.from_bytes(data[2:4]) + 9000 & 0xFFFF).to_bytes(2) + data[4:] for data in replayed]
    for data in [*replayed, *forged]:
        alice.awaits(send(data))
    ((_, party),) = exchange.gateway._by_media.values()

    def came() -> bool:
        statistics = party.media.statistics()
        return statistics.replayed >= len(replayed) and statistics.unauthentic >= len(forged)

    until(came, lambda: f"{party.media.statistics()}")
    received = party.media.statistics().packets_received
    assert 0 < received <= len(sent)
    # The call goes on.
    until(lambda: party.media.statistics().packets_received > received, "nothing is taken any more")
    exchange.takes().asks(lambda call: call.hangup())
    exchange.is_clean()
