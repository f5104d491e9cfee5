"""The ICE and DTLS transports of all parties that speak as browsers do, whatever they signal with: RTC or SIP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from aiortc import RTCCertificate

from gateway.media.engine import Datagram, MediaLeg
from gateway.rtc.candidates import reachable_addresses
from gateway.rtc.peer import PeerEvent, RtcPeer

__all__ = ["Peers"]

_CERTIFICATE_RENEWED = timedelta(days=1)
"""Before it runs out: those who are connected keep the old one."""


class Peers:
    """Owns every :class:`RtcPeer`, from its making to its end, and the certificate that they show."""

    def __init__(self, *, media_address: str, advertise: str | None) -> None:
        self.addresses = reachable_addresses(media_address, advertise)
        """Where a port of ours is reached, the best first."""
        self._certificate: RTCCertificate | None = None
        self._peers: dict[int, RtcPeer] = {}
        """By media leg."""
        self._awaited: dict[int, Callable[[], None]] = {}
        """By media leg: what is done once something is heard there."""
        self._closing: set[asyncio.Task[None]] = set()

    def sizes(self) -> dict[str, int]:
        """How much is remembered."""
        return {"peers": len(self._peers), "closing_peers": len(self._closing)}

    def open(
        self, media: MediaLeg, tell: Callable[[PeerEvent], None], *, stun: tuple[str, int] | None = None
    ) -> RtcPeer:
        """A transport over a leg that was opened with ICE. ``stun``: a server that tells one more address of ours,
        later, to be sent after the description."""
        now = datetime.now(UTC)
        if self._certificate is None or self._certificate.expires - now < _CERTIFICATE_RENEWED:
            self._certificate = RTCCertificate.generateCertificate()
        peer = RtcPeer(media, certificate=self._certificate, addresses=self.addresses, tell=tell, stun=stun)
        self._peers[media.id] = peer
        return peer

    def checks_of(self, leg_id: int) -> int:
        """How many datagrams have come over the path of that leg's transport, sound not counted: as long as the far end
        is there, it asks for consent."""
        peer = self._peers.get(leg_id)
        return 0 if peer is None else peer.datagrams_received

    def when_heard(self, leg_id: int, do: Callable[[], None]) -> None:
        """Do something once, as soon as the far end checks its candidates: then it has our description."""
        if leg_id in self._peers:
            self._awaited[leg_id] = do

    def datagram(self, event: Datagram) -> None:
        """STUN or DTLS from the media engine."""
        awaited = self._awaited.pop(event.leg_id, None)
        if awaited is not None:
            awaited()
        peer = self._peers.get(event.leg_id)
        if peer is not None:
            peer.datagram(event.data, event.address, event.port)

    def close(self, leg_id: int) -> None:
        """End the transport over that leg, if it has one."""
        self._awaited.pop(leg_id, None)
        peer = self._peers.pop(leg_id, None)
        if peer is not None:
            task = asyncio.get_running_loop().create_task(peer.close(), name="close peer")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close_all(self) -> None:
        for leg_id in list(self._peers):
            self.close(leg_id)
        await asyncio.gather(*self._closing, return_exceptions=True)
