"""Session descriptions and offer/answer: what phones, trunks and browsers send, and what we say to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sdp import (
    PCMA,
    PCMU,
    Agreed,
    Answer,
    AudioCapabilities,
    Codec,
    Refused,
    SdpError,
    SessionDescription,
    answer_offer,
    make_offer,
    parse_sdp,
    read_answer,
)

OURS = AudioCapabilities("192.0.2.10", 20_000)
HEAD = "v=0\r\no=phone 7 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"


def offered(media: str, head: str = HEAD) -> SessionDescription:
    return parse_sdp((head + media.replace("\n", "\r\n")).encode())


def answered(media: str, ours: AudioCapabilities = OURS, head: str = HEAD) -> Answer:
    outcome = answer_offer(offered(media, head), ours, session_id=1)
    assert isinstance(outcome, Answer)
    parse_sdp(outcome.sdp.encode())
    return outcome


def refused(media: str, ours: AudioCapabilities = OURS, head: str = HEAD) -> Refused:
    outcome = answer_offer(offered(media, head), ours, session_id=1)
    assert isinstance(outcome, Refused)
    return outcome


def test_plain_offer_is_answered_with_the_codec_we_want_first() -> None:
    answer = answered("m=audio 4000 RTP/AVP 8 0 101\na=rtpmap:101 telephone-event/8000\n")
    assert answer.sdp.encode() == (
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
        b"m=audio 20000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        b"a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )
    assert answer.agreed == Agreed(
        remote_address="198.51.100.7",
        remote_port=4000,
        remote_rtcp_address="198.51.100.7",
        remote_rtcp_port=4001,
        rtcp_mux=False,
        codec=PCMU,
        payload_type=0,
        receive=((0, PCMU),),
        telephone_event=101,
        receive_telephone_event=101,
        ptime=20,
        sending=True,
        receiving=True,
        held=False,
    )


def test_order_of_codecs_is_the_callers() -> None:
    ours = replace(OURS, codecs=(PCMA, PCMU))
    assert answered("m=audio 4000 RTP/AVP 0 8\n", ours).agreed.codec == PCMA


def test_dynamic_numbers_of_the_other_side_are_used() -> None:
    answer = answered(
        "m=audio 4000 RTP/AVP 111 97 110\na=rtpmap:111 opus/48000/2\na=rtpmap:97 pcma/8000\n"
        "a=rtpmap:110 Telephone-Event/8000\n"
    )
    assert answer.agreed.payload_type == 97
    assert answer.agreed.receive == ((97, PCMA),)
    assert answer.agreed.telephone_event == 110
    assert answer.sdp.media[0].formats == ("97", "110")


def test_key_events_at_the_clock_rate_of_the_codec() -> None:
    media = "m=audio 4000 RTP/AVP 0 96 97\na=rtpmap:96 telephone-event/48000\na=rtpmap:97 telephone-event/8000\n"
    assert answered(media).agreed.telephone_event == 97
    assert answered("m=audio 4000 RTP/AVP 0 96\na=rtpmap:96 telephone-event/48000\n").agreed.telephone_event is None


def test_lines_we_do_not_take_are_refused_in_place() -> None:
    answer = answered(
        "m=video 5000 RTP/AVP 96\na=rtpmap:96 H264/90000\nm=audio 4002 RTP/SAVP 0\nm=audio 4000 RTP/AVP 0\n"
        "m=audio 4004 RTP/AVP 8\n"
    )
    assert [(m.kind, m.port, m.protocol) for m in answer.sdp.media] == [
        ("video", 0, "RTP/AVP"),
        ("audio", 0, "RTP/SAVP"),
        ("audio", 20_000, "RTP/AVP"),
        ("audio", 0, "RTP/AVP"),
    ]
    assert answer.agreed.remote_port == 4000


@pytest.mark.parametrize(
    ("media", "code"),
    [
        ("m=audio 4000 RTP/AVP 18 4\n", "305"),
        ("m=audio 4000 RTP/SAVP 0\n", "302"),
        ("m=audio 0 RTP/AVP 0\n", "304"),
        ("m=video 4000 RTP/AVP 96\n", "304"),
        ("", "304"),
        ("m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::1\n", "301"),
        ("m=audio 4000 RTP/AVP 0\nc=IN IP4 phone.example.org\n", "301"),
        ("m=audio 4000 RTP/AVP 0\nc=IN IP4 239.1.2.3/127\n", "330"),
        ("m=audio 4000 RTP/AVP 99\na=rtpmap:99 PCMU/16000\n", "305"),
    ],
)
def test_nothing_in_common(media: str, code: str) -> None:
    outcome = refused(media)
    assert outcome.status == 488
    assert outcome.warning.startswith(code)


@pytest.mark.parametrize(
    ("attribute", "ours", "sending", "receiving"),
    [
        ("a=sendonly\n", "recvonly", False, True),
        ("a=inactive\n", "inactive", False, False),
        ("a=recvonly\n", "sendonly", True, False),
        ("a=sendrecv\n", "sendrecv", True, True),
        ("c=IN IP4 0.0.0.0\n", "recvonly", False, True),
        ("c=IN IP4 0.0.0.0\na=inactive\n", "inactive", False, False),
    ],
)
def test_hold_in_all_spellings(attribute: str, ours: str, sending: bool, receiving: bool) -> None:
    answer = answered("m=audio 4000 RTP/AVP 0\n" + attribute)
    assert answer.sdp.media[0].attribute(ours) == ""
    assert (answer.agreed.sending, answer.agreed.receiving) == (sending, receiving)
    assert answer.agreed.held is not sending


def test_hold_at_session_level() -> None:
    answer = answered("m=audio 4000 RTP/AVP 0\n", head=HEAD + "a=sendonly\r\n")
    assert answer.agreed.held
    assert not answered("m=audio 4000 RTP/AVP 0\na=sendrecv\n", head=HEAD + "a=sendonly\r\n").agreed.held


def test_ipv6_on_both_sides() -> None:
    ours = replace(OURS, address="2001:db8::10")
    answer = answered("m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::7\n", ours)
    assert b"c=IN IP6 2001:db8::10\r\n" in answer.sdp.encode()
    assert answer.agreed.remote_address == "2001:db8::7"
    assert answered("m=audio 4000 RTP/AVP 0\nc=IN IP6 ::\n", ours).agreed.held


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("a=rtcp:4100\n", ("198.51.100.7", 4100)),
        ("a=rtcp:4100 IN IP4 198.51.100.9\n", ("198.51.100.9", 4100)),
        ("a=rtcp:99999\n", ("198.51.100.7", 4001)),
        ("a=rtcp:\n", ("198.51.100.7", 4001)),
        ("a=rtcp-mux\n", ("198.51.100.7", 4001)),
    ],
)
def test_rtcp_port(attribute: str, expected: tuple[str, int]) -> None:
    agreed = answered("m=audio 4000 RTP/AVP 0\n" + attribute).agreed
    assert (agreed.remote_rtcp_address, agreed.remote_rtcp_port) == expected


def test_rtcp_mux_only_when_both_want_it() -> None:
    ours = replace(OURS, rtcp_mux=True)
    both = answered("m=audio 4000 RTP/AVP 0\na=rtcp-mux\n", ours)
    assert both.agreed.rtcp_mux
    assert both.agreed.remote_rtcp_port == 4000
    assert both.sdp.media[0].attribute("rtcp-mux") == ""
    alone = answered("m=audio 4000 RTP/AVP 0\n", ours)
    assert not alone.agreed.rtcp_mux
    assert alone.sdp.media[0].attribute("rtcp-mux") is None


def test_ptime_the_other_side_wants_if_we_can() -> None:
    ours = replace(OURS, ptimes=(20, 10, 30))
    assert answered("m=audio 4000 RTP/AVP 0\na=ptime:30\n", ours).agreed.ptime == 30
    assert answered("m=audio 4000 RTP/AVP 0\na=ptime:40\n", ours).agreed.ptime == 20
    assert answered("m=audio 4000 RTP/AVP 0\na=maxptime:10\n", ours).agreed.ptime == 10
    assert answered("m=audio 4000 RTP/AVP 0\na=ptime:30\na=maxptime:20\n", ours).agreed.ptime == 20


def test_version_goes_up_exactly_when_the_description_changes() -> None:
    first = answered("m=audio 4000 RTP/AVP 0 8\n").sdp
    again = answer_offer(offered("m=audio 4000 RTP/AVP 0 8\n"), OURS, session_id=99, previous=first)
    assert isinstance(again, Answer)
    assert again.sdp == first
    held = answer_offer(offered("m=audio 4000 RTP/AVP 0\na=sendonly\n"), OURS, session_id=99, previous=first)
    assert isinstance(held, Answer)
    assert (held.sdp.origin.session_id, held.sdp.origin.version) == (1, 2)
    moved = make_offer(replace(OURS, address="192.0.2.99"), session_id=99, previous=held.sdp)
    assert (moved.origin.session_id, moved.origin.version) == (1, 3)
    assert moved.origin.address == "192.0.2.10"
    assert make_offer(replace(OURS, address="192.0.2.99"), session_id=99, previous=moved) is moved


def test_later_offer_keeps_lines_and_numbers() -> None:
    answer = answered(
        "m=video 5000 RTP/AVP 96\nm=audio 4000 RTP/AVPF 8 101\na=rtpmap:101 opus/48000/2\nm=audio 4002 RTP/AVP 0\n"
    )
    offer = make_offer(OURS, session_id=9, previous=answer.sdp)
    assert [(m.kind, m.port) for m in offer.media] == [("video", 0), ("audio", 20_000), ("audio", 0)]
    assert offer.media[1].protocol == "RTP/AVPF"
    keyed = answered("m=audio 4000 RTP/AVP 0 96\na=rtpmap:96 telephone-event/8000\n")
    assert make_offer(OURS, session_id=9, previous=keyed.sdp).media[0].formats == ("0", "8", "96")


def test_number_in_use_is_not_given_another_meaning() -> None:
    answer = answered("m=audio 4000 RTP/AVP 101\na=rtpmap:101 PCMU/8000\n")
    offer = make_offer(OURS, session_id=9, previous=answer.sdp)
    assert offer.media[0].formats == ("101", "8", "96")


def test_two_clock_rates_have_their_own_key_events() -> None:
    offer = make_offer(replace(OURS, codecs=(Codec("opus", 48_000, 111, 2), PCMU)), session_id=1)
    maps = {str(entry) for entry in offer.media[0].rtp_maps()}
    assert {"101 telephone-event/48000", "96 telephone-event/8000", "111 opus/48000/2", "0 PCMU/8000"} == maps


OFFER = make_offer(OURS, session_id=5)


def test_answer_with_other_numbers() -> None:
    agreed = read_answer(
        OFFER,
        offered("m=audio 4000 RTP/AVP 97 100\na=rtpmap:97 PCMA/8000\na=rtpmap:100 telephone-event/8000\na=recvonly\n"),
    )
    assert isinstance(agreed, Agreed)
    assert (agreed.codec, agreed.payload_type) == (PCMA, 97)
    assert agreed.receive == ((0, PCMU), (8, PCMA))
    assert (agreed.telephone_event, agreed.receive_telephone_event) == (100, 101)
    assert (agreed.sending, agreed.receiving) == (True, False)


def test_answer_without_rtpmap_of_a_number_we_offered() -> None:
    agreed = read_answer(OFFER, offered("m=audio 4000 RTP/AVP 0 101\n"))
    assert isinstance(agreed, Agreed)
    assert agreed.telephone_event == 101


def test_answered_without_keys() -> None:
    """They come as tones then, and nothing else is waited for."""
    agreed = read_answer(OFFER, offered("m=audio 4000 RTP/AVP 0\n"))
    assert isinstance(agreed, Agreed)
    assert (agreed.telephone_event, agreed.receive_telephone_event) == (None, None)


@pytest.mark.parametrize(
    "media",
    [
        "",
        "m=audio 0 RTP/AVP 0\n",
        "m=video 4000 RTP/AVP 0\n",
        "m=audio 4000 RTP/AVP 18\n",
        "m=audio 4000 RTP/AVP 101\n",
        "m=audio 4000 RTP/SAVP 0\n",
        "m=audio 4000 RTP/AVP 0\nm=audio 4000 RTP/AVP 0\n",
    ],
)
def test_answer_that_is_none(media: str) -> None:
    assert isinstance(read_answer(OFFER, offered(media)), Refused)


def test_both_sides_of_one_negotiation_agree() -> None:
    answer = answer_offer(OFFER, AudioCapabilities("198.51.100.7", 4000, codecs=(PCMA,)), session_id=8)
    assert isinstance(answer, Answer)
    near = read_answer(OFFER, answer.sdp)
    assert isinstance(near, Agreed)
    assert near.codec == answer.agreed.codec == PCMA
    assert near.telephone_event == answer.agreed.telephone_event == 101


def test_sloppy_text_is_read() -> None:
    read = parse_sdp(
        b"v=0\no=- 1 99999999999999999999999 IN IP4 x\nz=what\nb=AS:80\nm=AUDIO 4000/2 RTP/AVP 0 \n"
        b"i=a line\nc=IN IP4 198.51.100.7/1\na=rtpmap:junk\na=RTPMAP:0 PCMU/8000/1\na=foo\n\n"
    )
    assert isinstance(answer_offer(read, OURS, session_id=1), Answer)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hello",
        b"v=1\r\n",
        b"v=0\r\no=too short\r\n",
        b"v=0\r\nc=IN IP4\r\n",
        b"v=0\r\nc=ATM X y\r\n",
        b"v=0\r\nm=audio\r\n",
        b"v=0\r\nm=audio 70000 RTP/AVP 0\r\n",
        b"v=0\r\nm=vid\0eo 1 RTP/AVP 0\r\n",
        b"v=0\r\nm=audio 1 RTP/AVP \xff\r\n",
        b"v=0\r\nnot a line\r\n",
        b"v=0\r\n" + b"m=audio 1 RTP/AVP 0\r\n" * 33,
        b"v=0\r\n" + b"a=x\r\n" * 1001,
        b"v=0\r\nm=audio 1 RTP/AVP" + b" 0" * 129,
        b"v=0\r\ns=" + b"x" * 20_000,
    ],
)
def test_one_error_for_everything_that_is_not_sdp(text: bytes) -> None:
    with pytest.raises(SdpError):
        parse_sdp(text)


def test_no_line_can_be_smuggled_in() -> None:
    with pytest.raises(SdpError):
        replace(OFFER, name="x\r\na=evil").encode()
    with pytest.raises(SdpError):
        make_offer(replace(OURS, address="1.2.3.4\r\nx"), session_id=1).encode()


SEEDS = [
    HEAD.encode() + b"m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n",
    HEAD.encode() + b"a=sendonly\r\nm=video 0 X 1\r\nm=audio 4000 RTP/AVP 97\r\na=rtpmap:97 PCMA/8000/1\r\n"
    b"a=rtcp:4 IN IP4 1.2.3.4\r\na=maxptime:60\r\n",
]


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=6)), max_size=6))
def test_damaged_text_gives_an_outcome_or_the_one_error(seed: bytes, damage: list[tuple[int, bytes]]) -> None:
    for place, junk in damage:
        seed = seed[:place] + junk + seed[place + len(junk) :]
    try:
        read = parse_sdp(seed)
    except SdpError:
        return
    outcome = answer_offer(read, OURS, session_id=1)
    if isinstance(outcome, Answer):
        outcome.sdp.encode()
    read_answer(OFFER, read)
