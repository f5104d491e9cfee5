"""A client of the gateway on a real WebSocket, who says what the test wants, and whose sound is aiortc's."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from gateway.call import Rights
from gateway.config import Client, RtcConfig, RtcListen
from gateway.rtc.protocol import SUBPROTOCOL
from gateway.rtc.token import Tokens
from tests.gateway.exchange import Exchange
from tests.peers.patience import SLACK, until

__all__ = ["EVERYTHING", "SECRET", "WebPhone", "offer", "web_exchange"]

T = TypeVar("T")
SECRET = "s" * 32
"""What tokens are signed with."""
EVERYTHING = Rights(call_in=True, be_called=True, call_out=("*",), peers=True)


def web_exchange(state: Path, **config: Any) -> Exchange:
    """A gateway with clients: anybody whose token is signed."""
    rtc = RtcConfig(
        listen=(RtcListen("http", "127.0.0.1", 0),),
        state=state,
        secret=SECRET,
        clients={user: Client(user, rights=EVERYTHING) for user in ("alice", "bob")},
    )
    return Exchange(rtc=rtc, **config)


class WebPhone:
    """One device of a user, logged in. Its own thread answers nothing by itself but confirms what it hears."""

    def __init__(self, at: Exchange | RtcListen, user: str = "alice", device: str = "web") -> None:
        self.user = user
        self._device = device
        self.heard: list[dict[str, Any]] = []
        self._ids = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._rtc: list[RTCPeerConnection] = []
        listen = at.gateway.rtc_addresses[0] if isinstance(at, Exchange) else at
        self._url = f"http://{listen.host}:{listen.port}/rtc"
        self.awaits(self._open())
        self.session = self._logs_in()["session"]

    # Signalling -------------------------------------------------------------------------------------------

    def asks(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The answer."""
        answer: dict[str, Any] = self.awaits(self._ask(kind, fields))
        return answer

    def says(self, kind: str, **fields: Any) -> None:
        """Without waiting for the answer."""
        number = next(self._ids)
        self.awaits(self._socket.send_json({"type": kind, "id": number, **fields}))

    def hears(self, kind: str, number: int = 1, **fields: Any) -> dict[str, Any]:
        """Wait for a notification that has these fields."""

        def found() -> dict[str, Any] | None:
            fit = [one for one in list(self.heard) if one["type"] == kind and fields.items() <= one.items()]
            return fit[number - 1] if len(fit) >= number else None

        return until(found, lambda: f"no {kind} {fields} but {self.heard}")

    def invites(self, to: str, sdp: str | None = None, **fields: Any) -> str:
        """The invitation."""
        description = {"type": "offer", "sdp": offer() if sdp is None else sdp}
        answer = self.asks("invite", to=to, description=description, **fields)
        assert answer["type"] == "ok", answer
        return str(answer["invitation"])

    def vanishes(self) -> None:
        """The connection is gone without a word."""

        async def gone() -> None:
            response = self._socket._response
            assert response.connection is not None
            assert response.connection.transport is not None
            response.connection.transport.abort()

        self.awaits(gone())

    def comes_back(self) -> None:
        """On another connection, with the same session."""
        self.awaits(self._http.close())
        self.awaits(self._open())
        seq = max((one["seq"] for one in self.heard), default=0)
        answer = self._logs_in(resume={"session": self.session, "seq": seq})
        assert answer["resumed"], answer

    def _logs_in(self, **fields: Any) -> dict[str, Any]:
        token = Tokens(SECRET, clock=time.time).make(self.user, EVERYTHING, name=self.user.title())
        answer = self.asks("login", token=token, device=self._device, **fields)
        assert answer["type"] == "ok", answer
        return answer

    # Sound ------------------------------------------------------------------------------------------------

    def calls(self, to: str, **fields: Any) -> tuple[str, RTCPeerConnection]:
        """Call with sound; the transport is up as soon as the gateway's answer is here."""
        rtc, sdp = self.awaits(self._offers())
        invitation = self.invites(to, sdp, **fields)
        self.sets_answer(rtc, invitation)
        return invitation, rtc

    def sets_answer(self, rtc: RTCPeerConnection, invitation: str) -> None:
        answer = self.hears("media", invitation=invitation)["description"]
        self.awaits(rtc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"])))

    def connects(self, rtc: RTCPeerConnection) -> None:
        until(lambda: rtc.connectionState == "connected", lambda: f"the transport is {rtc.connectionState}")

    def gets_sound(self, rtc: RTCPeerConnection, packets: int = 25) -> None:
        """Wait for so many packets, half a second of sound."""

        def received() -> bool:
            report = self.awaits(rtc.getReceivers()[0].getStats())
            return any(getattr(one, "packetsReceived", 0) >= packets for one in report.values())

        until(received, "no sound comes", every=0.1)

    def takes(self, invited: dict[str, Any]) -> RTCPeerConnection:
        """Accept an invitation, with sound."""
        rtc: RTCPeerConnection
        rtc, sdp = self.awaits(self._takes(invited["description"]["sdp"]))
        answer = self.asks("accept", invitation=invited["invitation"], description={"type": "answer", "sdp": sdp})
        assert answer["type"] == "ok", answer
        return rtc

    def do(self, work: Callable[[], T]) -> T:
        async def there() -> T:
            return work()

        result: T = self.awaits(there())
        return result

    def awaits(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SLACK)

    def close(self) -> None:
        self.awaits(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SLACK)
        self._loop.close()

    # ------------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(self._url, protocols=(SUBPROTOCOL,))
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            value = message.json()
            if "re" in value:
                waiting = self._answers.pop(value["re"], None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(value)
            else:
                self.heard.append(value)
                await self._socket.send_json({"type": "ack", "seq": value["seq"]})

    async def _ask(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        number = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        await self._socket.send_json({"type": kind, "id": number, **fields})
        async with asyncio.timeout(SLACK):
            return await answer

    def _new_rtc(self) -> RTCPeerConnection:
        rtc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        rtc.addTrack(AudioStreamTrack())
        self._rtc.append(rtc)
        return rtc

    async def _offers(self) -> tuple[RTCPeerConnection, str]:
        rtc = self._new_rtc()
        await rtc.setLocalDescription(await rtc.createOffer())
        return rtc, rtc.localDescription.sdp

    async def _takes(self, sdp: str) -> tuple[RTCPeerConnection, str]:
        rtc = self._new_rtc()
        await rtc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await rtc.setLocalDescription(await rtc.createAnswer())
        return rtc, rtc.localDescription.sdp

    async def _close(self) -> None:
        for rtc in self._rtc:
            await rtc.close()
        self._reader.cancel()
        await self._http.close()


_FINGERPRINT = ":".join(["AB"] * 32)


def offer(
    *,
    media: str = "m=audio 9 UDP/TLS/RTP/SAVPF 0 8 101",
    head: str = "",
    ufrag: str = "abcd",
    candidates: tuple[str, ...] = (),
    more: str = "",
) -> str:
    """A browser's offer by hand; nobody is behind it."""
    lines = [
        "v=0",
        "o=- 1 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        *head.splitlines(),
        media,
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=rtcp-mux",
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{'p' * 22}",
        f"a=fingerprint:sha-256 {_FINGERPRINT}",
        "a=setup:actpass",
        "a=rtpmap:101 telephone-event/8000",
        *[f"a=candidate:{each}" for each in candidates],
        *more.split("\n"),
    ]
    return "\r\n".join(line for line in lines if line) + "\r\n"
