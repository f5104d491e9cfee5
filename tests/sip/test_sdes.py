"""Keys in descriptions (RFC 4568): reading them, choosing among them, and what stays as it is in a session."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import cast

import pytest

from gateway.config import SrtpPolicy
from gateway.media.engine import MediaLeg, RtpRemote
from gateway.media.srtp import Srtp
from gateway.negotiation import Negotiation
from gateway.sdp import SUITES, Crypto, Refused, parse_sdp, read_cryptos
from gateway.sip.transport import mask_credentials

KEY = bytes(range(30))
TEXT = base64.b64encode(KEY).decode()


def description(*cryptos: str, protocol: str = "RTP/SAVP", more: str = "") -> bytes:
    lines = "".join(f"a=crypto:{crypto}\r\n" for crypto in cryptos)
    return (
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        f"m=audio 4000 {protocol} 0 8\r\n{lines}{more}"
    ).encode()


def read(*cryptos: str) -> tuple[Crypto, ...]:
    return read_cryptos(parse_sdp(description(*cryptos)).media[0])


class Leg:
    """A leg that writes down what it is told."""

    port = 20000

    def __init__(self) -> None:
        self.secured: list[Srtp | None] = []
        self.remote: RtpRemote | None = None

    def secure(self, srtp: Srtp | None) -> None:
        self.secured.append(srtp)

    def set_remote(self, remote: RtpRemote) -> None:
        self.remote = remote

    def detect_inband_keys(self, on: bool) -> None:
        pass


def party(srtp: SrtpPolicy, *, safe: bool = True) -> tuple[Negotiation, Leg]:
    leg = Leg()
    negotiation = Negotiation(
        cast(MediaLeg, leg),
        address="192.0.2.9",
        codecs=("PCMU", "PCMA"),
        session_id=7,
        srtp=srtp,
        keys_are_safe=safe,
    )
    return negotiation, leg


def lines_of(sdp: bytes | Refused) -> tuple[str, tuple[Crypto, ...]]:
    assert isinstance(sdp, bytes), sdp
    line = parse_sdp(sdp).media[0]
    return line.protocol, read_cryptos(line)


# Reading -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{TEXT}",
        f"1  aes_cm_128_hmac_sha1_80\tinline:{TEXT}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{TEXT}|2^31",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{TEXT}|1048576",
        f"1 AES_CM_128_HMAC_SHA1_80 INLINE:{TEXT} WSH=128 KDR=0 -FUTURE=1",
    ],
)
def test_what_is_understood(line: str) -> None:
    assert read(line) == (Crypto(1, "AES_CM_128_HMAC_SHA1_80", KEY),)


def test_every_suite_there_and_back() -> None:
    for suite, length in SUITES.items():
        crypto = Crypto(3, suite, bytes(range(length)))
        assert read(str(crypto)) == (crypto,)
        # The = at the end are left out by some.
        assert read(str(crypto).rstrip("=")) == (crypto,)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "1",
        f"x AES_CM_128_HMAC_SHA1_80 inline:{TEXT}",
        f"1 F8_128_HMAC_SHA1_80 inline:{TEXT}",
        f"1 AES_CM_128_HMAC_SHA1_80 outline:{TEXT}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{TEXT[:-4]}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{TEXT}AAAA",
        f"1 AEAD_AES_128_GCM inline:{TEXT}",
        "1 AES_CM_128_HMAC_SHA1_80 inline:!!!!",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{TEXT}|2^31|1:4",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{TEXT};inline:{TEXT}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{TEXT} UNENCRYPTED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{TEXT} UNAUTHENTICATED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{TEXT} KDR=24",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{'A' * 5000}",
    ],
)
def test_what_is_for_others(line: str) -> None:
    assert read(line) == ()


def test_there_are_so_many_lines_and_no_more() -> None:
    assert len(read(*[f"{n} AES_CM_128_HMAC_SHA1_80 inline:{TEXT}" for n in range(1, 40)])) == 16


def test_no_key_is_shown() -> None:
    crypto = Crypto(1, "AES_CM_128_HMAC_SHA1_80", KEY)
    assert TEXT not in repr(crypto)
    assert str(KEY) not in repr(crypto)
    assert TEXT.encode() not in mask_credentials(description(str(crypto)))


# Answers -----------------------------------------------------------------------------------------------

OFFER = description(f"5 AES_CM_128_HMAC_SHA1_32 inline:{TEXT}", f"6 AES_CM_128_HMAC_SHA1_80 inline:{TEXT}")
PLAIN = description(protocol="RTP/AVP")
OPPORTUNISTIC = description(f"1 AES_CM_128_HMAC_SHA1_80 inline:{TEXT}", protocol="RTP/AVP")


@pytest.mark.parametrize("srtp", ["require", "prefer"])
def test_the_offerers_first_is_taken_with_a_key_of_our_own(srtp: SrtpPolicy) -> None:
    negotiation, leg = party(srtp, safe=False)
    protocol, (ours,) = lines_of(negotiation.answer(OFFER))
    assert (protocol, ours.tag, ours.suite) == ("RTP/SAVP", 5, "AES_CM_128_HMAC_SHA1_32")
    assert ours.key != KEY
    assert leg.secured == [Srtp("AES_CM_128_HMAC_SHA1_32", send=ours.key, receive=KEY)]


@pytest.mark.parametrize(
    ("srtp", "offer", "protocol", "secured"),
    [
        ("require", OPPORTUNISTIC, "RTP/AVP", True),
        ("prefer", OPPORTUNISTIC, "RTP/AVP", True),
        ("off", OPPORTUNISTIC, "RTP/AVP", False),
        ("prefer", PLAIN, "RTP/AVP", False),
        ("off", PLAIN, "RTP/AVP", False),
        ("require", PLAIN, None, False),
        ("off", OFFER, None, False),
        ("prefer", description(protocol="RTP/SAVP"), None, False),
        ("prefer", description("1 NULL_SUITE inline:x", protocol="RTP/SAVP"), None, False),
        ("require", description("1 NULL_SUITE inline:x", protocol="RTP/AVP"), None, False),
    ],
)
def test_what_is_taken(srtp: SrtpPolicy, offer: bytes, protocol: str | None, secured: bool) -> None:
    negotiation, leg = party(srtp)
    answer = negotiation.answer(offer)
    if protocol is None:
        assert isinstance(answer, Refused)
        assert answer.status == 488
        assert (leg.secured, leg.remote) == ([], None)
    else:
        said, cryptos = lines_of(answer)
        assert said == protocol
        assert len(cryptos) == len(leg.secured) == secured


def test_a_hold_keeps_the_keys_and_a_new_key_is_taken() -> None:
    negotiation, leg = party("prefer")
    _, first = lines_of(negotiation.answer(OFFER))
    _, held = lines_of(negotiation.answer(OFFER + b"a=sendonly\r\n"))
    assert first == held
    assert len(leg.secured) == 1
    again = base64.b64encode(KEY[::-1]).decode()
    _, kept = lines_of(negotiation.answer(description(f"1 AES_CM_128_HMAC_SHA1_32 inline:{again}")))
    assert kept == (replace(first[0], tag=1),)
    assert leg.secured[-1] == Srtp("AES_CM_128_HMAC_SHA1_32", send=first[0].key, receive=KEY[::-1])
    # Our own offer in the session says the same as our answer.
    assert lines_of(negotiation.offer()) == ("RTP/SAVP", kept)


def test_another_suite_gets_another_key() -> None:
    negotiation, leg = party("prefer")
    _, (first,) = lines_of(negotiation.answer(OPPORTUNISTIC))
    _, (other,) = lines_of(negotiation.answer(description(f"1 AES_CM_128_HMAC_SHA1_32 inline:{TEXT}")))
    assert first.key != other.key
    assert len(leg.secured) == 2


def test_what_was_encrypted_stays_so() -> None:
    negotiation, leg = party("prefer")
    negotiation.answer(OFFER)
    assert isinstance(negotiation.answer(PLAIN), Refused)
    negotiation.offer()
    assert isinstance(negotiation.accept(PLAIN), Refused)
    assert len(leg.secured) == 1


# Offers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("srtp", "safe", "protocol", "cryptos"),
    [
        ("require", True, "RTP/SAVP", 4),
        ("prefer", True, "RTP/AVP", 4),
        ("prefer", False, "RTP/AVP", 0),
        ("off", True, "RTP/AVP", 0),
    ],
)
def test_what_is_offered(srtp: SrtpPolicy, safe: bool, protocol: str, cryptos: int) -> None:
    said, offered = lines_of(party(srtp, safe=safe)[0].offer())
    assert (said, len(offered)) == (protocol, cryptos)
    assert len({each.key for each in offered}) == cryptos


def test_the_answer_says_which_of_our_keys() -> None:
    negotiation, leg = party("require")
    _, offered = lines_of(negotiation.offer())
    chosen = next(each for each in offered if each.suite == "AES_CM_128_HMAC_SHA1_32")
    answer = description(f"{chosen.tag} AES_CM_128_HMAC_SHA1_32 inline:{TEXT}")
    assert negotiation.accept(answer) is None
    assert leg.secured == [Srtp("AES_CM_128_HMAC_SHA1_32", send=chosen.key, receive=KEY)]
    # A further offer has that one only; the answer to it changes nothing.
    assert lines_of(negotiation.offer()) == ("RTP/SAVP", (chosen,))
    assert negotiation.accept(answer) is None
    assert len(leg.secured) == 1


@pytest.mark.parametrize(
    "answer",
    [
        PLAIN,
        description(protocol="RTP/SAVP"),
        description(f"9 AES_CM_128_HMAC_SHA1_80 inline:{TEXT}"),
        description(f"1 AES_CM_128_HMAC_SHA1_32 inline:{TEXT}"),
    ],
)
def test_an_answer_that_does_not_fit_what_was_required(answer: bytes) -> None:
    negotiation, leg = party("require")
    negotiation.offer()
    assert isinstance(negotiation.accept(answer), Refused)
    assert leg.secured == []


def test_where_it_is_preferred_a_telephone_without_it_answers_in_the_clear() -> None:
    negotiation, leg = party("prefer")
    negotiation.offer()
    assert negotiation.accept(PLAIN) is None
    assert (leg.secured, leg.remote is None) == ([], False)
    assert lines_of(negotiation.offer()) == ("RTP/AVP", ())


def test_a_telephone_that_insists_is_offered_the_same_once_more() -> None:
    negotiation, leg = party("prefer")
    _, offered = lines_of(negotiation.offer())
    insistent = negotiation.insistent_offer()
    assert insistent is not None
    assert lines_of(insistent) == ("RTP/SAVP", offered)
    assert negotiation.accept(description(f"1 AES_CM_128_HMAC_SHA1_80 inline:{TEXT}")) is None
    assert len(leg.secured) == 1
    assert lines_of(negotiation.offer())[0] == "RTP/SAVP"
    assert party("require")[0].insistent_offer() is None


@pytest.mark.parametrize(("srtp", "safe"), [("require", True), ("prefer", False), ("off", True)])
def test_who_has_nothing_to_insist_on(srtp: SrtpPolicy, safe: bool) -> None:
    negotiation, _ = party(srtp, safe=safe)
    negotiation.offer()
    assert negotiation.insistent_offer() is None
