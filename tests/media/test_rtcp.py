"""RTCP in both directions (RFC 3550 6), on its own port and multiplexed (RFC 5761)."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass

import pytest

from gateway.media.engine import MediaEngine
from tests.media.conftest import EngineMaker, PeerMaker, wait_until
from tests.media.rtp_peer import RtpPeer, assert_continuous
from tests.media.spectrum import sine

SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION, GOODBYE = range(200, 204)
NTP_EPOCH = 2208988800


@dataclass(frozen=True, slots=True)
class Part:
    kind: int
    count: int
    body: bytes

    @property
    def ssrc(self) -> int:
        return int.from_bytes(self.body[:4], "big")


def parts_of(data: bytes) -> list[Part]:
    parts = []
    while data:
        first, kind, length = struct.unpack_from("!BBH", data)
        assert first & 0xE0 == 0x80
        end = 4 + 4 * length
        assert end <= len(data)
        parts.append(Part(kind, first & 31, data[4:end]))
        data = data[end:]
    return parts


@dataclass(frozen=True, slots=True)
class ReportBlock:
    ssrc: int
    fraction: int
    lost: int
    highest: int
    jitter: int
    last_sr: int
    delay: int

    @classmethod
    def parse(cls, body: bytes) -> ReportBlock:
        ssrc, loss, highest, jitter, last_sr, delay = struct.unpack("!6I", body)
        lost = loss & 0xFFFFFF
        return cls(ssrc, loss >> 24, lost - (lost >> 23 << 24), highest, jitter, last_sr, delay)

    def __bytes__(self) -> bytes:
        loss = self.fraction << 24 | (self.lost & 0xFFFFFF)
        return struct.pack("!6I", self.ssrc, loss, self.highest, self.jitter, self.last_sr, self.delay)


def packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def sender_report(ssrc: int, *blocks: ReportBlock, middle: int = 0x12345678) -> bytes:
    info = struct.pack("!6I", ssrc, middle >> 16, (middle & 0xFFFF) << 16, 0, 1, 160)
    return packet(SENDER_REPORT, len(blocks), info + b"".join(map(bytes, blocks)))


def receiver_report(ssrc: int, *blocks: ReportBlock) -> bytes:
    return packet(RECEIVER_REPORT, len(blocks), struct.pack("!I", ssrc) + b"".join(map(bytes, blocks)))


def test_the_last_report(engine: MediaEngine, peer: RtpPeer) -> None:
    """A leg that ends says all it knows, so nobody has to wait five seconds for it."""
    leg = engine.open_leg()
    peer.talks_to(leg)
    packets = peer.frames(sine(500, 1000))
    peer.sends_all(packet for index, packet in enumerate(packets) if index % 5)
    peer.sends_rtcp(sender_report(peer.ssrc))
    wait_until(lambda: leg.statistics().packets_received == 40)
    ours = peer.receives(10)
    statistics = leg.close()

    report, description, bye = parts_of(peer.receives_report()[0])
    assert [part.kind for part in (report, description, bye)] == [
        SENDER_REPORT,
        SOURCE_DESCRIPTION,
        GOODBYE,
    ]
    assert {part.ssrc for part in (report, description, bye)} == {ours[0].ssrc}

    seconds, fraction, timestamp, sent, sent_bytes = struct.unpack_from("!5I", report.body, 4)
    assert seconds - NTP_EPOCH + fraction / 2**32 == pytest.approx(time.time(), abs=2)
    assert sent == statistics.packets_sent
    assert sent_bytes == statistics.bytes_sent == sent * 160
    last = peer.packets[-1]
    assert -320 <= ((timestamp - last.timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000 <= 800

    block = ReportBlock.parse(report.body[24:])
    assert report.count == 1
    assert block.ssrc == peer.ssrc
    assert block.lost == 9  # the first packet was never sent, as far as anybody knows
    assert block.fraction == 9 * 256 // 49
    assert block.highest == (packets[0].sequence + 49) & 0xFFFF | 0x10000
    assert block.last_sr == 0x12345678
    assert block.delay < 65536 * 5

    assert description.count == 1
    kind, length = description.body[4:6]
    assert kind == 1
    name, padding = description.body[6 : 6 + length], description.body[6 + length :]
    assert len(bytes.fromhex(name.decode())) == 12
    assert padding.strip(b"\0") == b""
    assert 1 <= len(padding) <= 4


def test_a_receiver_report_when_nothing_was_sent(make_engine: EngineMaker, peer: RtpPeer) -> None:
    engine = make_engine(send_silence=False)
    leg = engine.open_leg()
    peer.talks_to(leg)
    leg.close()
    report, description, bye = parts_of(peer.receives_report()[0])
    assert (report.kind, report.count, len(report.body)) == (RECEIVER_REPORT, 0, 4)
    assert (description.kind, bye.kind) == (SOURCE_DESCRIPTION, GOODBYE)


def test_reports_every_few_seconds(engine: MediaEngine, make_peer: PeerMaker) -> None:
    peers = [make_peer() for _ in range(4)]
    start = time.monotonic()
    for peer in peers:
        peer.talks_to(engine.open_leg())
    waited = []
    for peer in peers:
        report = parts_of(peer.receives_report()[0])
        waited.append(time.monotonic() - start)
        assert [part.kind for part in report] == [SENDER_REPORT, SOURCE_DESCRIPTION]
    assert 1 < min(waited) <= max(waited) < 5


def test_round_trip_and_what_the_far_end_lost(engine: MediaEngine, peer: RtpPeer) -> None:
    leg = engine.open_leg()
    peer.talks_to(leg)
    ssrc = peer.receives(1)[0].ssrc
    assert leg.statistics().round_trip_ms is None
    report = parts_of(peer.receives_report()[0])[0]
    middle = int.from_bytes(report.body[6:10], "big")
    # it says that it kept the report for 65 ms less than it did
    now = time.time() + NTP_EPOCH
    delay = (int(now * 65536) - middle - int(0.065 * 65536)) & 0xFFFFFFFF
    peer.sends_rtcp(
        receiver_report(
            peer.ssrc,
            ReportBlock(0x1, 0, 99, 0, 0, 0, 0),
            ReportBlock(ssrc, 10, 7, 0, 80, middle, delay),
        )
    )
    wait_until(lambda: leg.statistics().round_trip_ms is not None)
    statistics = leg.statistics()
    assert statistics.round_trip_ms == pytest.approx(65, abs=30)
    assert statistics.remote_lost == 7
    assert statistics.remote_jitter_ms == 10


def test_multiplexed(engine: MediaEngine, peer: RtpPeer) -> None:
    leg = engine.open_leg()
    peer.talks_to(leg, rtcp_mux=True)
    ssrc = peer.receives(1)[0].ssrc
    peer.sends(receiver_report(peer.ssrc, ReportBlock(ssrc, 0, 3, 0, 0, 0, 0)))
    wait_until(lambda: leg.statistics().remote_lost == 3)
    assert leg.statistics().packets_received == 0
    leg.close()
    assert parts_of(peer.receives_report()[0])[0].kind == SENDER_REPORT
    assert_continuous(peer.packets)
    peer.rtcp.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.rtcp.recv(2048)


def test_a_port_of_its_own(engine: MediaEngine, make_peer: PeerMaker) -> None:
    peer, elsewhere = make_peer(), make_peer()
    leg = engine.open_leg()
    peer.talks_to(leg, rtcp_port=elsewhere.port + 1)
    leg.close()
    assert elsewhere.receives_report()


def test_rubbish(engine: MediaEngine, peer: RtpPeer) -> None:
    leg = engine.open_leg()
    peer.talks_to(leg)
    good = receiver_report(peer.ssrc)
    rubbish = [
        b"",
        good[:4],
        good[:7],
        b"\x40" + good[1:],
        good + b"\x80",
        good + b"\x80\xca\x00\x05",
        packet(SOURCE_DESCRIPTION, 0, bytes(4)),
        b"\xa0" + good[1:],
    ]
    for data in rubbish:
        peer.sends_rtcp(data)
    wait_until(lambda: leg.statistics().malformed == len(rubbish))
    # says that it has more blocks than it has
    peer.sends_rtcp(packet(RECEIVER_REPORT, 31, bytes(28)))
    peer.sends_rtcp(packet(SENDER_REPORT, 31, bytes(8)))
    peer.sends_rtcp(sender_report(peer.ssrc))
    peer.sends_rtcp(good[:1] + b"\x00" + good[2:])
    wait_until(lambda: leg.statistics().malformed == len(rubbish) + 1)


def test_not_from_just_anybody(make_engine: EngineMaker, make_peer: PeerMaker) -> None:
    engine = make_engine(address="0.0.0.0")
    peer, stranger = make_peer("127.0.0.1"), make_peer("127.0.0.2")
    leg = engine.open_leg()
    peer.talks_to(leg)
    ssrc = peer.receives(1)[0].ssrc
    stranger.rtcp.sendto(receiver_report(1, ReportBlock(ssrc, 0, 3, 0, 0, 0, 0)), ("127.0.0.1", leg.port + 1))
    wait_until(lambda: leg.statistics().ignored == 1)
    assert leg.statistics().remote_lost == 0
