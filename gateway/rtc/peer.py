"""One browser's media transport: ICE (RFC 8445) and DTLS-SRTP (RFC 5764) over the port of one media leg.

aioice checks candidates and aiortc shakes hands. The media engine owns the socket: it hands up STUN and DTLS only,
and takes the keys and the path that came of them. No RTP packet is seen here.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import random
import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from aioice import Candidate, Connection
from aioice import ice as aioice_ice
from aioice.ice import CandidatePair, StunProtocol, server_reflexive_candidate
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport, RTCIceTransport
from aiortc.rtcdtlstransport import State as DtlsState
from OpenSSL import SSL

from gateway.media.engine import MediaLeg
from gateway.media.srtp import Srtp, SrtpProfile
from gateway.rtc.candidates import host_candidates
from gateway.rtc.consent import Consent
from gateway.sdp import DtlsSrtp, Fingerprint
from gateway.sdp.webrtc import Setup

__all__ = ["LocalCandidate", "PeerConnected", "PeerEvent", "PeerLost", "RtcPeer"]

log = logging.getLogger(__name__)

# Seconds until a browser that answers nothing is given up; its own ICE gives up after about 15.
_CONNECT_TIMEOUT = 30.0
_DTLS_WAITING_MAX = 32
"""Datagrams: two flights of a handshake with a large certificate, several times over."""
_DTLS_READ = 1500
"""Bytes: what fits into a datagram."""
_CANDIDATES_MAX = 64
"""Of theirs that are taken, in one generation."""
_ADDRESSES_MAX = 2 * _CANDIDATES_MAX
"""That are checked in one generation: those named, and those that checks come from."""
_STUN_HEADER = 20
_CANCEL_AGAIN = 0.2
"""Seconds."""

_PROFILES: dict[bytes, SrtpProfile] = {
    b"SRTP_AEAD_AES_256_GCM": "AEAD_AES_256_GCM",
    b"SRTP_AEAD_AES_128_GCM": "AEAD_AES_128_GCM",
    b"SRTP_AES128_CM_SHA1_80": "AES_CM_128_HMAC_SHA1_80",
}


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """Sound may flow: ICE has a path and DTLS has made the keys."""


@dataclass(frozen=True, slots=True)
class PeerLost:
    """There will be no more sound. Told once."""

    reason: Literal["ice_failed", "dtls_failed", "consent_lost", "closed"]


@dataclass(frozen=True, slots=True)
class LocalCandidate:
    """A candidate that was found after the description was made (RFC 8838); value of ``a=candidate``."""

    candidate: str


PeerEvent = PeerConnected | PeerLost | LocalCandidate


class RtcPeer:
    """Owns ICE and DTLS of one media leg, from the first description to :meth:`close`.

    ``addresses`` are those that browsers can reach the leg's port at, the best first; ``stun`` a server that tells
    one more. ``tell`` is called on the event loop.
    """

    def __init__(
        self,
        leg: MediaLeg,
        *,
        certificate: RTCCertificate,
        addresses: Sequence[str],
        tell: Callable[[PeerEvent], None],
        stun: tuple[str, int] | None = None,
    ) -> None:
        self._leg = leg
        self._certificate = certificate
        self._addresses = tuple(addresses)
        self._tell_owner = tell
        self._stun = stun
        self._ice: _Ice | None = None
        self._former: _Ice | None = None
        """The generation before an ICE restart: it carries until the new one has a path."""
        self._theirs: DtlsSrtp | None = None
        self._setup: Setup | None = None
        """Our part of the handshake once it is settled; it stays for as long as the association does."""
        self._dtls_transport = _DtlsPath(self._send_dtls)
        self._dtls: _Dtls | None = None
        self._handshake: asyncio.Task[None] | None = None
        """Waits for a path, shakes hands, and then for the end. There is one, however often descriptions change."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._connected = False
        self._over = False
        self._told_lost = False
        self._path: tuple[str, int] | None = None
        self.datagrams_received = 0
        """Over the path in use: checks of consent, for the most part."""

    @property
    def connected(self) -> bool:
        return self._connected

    def describe(self, theirs: DtlsSrtp | None) -> DtlsSrtp:
        """Our side of an offer (``theirs`` None), or of the answer to theirs.

        An offer with another ``ice-ufrag`` than before is an ICE restart (RFC 8839 section 4.4.1.1.1) and gets a new
        one in return.
        """
        if self._ice is None:
            self._ice = self._new_ice(controlling=theirs is None)
        elif theirs is not None and self._theirs is not None:
            if theirs.ufrag != self._theirs.ufrag:
                self._next_generation()
            else:
                self._take_back_restart()
        if theirs is not None and self._setup is None:
            self._setup = "passive" if theirs.setup == "active" else "active"
        return DtlsSrtp(
            ufrag=self._ice.local_username,
            password=self._ice.local_password,
            fingerprints=tuple(
                Fingerprint(each.algorithm, each.value)
                for each in self._certificate.getFingerprints()
                if each.algorithm == "sha-256"
            ),
            setup="actpass" if theirs is None else self._setup or "active",
            candidates=tuple(candidate.to_sdp() for candidate in self._ice.local_candidates),
            trickle=self._stun is not None,
            mid="0",
        )

    def restart(self) -> None:
        """Begin a new generation of ICE: what :meth:`describe` says next is the offer of a restart."""
        if self._ice is not None and self._theirs is not None:
            self._next_generation()

    def apply(self, theirs: DtlsSrtp) -> None:
        """Their description is in force: check candidates, then shake hands."""
        self._theirs = theirs
        if self._over or self._ice is None:
            return
        if self._setup is None:
            self._setup = "active" if theirs.setup == "passive" else "passive"
        # Before the checks begin, or the first would wait for the second beat of their clock.
        for text in theirs.candidates:
            self.add_candidate(text)
        if not self._ice.started:
            self._ice.started = True
            self._ice.remote_username, self._ice.remote_password = theirs.ufrag, theirs.password
            self._ice.remote_is_lite = theirs.lite
            self._spawn(self._connect(self._ice), "ice")
        if self._handshake is None:
            self._handshake = self._spawn(self._shake_hands(), "dtls")

    def add_candidate(self, text: str) -> None:
        """A further candidate of theirs, the value of ``a=candidate``; what is none, or no UDP, is ignored."""
        ice = self._ice
        if self._over or ice is None or ice.candidates_left <= 0:
            return
        with contextlib.suppress(ValueError):
            candidate = Candidate.from_sdp(text)
            # The address behind a name of mDNS is learnt from the browser's own check; asking takes a second.
            if candidate.transport.lower() == "udp" and candidate.component == 1 and _may_be_checked(candidate):
                ice.candidates_left -= 1
                self._spawn(ice.add_remote_candidate(candidate), "candidate")

    def datagram(self, data: bytes, address: str, port: int) -> None:
        """STUN or DTLS that came to the leg's port."""
        if self._over or not data:
            return
        self.datagrams_received += (address, port) == self._path
        if data[0] < 4:
            ice = self._former if self._former is not None and self._former.is_meant(data) else self._ice
            if ice is not None:
                ice.stun_received(data, (address, port))
        elif any(ice is not None and ice.knows((address, port)) for ice in (self._ice, self._former)):
            # Anybody could end a handshake with one unprotected alert: who has shown no password of ICE is not heard.
            self._dtls_transport.put(data)

    def say_goodbye(self) -> None:
        """Tell the browser by DTLS that this is the end, at once: before the leg is closed, which :meth:`close` may
        come after."""
        if self._dtls is not None and self._connected:
            self._dtls.say_goodbye()

    async def close(self) -> None:
        """End it: the browser is told by DTLS, if it has not been. The leg stays, and sends nothing more of use."""
        if self._over:
            return
        self._over = True
        # Before Python 3.12, asyncio.wait_for loses a cancellation that comes together with what is waited for.
        while tasks := [task for task in self._tasks if not task.done()]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_CANCEL_AGAIN)
        if self._dtls is not None:
            await self._dtls.stop()
        for ice in (self._former, self._ice):
            if ice is not None:
                await ice.close()

    # --------------------------------------------------------------------------------------------------

    def _new_ice(self, *, controlling: bool) -> _Ice:
        ice = _Ice(self._leg, self._addresses, controlling=controlling, nominated=self._nominated)
        if self._stun is not None:
            self._spawn(self._ask_stun(ice, self._stun), "stun")
        return ice

    def _next_generation(self) -> None:
        assert self._ice is not None
        present = self._ice
        if present.started or self._former is None:
            outdated, self._former = self._former, present
        else:
            # It was described, and nothing came of it: what carries goes on to.
            outdated = present
        self._ice = self._new_ice(controlling=present.ice_controlling)
        if outdated is not None:
            self._spawn(outdated.close(), "ice")

    def _take_back_restart(self) -> None:
        """An offer that restarted ICE was refused, and the next one does not: then what was before stays."""
        if self._former is not None and self._ice is not None and not self._ice.started:
            refused, self._ice, self._former = self._ice, self._former, None
            self._spawn(refused.close(), "ice")

    async def _connect(self, ice: _Ice) -> None:
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                await ice.connect()
        except (ConnectionError, TimeoutError):
            if ice is self._ice:
                self._lost("ice_failed")
            return
        if ice is not self._ice:
            return
        if self._former is not None:
            former, self._former = self._former, None
            await former.close()
        self._dtls_transport.ready.set()
        await ice.get_event()
        if ice is self._ice:
            self._lost("consent_lost")

    async def _shake_hands(self) -> None:
        await self._dtls_transport.ready.wait()
        assert self._theirs is not None
        self._dtls = _Dtls(self._dtls_transport, self._certificate, "client" if self._setup == "active" else "server")
        fingerprints = [RTCDtlsFingerprint(each.algorithm, each.value) for each in self._theirs.fingerprints]
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                await self._dtls.start(RTCDtlsParameters(fingerprints))
        except TimeoutError:
            pass
        keys = self._dtls.keys
        if keys is None or self._dtls.state != "connected":
            self._lost("dtls_failed")
            return
        self._leg.secure(keys)
        self._connected = True
        self._tell(PeerConnected())
        # It reads until the browser says good-bye (close_notify), which a closed tab does.
        await self._dtls.ended.wait()
        self._lost("closed")

    async def _ask_stun(self, ice: _Ice, server: tuple[str, int]) -> None:
        try:
            candidate, _ = await server_reflexive_candidate(ice.socket, server)
        except Exception as error:
            log.info("the STUN server %s:%d does not answer: %s", *server, error)
            return
        if ice is self._ice:
            self._tell(LocalCandidate(candidate.to_sdp()))

    def _nominated(self, ice: _Ice, address: tuple[str, int]) -> None:
        if ice is self._ice and not self._over and address != self._path:
            self._path = address
            self._leg.set_path(*address)

    def _send_dtls(self, data: bytes) -> None:
        if self._path is not None:
            self._leg.send_datagram(data, *self._path)

    def _lost(self, reason: Literal["ice_failed", "dtls_failed", "consent_lost", "closed"]) -> None:
        if not self._told_lost:
            self._told_lost = True
            self._connected = False
            self._tell(PeerLost(reason))

    def _tell(self, event: PeerEvent) -> None:
        if not self._over:
            self._tell_owner(event)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=f"rtc peer: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Whatever a browser has found that the libraries did not think of costs its own call.
            log.error("a browser's transport failed", exc_info=error)
            self._lost("ice_failed")


class _LegSocket(asyncio.DatagramTransport):
    """The leg's port as aioice wants to see it."""

    def __init__(self, leg: MediaLeg, protocol: StunProtocol) -> None:
        super().__init__()
        self._leg = leg
        self._protocol = protocol

    def sendto(self, data: object, addr: object = None) -> None:
        address, port = cast("tuple[str, int]", addr)
        self._leg.send_datagram(bytes(cast(bytes, data)), address, port)

    def close(self) -> None:
        self._protocol.connection_lost(None)

    def is_closing(self) -> bool:
        return False


class _Ice(Connection):
    """One generation of ICE. The candidates are the leg's, known at once; who is nominated is told."""

    def __init__(
        self,
        leg: MediaLeg,
        addresses: Sequence[str],
        *,
        controlling: bool,
        nominated: Callable[[_Ice, tuple[str, int]], None],
    ) -> None:
        super().__init__(ice_controlling=controlling)
        self.started = False
        self.candidates_left = _CANDIDATES_MAX
        self._leg = leg
        self._tell_nominated = nominated
        self._consent: Consent | None = None
        """Of the nominated pair."""
        self._consent_until = 0.0
        self.socket = StunProtocol(self)
        self.socket.connection_made(_LegSocket(leg, self.socket))
        self._protocols.append(self.socket)
        self._local_candidates = host_candidates(addresses, leg.port)
        self._local_candidates_start = self._local_candidates_end = True
        self.socket.local_candidate = self._local_candidates[0]

    def stun_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Whatever calls itself STUN."""
        if not self.knows(address) and len(self._remote_candidates) >= _ADDRESSES_MAX:
            # Each address that a check comes from is checked in turn: they would make us a sender to anywhere.
            return
        try:
            self._stun(data, address)
        except Exception as error:
            # Attributes of the wrong size, or absent, are not what the library looks for.
            log.debug("STUN from %s:%d is not well-formed: %r", *address, error)

    def knows(self, address: tuple[str, int]) -> bool:
        """Whether that address was named in signalling, or has shown the password."""
        return any((each._network_host, each.port) == address for each in self._remote_candidates)

    def is_meant(self, data: bytes) -> bool:
        """Whether a STUN message belongs to this generation: by its transaction, or by the name in it."""
        transaction = data[8:_STUN_HEADER]
        return (
            transaction in self.socket.transactions
            or (self._consent is not None and transaction == self._consent.asked)
            or f"{self.local_username}:".encode() in data
        )

    def _stun(self, data: bytes, address: tuple[str, int]) -> None:
        """A STUN message of this generation."""
        consent = self._consent
        if consent is not None and consent.address == address:
            answer = consent.answer(data, address)
            if answer is not None:
                self._leg.send_datagram(answer, *address)
                return
            if consent.is_confirmed_by(data, address):
                self._consent_until = asyncio.get_running_loop().time() + _consent_s()
                return
        self.socket.datagram_received(data, address)

    def data_received(self, data: bytes, component: int) -> None:
        """What looked like STUN and is none; aioice would keep it for a reader that there never is."""

    def check_complete(self, pair: CandidatePair) -> None:
        super().check_complete(pair)
        chosen = self._nominated.get(1)
        if chosen is not None:
            if self._consent is None or self._consent.address != chosen.remote_addr:
                self._consent = self._consent_on(chosen)
            self._tell_nominated(self, chosen.remote_addr)

    def _consent_on(self, pair: CandidatePair) -> Consent:
        return Consent(
            pair.remote_addr,
            local_username=self.local_username,
            local_password=self.local_password,
            remote_username=self.remote_username or "",
            remote_password=self.remote_password or "",
            controlling=self.ice_controlling,
            question=bytes(self.build_request(pair, nominate=False))[_STUN_HEADER:],
        )

    async def query_consent(self) -> None:
        """Ask whoever is at the other end of the path whether he still wants to be sent to (RFC 7675 section 5.1)."""
        loop = asyncio.get_running_loop()
        self._consent_until = loop.time() + _consent_s()
        while loop.time() < self._consent_until:
            # The randomness is the RFC's: many calls that began together shall not stay in step.
            await asyncio.sleep(aioice_ice.CONSENT_INTERVAL * random.uniform(0.8, 1.2))
            if self._consent is not None:
                self._leg.send_datagram(self._consent.request(secrets.token_bytes(12)), *self._consent.address)
        self._query_consent_task = None
        await self.close()


class _DtlsPath:
    """What RTCDtlsTransport needs of an RTCIceTransport: a way for its datagrams."""

    role = "controlling"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.send = send
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_DTLS_WAITING_MAX)
        self.ready = asyncio.Event()

    def put(self, data: bytes) -> None:
        # What does not fit is lost, as on any network; DTLS sends it again.
        with contextlib.suppress(asyncio.QueueFull):
            self._waiting.put_nowait(data)

    async def _recv(self) -> bytes:
        return await self._waiting.get()

    async def _send(self, data: bytes) -> None:
        self.send(data)


class _Dtls(RTCDtlsTransport):
    """The handshake, whose keys go to the media engine instead of to aiortc's own SRTP."""

    def __init__(self, path: _DtlsPath, certificate: RTCCertificate, role: Literal["client", "server"]) -> None:
        super().__init__(cast(RTCIceTransport, path), [certificate])
        self._path = path
        self.keys: Srtp | None = None
        self.ended = asyncio.Event()
        self._set_role(role)

    def say_goodbye(self) -> None:
        """close_notify, as :meth:`stop` sends it, without waiting for a turn of the loop."""
        assert self._ssl is not None
        with contextlib.suppress(SSL.Error):
            self._ssl.shutdown()
            self._path.send(self._ssl.bio_read(_DTLS_READ))

    def _setup_srtp(self) -> None:
        assert self._ssl is not None
        chosen = self._ssl.get_selected_srtp_profile()
        profile = next((each for each in self._srtp_profiles if each.openssl_profile == chosen), None)
        if profile is None or chosen not in _PROFILES:
            self._set_state(DtlsState.FAILED)
            return
        length = 2 * (profile.key_length + profile.salt_length)
        material = self._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", length)
        client, server = (profile.get_key_and_salt(material, index) for index in (0, 1))
        send, receive = (server, client) if self._role == "server" else (client, server)
        self.keys = Srtp(_PROFILES[chosen], send=send, receive=receive)

    def _set_state(self, state: DtlsState) -> None:
        super()._set_state(state)
        if state in (DtlsState.CLOSED, DtlsState.FAILED):
            self.ended.set()


def _may_be_checked(candidate: Candidate) -> bool:
    """Whether a browser can be there. Private addresses are where most are; no one is at a group's, or at none.

    Raises ValueError for a name.
    """
    address = ipaddress.ip_address(candidate.host)
    nowhere = address.is_multicast or address.is_unspecified or (address.is_reserved and address.version == 4)
    return 0 < candidate.port < 65_536 and not nowhere


def _consent_s() -> float:
    """For how long an answer is good; 30 s."""
    return aioice_ice.CONSENT_INTERVAL * aioice_ice.CONSENT_FAILURES
