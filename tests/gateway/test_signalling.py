"""What was said about a leg, as it is kept for the records."""

from __future__ import annotations

import pytest

from gateway.call import SignallingLine
from gateway.signalling import SignallingLog


def message(first: str, call_id: str = "a@b", cseq: str = "1 INVITE", body: str = "") -> bytes:
    return f"{first}\r\nVia: SIP/2.0/UDP x\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\r\n{body}".encode()


INVITE = message("INVITE sip:1000@x SIP/2.0")
OK = message("SIP/2.0 200 OK")
SDP = """v=0\r
c=IN IP4 10.0.0.7\r
m=audio 4000 RTP/AVP 8 0 101 96\r
a=rtpmap:96 opus/48000/2\r
a=rtpmap:101 telephone-event/8000\r
a=sendonly\r
"""


class Log:
    """A log and what it told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, tuple[SignallingLine, ...]]] = []
        self.log = SignallingLog(lambda call, leg, lines: self.told.append((call, leg, lines)))

    def texts(self) -> list[str]:
        (one,) = self.told
        return [line.text for line in one[2]]


def test_a_leg_has_its_invite_and_its_last_answer() -> None:
    kept = Log()
    kept.log.note("in", INVITE, "udp x:5060", 1000)
    kept.log.claim("party", "c1", "caller", "a@b")
    kept.log.note("out", OK, "udp x:5060", 1100)
    due = kept.log.over("party", 50.0)
    assert due == 51.5
    kept.log.note("in", message("BYE sip:ivr@y SIP/2.0", cseq="2 BYE"), "udp x:5060", 1200)
    assert kept.log.tell(51.0) == 51.5
    assert not kept.told
    kept.log.note("out", message("SIP/2.0 200 OK", cseq="2 BYE"), "udp x:5060", 1201)
    assert kept.log.tell(51.5) is None
    assert kept.texts() == ["INVITE sip:1000@x", "200 OK (INVITE)", "BYE sip:ivr@y", "200 OK (BYE)"]
    line = kept.told[0][2][0]
    assert (line.at, line.direction, line.peer, line.number) == (1000, "in", "udp x:5060", 1)
    # What comes later still is about nothing.
    kept.log.note("in", OK, "udp x:5060", 1300)
    kept.log.close()
    assert len(kept.told) == 1


def test_telephones_that_are_rung_together_are_one_leg() -> None:
    kept = Log()
    for call_id in ("one", "two"):
        kept.log.claim("party", "c1", "leg1", call_id)
        kept.log.note("out", message("INVITE sip:2001@x SIP/2.0", call_id), "udp x:1", 1)
    kept.log.note("in", message("SIP/2.0 486 Busy Here", "two"), "udp x:1", 2)
    kept.log.close()
    assert kept.texts() == ["INVITE sip:2001@x", "INVITE sip:2001@x", "486 Busy Here (INVITE)"]


def test_sound_is_told_in_short() -> None:
    kept = Log()
    kept.log.claim("party", "c1", "leg1", "a@b")
    kept.log.note("out", message("INVITE sip:2001@x SIP/2.0", body=SDP), "udp x:1", 1)
    kept.log.close()
    assert kept.told[0][2][0].sound == "PCMA PCMU OPUS 10.0.0.7:4000 sendonly"


def test_strangers_leave_nothing_lasting() -> None:
    kept = Log()
    for number in range(5000):
        kept.log.note("in", message("INVITE sip:1@x SIP/2.0", str(number)), "udp x:1", 1)
        kept.log.note("in", message("REGISTER sip:x SIP/2.0", str(number)), "udp x:1", 1)
        kept.log.note("in", message("SIP/2.0 200 OK", str(number)), "udp x:1", 1)
    assert len(kept.log._unclaimed) == 256
    assert len(kept.log) == 0


def test_a_leg_that_talks_all_night_does_not_grow() -> None:
    kept = Log()
    kept.log.claim("party", "c1", "leg1", "a@b")
    for _ in range(5000):
        kept.log.note("in", INVITE, "udp x:1", 1)
    kept.log.close()
    assert len(kept.told[0][2]) == 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"INVITE",
        b"\r\n\r\n",
        b"INVITE sip:x SIP/2.0\r\nCall-ID:\r\n",
        b"INVITE \xff\xfe SIP/2.0\r\ni:\xff\r\nCSeq: x\r\n\r\nm=audio",
        INVITE.replace(b"CSeq: 1 INVITE", b"CSeq: 99999999999999999999 " + b"X" * 9000),
    ],
)
def test_whatever_comes_is_taken(data: bytes) -> None:
    kept = Log()
    kept.log.claim("party", "c1", "leg1", "a@b")
    kept.log.note("in", data, "udp x:1", 1)
    kept.log.close()
