"""Offer and answer for one audio stream (RFC 3264): pure functions from what was said to what to say and do.

The order of codecs is the order the caller of these functions gives: whoever joins two legs offers the far
side exactly what the near side already uses. An answer names one codec only, so that nobody changes it in
mid-call.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from gateway.sdp.address import read_address
from gateway.sdp.description import (
    MediaDescription,
    Origin,
    RtpMap,
    SessionDescription,
)
from gateway.sdp.sdes import PROTOCOLS as SDES_PROTOCOLS
from gateway.sdp.sdes import Crypto, choose_crypto, read_cryptos
from gateway.sdp.webrtc import PROTOCOLS as DTLS_SRTP_PROTOCOLS
from gateway.sdp.webrtc import DtlsSrtp, read_dtls_srtp

__all__ = [
    "G722",
    "OPUS",
    "PCMA",
    "PCMU",
    "Agreed",
    "Answer",
    "AudioCapabilities",
    "Codec",
    "Direction",
    "Refused",
    "answer_offer",
    "make_offer",
    "read_answer",
]

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_PLAIN_PROTOCOLS = ("RTP/AVP", "RTP/AVPF")
_PROTOCOLS = (*_PLAIN_PROTOCOLS, *SDES_PROTOCOLS)
_KEYS = "telephone-event"
_FIRST_DYNAMIC = 96
_DIRECTIONS: dict[str, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "sendonly",
    "recvonly": "recvonly",
    "inactive": "inactive",
}
_DEFAULT_PTIME = 20


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoding we can send and receive. Equal whatever the number it goes by."""

    name: str
    clock_rate: int
    payload_type: int = field(compare=False)
    """The number we offer it under; the other side's number is used in an answer."""
    channels: int = 1

    def matches(self, entry: RtpMap) -> bool:
        """Whether that payload type of the other side is this codec. Names are case-insensitive."""
        return (entry.name.lower(), entry.clock_rate, entry.channels) == (
            self.name.lower(),
            self.clock_rate,
            self.channels,
        )


PCMU = Codec("PCMU", 8000, 0)
PCMA = Codec("PCMA", 8000, 8)
G722 = Codec("G722", 8000, 9)
"""It samples at 16,000 Hz; the clock rate is an old mistake that stays (RFC 3551 section 4.5.2)."""
OPUS = Codec("opus", 48_000, 111, 2)
"""Two channels by name, whatever is in it (RFC 7587 section 7)."""


@dataclass(frozen=True, slots=True)
class AudioCapabilities:
    """What we can do on one stream, and where we listen."""

    address: str
    """IPv4 or IPv6 address the other side is to send to."""
    rtp_port: int
    rtcp_port: int | None = None
    """None: the port after ``rtp_port``."""
    codecs: tuple[Codec, ...] = (PCMU, PCMA)
    """Wanted first."""
    telephone_event: int | None = 101
    """Payload type we offer keys under (RFC 4733); None: no key events."""
    ptimes: tuple[int, ...] = (_DEFAULT_PTIME,)
    """Milliseconds of audio per packet we can send, wanted first."""
    direction: Direction = "sendrecv"
    rtcp_mux: bool = False
    """Offer and take RTP and RTCP on one port (RFC 5761)."""
    dtls_srtp: DtlsSrtp | None = None
    """Our side of ICE and DTLS: then nothing but WebRTC is offered and taken. None: plain RTP, or SRTP by SDES."""
    cryptos: tuple[Crypto, ...] = ()
    """Our keys for SRTP by SDES (RFC 4568), one for each suite, wanted first. With them SRTP is taken."""
    plain: bool = True
    """RTP without encryption is taken too. An offer with keys then says RTP/AVP, which telephones without SRTP
    understand (RFC 8643); otherwise RTP/SAVP."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides agreed on: all that media needs to know."""

    remote_address: str
    """Where to send RTP; ``0.0.0.0`` or ``::`` only when ``send`` is false."""
    remote_port: int
    remote_rtcp_address: str
    remote_rtcp_port: int | None
    """None: there is no port for RTCP."""
    rtcp_mux: bool
    codec: Codec
    payload_type: int
    """The number to send ``codec`` under."""
    receive: tuple[tuple[int, Codec], ...]
    """Payload types that may arrive, and what they mean."""
    telephone_event: int | None
    """The number to send keys under; None: the other side takes none."""
    receive_telephone_event: int | None
    """The number under which keys arrive."""
    ptime: int
    """Milliseconds of audio per packet to send."""
    sending: bool
    receiving: bool
    held: bool
    """The other side does not want to hear us: it put us on hold."""
    dtls_srtp: DtlsSrtp | None = None
    """The other side of ICE and DTLS; address and port above mean nothing then."""
    sdes: tuple[Crypto, Crypto] | None = None
    """Our key, and the other side's, of the suite agreed on. None: there is none in the descriptions."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to send, and what it makes true."""

    sdp: SessionDescription
    agreed: Agreed


@dataclass(frozen=True, slots=True)
class Refused:
    """There is nothing both sides can do: the outcome of an offer or of an answer."""

    warning: str
    """Value of a Warning header without host (RFC 3261 section 20.43): code and text."""
    status: int = 488
    reason: str = "Not Acceptable Here"


def make_offer(
    capabilities: AudioCapabilities, *, session_id: int, previous: SessionDescription | None = None
) -> SessionDescription:
    """Our offer (RFC 3264 sections 5 and 8).

    Args:
        capabilities: what we can do on the stream.
        session_id: identifies our descriptions in this call; used when there is no ``previous``.
        previous: the last description we sent in this call, as offer or as answer. Lines, payload types and
            session id are kept, the version goes up exactly when something changed.
    """
    lines = list(previous.media) if previous is not None else []
    slot = _own_stream(lines)
    known = lines[slot].rtp_maps() if slot is not None else ()
    entries: list[RtpMap] = []
    for codec in capabilities.codecs:
        kept = next((entry for entry in known if codec.matches(entry)), None)
        number = kept.payload_type if kept else codec.payload_type
        entries.append(RtpMap(number, codec.name, codec.clock_rate, codec.channels))
    if capabilities.telephone_event is not None:
        for clock_rate in dict.fromkeys(codec.clock_rate for codec in capabilities.codecs):
            kept = next((e for e in known if e.name.lower() == _KEYS and e.clock_rate == clock_rate), None)
            wanted = kept.payload_type if kept else capabilities.telephone_event
            # A number once bound to a codec keeps its meaning throughout the session (RFC 3264, 8.3.2).
            taken = {entry.payload_type for entry in (*known, *entries) if entry is not kept}
            number = wanted if wanted not in taken else _free_number(taken)
            entries.append(RtpMap(number, _KEYS, clock_rate))
    secret = bool(capabilities.cryptos) and not capabilities.plain
    usual = DTLS_SRTP_PROTOCOLS[0] if capabilities.dtls_srtp else "RTP/SAVP" if secret else "RTP/AVP"
    protocol = lines[slot].protocol if slot is not None else usual
    stream = _stream(capabilities, entries, protocol, capabilities.ptimes[0], capabilities.direction)
    if capabilities.dtls_srtp is None:
        for crypto in capabilities.cryptos:
            stream = _with_attribute(stream, "crypto", str(crypto))
    if capabilities.rtcp_mux and capabilities.dtls_srtp is None:
        stream = _with_attribute(stream, "rtcp-mux", None)
    if slot is not None:
        lines[slot] = stream
    else:
        lines.append(stream)
    return _next_version(lines, capabilities, session_id, previous)


def answer_offer(
    offer: SessionDescription,
    capabilities: AudioCapabilities,
    *,
    session_id: int,
    previous: SessionDescription | None = None,
) -> Answer | Refused:
    """Our answer to ``offer`` (RFC 3264 section 6), or why there is none.

    The first audio line we can take is taken; every other line is refused with port 0. The codec is the first
    of ``capabilities.codecs`` that was offered. ``previous`` as in :func:`make_offer`.
    """
    refusal = Refused("304 No audio offered")
    for index, line in enumerate(offer.media):
        if line.kind != "audio" or line.port == 0:
            continue
        outcome = _answer_line(offer, line, capabilities)
        if isinstance(outcome, Refused):
            refusal = outcome
            continue
        stream, agreed = outcome
        lines = [stream if i == index else _refused_line(other) for i, other in enumerate(offer.media)]
        bundled = (offer.attribute("group") or "").startswith("BUNDLE")
        return Answer(_next_version(lines, capabilities, session_id, previous, bundled), agreed)
    return refusal


def read_answer(
    offer: SessionDescription, answer: SessionDescription, *, ptimes: tuple[int, ...] = (_DEFAULT_PTIME,)
) -> Agreed | Refused:
    """What the other side's answer to our offer makes true, or why it cannot be used (RFC 3264 section 7).

    Args:
        offer: the description we sent.
        answer: the description that came back.
        ptimes: as :attr:`AudioCapabilities.ptimes` of the offer.
    """
    if len(answer.media) != len(offer.media):
        return Refused("399 The answer has another number of media lines than the offer")
    slot = _own_stream(list(offer.media))
    if slot is None:
        return Refused("304 No audio offered")
    ours, theirs = offer.media[slot], answer.media[slot]
    if theirs.kind != ours.kind:
        return Refused("399 The answer changed the kind of media")
    if theirs.port == 0:
        return Refused("304 The audio stream was refused")
    secure = _dtls_srtp(answer, theirs, wanted=ours.protocol.upper() in DTLS_SRTP_PROTOCOLS)
    if isinstance(secure, Refused):
        return secure
    problem = secure is None and _unusable(answer, theirs, ours.connection or offer.connection or offer.origin.address)
    if problem:
        return problem
    sdes = None
    if secure is None:
        answered_keys = _answered_keys(ours, theirs)
        if isinstance(answered_keys, Refused):
            return answered_keys
        sdes = answered_keys
    own_maps = ours.rtp_maps()
    own_numbers = {str(entry.payload_type): entry for entry in own_maps}
    named = {str(entry.payload_type): entry for entry in theirs.rtp_maps()}
    # Some phones leave out the rtpmap of a dynamic type they copied from the offer: then ours holds.
    answered = [named.get(text) or own_numbers.get(text) for text in theirs.formats]
    entries = [entry for entry in answered if entry is not None]
    receive = tuple((entry.payload_type, _codec(entry)) for entry in own_maps if entry.name.lower() != _KEYS)
    for entry in entries:
        codec = next((codec for _, codec in receive if codec.matches(entry)), None)
        if codec is not None:
            break
    else:
        return Refused("305 No common codec")
    keys_out = _keys_at(entries, codec.clock_rate)
    return _agree(
        answer,
        theirs,
        codec=codec,
        payload_type=entry.payload_type,
        receive=receive,
        keys_out=keys_out,
        # Who left keys out of his answer sends none either (RFC 3264, 6.1): his keys are tones.
        keys_in=_keys_at(own_maps, codec.clock_rate) if keys_out is not None else None,
        ptime=_choose_ptime(theirs, ptimes),
        our_direction=_direction(offer, ours),
        mux=ours.attribute("rtcp-mux") is not None and theirs.attribute("rtcp-mux") is not None,
        secure=secure,
        sdes=sdes,
    )


def _answer_line(
    offer: SessionDescription, line: MediaDescription, capabilities: AudioCapabilities
) -> tuple[MediaDescription, Agreed] | Refused:
    secure = _dtls_srtp(offer, line, wanted=capabilities.dtls_srtp is not None)
    if isinstance(secure, Refused):
        return secure
    problem = secure is None and _unusable(offer, line, capabilities.address)
    if problem:
        return problem
    sdes = None
    if secure is None:
        chosen_keys = _chosen_keys(line, capabilities)
        if isinstance(chosen_keys, Refused):
            return chosen_keys
        sdes = chosen_keys
    entries = line.rtp_maps()
    chosen = next(((codec, entry) for codec in capabilities.codecs for entry in entries if codec.matches(entry)), None)
    if chosen is None:
        return Refused("305 No common codec")
    codec, entry = chosen
    keys = _keys_at(entries, codec.clock_rate) if capabilities.telephone_event is not None else None
    mux = (capabilities.rtcp_mux or secure is not None) and line.attribute("rtcp-mux") is not None
    agreed = _agree(
        offer,
        line,
        codec=codec,
        payload_type=entry.payload_type,
        receive=((entry.payload_type, codec),),
        keys_out=keys,
        keys_in=keys,
        ptime=_choose_ptime(line, capabilities.ptimes),
        our_direction=capabilities.direction,
        mux=mux,
        secure=secure,
        sdes=sdes,
    )
    answered = [RtpMap(entry.payload_type, codec.name, codec.clock_rate, codec.channels)]
    if keys is not None:
        answered.append(RtpMap(keys, _KEYS, codec.clock_rate))
    direction = _spell(agreed.sending, agreed.receiving)
    stream = _stream(capabilities, answered, line.protocol, capabilities.ptimes[0], direction)
    if secure is not None:
        # Whatever we call our stream, the answer names theirs (RFC 9143 section 7.3.1).
        named = tuple((n, secure.mid if n == "mid" else v) for n, v in stream.attributes if n != "mid" or secure.mid)
        return replace(stream, attributes=named), agreed
    if sdes is not None:
        stream = _with_attribute(stream, "crypto", str(sdes[0]))
    return (_with_attribute(stream, "rtcp-mux", None) if mux else stream), agreed


def _agree(
    theirs: SessionDescription,
    line: MediaDescription,
    *,
    codec: Codec,
    payload_type: int,
    receive: tuple[tuple[int, Codec], ...],
    keys_out: int | None,
    keys_in: int | None,
    ptime: int,
    our_direction: Direction,
    mux: bool,
    secure: DtlsSrtp | None,
    sdes: tuple[Crypto, Crypto] | None,
) -> Agreed:
    # Where ICE decides, the address in c= is often none at all.
    address = _address(theirs, line) if secure is None else "0.0.0.0"
    remote = _direction(theirs, line)
    # c=0.0.0.0 is how RFC 2543 phones said hold: they send, but nothing can be sent to them.
    reachable = secure is not None or not read_address(address).is_unspecified
    remote_receives = remote in ("sendrecv", "recvonly") and reachable
    remote_sends = remote in ("sendrecv", "sendonly")
    rtcp_address, rtcp_port = _rtcp(line, address)
    return Agreed(
        remote_address=address,
        remote_port=line.port,
        remote_rtcp_address=address if mux else rtcp_address,
        remote_rtcp_port=line.port if mux else rtcp_port,
        rtcp_mux=mux,
        codec=codec,
        payload_type=payload_type,
        receive=receive,
        telephone_event=keys_out,
        receive_telephone_event=keys_in,
        ptime=ptime,
        sending=remote_receives and our_direction in ("sendrecv", "sendonly"),
        receiving=remote_sends and our_direction in ("sendrecv", "recvonly"),
        held=not remote_receives,
        dtls_srtp=secure,
        sdes=sdes,
    )


def _chosen_keys(line: MediaDescription, capabilities: AudioCapabilities) -> tuple[Crypto, Crypto] | Refused | None:
    """Our key and theirs for the answer to an offer; None where it is plain RTP, by their choice and with our leave."""
    chosen = choose_crypto(read_cryptos(line), capabilities.cryptos)
    if chosen is not None:
        theirs, ours = chosen
        return ours, theirs
    if line.protocol.upper() in SDES_PROTOCOLS:
        if not capabilities.cryptos:
            return Refused("302 SRTP is not wanted here")
        return Refused("399 There is no crypto attribute that we understand")
    return None if capabilities.plain else Refused("302 RTP without SRTP is not allowed here")


def _answered_keys(ours: MediaDescription, theirs: MediaDescription) -> tuple[Crypto, Crypto] | Refused | None:
    """Our key and theirs once they have answered; None where they chose plain RTP and we had left that to them."""
    offered = read_cryptos(ours)
    for answered in read_cryptos(theirs):
        own = next((each for each in offered if (each.tag, each.suite) == (answered.tag, answered.suite)), None)
        if own is not None:
            return own, answered
    if ours.protocol.upper() in SDES_PROTOCOLS or theirs.protocol.upper() in SDES_PROTOCOLS:
        return Refused("399 The answer has no key for SRTP")
    return None


def _dtls_srtp(theirs: SessionDescription, line: MediaDescription, *, wanted: bool) -> DtlsSrtp | Refused | None:
    """The other side's ICE and DTLS where they are wanted; None where plain RTP is."""
    if not wanted:
        return None
    if line.protocol.upper() not in DTLS_SRTP_PROTOCOLS:
        return Refused("302 Incompatible transport protocol")
    found = read_dtls_srtp(theirs, line)
    return Refused(f"399 {found}") if isinstance(found, str) else found


def _unusable(theirs: SessionDescription, line: MediaDescription, our_address: str) -> Refused | None:
    if line.protocol.upper() not in _PROTOCOLS:
        return Refused("302 Incompatible transport protocol")
    try:
        address = read_address(_address(theirs, line))
        ours = read_address(our_address)
    except ValueError:
        return Refused("301 The media address is not a literal address")
    if address.is_multicast:
        return Refused("330 Multicast not available")
    if address.version != ours.version:
        return Refused("301 Incompatible network address formats")
    return None


def _own_stream(lines: list[MediaDescription]) -> int | None:
    """Which of our own lines is the audio stream; one switched off may be used again (RFC 3264, 8.1)."""
    ours = (*_PROTOCOLS, *DTLS_SRTP_PROTOCOLS)
    audio = [i for i, line in enumerate(lines) if line.kind == "audio" and line.protocol.upper() in ours]
    return next((i for i in audio if lines[i].port), audio[0] if audio else None)


def _stream(
    capabilities: AudioCapabilities,
    entries: list[RtpMap],
    protocol: str,
    ptime: int,
    direction: Direction,
) -> MediaDescription:
    attributes: list[tuple[str, str | None]] = []
    for entry in entries:
        attributes.append(("rtpmap", str(entry)))
        if entry.name == _KEYS:
            # Sixteen keys; flash (16) has no meaning to a menu.
            attributes.append(("fmtp", f"{entry.payload_type} 0-15"))
        elif OPUS.matches(entry):
            # What comes with forward error correction is made good from it when a packet is lost.
            attributes.append(("fmtp", f"{entry.payload_type} minptime=10;useinbandfec=1"))
    attributes.append(("ptime", str(ptime)))
    if capabilities.rtcp_port is not None and capabilities.rtcp_port != capabilities.rtp_port + 1:
        attributes.append(("rtcp", str(capabilities.rtcp_port)))
    attributes.append((direction, None))
    if capabilities.dtls_srtp is not None:
        attributes += capabilities.dtls_srtp.attributes()
    formats = tuple(str(entry.payload_type) for entry in entries)
    return MediaDescription("audio", capabilities.rtp_port, protocol, formats, None, tuple(attributes))


def _refused_line(line: MediaDescription) -> MediaDescription:
    mid = line.attribute("mid")
    attributes = (("mid", mid), ("inactive", None)) if mid else ()
    return MediaDescription(line.kind, 0, line.protocol, line.formats, None, attributes)


def _bundle(lines: list[MediaDescription]) -> tuple[tuple[str, str | None], ...]:
    mids = [mid for line in lines if line.port and (mid := line.attribute("mid"))]
    return (("group", "BUNDLE " + " ".join(mids)),) if mids else ()


def _next_version(
    lines: list[MediaDescription],
    capabilities: AudioCapabilities,
    session_id: int,
    previous: SessionDescription | None,
    bundled: bool = True,
) -> SessionDescription:
    address = capabilities.address
    attributes = _bundle(lines) if bundled else ()
    if previous is None:
        return SessionDescription(Origin(session_id, 1, address), tuple(lines), address, attributes)
    same = SessionDescription(previous.origin, tuple(lines), address, attributes)
    if same == previous:
        return previous
    # The origin's address names the session, not the media: it stays even when the media moves.
    return replace(same, origin=replace(previous.origin, version=previous.origin.version + 1))


def _address(theirs: SessionDescription, line: MediaDescription) -> str:
    return line.connection or theirs.connection or ""


def _direction(theirs: SessionDescription, line: MediaDescription) -> Direction:
    for attributes in (line.attributes, theirs.attributes):
        for name, _ in attributes:
            if name in _DIRECTIONS:
                return _DIRECTIONS[name]
    return "sendrecv"


def _spell(sending: bool, receiving: bool) -> Direction:
    if sending:
        return "sendrecv" if receiving else "sendonly"
    return "recvonly" if receiving else "inactive"


def _rtcp(line: MediaDescription, address: str) -> tuple[str, int | None]:
    """Where RTCP goes: a=rtcp (RFC 3605) or the port after the RTP port."""
    words = (line.attribute("rtcp") or "").split()
    following = line.port + 1 if line.port < 65_535 else None
    if not words or not (words[0].isascii() and words[0].isdigit() and len(words[0]) <= 5):
        return address, following
    port = int(words[0])
    if not 0 < port <= 65_535:
        return address, following
    if len(words) >= 4:
        try:
            elsewhere = read_address(words[3])
        except ValueError:
            return address, port
        if not elsewhere.is_multicast and elsewhere.version == read_address(address).version:
            return str(elsewhere), port
    return address, port


def _keys_at(entries: tuple[RtpMap, ...] | list[RtpMap], clock_rate: int) -> int | None:
    for entry in entries:
        if entry.name.lower() == _KEYS and entry.clock_rate == clock_rate:
            return entry.payload_type
    return None


def _codec(entry: RtpMap) -> Codec:
    return Codec(entry.name, entry.clock_rate, entry.payload_type, entry.channels)


def _choose_ptime(line: MediaDescription, ptimes: tuple[int, ...]) -> int:
    longest = _milliseconds(line.attribute("maxptime"))
    possible = [ptime for ptime in ptimes if not longest or ptime <= longest] or [min(ptimes)]
    wanted = _milliseconds(line.attribute("ptime"))
    return wanted if wanted in possible else possible[0]


def _milliseconds(text: str | None) -> int | None:
    text = (text or "").partition(".")[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 and int(text) > 0 else None


def _free_number(taken: set[int]) -> int:
    return next(number for number in range(_FIRST_DYNAMIC, 128) if number not in taken)


def _with_attribute(line: MediaDescription, name: str, value: str | None) -> MediaDescription:
    return replace(line, attributes=(*line.attributes, (name, value)))
