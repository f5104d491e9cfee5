"""Offers as browsers send them are answered by a running gateway; aiortc's own parser judges what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiortc.sdp import SessionDescription

from gateway.call import CallerLeft
from tests.gateway.exchange import Exchange, Owned
from tests.gateway.webphone import WebPhone, web_exchange

OFFERS = Path(__file__).parent / "offers"


def _answers(owned: Owned) -> None:
    owned.react = lambda event: owned.call.hangup() if isinstance(event, CallerLeft) else None
    owned.call.answer()


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    exchange = web_exchange(tmp_path_factory.mktemp("gateway"))
    exchange.greets = _answers
    yield exchange
    exchange.close()


@pytest.fixture(scope="module")
def phone(exchange: Exchange) -> Iterator[WebPhone]:
    phone = WebPhone(exchange)
    yield phone
    phone.close()


def _answer(phone: WebPhone, offer: str) -> SessionDescription:
    invitation = phone.invites("1000", offer)
    answer = phone.hears("media", invitation=invitation)["description"]
    assert answer["type"] == "answer"
    phone.hears("invitation", invitation=invitation, state="accepted")
    phone.asks("hangup", invitation=invitation)
    return SessionDescription.parse(answer["sdp"])


@pytest.mark.parametrize("name", sorted(path.stem for path in OFFERS.glob("*.sdp")))
def test_a_browser_is_answered(exchange: Exchange, phone: WebPhone, name: str) -> None:
    offer = (OFFERS / f"{name}.sdp").read_bytes().decode()
    offered, answer = SessionDescription.parse(offer), _answer(phone, offer)
    assert [line.kind for line in answer.media] == [line.kind for line in offered.media]
    assert [line.rtp.muxId for line in answer.media] == [line.rtp.muxId for line in offered.media]
    audio, theirs = answer.media[0], offered.media[0]
    # What we have no use for is refused, and not in the bundle (RFC 9143 section 7.3.3).
    assert [line.port != 0 for line in answer.media] == [line is audio for line in answer.media]
    assert [(group.semantic, group.items) for group in answer.group] == [("BUNDLE", [theirs.rtp.muxId])]
    assert audio.profile == theirs.profile
    assert audio.rtcp_mux
    assert audio.direction == "sendrecv"
    assert audio.dtls is not None
    assert audio.dtls.role == "client"
    assert [each.algorithm for each in audio.dtls.fingerprints] == ["sha-256"]
    assert {(each.protocol, each.type, each.ip) for each in audio.ice_candidates} == {("udp", "host", "127.0.0.1")}
    # A telephone behind it would speak PCMU; keys are told at that clock rate, under the browser's own numbers.
    known = {(codec.name, codec.clockRate): codec.payloadType for codec in theirs.rtp.codecs}
    spoken = [(codec.name, codec.clockRate) for codec in audio.rtp.codecs]
    assert spoken[0] == ("PCMU", 8000)
    assert ("telephone-event", 8000) in spoken
    assert ("telephone-event", 48000) not in spoken
    assert {known[each] for each in spoken} == {codec.payloadType for codec in audio.rtp.codecs}
    exchange.is_clean()
