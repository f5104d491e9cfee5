"""Browsers and telephones for the benches: all the far ends of a subject, on one media engine of their own.

A browser is what the gateway itself is to one: ICE, here the controlling side, DTLS and SRTP. A telephone is a plain
leg. Both send a tone of their own all the time.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass

import aioice.ice
import numpy as np
from aiortc import RTCCertificate, rtcdtlstransport
from relay import Codec, Relay

from gateway.media.engine import AudioChunk, Datagram, LegStatistics, MediaEngine, MediaLeg, MediaStarted
from gateway.media.tone import tone
from gateway.negotiation import Negotiation
from gateway.rtc.peer import PeerEvent, PeerLost, RtcPeer

PORTS = (45_000, 49_999)
PROFILE = b"SRTP_AES128_CM_SHA1_80"
"""The one that every browser and every gateway has: or each subject would be measured with another."""
BROWSER_HZ, TELEPHONE_HZ = 620.0, 440.0
LEVEL = 1000
"""Root mean square that a tone must have at the other end; it is sent with 5,000."""
PURE = 0.8
"""The share of all energy at its frequency."""
CHECKS_EVERY_S = 2.5
"""Chromium's, of the path that it uses; aioice's own is 5 s."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the far ends received within a time."""

    seconds: float
    packets: int
    fewest: int
    """Of any leg."""
    lost: int
    held_up: int
    """Slots of 5 ms that the far ends' own engine left out."""
    fewest_at: str


class Call:
    """One browser and one telephone, and what joins them."""

    def __init__(self, name: str, browser: Negotiation, telephone: Negotiation, peer: RtcPeer) -> None:
        self.name = name
        self.browser = browser
        self.telephone = telephone
        self.peer = peer
        self.began = 0.0
        self.first_sound: dict[int, float] = {}
        """By leg."""
        self.heard = asyncio.Event()
        """Both have heard something; or it has failed."""
        self.failed = ""

    @property
    def legs(self) -> tuple[MediaLeg, MediaLeg]:
        return self.browser.media, self.telephone.media

    @property
    def set_up_ms(self) -> float:
        """From the browser's offer until both have heard something."""
        return (max(self.first_sound.values()) - self.began) * 1000


class FarEnds:
    """Owns the engine, and the calls placed over one subject."""

    def __init__(self, relay: Relay, codec: Codec) -> None:
        aioice.ice.CONSENT_INTERVAL = CHECKS_EVERY_S
        rtcdtlstransport.SRTP_PROFILES[:] = [p for p in rtcdtlstransport.SRTP_PROFILES if p.openssl_profile == PROFILE]
        self.calls: list[Call] = []
        self._relay = relay
        self._codec: Codec = codec
        self._engine = MediaEngine(address="127.0.0.1", ports=PORTS, rest_s=1.0)
        self._engine.start()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._engine.event_fd, self._media_ready)
        self._certificate = RTCCertificate.generateCertificate()
        self._by_leg: dict[int, Call] = {}
        self._peers: dict[int, RtcPeer] = {}
        self._chunks: dict[int, bytes] = {}
        self._numbers = itertools.count(1)
        self._tones = {hz: tone(hz, 10_000) for hz in (BROWSER_HZ, TELEPHONE_HZ)}

    async def close(self) -> None:
        for call in self.calls:
            await call.peer.close()
        self._loop.remove_reader(self._engine.event_fd)
        self._engine.close()

    async def place(self, calls: int, per_second: float) -> list[Call]:
        """So many more, all of which must have sound on both sides."""
        begun: list[asyncio.Task[Call]] = []
        at = self._loop.time()
        for number in range(calls):
            await asyncio.sleep(max(0.0, at + number / per_second - self._loop.time()))
            begun.append(self._loop.create_task(self.connect()))
        return list(await asyncio.gather(*begun))

    async def connect(self, *, patience: float = 15.0) -> Call:
        """One call. Raises SystemExit if there is no sound."""
        leg, phone = self._engine.open_leg(ice=True), self._engine.open_leg()
        peer = RtcPeer(leg, certificate=self._certificate, addresses=("127.0.0.1",), tell=lambda e: told(e))
        number = next(self._numbers)
        browser = Negotiation(
            leg, address="127.0.0.1", codecs=(self._codec,), session_id=number, transport=peer, their_choice=False
        )
        telephone = Negotiation(phone, address="127.0.0.1", codecs=("PCMU",), session_id=number)
        call = Call(f"call-{number}", browser, telephone, peer)

        def told(event: PeerEvent) -> None:
            if isinstance(event, PeerLost):
                call.failed = event.reason
                call.heard.set()

        self.calls.append(call)
        self._peers[leg.id] = peer
        for each in call.legs:
            self._by_leg[each.id] = call
        offer = browser.offer().decode()
        call.began = time.monotonic()
        offered = await self._relay.offer(call.name, offer, self._codec)
        answer = telephone.answer(offered.encode())
        if not isinstance(answer, bytes):
            raise SystemExit(f"the telephone cannot take this: {answer.warning}\n{offered}")
        phone.play(1, [self._tones[TELEPHONE_HZ]], loop=True)
        answered = await self._relay.answer(call.name, answer.decode())
        refused = browser.accept(answered.encode())
        if refused is not None:
            raise SystemExit(f"the browser cannot take this: {refused.warning}\n{answered}")
        leg.play(1, [self._tones[BROWSER_HZ]], loop=True)
        try:
            async with asyncio.timeout(patience):
                await call.heard.wait()
        except TimeoutError:
            call.failed = call.failed or f"no sound after {patience:.0f} s"
        if call.failed:
            missing = [words for words, each in zip(("browser", "telephone"), call.legs, strict=True)
                       if each.id not in call.first_sound]  # fmt: skip
            raise SystemExit(f"{self._relay.name}, {call.name}: {call.failed} ({' and '.join(missing)} heard nothing)")
        return call

    async def hang_up(self, call: Call, *, relay_first: bool = False) -> None:
        """End it from the browser's side, or from the other."""
        self.calls.remove(call)
        if relay_first:
            await self._relay.delete(call.name)
        # The leg must still be there to carry the good-bye.
        await call.peer.close()
        for leg in call.legs:
            leg.close()
            del self._by_leg[leg.id]
            self._chunks.pop(leg.id, None)
        del self._peers[call.browser.media.id]
        if not relay_first:
            await self._relay.delete(call.name)

    # Listening ------------------------------------------------------------------------------------------------

    async def hear(self, seconds: float) -> Heard:
        """Count for so long."""
        legs = [leg for call in self.calls for leg in call.legs]
        began, before = time.monotonic(), [leg.statistics() for leg in legs]
        missed = self._engine.statistics().missed_slots
        await asyncio.sleep(seconds)
        took, after = time.monotonic() - began, [leg.statistics() for leg in legs]
        received = [now.packets_received - then.packets_received for then, now in zip(before, after, strict=True)]
        lost = sum(_missed(now) - _missed(then) for then, now in zip(before, after, strict=True))
        fewest = min(received)
        late = self._engine.statistics().missed_slots - missed
        call = self._by_leg[legs[received.index(fewest)].id]
        return Heard(took, sum(received), fewest, lost, late, f"{call.name} {call.failed}")

    async def without_sound(self, patience: float = 5.0) -> list[str]:
        """Which far ends do not hear the other's tone, and nothing else, now."""
        expected = {
            leg.id: (f"{call.name}: {who}", hz)
            for call in self.calls
            for leg, who, hz in zip(call.legs, ("browser", "telephone"), (TELEPHONE_HZ, BROWSER_HZ), strict=True)
        }
        legs = [leg for call in self.calls for leg in call.legs]
        self._chunks.clear()
        for leg in legs:
            leg.listen(True)
        deadline = self._loop.time() + patience
        deaf = dict(expected)
        while deaf and self._loop.time() < deadline:
            await asyncio.sleep(0.1)
            chunks, self._chunks = self._chunks, {}
            for leg_id, pcm in chunks.items():
                if leg_id in deaf and _is_tone(pcm, deaf[leg_id][1]):
                    del deaf[leg_id]
        for leg in legs:
            leg.listen(False)
        return [who for who, _ in deaf.values()]

    def _media_ready(self) -> None:
        for event in self._engine.events():
            match event:
                case Datagram(leg_id, data, address, port):
                    peer = self._peers.get(leg_id)
                    if peer is not None:
                        peer.datagram(data, address, port)
                case AudioChunk(leg_id, pcm):
                    self._chunks[leg_id] = pcm
                case MediaStarted(leg_id):
                    call = self._by_leg.get(leg_id)
                    if call is not None:
                        call.first_sound[leg_id] = time.monotonic()
                        if len(call.first_sound) == 2:
                            call.heard.set()
                case _:
                    pass


def _missed(statistics: LegStatistics) -> int:
    return statistics.lost + statistics.unauthentic + statistics.replayed + statistics.malformed


def _is_tone(pcm: bytes, hz: float) -> bool:
    """Loud enough, and hardly anything else."""
    sound = np.frombuffer(pcm, np.int16).astype(np.float64)
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    near = np.abs(np.fft.rfftfreq(len(sound), 1 / 8000) - hz) <= 25
    return bool(np.sqrt(np.mean(sound**2)) > LEVEL and power[near].sum() > PURE * power[1:].sum())
