"""RFC 4733 as it arrives: whatever is lost, doubled or overtaken, a press is a press."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from gateway.media.engine import KeyReceived, MediaEngine
from tests.media.conftest import PeerMaker, Watch
from tests.media.rtp_peer import KeyEvent, RtpPacket, RtpPeer
from tests.media.spectrum import sine

EVERY_KEY = "0123456789*#ABCD"


@pytest.fixture
def phone(engine: MediaEngine, peer: RtpPeer) -> RtpPeer:
    peer.talks_to(engine.open_leg())
    return peer


def assert_pressed(watch: Watch, phone: RtpPeer, keys: str) -> None:
    """Exactly these: a last key tells when everything before it has been looked at."""
    phone.sends_all(phone.key_packets("D"))
    pressed = watch.all_of(KeyReceived, len(keys) + 1)
    assert "".join(event.key for event in pressed) == keys + "D"
    assert not any(event.inband for event in pressed)


def test_every_key(watch: Watch, phone: RtpPeer) -> None:
    phone.presses(EVERY_KEY)
    assert_pressed(watch, phone, EVERY_KEY)


def test_the_same_key_again_and_again(watch: Watch, phone: RtpPeer) -> None:
    phone.presses("1111")
    assert_pressed(watch, phone, "1111")


def test_reported_at_the_first_packet(watch: Watch, phone: RtpPeer) -> None:
    phone.sends(bytes(phone.key_packets("7")[0]))
    assert watch.one(KeyReceived).key == "7"


@pytest.mark.parametrize("lost", [{0}, {0, 1, 2}, {4, 5, 6}, {0, 4, 5, 6}, {0, 1, 2, 3, 4, 5}, {1, 2, 3, 4, 5, 6}])
def test_markers_and_ends_may_be_lost(watch: Watch, phone: RtpPeer, lost: set[int]) -> None:
    for key in "5566":
        packets = phone.key_packets(key)
        phone.sends_all(packet for index, packet in enumerate(packets) if index not in lost)
    assert_pressed(watch, phone, "5566")


@pytest.mark.parametrize("seed", range(5))
def test_a_bad_network(watch: Watch, phone: RtpPeer, seed: int) -> None:
    chance = random.Random(seed)
    keys = "".join(chance.choice("0123456789*#") for _ in range(100))
    packets: list[RtpPacket] = []
    for key in keys:
        packets += phone.key_packets(key)
        packets += phone.frames(sine(300, 60))
    travelled = [(index + chance.uniform(0, 3), packet) for index, packet in enumerate(packets)]
    travelled += [(when + chance.uniform(0, 3), packet) for when, packet in travelled if chance.random() < 0.05]
    arrived = [packet for _, packet in sorted(travelled, key=lambda each: each[0]) if chance.random() > 0.05]
    for start in range(0, len(arrived), 50):
        # in portions that no socket buffer is too small for
        phone.sends_all(arrived[start : start + 50])
        phone.receives(1, more=True)
    assert_pressed(watch, phone, keys)


def test_a_press_longer_than_one_event_can_be(watch: Watch, phone: RtpPeer) -> None:
    """RFC 4733 2.5.1.3: segments of 65,535 samples, each beginning where the one before ends, without a marker."""
    start, full = phone.timestamp, 0xFFFF
    assert phone.telephone_event is not None
    for segment in range(3):
        for duration in (*range(160, full, 8000), full):
            event = KeyEvent("4", end=False, volume=10, duration=duration)
            packet = phone.packet(bytes(event), payload_type=phone.telephone_event)
            marker = segment == 0 and duration == 160
            phone.sends(bytes(replace(packet, timestamp=start + segment * full, marker=marker)))
    phone.timestamp = (start + 4 * full) & 0xFFFFFFFF
    assert_pressed(watch, phone, "4")


def test_a_phone_that_moves_the_timestamp_on_within_a_press(watch: Watch, phone: RtpPeer) -> None:
    for key in "88":
        packets = phone.key_packets(key, held_ms=200)
        start = packets[0].timestamp
        for packet in packets:
            step = KeyEvent.parse(packet.payload).duration - 160
            phone.sends(bytes(replace(packet, timestamp=start + step)))
    assert_pressed(watch, phone, "88")


def test_timestamps_that_begin_anew(watch: Watch, phone: RtpPeer) -> None:
    phone.presses("12")
    phone.timestamp = (phone.timestamp - 1_000_000) & 0xFFFFFFFF
    phone.presses("34")
    assert_pressed(watch, phone, "1234")


def test_events_that_are_no_keys(watch: Watch, phone: RtpPeer) -> None:
    assert phone.telephone_event is not None
    for code in (16, 32, 64, 255):
        phone.sends(bytes(phone.packet(bytes([code, 10, 0, 160]), payload_type=phone.telephone_event)))
    assert_pressed(watch, phone, "")


def test_the_number_it_answered_with_instead_of_the_one_it_was_offered(
    engine: MediaEngine, watch: Watch, make_peer: PeerMaker
) -> None:
    phone = make_peer(telephone_event=96)
    phone.talks_to(engine.open_leg(), telephone_event=96, telephone_event_receive=101)
    phone.presses("42")
    assert_pressed(watch, phone, "42")


def test_its_own_number_for_what_it_sends(engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
    phone = make_peer(telephone_event=96)
    phone.talks_to(engine.open_leg(), telephone_event=110, telephone_event_receive=96)
    phone.presses("42")
    assert_pressed(watch, phone, "42")
