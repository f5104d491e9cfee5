"""Two legs that hear each other: sound, keys, numbering, switches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement, pairwise

import pytest

from gateway.media import tone
from gateway.media.engine import KeyReceived, MediaEngine, MediaLeg, PlayEnded
from tests.media.coders import PAYLOAD_TYPES, Codec
from tests.media.conftest import PeerMaker, Watch
from tests.media.rtp_peer import KeyEvent, RtpPacket, RtpPeer, assert_continuous
from tests.media.spectrum import share_at, sine

SILENCE = b"\xff" * 160


@pytest.fixture
def pair(engine: MediaEngine, make_peer: PeerMaker) -> tuple[RtpPeer, MediaLeg, RtpPeer, MediaLeg]:
    caller, agent = make_peer(), make_peer(ssrc=0x2000, sequence=100, timestamp=5)
    leg, other = engine.open_leg(), engine.open_leg()
    caller.talks_to(leg)
    agent.talks_to(other)
    caller.receives(2)
    agent.receives(2)
    return caller, leg, agent, other


Pair = tuple[RtpPeer, MediaLeg, RtpPeer, MediaLeg]


def heard_at_the_end(peer: RtpPeer, frequency: float, *, ms: int = 500) -> None:
    peer.hears(lambda sound: len(sound) >= ms * 8 and share_at(sound[-ms * 8 :], frequency) > 0.95)


@pytest.mark.parametrize(("one", "other"), list(combinations_with_replacement(PAYLOAD_TYPES, 2)))
def test_both_hear_each_other(engine: MediaEngine, make_peer: PeerMaker, one: Codec, other: Codec) -> None:
    caller, agent = make_peer(codec=one), make_peer(codec=other)
    leg, other_leg = engine.open_leg(), engine.open_leg()
    caller.talks_to(leg)
    agent.talks_to(other_leg)
    leg.bridge(other_leg)
    caller.says(sine(440, 10_000))
    agent.says(sine(1040, 10_000))
    heard_at_the_end(agent, 440)
    heard_at_the_end(caller, 1040)
    assert {packet.payload_type for packet in caller.packets} == {caller.payload_type}
    assert {packet.payload_type for packet in agent.packets} == {agent.payload_type}
    assert_continuous(caller.packets, samples=160 * caller.scale)
    assert_continuous(agent.packets, samples=160 * agent.scale)


def test_passed_on_when_it_arrives(pair: Pair) -> None:
    caller, leg, agent, other = pair
    leg.bridge(other)
    caller.says(sine(440, 10_000))
    heard_at_the_end(agent, 440)

    def at_their_pace(packets: Sequence[RtpPacket]) -> bool:
        """25 in a row, 20 ms apart on average. Others may have been read late, where this machine was busy."""
        arrivals = [packet.arrival * 1000 for packet in packets if packet.payload != SILENCE]
        return any(
            (last - first) / 24 == pytest.approx(20, abs=3)
            for first, last in zip(arrivals, arrivals[24:], strict=False)
        )

    agent.waits_for(at_their_pace)


def test_bytes_as_they_are_between_equal_codecs(pair: Pair) -> None:
    caller, leg, agent, other = pair
    leg.bridge(other)
    payloads = [bytes((frame + byte) & 0xFF for byte in range(160)) for frame in range(20)]
    for payload in payloads:
        caller.sends(bytes(caller.packet(payload)))
    heard = agent.waits_for(lambda packets: sum(packet.payload != SILENCE for packet in packets) == 20)
    forwarded = [packet for packet in heard if packet.payload != SILENCE]
    assert [packet.payload for packet in forwarded] == payloads
    assert forwarded[0].marker
    assert_continuous(forwarded)


def test_loss_upstream_is_seen_downstream(pair: Pair) -> None:
    caller, leg, agent, other = pair
    leg.bridge(other)
    packets = caller.frames(sine(440, 200))
    lost = packets[:3] + packets[5:7] + packets[8:]
    lost[4], lost[5] = lost[5], lost[4]
    lost.insert(2, lost[1])
    caller.sends_all(lost)
    heard = agent.waits_for(lambda packets: sum(packet.payload != SILENCE for packet in packets) == 7)
    forwarded = [packet for packet in heard if packet.payload != SILENCE]
    first = forwarded[0]
    assert [(packet.sequence - first.sequence) & 0xFFFF for packet in forwarded] == [0, 1, 2, 5, 8, 6, 9]
    assert [((packet.timestamp - first.timestamp) & 0xFFFFFFFF) // 160 for packet in forwarded] == [
        0, 1, 2, 5, 8, 6, 9,
    ]  # fmt: skip
    after = agent.receives(3, more=True)
    assert len({packet.sequence for packet in after}) == len(after)
    assert max((packet.sequence - first.sequence) & 0xFFFF for packet in after[after.index(first) :]) < 20


def test_a_new_stream_of_the_speaker_goes_on_in_the_old_one(pair: Pair) -> None:
    caller, leg, agent, other = pair
    leg.bridge(other)
    caller.sends_all(caller.frames(sine(440, 100)))
    caller.ssrc, caller.sequence, caller.timestamp = 0x7777, 3, 1 << 31
    caller.sends_all(caller.frames(sine(440, 100)))
    heard = agent.waits_for(lambda packets: sum(packet.payload != SILENCE for packet in packets) == 10)
    assert_continuous([packet for packet in heard if packet.payload != SILENCE])


def test_unbridged_they_hear_silence(pair: Pair) -> None:
    caller, leg, agent, other = pair
    leg.bridge(other)
    caller.says(sine(440, 1000), repeat=True)
    agent.waits_for(lambda packets: packets[-1].payload != SILENCE)
    other.unbridge()
    packets = agent.waits_for(lambda packets: [packet.payload for packet in packets[-5:]] == [SILENCE] * 5)
    assert_continuous(packets)


def test_silence_while_the_speaker_pauses(pair: Pair) -> None:
    caller, leg, agent, other = pair
    leg.bridge(other)
    caller.sends_all(caller.frames(sine(440, 100)))
    agent.waits_for(lambda packets: sum(packet.payload != SILENCE for packet in packets) == 5)
    agent.receives(5, more=True)
    caller.timestamp += 8 * 500
    caller.sends_all(caller.frames(sine(440, 100)))
    packets = agent.waits_for(lambda packets: sum(packet.payload != SILENCE for packet in packets) == 10)
    assert {(after.sequence - before.sequence) & 0xFFFF for before, after in pairwise(packets)} == {1}


def test_a_play_goes_before_the_peer(pair: Pair, watch: Watch) -> None:
    caller, leg, agent, other = pair
    leg.bridge(other)
    agent.says(sine(440, 1000), repeat=True)
    heard_at_the_end(caller, 440, ms=200)
    caller.forgets()
    leg.play(1, [tone.tone(1500, 400)])
    assert watch.one(PlayEnded).heard_ms == 400
    heard_at_the_end(caller, 440, ms=200)
    assert_continuous(caller.packets)


def test_a_third_leg_takes_over(engine: MediaEngine, pair: Pair, make_peer: PeerMaker) -> None:
    caller, leg, agent, other = pair
    second_agent = make_peer(ssrc=0x3000, sequence=700)
    third = engine.open_leg()
    second_agent.talks_to(third)
    agent.says(sine(440, 1000), repeat=True)
    second_agent.says(sine(840, 1000), repeat=True)
    leg.bridge(other)
    heard_at_the_end(caller, 440, ms=200)
    third.bridge(leg)
    heard_at_the_end(caller, 840)
    assert_continuous(caller.packets)
    agent.waits_for(lambda packets: packets[-1].payload == SILENCE)


def test_nothing_of_a_closed_peer(engine: MediaEngine, pair: Pair) -> None:
    caller, leg, agent, other = pair
    leg.bridge(other)
    other.close()
    fresh = engine.open_leg()
    agent.talks_to(fresh)
    agent.says(sine(440, 1000), repeat=True)
    assert share_at(caller.sound(caller.receives(25, more=True)), 440) == 0
    other.bridge(leg)
    leg.bridge(other)


def test_a_leg_is_no_bridge(engine: MediaEngine, pair: Pair) -> None:
    caller, leg, _, _ = pair
    leg.bridge(leg)
    caller.says(sine(440, 1000), repeat=True)
    assert share_at(caller.sound(caller.receives(15, more=True)), 440) == 0


@pytest.mark.parametrize("changes", [{"receive": False}, {"send": False}])
def test_hold(pair: Pair, changes: dict[str, bool]) -> None:
    caller, leg, agent, other = pair
    leg.bridge(other)
    caller.says(sine(440, 1000), repeat=True)
    agent.waits_for(lambda packets: packets[-1].payload != SILENCE)
    if "receive" in changes:
        caller.talks_to(leg, **changes)
        agent.waits_for(lambda packets: [packet.payload for packet in packets[-5:]] == [SILENCE] * 5)
    else:
        agent.talks_to(other, **changes)
        caller.receives(2, more=True)
        heard = len(agent.packets)
        caller.receives(10, more=True)
        assert len(agent.packets) == heard


def key_events(packets: list[RtpPacket], payload_type: int) -> list[tuple[RtpPacket, KeyEvent]]:
    return [(p, KeyEvent.parse(p.payload)) for p in packets if p.payload_type == payload_type]


def test_keys_are_passed_on_and_reported(engine: MediaEngine, watch: Watch, make_peer: PeerMaker) -> None:
    caller, agent = make_peer(telephone_event=101), make_peer(telephone_event=97, ssrc=0x2000)
    leg, other = engine.open_leg(), engine.open_leg()
    caller.talks_to(leg)
    agent.talks_to(other)
    leg.bridge(other)
    caller.sends_all(caller.frames(sine(440, 100)))
    caller.presses("58")
    caller.sends_all(caller.frames(sine(440, 100)))
    agent.presses("3")
    pressed = watch.all_of(KeyReceived, 3)
    assert {(event.leg_id, event.key) for event in pressed} == {(leg.id, "5"), (leg.id, "8"), (other.id, "3")}
    packets = agent.waits_for(lambda packets: sum(packet.payload_type == 97 for packet in packets) == 14)
    events = key_events(packets, 97)
    assert [event.key for _, event in events] == ["5"] * 7 + ["8"] * 7
    assert len({packet.timestamp for packet, _ in events}) == 2
    assert [packet.marker for packet, _ in events] == ([True] + [False] * 6) * 2
    numbers = [packet.sequence for packet in packets]
    assert {(after - before) & 0xFFFF for before, after in pairwise(numbers)} == {1}
    back = caller.waits_for(lambda packets: sum(packet.payload_type == 101 for packet in packets) == 7)
    assert {event.key for _, event in key_events(back, 101)} == {"3"}


def test_keys_that_the_other_side_cannot_take_leave_no_gap(
    engine: MediaEngine, watch: Watch, make_peer: PeerMaker
) -> None:
    caller, agent = make_peer(), make_peer(telephone_event=None)
    leg, other = engine.open_leg(), engine.open_leg()
    caller.talks_to(leg)
    agent.talks_to(other)
    leg.bridge(other)
    caller.sends_all(caller.frames(sine(440, 100)))
    caller.presses("5")
    caller.sends_all(caller.frames(sine(440, 100)))
    watch.one(KeyReceived)
    packets = agent.waits_for(lambda packets: sum(packet.payload != SILENCE for packet in packets) == 10)
    assert {packet.payload_type for packet in packets} == {0}
    assert {(after.sequence - before.sequence) & 0xFFFF for before, after in pairwise(packets)} == {1}


def test_keys_sent_while_bridged(pair: Pair) -> None:
    caller, leg, agent, other = pair
    leg.bridge(other)
    agent.says(sine(440, 1000), repeat=True)
    heard_at_the_end(caller, 440, ms=200)
    caller.forgets()
    leg.send_keys("9")
    packets = caller.waits_for(
        lambda packets: sum(p.payload_type == 101 for p in packets) == 7 and packets[-1].payload_type == 0
    )
    assert [event.key for _, event in key_events(packets, 101)] == ["9"] * 7
    assert {(after.sequence - before.sequence) & 0xFFFF for before, after in pairwise(packets)} == {1}
    assert all(((b.timestamp - a.timestamp) & 0xFFFFFFFF) < 2000 for a, b in pairwise(packets))
