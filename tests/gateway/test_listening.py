"""What the owner of a call hears of the caller, whatever he calls with, and when he hears nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gateway.call import AudioHeard, CallerLeft
from gateway.media.tone import tone
from tests.gateway.exchange import Exchange, Owned
from tests.gateway.fakes import Switchboard
from tests.gateway.webphone import WebPhone, web_exchange
from tests.media.spectrum import Samples, share_at
from tests.peers.patience import until
from tests.peers.ports import free_port
from tests.peers.rtp import Handset, Payload
from tests.peers.wire import session_description

SOUND = b"\x01\x02" * 800


def listens(owned: Owned) -> None:
    """Take the call and hear the caller, who hears a prompt meanwhile."""
    owned.call.answer()
    owned.call.play(1, [tone(440, 60_000)])
    owned.call.listen(True)


def heard(owned: Owned, chunks: int) -> Samples:
    """The last of what was heard, once there is so much of it."""

    def enough() -> list[bytes] | None:
        all_of = [event.pcm for event in list(owned.told) if isinstance(event, AudioHeard)]
        return all_of if len(all_of) >= chunks else None

    return np.frombuffer(b"".join(until(enough, "the caller is not heard")[-2:]), dtype=np.int16)


def test_nobody_listens_unless_told_to() -> None:
    board = Switchboard()
    board.call.answer()
    board.call.media_audio(board.caller, SOUND)
    assert not board.caller.fake.listening
    board.call.listen(True)
    board.call.listen(True)
    board.call.media_audio(board.caller, SOUND)
    board.call.listen(False)
    assert board.caller.fake.listening == [True, False]
    # What was on its way when listening ended.
    board.call.media_audio(board.caller, SOUND)
    assert [event for event in board.told if isinstance(event, AudioHeard)] == [AudioHeard(SOUND)]


def test_only_the_caller_is_heard_and_only_until_he_is_gone() -> None:
    board = Switchboard()
    board.call.listen(True)
    seat = board.talk()
    board.call.media_audio(seat, SOUND)
    board.call.party_left(board.caller, network=False, cause="bye")
    board.call.media_audio(board.caller, SOUND)
    board.call.listen(False)
    board.call.listen(True)
    board.call.hangup()
    assert not [event for event in board.told if isinstance(event, AudioHeard)]


def test_no_log_line_holds_sound() -> None:
    assert repr(AudioHeard(SOUND)) == "AudioHeard()"


@pytest.mark.parametrize("payload", [0, 8])
def test_a_telephone_is_heard_while_it_hears_a_prompt(exchange: Exchange, tmp_path: Path, payload: Payload) -> None:
    exchange.greets = listens
    handset = Handset(free_port(), tone=640, folder=tmp_path, payload=payload)
    anna = exchange.wire()
    media = f"m=audio {handset.port} RTP/AVP {payload} 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    dialled = anna.invite(sdp=session_description(media=media))
    ok = anna.is_answered(dialled)
    port = next(int(line.split()[1]) for line in ok.text.splitlines() if line.startswith("m=audio"))
    handset.talks_to("127.0.0.1", port)
    owned = exchange.takes()
    assert share_at(heard(owned, 8), 640) > 0.97
    handset.hears(440)
    anna.hangs_up(dialled)
    owned.hears(CallerLeft)
    owned.asks(lambda call: call.hangup())
    exchange.is_clean()
    handset.close()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Exchange]:
    exchange = web_exchange(tmp_path)
    yield exchange
    exchange.close()


def test_a_browser_is_heard(web: Exchange) -> None:
    """It says nothing, as Opus; how that sounds is for the media engine's own tests."""
    web.greets = listens
    alice = WebPhone(web)
    invitation, rtc = alice.calls("1000")
    alice.hears("invitation", invitation=invitation, state="accepted")
    alice.connects(rtc)
    owned = web.takes()
    assert len(heard(owned, 3)) == 1600
    alice.close()
