"""Descriptions of browsers: ICE, DTLS-SRTP and BUNDLE, read and written; aiortc's own parser judges what we write."""

from __future__ import annotations

import pytest
from aiortc.sdp import SessionDescription as Oracle

from gateway.sdp import (
    OPUS,
    PCMA,
    PCMU,
    Answer,
    AudioCapabilities,
    DtlsSrtp,
    Fingerprint,
    Refused,
    answer_offer,
    make_offer,
    parse_sdp,
    read_answer,
)

PRINT = ":".join(["AB"] * 32)
OURS = DtlsSrtp(
    "ours",
    "o" * 22,
    (Fingerprint("sha-256", ":".join(["01"] * 32)),),
    "active",
    ("1 1 udp 1 192.0.2.1 9 typ host",),
    mid="0",
)
HEAD = "v=0\no=- 4611731400430051336 2 IN IP4 127.0.0.1\ns=-\nt=0 0\n"
ICE = f"a=ice-ufrag:F7gI\na=ice-pwd:x9cml/YzichV2+XlhiMu8g\na=fingerprint:sha-256 {PRINT}\na=setup:actpass\n"
CHROMIUM = (
    HEAD + "a=group:BUNDLE 0 1\na=extmap-allow-mixed\na=msid-semantic: WMS s1\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\nc=IN IP4 0.0.0.0\na=rtcp:9 IN IP4 0.0.0.0\n"
    + ICE
    + "a=ice-options:trickle\na=mid:0\na=sendrecv\na=msid:s1 t1\na=rtcp-mux\na=rtcp-rsize\n"
    "a=rtpmap:111 opus/48000/2\na=rtcp-fb:111 transport-cc\na=fmtp:111 minptime=10;useinbandfec=1\n"
    "a=rtpmap:63 red/48000/2\na=fmtp:63 111/111\na=rtpmap:9 G722/8000\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\n"
    "a=rtpmap:13 CN/8000\na=rtpmap:110 telephone-event/48000\na=rtpmap:126 telephone-event/8000\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96\nc=IN IP4 0.0.0.0\n" + ICE + "a=mid:1\na=rtcp-mux\na=rtpmap:96 VP8/90000\n"
)
FIREFOX = (
    HEAD + f"a=fingerprint:sha-256 {PRINT}\na=group:BUNDLE 0\na=ice-options:trickle\na=msid-semantic:WMS *\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101\nc=IN IP4 0.0.0.0\na=sendrecv\na=end-of-candidates\n"
    "a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1\na=fmtp:101 0-15\na=ice-pwd:" + "f" * 32 + "\n"
    "a=ice-ufrag:1a2b3c4d\na=mid:0\na=rtcp-mux\na=rtpmap:109 opus/48000/2\na=rtpmap:9 G722/8000/1\n"
    "a=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000/1\na=setup:actpass\n"
)


def ours(*codecs: object) -> AudioCapabilities:
    return AudioCapabilities("192.0.2.1", 20_000, codecs=codecs or (PCMU, PCMA, OPUS), dtls_srtp=OURS)  # type: ignore[arg-type]


def outcome(text: str, capabilities: AudioCapabilities | None = None) -> Answer | Refused:
    return answer_offer(parse_sdp(text.replace("\n", "\r\n").encode()), capabilities or ours(), session_id=1)


def taken(text: str, capabilities: AudioCapabilities | None = None) -> Answer:
    answer = outcome(text, capabilities)
    assert isinstance(answer, Answer), answer
    return answer


@pytest.mark.parametrize("text", [CHROMIUM, FIREFOX], ids=["Chromium", "Firefox"])
def test_the_answer_is_what_aiortc_understands(text: str) -> None:
    answer = taken(text)
    read = Oracle.parse(answer.sdp.encode().decode())
    audio = read.media[0]
    assert (audio.rtp.muxId, audio.rtcp_mux, audio.direction) == ("0", True, "sendrecv")
    assert audio.ice is not None
    assert (audio.ice.usernameFragment, audio.ice.password) == ("ours", "o" * 22)
    assert audio.dtls is not None
    assert audio.dtls.role == "client"
    assert audio.dtls.fingerprints[0].value == OURS.fingerprints[0].value
    assert [candidate.ip for candidate in audio.ice_candidates] == ["192.0.2.1"]
    assert [group.items for group in read.group] == [["0"]]
    assert [codec.mimeType for codec in audio.rtp.codecs] == ["audio/PCMU", "audio/telephone-event"]
    assert [media.port for media in read.media[1:]] == [0] * (len(read.media) - 1)
    secure = answer.agreed.dtls_srtp
    assert secure is not None
    assert secure.setup == "actpass"
    assert secure.fingerprints == (Fingerprint("sha-256", PRINT),)


@pytest.mark.parametrize(("codec", "keys"), [(OPUS, 110), (PCMU, 126), (PCMA, 126)])
def test_keys_are_at_the_clock_rate_of_the_codec(codec: object, keys: int) -> None:
    assert taken(CHROMIUM, ours(codec)).agreed.telephone_event == keys
    if codec is OPUS:
        assert taken(FIREFOX, ours(codec)).agreed.telephone_event is None


def test_trickle_and_its_end() -> None:
    for text, trickles in ((CHROMIUM, True), (FIREFOX, False)):
        secure = taken(text).agreed.dtls_srtp
        assert secure is not None
        assert secure.trickle is trickles


def test_the_refused_line_keeps_its_place_and_name() -> None:
    video = taken(CHROMIUM).sdp.media[1]
    assert (video.kind, video.port, video.attribute("mid")) == ("video", 0, "1")


@pytest.mark.parametrize("mid", ["audio", "a{7}", "0"])
def test_the_answer_says_their_mid(mid: str) -> None:
    answer = taken(FIREFOX.replace("a=mid:0", f"a=mid:{mid}").replace("BUNDLE 0", f"BUNDLE {mid}"))
    assert answer.sdp.media[0].attribute("mid") == mid
    assert answer.sdp.attribute("group") == f"BUNDLE {mid}"


def test_without_bundle_and_mid() -> None:
    answer = taken(FIREFOX.replace("a=mid:0\n", "").replace("a=group:BUNDLE 0\n", ""))
    assert answer.sdp.media[0].attribute("mid") is None
    assert answer.sdp.attribute("group") is None


@pytest.mark.parametrize(
    ("said", "sending", "receiving", "held"),
    [("sendrecv", True, True, False), ("sendonly", False, True, True), ("inactive", False, False, True)],
)
def test_hold_is_no_matter_of_the_address(said: str, sending: bool, receiving: bool, held: bool) -> None:
    agreed = taken(FIREFOX.replace("a=sendrecv", f"a={said}")).agreed
    assert (agreed.sending, agreed.receiving, agreed.held) == (sending, receiving, held)


@pytest.mark.parametrize(
    ("was", "now", "warning"),
    [
        ("a=rtcp-mux\n", "", "rtcp-mux"),
        ("a=ice-ufrag:1a2b3c4d\n", "", "missing"),
        ("1a2b3c4d", "abc", "well-formed"),
        ("1a2b3c4d", "a" * 257, "well-formed"),
        ("1a2b3c4d", "ab cd", "well-formed"),
        ("f" * 32, "f" * 21, "well-formed"),
        ("f" * 32, "f" * 257, "well-formed"),
        (PRINT, "AB:CD", "fingerprint"),
        (PRINT, "nothing", "fingerprint"),
        ("UDP/TLS/RTP/SAVPF", "RTP/AVP", "302"),
        ("m=audio 9", "m=audio 0", "304"),
    ],
)
def test_broken_offers_are_refused_with_words(was: str, now: str, warning: str) -> None:
    assert was in FIREFOX
    refused = outcome(FIREFOX.replace(was, now))
    assert isinstance(refused, Refused)
    assert warning in refused.warning


@pytest.mark.parametrize(("ufrag", "password"), [("abcd", "p" * 22), ("a" * 256, "p" * 256)])
def test_the_limits_themselves_are_fine(ufrag: str, password: str) -> None:
    secure = taken(FIREFOX.replace("1a2b3c4d", ufrag).replace("f" * 32, password)).agreed.dtls_srtp
    assert secure is not None
    assert (secure.ufrag, secure.password) == (ufrag, password)


def test_candidates_have_a_limit() -> None:
    many = "".join(f"a=candidate:{n} 1 udp 1 192.0.2.1 {n + 1} typ host\n" for n in range(100))
    secure = taken(FIREFOX + f"a=candidate:{'x' * 600}\n" + many).agreed.dtls_srtp
    assert secure is not None
    assert 0 < len(secure.candidates) <= 32
    assert all(len(text) <= 512 for text in secure.candidates)


def test_ours_with_ours() -> None:
    offer = make_offer(ours(OPUS, PCMU), session_id=1)
    answer = answer_offer(offer, ours(PCMU, OPUS), session_id=2)
    assert isinstance(answer, Answer)
    agreed = read_answer(offer, parse_sdp(answer.sdp.encode()))
    assert not isinstance(agreed, Refused)
    assert agreed.codec == answer.agreed.codec == PCMU
    assert agreed.dtls_srtp is not None
    assert agreed.dtls_srtp.ufrag == "ours"
    assert Oracle.parse(offer.encode().decode()).media[0].rtcp_mux
    again = make_offer(ours(OPUS, PCMU), session_id=1, previous=offer)
    assert again == offer
