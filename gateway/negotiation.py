"""Between SDP and the media engine: what one party and we agreed on, put into force on its media leg."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from gateway.config import Codec, SrtpPolicy
from gateway.media.engine import LegStatistics, MediaLeg, RtpRemote
from gateway.media.srtp import Srtp
from gateway.sdp import (
    G722,
    OPUS,
    PCMA,
    PCMU,
    SUITES,
    Agreed,
    Answer,
    AudioCapabilities,
    Crypto,
    DtlsSrtp,
    Refused,
    SdpError,
    SessionDescription,
    answer_offer,
    make_offer,
    parse_sdp,
    read_answer,
    read_cryptos,
    read_dtls_srtp,
)
from gateway.sdp import Codec as SdpCodec
from gateway.sdp.sdes import PROTOCOLS as SDES_PROTOCOLS
from gateway.sdp.webrtc import PROTOCOLS as DTLS_SRTP_PROTOCOLS

_WIRE: dict[Codec, SdpCodec] = {"PCMU": PCMU, "PCMA": PCMA, "G722": G722, "opus": OPUS}
_PTIMES = (20, 30, 10, 40, 60)


def speaks_dtls(offer: bytes) -> bool:
    """Whether that offer is a browser's, or of a telephone that speaks as browsers do (UDP/TLS/RTP/SAVPF)."""
    try:
        lines = parse_sdp(offer).media
    except SdpError:
        return False
    first = next((line for line in lines if line.kind == "audio" and line.port), None)
    return first is not None and first.protocol.upper() in DTLS_SRTP_PROTOCOLS


class DtlsSrtpTransport(Protocol):
    """ICE and DTLS of one party: see :class:`gateway.rtc.peer.RtcPeer`."""

    def describe(self, theirs: DtlsSrtp | None) -> DtlsSrtp: ...
    def apply(self, theirs: DtlsSrtp) -> None: ...
    def say_goodbye(self) -> None: ...


class Negotiation:
    """Owns the descriptions exchanged with one party; keeps session id and version right (RFC 3264 section 8).

    With a ``transport`` the party is a browser, or a telephone that speaks like one. ``codecs`` are what it may
    speak, ours first; with ``their_choice`` its own order counts among them. ``srtp`` is for the others: whether
    media is encrypted with keys in the descriptions (SDES), of which ours are put into offers of RTP only if
    ``keys_are_safe``, that is, if nobody on the way can read them.
    """

    def __init__(
        self,
        media: MediaLeg,
        *,
        address: str,
        codecs: Sequence[Codec],
        session_id: int,
        transport: DtlsSrtpTransport | None = None,
        their_choice: bool = True,
        srtp: SrtpPolicy = "off",
        keys_are_safe: bool = False,
    ) -> None:
        self.media = media
        self._transport = transport
        self._their_choice = their_choice
        self._srtp = srtp
        self._keys_are_safe = keys_are_safe
        self._cryptos: tuple[Crypto, ...] = ()
        """Our keys: made once, so that a hold or a repeated offer does not disturb what flows."""
        self._secured: Srtp | None = None
        self.agreed: Agreed | None = None
        self._address = address
        self._codecs = tuple(codecs)
        self._session_id = session_id
        self._ours: SessionDescription | None = None
        self._offered: SessionDescription | None = None

    @property
    def codec(self) -> str | None:
        return self.agreed.codec.name if self.agreed else None

    @property
    def held(self) -> bool:
        return self.agreed is not None and self.agreed.held

    def answer(self, offer: bytes, *, apply: bool = True) -> bytes | Refused:
        """Answer an offer. Refused leaves everything as it was.

        With ``apply`` false nothing is sent to the party before :meth:`commit`: its call is not answered yet.
        """
        try:
            theirs = parse_sdp(offer)
        except SdpError as error:
            return Refused(f"399 {error}", 400, "Bad Session Description")
        outcome = answer_offer(theirs, self._capabilities(theirs), session_id=self._session_id, previous=self._ours)
        if not isinstance(outcome, Answer):
            return outcome
        self._ours = outcome.sdp
        self.agreed = outcome.agreed
        if apply:
            self.commit()
        return outcome.sdp.encode()

    def offer(self) -> bytes:
        """Our offer: a first one, or a new one in the same session."""
        self._offered = make_offer(self._capabilities(None), session_id=self._session_id, previous=self._ours)
        self._ours = self._offered
        return self._offered.encode()

    def insistent_offer(self) -> bytes | None:
        """:meth:`offer` once more, for one who refused it since he takes nothing but RTP/SAVP; None if it said so."""
        ours = self._offered
        if ours is None or not any(name == "crypto" for line in ours.media for name, _ in line.attributes):
            return None
        insistent = _as_savp(ours)
        return None if insistent == ours else insistent.encode()

    def accept(self, answer: bytes) -> Refused | None:
        """Take the answer to :meth:`offer`; None if all is well."""
        if self._offered is None:
            return Refused("399 An answer came without an offer")
        try:
            theirs = parse_sdp(answer)
        except SdpError as error:
            return Refused(f"399 {error}", 400, "Bad Session Description")
        if any(line.port and line.protocol.upper() in SDES_PROTOCOLS for line in theirs.media):
            # The answer is to the insistent offer.
            self._offered = self._ours = _as_savp(self._offered)
        outcome = read_answer(self._offered, theirs, ptimes=_PTIMES)
        if not isinstance(outcome, Agreed):
            return outcome
        if self._secured is not None and outcome.sdes is None:
            return Refused("399 The media was encrypted, and is no longer")
        self.agreed = outcome
        self.commit()
        return None

    def commit(self) -> None:
        """Put what is agreed into force."""
        if self.agreed is not None:
            self._apply(self.agreed)

    def close(self) -> LegStatistics:
        """End the media. Its leg is the way for a transport's last word, which therefore comes first."""
        if self._transport is not None:
            self._transport.say_goodbye()
        return self.media.close()

    def _capabilities(self, offer: SessionDescription | None) -> AudioCapabilities:
        codecs = [_WIRE[name] for name in self._codecs]
        if offer is not None and self._their_choice:
            # The far end's own first choice, so that it need not change what it prepared.
            wanted = [entry for line in offer.media if line.kind == "audio" for entry in line.rtp_maps()]
            rank = {codec: i for codec in codecs for i, e in reversed(list(enumerate(wanted))) if codec.matches(e)}
            codecs.sort(key=lambda codec: rank.get(codec, len(wanted)))
        if self.agreed is not None and offer is not None and self.agreed.codec in codecs:
            codecs.sort(key=lambda codec: codec != self.agreed.codec if self.agreed else 0)
        return AudioCapabilities(
            address=self._address,
            rtp_port=self.media.port,
            codecs=tuple(codecs),
            ptimes=_PTIMES,
            dtls_srtp=self._describe(offer),
            cryptos=self._keys(offer),
            plain=self._srtp != "require" and self._secured is None,
        )

    def _keys(self, offer: SessionDescription | None) -> tuple[Crypto, ...]:
        if self._transport is not None or self._srtp == "off":
            return ()
        in_use = None if self.agreed is None or self.agreed.sdes is None else self.agreed.sdes[0]
        if in_use is not None and (offer is None or _offers(offer, in_use)):
            return (in_use,)
        if offer is None and (self.agreed is not None or (self._srtp == "prefer" and not self._keys_are_safe)):
            return ()
        if in_use is not None or not self._cryptos:
            self._cryptos = tuple(
                Crypto(tag, suite, secrets.token_bytes(length)) for tag, (suite, length) in enumerate(SUITES.items(), 1)
            )
        return self._cryptos

    def _describe(self, offer: SessionDescription | None) -> DtlsSrtp | None:
        if self._transport is None:
            return None
        lines = [] if offer is None else [line for line in offer.media if line.kind == "audio" and line.port]
        theirs = read_dtls_srtp(offer, lines[0]) if offer is not None and lines else None
        return self._transport.describe(theirs if isinstance(theirs, DtlsSrtp) else None)

    def _apply(self, agreed: Agreed) -> None:
        codec = next(name for name, known in _WIRE.items() if known == agreed.codec)
        if self._transport is not None and agreed.dtls_srtp is not None:
            self._transport.apply(agreed.dtls_srtp)
        if agreed.sdes is not None:
            ours, theirs = agreed.sdes
            srtp = Srtp(ours.suite, send=ours.key, receive=theirs.key)
            if srtp != self._secured:
                self.media.secure(srtp)
                self._secured = srtp
        self.media.set_remote(
            RtpRemote(
                address=agreed.remote_address,
                port=agreed.remote_port,
                codec=codec,
                payload_type=agreed.payload_type,
                receive_payload_type=next(
                    (number for number, known in agreed.receive if known == agreed.codec), agreed.payload_type
                ),
                telephone_event=agreed.telephone_event,
                telephone_event_receive=agreed.receive_telephone_event,
                ptime_ms=agreed.ptime,
                send=agreed.sending,
                receive=agreed.receiving,
                rtcp_port=agreed.remote_rtcp_port,
                rtcp_mux=agreed.rtcp_mux,
            )
        )
        self.media.detect_inband_keys(agreed.receive_telephone_event is None)


def _offers(offer: SessionDescription, key: Crypto) -> bool:
    """Whether what we encrypt with can stay as it is."""
    return any(each.suite == key.suite for line in offer.media for each in read_cryptos(line))


def _as_savp(offer: SessionDescription) -> SessionDescription:
    """The offer with its lines that have keys as RTP/SAVP."""
    return replace(
        offer,
        media=tuple(
            replace(line, protocol="RTP/SAVP") if any(name == "crypto" for name, _ in line.attributes) else line
            for line in offer.media
        ),
    )
