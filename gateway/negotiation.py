"""Between SDP and the media engine: what one SIP party and we agreed on, put into force on its media leg."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.config import Codec
from gateway.media.engine import MediaLeg, RtpRemote
from gateway.sdp import (
    PCMA,
    PCMU,
    Agreed,
    Answer,
    AudioCapabilities,
    Refused,
    SdpError,
    SessionDescription,
    answer_offer,
    make_offer,
    parse_sdp,
    read_answer,
)

_WIRE = {"PCMU": PCMU, "PCMA": PCMA}
_PTIMES = (20, 30, 10, 40, 60)


class Negotiation:
    """Owns the descriptions exchanged with one party; keeps session id and version right (RFC 3264 section 8)."""

    def __init__(self, media: MediaLeg, *, address: str, codecs: Sequence[Codec], session_id: int) -> None:
        self.media = media
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

    def accept(self, answer: bytes) -> Refused | None:
        """Take the answer to :meth:`offer`; None if all is well."""
        if self._offered is None:
            return Refused("399 An answer came without an offer")
        try:
            theirs = parse_sdp(answer)
        except SdpError as error:
            return Refused(f"399 {error}", 400, "Bad Session Description")
        outcome = read_answer(self._offered, theirs, ptimes=_PTIMES)
        if not isinstance(outcome, Agreed):
            return outcome
        self.agreed = outcome
        self.commit()
        return None

    def commit(self) -> None:
        """Put what is agreed into force."""
        if self.agreed is not None:
            self._apply(self.agreed)

    def _capabilities(self, offer: SessionDescription | None) -> AudioCapabilities:
        codecs = [_WIRE[name] for name in self._codecs]
        if offer is not None:
            # The far end's own first choice, so that it need not change what it prepared.
            wanted = [entry for line in offer.media if line.kind == "audio" for entry in line.rtp_maps()]
            rank = {codec: i for codec in codecs for i, e in reversed(list(enumerate(wanted))) if codec.matches(e)}
            codecs.sort(key=lambda codec: rank.get(codec, len(wanted)))
            if self.agreed is not None and self.agreed.codec in rank:
                codecs.sort(key=lambda codec: codec != self.agreed.codec if self.agreed else 0)
        return AudioCapabilities(address=self._address, rtp_port=self.media.port, codecs=tuple(codecs), ptimes=_PTIMES)

    def _apply(self, agreed: Agreed) -> None:
        codec: Codec = "PCMA" if agreed.codec == PCMA else "PCMU"
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
