"""The subjects of the benches with browsers: what joins a browser's leg to a telephone's, each as a process.

Ours is the gateway's path for media, :class:`~gateway.rtc.peer.RtcPeer` and the engine, without calls and signalling;
its peer is rtpengine. Both are asked in the same words: offer, answer and delete of rtpengine's ng protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import itertools
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, cast

from subject import Usage, usage

Codec = Literal["PCMU", "opus"]
SubjectName = Literal["gateway", "rtpengine"]

CONTROL_PORT = 18060
MEDIA_PORTS = (40_000, 44_999)
_PATIENCE_S = 10.0

# What datagrams are in --------------------------------------------------------------------------------------


def bencoded(value: object) -> bytes:
    match value:
        case dict():
            return b"d" + b"".join(bencoded(key) + bencoded(each) for key, each in sorted(value.items())) + b"e"
        case list():
            return b"l" + b"".join(map(bencoded, value)) + b"e"
        case int():
            return b"i%de" % value
        case bytes():
            return b"%d:%s" % (len(value), value)
        case _:
            return bencoded(str(value).encode())


def bdecoded(data: bytes) -> Any:
    """Text as str; raises ValueError for anything else than one value."""
    value, end = _value(data, 0)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes too many")
    return value


def _value(data: bytes, at: int) -> tuple[Any, int]:
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        found: list[Any] = []
        at += 1
        while data[at : at + 1] != b"e":
            each, at = _value(data, at)
            found.append(each)
        pairs = dict(zip(found[::2], found[1::2], strict=True)) if kind == b"d" else found
        return pairs, at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end].decode(), end


# Asking -------------------------------------------------------------------------------------------------------


class Relay(asyncio.DatagramProtocol):
    """A subject as those see it who place the calls."""

    def __init__(self, name: SubjectName, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.process = process
        self._transport: asyncio.DatagramTransport | None = None
        self._cookies = itertools.count(1)
        self._asked: dict[bytes, asyncio.Future[dict[str, Any]]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        cookie, _, body = data.partition(b" ")
        asked = self._asked.pop(cookie, None)
        if asked is not None and not asked.done():
            asked.set_result(bdecoded(body))

    async def ask(self, command: str, **words: object) -> dict[str, Any]:
        """Raises SystemExit for an answer that says no, TimeoutError for none."""
        cookie = b"%d" % next(self._cookies)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[cookie] = answer
        assert self._transport is not None
        self._transport.sendto(cookie + b" " + bencoded({"command": command, **words}))
        async with asyncio.timeout(_PATIENCE_S):
            found = await answer
        if found.get("result") not in ("ok", "pong"):
            raise SystemExit(f"{self.name} refused {command}: {found.get('error-reason', found)}")
        return found

    async def offer(self, call: str, sdp: str, codec: Codec) -> str:
        """What the telephone is offered for the browser's offer."""
        words: dict[str, object] = {"transport-protocol": "RTP/AVP", "ICE": "remove", "rtcp-mux": ["demux"]}
        if codec != "PCMU":
            words["codec"] = {"transcode": ["PCMU"], "mask": [codec]}
        found = await self.ask("offer", **{"call-id": call, "from-tag": "browser", "sdp": sdp, **words})
        return str(found["sdp"])

    async def answer(self, call: str, sdp: str) -> str:
        """What the browser is answered when the telephone has answered."""
        words: dict[str, object] = {
            "transport-protocol": "UDP/TLS/RTP/SAVPF",
            "ICE": "force",
            "rtcp-mux": ["require"],
            "flags": ["generate mid"],
        }
        tags = {"from-tag": "browser", "to-tag": "telephone"}
        found = await self.ask("answer", **{"call-id": call, **tags, "sdp": sdp, **words})
        return str(found["sdp"])

    async def delete(self, call: str) -> None:
        await self.ask("delete", **{"call-id": call, "from-tag": "browser", "delete-delay": 0})

    @property
    def cpu_s(self) -> float:
        """Of all its threads, to the nanosecond: /proc/PID/stat, which counts hundredths, would leave twenty calls in
        ten seconds with an uncertainty of some per cent."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    @property
    def usage(self) -> Usage:
        return usage(self.process.pid)


def _rtpengine(realtime: bool) -> list[str]:
    program = shutil.which("rtpengine")
    if program is None:
        raise SystemExit("rtpengine is needed: apt-get install --no-install-recommends rtpengine-daemon")
    low, high = MEDIA_PORTS
    return [
        *(program, "--config-file=none", "--table=-1", "--foreground", "--log-stderr", "--log-level=3"),
        *("--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{CONTROL_PORT}"),
        *(f"--port-min={low}", f"--port-max={high}", "--delete-delay=0"),
        *(("--scheduling=rr", "--priority=10") if realtime else ()),
    ]


@contextlib.asynccontextmanager
async def relaying(name: SubjectName, *, realtime: bool = False) -> AsyncIterator[Relay]:
    """The subject as a process, until the end of the block; its threads for media under SCHED_RR or not."""
    own = [sys.executable, __file__, *["--realtime"] * realtime]
    command = _rtpengine(realtime) if name == "rtpengine" else own
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: ASYNC220
        transport = None
        try:
            loop = asyncio.get_running_loop()
            for _ in range(100):
                transport, relay = await loop.create_datagram_endpoint(
                    lambda: Relay(name, process), remote_addr=("127.0.0.1", CONTROL_PORT)
                )
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await relay.ask("ping")
                    break
                transport.close()
                if process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(f"{name} did not start:\n{log.read().decode(errors='replace')}")
            else:
                raise SystemExit(f"{name} does not answer")
            yield relay
        finally:
            if transport is not None:
                transport.close()
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


# Ours ---------------------------------------------------------------------------------------------------------


class _Mallinfo(ctypes.Structure):
    """glibc's struct mallinfo2."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks")
    ] + [("keepcost", ctypes.c_size_t)]


_libc = ctypes.CDLL(None)
_mallinfo = _libc.mallinfo2
_mallinfo.restype = _Mallinfo


@dataclass(frozen=True, slots=True)
class Joined:
    """A browser's side and a telephone's."""

    peer: Any
    browser: Any
    """What was agreed on with it."""
    telephone: Any
    answer: bytes
    """For the browser, as soon as the telephone has answered."""


class Gateway(asyncio.DatagramProtocol):
    """The gateway's media, asked for by datagrams instead of by calls."""

    def __init__(self, realtime: bool) -> None:
        from aiortc import RTCCertificate

        from gateway.media.engine import MediaEngine

        # Silence until the other side is there would be taken for the first sound.
        self._engine = MediaEngine(
            address="127.0.0.1", ports=MEDIA_PORTS, rest_s=1.0, send_silence=False, realtime=realtime
        )
        self._engine.start()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._engine.event_fd, self._media_ready)
        self._certificate = RTCCertificate.generateCertificate()
        self._joined: dict[str, Joined] = {}
        self._peers: dict[int, Any] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._session_ids = itertools.count(1)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        cookie, _, body = data.partition(b" ")
        words = bdecoded(body)
        try:
            found = self._do(words)
        except Exception as error:
            found = {"result": "error", "error-reason": f"{type(error).__name__}: {error}"}
        assert self._transport is not None
        self._transport.sendto(cookie + b" " + bencoded(found), addr)

    def _do(self, words: dict[str, Any]) -> dict[str, Any]:
        match words["command"]:
            case "ping":
                return {"result": "pong"}
            case "offer":
                return {"result": "ok", "sdp": self._offer(words["call-id"], words["sdp"].encode())}
            case "answer":
                return {"result": "ok", "sdp": self._answer(words["call-id"], words["sdp"].encode())}
            case "delete":
                self._delete(words["call-id"])
                return {"result": "ok"}
            case "query":
                return {"result": "ok", **self._sizes()}
            case command:
                return {"result": "error", "error-reason": f"what is {command}?"}

    def _offer(self, call: str, sdp: bytes) -> bytes:
        from gateway.negotiation import Negotiation
        from gateway.rtc.peer import RtcPeer

        leg = self._engine.open_leg(ice=True)
        peer = RtcPeer(leg, certificate=self._certificate, addresses=("127.0.0.1",), tell=lambda event: None)
        browser = Negotiation(
            leg,
            address="127.0.0.1",
            codecs=("PCMU", "PCMA", "opus", "G722"),
            session_id=next(self._session_ids),
            transport=peer,
            their_choice=False,
        )
        answer = browser.answer(sdp)
        if not isinstance(answer, bytes):
            raise ValueError(answer.warning)
        telephone = Negotiation(
            self._engine.open_leg(), address="127.0.0.1", codecs=("PCMU",), session_id=next(self._session_ids)
        )
        self._peers[leg.id] = peer
        self._joined[call] = Joined(peer, browser, telephone, answer)
        return telephone.offer()

    def _answer(self, call: str, sdp: bytes) -> bytes:
        joined = self._joined[call]
        refused = joined.telephone.accept(sdp)
        if refused is not None:
            raise ValueError(refused.warning)
        joined.browser.media.bridge(joined.telephone.media)
        return joined.answer

    def _delete(self, call: str) -> None:
        joined = self._joined.pop(call)
        for negotiation in (joined.browser, joined.telephone):
            negotiation.close()
        del self._peers[joined.browser.media.id]
        task = self._loop.create_task(joined.peer.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _sizes(self) -> dict[str, int]:
        """How much is remembered, and what of the process' memory is in use."""
        gc.collect()
        malloc = _mallinfo()
        _libc.malloc_trim(0)
        return {
            "calls": len(self._joined),
            "peers": len(self._peers),
            "media_legs": self._engine.statistics().legs,
            "tasks": len(asyncio.all_tasks()),
            "objects": len(gc.get_objects()),
            "blocks": sys.getallocatedblocks(),
            "malloc_kb": (malloc.uordblks + malloc.hblkhd) // 1024,
        }

    def _media_ready(self) -> None:
        from gateway.media.engine import Datagram

        for event in self._engine.events():
            if isinstance(event, Datagram):
                peer = self._peers.get(event.leg_id)
                if peer is not None:
                    peer.datagram(event.data, event.address, event.port)


async def be_the_gateway(realtime: bool) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Gateway(realtime), local_addr=("127.0.0.1", CONTROL_PORT))
    # As `ivr run` does.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(be_the_gateway("--realtime" in sys.argv))
