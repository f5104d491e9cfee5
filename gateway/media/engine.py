"""The media engine as the rest of the gateway sees it: legs that send and receive RTP, and events about them.

Packets are the affair of one native thread (native/*.c); what is here gives it commands and reads its events. No
command waits for the network, and none fails because a leg has been closed meanwhile: it does nothing then. Of
asyncio nothing is known here: whoever owns the engine watches ``event_fd`` and calls :meth:`MediaEngine.events`.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from gateway.media import binding, opus
from gateway.media.binding import EngineNotBuilt
from gateway.media.clip import Clip
from gateway.media.mix import Mix
from gateway.media.ports import NoPortsLeft, RtpPorts
from gateway.media.srtp import Srtp, SrtpUnavailable, find_libsrtp

__all__ = [
    "AudioChunk",
    "Datagram",
    "EngineNotBuilt",
    "EngineStatistics",
    "KeyReceived",
    "LegStatistics",
    "MediaBack",
    "MediaEngine",
    "MediaEvent",
    "MediaLeg",
    "MediaLost",
    "MediaStarted",
    "Mix",
    "NoPortsLeft",
    "PlayEnded",
    "RtpRemote",
    "Srtp",
    "SrtpUnavailable",
]

log = logging.getLogger("gateway.media")

_native = binding.load()
_event = struct.Struct(binding.EVENT_FORMAT)

KEYS = frozenset("0123456789*#ABCD")
KEYS_WAITING_MAX = 128
CodecName = Literal["PCMU", "PCMA", "G722", "opus"]
CODECS: dict[CodecName, int] = {"PCMU": 0, "PCMA": 1, "G722": 2, "opus": 3}


@dataclass(frozen=True, slots=True)
class RtpRemote:
    """What signalling agreed on with the far end; everything as seen from our side."""

    address: str
    """IP address in the far end's SDP. Sound goes there until sound has come from somewhere. With ICE neither it nor
    any port here matters: :meth:`MediaLeg.set_path` says where."""
    port: int
    codec: CodecName
    """As SDP spells it. What the engine can do is :attr:`MediaEngine.codecs`."""
    payload_type: int
    """In what we send."""
    telephone_event: int | None = None
    """Payload type of RFC 4733 in what we send, with the clock of the codec (48,000 Hz with opus, 8,000 Hz otherwise);
    None if the far end takes keys as sound only."""
    receive_payload_type: int | None = None
    """In what we are sent, if it is another number."""
    telephone_event_receive: int | None = None
    """Payload type of RFC 4733 in what we are sent, if it is another number."""
    ptime_ms: int = 20
    """Length of the packets we send: 10, 20, 30, 40, 50 or 60. Those we are sent may have any."""
    send: bool = True
    """False while we must send nothing (the far end said sendonly or inactive)."""
    receive: bool = True
    """False while the far end sends nothing: its sound is neither passed on nor missed."""
    rtcp_port: int | None = None
    """If it is not the port after the RTP port (RFC 3605)."""
    rtcp_mux: bool = False
    """RTP and RTCP on one port (RFC 5761)."""


@dataclass(frozen=True, slots=True)
class KeyReceived:
    """A key was pressed; once for each press, at its beginning."""

    leg_id: int
    key: str
    """One of 0123456789*#ABCD."""
    inband: bool
    """Heard as a tone, not signalled by RFC 4733."""


@dataclass(frozen=True, slots=True)
class PlayEnded:
    """What :meth:`MediaLeg.play` began is over; once for each play."""

    leg_id: int
    play_id: int
    heard_ms: int
    """What was sent of it; a play waits while the leg is held, and while keys are sent."""
    completed: bool
    """Sent to its end, and not stopped, replaced or cut off."""


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """The first valid RTP packet came."""

    leg_id: int


@dataclass(frozen=True, slots=True)
class MediaLost:
    """No valid packet came for the engine's time-out, though the far end should be sending."""

    leg_id: int


@dataclass(frozen=True, slots=True)
class MediaBack:
    """A valid packet came after MediaLost."""

    leg_id: int


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """100 ms of what the far end says, gaps filled: 800 samples of 16 bits at 8,000 Hz, native byte order."""

    leg_id: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Datagram:
    """STUN or DTLS came to a leg with ICE: by its look only, from anybody (RFC 7983)."""

    leg_id: int
    data: bytes
    address: str
    """The sender's IP address, with ``%`` and its scope where IPv6 has one."""
    port: int


MediaEvent = KeyReceived | PlayEnded | MediaStarted | MediaLost | MediaBack | AudioChunk | Datagram


@dataclass(frozen=True, slots=True)
class LegStatistics:
    """Counters of a leg since it was opened."""

    packets_sent: int = 0
    bytes_sent: int = 0
    """Payload bytes, as RFC 3550 counts them."""
    packets_received: int = 0
    bytes_received: int = 0
    lost: int = 0
    """Expected and never received (RFC 3550 A.3, but without duplicates making up for losses)."""
    duplicates: int = 0
    reordered: int = 0
    """Came after a packet that was sent later."""
    ignored: int = 0
    """From a source that is not the far end, or before it was known; or more sound than there was time to decode."""
    malformed: int = 0
    """Neither RTP nor RTCP, or of a payload type that was not agreed on."""
    send_errors: int = 0
    remote_lost: int = 0
    """Lost of what we sent, as the far end's RTCP reports it."""
    audio_sent_ms: int = 0
    audio_received_ms: int = 0
    unauthentic: int = 0
    """SRTP or SRTCP that our keys do not open: forged, or sealed with other keys than were agreed on."""
    replayed: int = 0
    """SRTP or SRTCP that had come before, or is older than the last 128 packets."""
    datagrams_dropped: int = 0
    """STUN and DTLS beyond 100 a second, from the far end or from elsewhere."""
    jitter_ms: float = 0.0
    """Interarrival jitter of what we receive (RFC 3550 A.8)."""
    remote_jitter_ms: float = 0.0
    round_trip_ms: float | None = None
    """By RTCP; None until the far end has answered a report."""


@dataclass(frozen=True, slots=True)
class EngineStatistics:
    """Counters of the engine since it was made."""

    legs: int
    """Open now."""
    wake_ups: int
    late_slots: int
    """Of the 200 slots in a second: run after the next was due. Nothing is lost by it."""
    missed_slots: int
    """Left out because the thread was held up for 20 ms and more: a quarter of the legs sent nothing in each."""
    events_dropped: int
    """No room because :meth:`MediaEngine.events` was not called; sound goes first, long before anything else."""
    realtime: bool
    """The thread runs under SCHED_RR."""
    longest_hold_ms: float
    """The longest that the thread kept commands out at a stretch."""
    longest_work_ms: float
    """The same by the processor time it used: where the hold is longer, another thread had its core. What a hypervisor
    takes of a core may be counted as used."""
    commands: int
    waited_ms: float
    """From asking until the engine was theirs, all commands together."""
    longest_wait_ms: float
    kept_out_ms: float
    """Of what commands waited: until the thread let go. The rest is other commands, and a Python thread that was slow
    to wake up."""
    longest_kept_out_ms: float


_HURRY_TOLD_EVERY = 60.0

_STATISTICS = tuple(name for name, *_ in binding.MediaLegStatistics._fields_)


@lru_cache(1024)
def _version(address: str) -> int:
    return ipaddress.ip_address(address).version


@lru_cache(64)
def _arrays(length: int) -> tuple[type[ctypes.Array[ctypes.c_char_p]], type[ctypes.Array[ctypes.c_size_t]]]:
    """The types of what a play hands over: making one takes as long as all the rest of a play."""
    return ctypes.c_char_p * length, ctypes.c_size_t * length


def _handed_over(clips: Sequence[Clip]) -> tuple[ctypes.Array[ctypes.c_char_p], ctypes.Array[ctypes.c_size_t], int]:
    """The clips as the engine takes them."""
    texts, lengths = _arrays(len(clips))
    return texts(*[clip.pcmu for clip in clips]), lengths(*[len(clip.pcmu) for clip in clips]), len(clips)


def _statistics(native: binding.MediaLegStatistics) -> LegStatistics:
    values = {name: getattr(native, name) for name in _STATISTICS}
    if values["round_trip_ms"] < 0:
        values["round_trip_ms"] = None
    return LegStatistics(**values)


class MediaLeg:
    """One RTP stream in each direction, on a port of its own. Made by :meth:`MediaEngine.open_leg`."""

    def __init__(self, engine: MediaEngine, leg_id: int, address: str, port: int, *, ice: bool = False) -> None:
        self._engine = engine
        self.ice = ice
        self.id = leg_id
        """Never given to another leg of this engine."""
        self.address = address
        self.port = port
        """RTP; RTCP has the port after it, or with ICE this one."""
        # The engine plays from the clips' own memory: they are kept until it has let go of them.
        self._clips: tuple[Clip, ...] = ()
        self._lock = threading.Lock()
        self._final: LegStatistics | None = None
        self.takes_key_events = False
        """The far end takes keys by RFC 4733; to others they are tones."""

    def set_remote(self, remote: RtpRemote) -> None:
        """Send to and listen for the far end, now or from now on differently; SSRC and numbering go on.

        With another address than before, the source of sound is found anew; what still comes from the old place
        is ignored for 2 s. Raises ValueError if the address is not of the engine's family, or a number is out of
        range.
        """
        if not self.ice:
            self._check_reachable(remote)
        if remote.codec not in self._engine.codecs:
            why = ": there is no libopus" if remote.codec == "opus" else ""
            raise ValueError(f"no codec {remote.codec!r}{why}")
        if remote.ptime_ms not in range(10, 61, 10):
            raise ValueError(f"a packet cannot be {remote.ptime_ms} ms long")
        payload_type_in = remote.receive_payload_type
        event_out = remote.telephone_event
        event_in = remote.telephone_event_receive
        payload_types = (remote.payload_type, payload_type_in, event_out, event_in)
        if any(number is not None and not 0 <= number <= 127 for number in payload_types):
            raise ValueError(f"no payload types {payload_types}")
        if event_in is None:
            event_in = event_out
        native = binding.MediaRemote(
            address=b"" if self.ice else remote.address.encode("ascii"),
            port=remote.port,
            rtcp_port=remote.port if remote.rtcp_mux else remote.rtcp_port or min(remote.port + 1, 65535),
            codec=CODECS[remote.codec],
            payload_type=remote.payload_type,
            payload_type_in=remote.payload_type if payload_type_in is None else payload_type_in,
            telephone_event=-1 if event_out is None else event_out,
            telephone_event_in=-1 if event_in is None else event_in,
            ptime_ms=remote.ptime_ms,
            send=remote.send,
            receive=remote.receive,
            rtcp_mux=remote.rtcp_mux,
        )
        with self._lock:
            self._call("media_leg_set_remote", ctypes.byref(native))
        self.takes_key_events = event_out is not None

    def secure(self, srtp: Srtp | None) -> None:
        """SRTP and SRTCP under these keys from now on, or new keys; None: there are none yet, or no longer.

        From the first call on, with ICE from the beginning, nothing is sent or taken in the clear; without keys the
        leg is as if held. So it comes before :meth:`set_remote`. A direction whose key stays the same is not disturbed;
        what an old key opens is taken for 2 s more. Keys that were given up must not be used again (RFC 3711 9.1).
        Raises SrtpUnavailable.
        """
        native = None if srtp is None else ctypes.byref(srtp.native())
        self._engine._check_srtp()
        with self._lock:
            self._call("media_leg_secure", native)

    def set_path(self, address: str, port: int) -> None:
        """RTP and RTCP go there: the remote half of the pair that ICE has nominated. Only for a leg with ICE.

        Packets are taken from anywhere if they are authentic; nothing but this moves what is sent. Raises ValueError
        for an address that is not of the engine's family.
        """
        self._engine._check_address(address)
        with self._lock:
            self._call("media_leg_set_path", address.encode("ascii"), port)

    def send_datagram(self, data: bytes, address: str, port: int) -> None:
        """STUN or DTLS from the port of a leg with ICE; what cannot be sent is lost, and counted.

        Raises ValueError for anything else than STUN or DTLS of at most 1,500 bytes, and for a leg without ICE.
        """
        self._engine._check_address(address)
        with self._lock:
            self._call("media_leg_send_datagram", data, len(data), address.encode("ascii"), port)

    def expect(self) -> None:
        """Let the far end's silence count from now on, whatever was before: MediaLost comes after all of its time."""
        with self._lock:
            self._call("media_leg_expect")

    def play(self, play_id: int, clips: Sequence[Clip], *, loop: bool = False, more: bool = False) -> None:
        """Play clips one after the other, without a gap, instead of what is playing; PlayEnded tells of its end.

        A play goes before what a bridged leg says. It waits while the leg is held or has no remote yet. With
        ``loop`` it begins again until stopped; with ``more`` there is silence after it until :meth:`extend_play`.
        Nothing to play is a play that is completed at once.
        """
        clips = tuple(clips)
        then = binding.THEN_WAIT if more else binding.THEN_AGAIN if loop else binding.THEN_END
        with self._lock:
            if self._call("media_leg_play", play_id, *_handed_over(clips), then):
                self._clips = clips

    def extend_play(self, play_id: int, clips: Sequence[Clip], *, more: bool) -> None:
        """Let clips follow those of a play that has ``more``; without effect once it is over.

        Without ``more`` it ends with these, at once if there are none and all the others were heard.
        """
        with self._lock:
            clips = (*self._clips, *clips)
            then = binding.THEN_WAIT if more else binding.THEN_END
            if self._call("media_leg_extend_play", play_id, *_handed_over(clips), then):
                self._clips = clips

    def wait_for_far_end(self, milliseconds: int) -> None:
        """Let plays that begin from now on wait for the far end's first packet, at most so long; they are played then
        whether or not it came. No effect once it was heard, or while something plays."""
        with self._lock:
            self._call("media_leg_await", milliseconds)

    def stop_playing(self) -> None:
        """Stop at once; without effect when nothing plays."""
        with self._lock:
            self._call("media_leg_stop_playing")
            self._clips = ()

    def send_keys(self, keys: str, *, duration_ms: int = 100, gap_ms: int = 100) -> None:
        """Press keys after those that are still waiting: by RFC 4733, or as tones if that was not agreed on.

        Meanwhile nothing else is sent. Raises ValueError for a character that is no key, for a duration that is
        not 40 to 8,000 ms, a gap that is not 40 to 8,000 ms, and when more than 128 keys would be waiting.
        """
        if not KEYS.issuperset(keys):
            raise ValueError(f"{keys!r} are not all keys: 0-9, *, #, A-D")
        if not 40 <= duration_ms <= 8000 or not 40 <= gap_ms <= 8000:
            raise ValueError(f"keys of {duration_ms} ms, {gap_ms} ms apart, are too short or too long")
        with self._lock:
            self._call("media_leg_send_keys", keys.encode("ascii"), duration_ms, gap_ms)

    def bridge(self, other: MediaLeg) -> None:
        """Let both legs hear each other, and nobody else. They must be legs of one engine, which may differ in codec:
        packets are passed on as they are between legs of the same one.

        Keys are passed on where RFC 4733 was agreed on with both, and are reported all the same.
        """
        if other._engine is not self._engine:
            raise ValueError("legs of two engines cannot be bridged")
        with self._lock:
            self._call("media_leg_bridge", other.id)

    def unbridge(self) -> None:
        """Part this leg from the other; both are sent silence."""
        with self._lock:
            self._call("media_leg_unbridge")

    def listen(self, on: bool) -> None:
        """Deliver what the far end says as AudioChunk, from its first packet on."""
        with self._lock:
            self._call("media_leg_listen", on)

    def detect_inband_keys(self, on: bool) -> None:
        """Report keys heard as tones too, as long as RFC 4733 is not agreed on with the far end."""
        with self._lock:
            self._call("media_leg_detect_inband_keys", on)

    def statistics(self) -> LegStatistics:
        """The counters now; for a closed leg those at its end."""
        native = binding.MediaLegStatistics()
        with self._lock:
            if self._final is not None or not self._call("media_leg_statistics", ctypes.byref(native)):
                return self._final or LegStatistics()
        return _statistics(native)

    def close(self) -> LegStatistics:
        """End the leg with an RTCP BYE; its port begins to rest. What is playing ends. Again: only the counters."""
        native = binding.MediaLegStatistics()
        with self._lock:
            if self._final is None:
                closed = self._call("media_leg_close", ctypes.byref(native))
                self._final = _statistics(native) if closed else LegStatistics()
                self._clips = ()
                self._engine._leg_closed(self)
            return self._final

    def _check_reachable(self, remote: RtpRemote) -> None:
        self._engine._check_address(remote.address)
        if not 0 < remote.port < 65536 or not 0 < (remote.rtcp_port or 1) < 65536:
            raise ValueError(f"no port {remote.port} or {remote.rtcp_port}")

    def _call(self, name: str, *arguments: object) -> bool:
        """False if the leg, or the play, is over; raises ValueError or OSError for what else the engine refuses."""
        if self._final is not None:
            return False
        result: int = getattr(_native, name)(self._engine._handle, self.id, *arguments)
        if result in (-errno.ENOENT, -errno.ESRCH):
            return False
        if result in (-errno.EINVAL, -errno.ENOBUFS):
            raise ValueError(f"{name}: {os.strerror(-result)}")
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return True


class MediaEngine:
    """Owns the media thread, the RTP ports and the legs.

    ``address`` is the local IP address of every leg (0.0.0.0 or :: for any), ``ports`` the first and the last that
    may be used. A port rests for ``rest_s`` after use, ``least_rest_s`` under pressure. A leg that hears nothing for
    ``media_timeout_s`` is reported (0: never). With ``send_silence`` a leg that has nothing to say is sent silence,
    which keeps NATs open and phones content. ``libsrtp`` is the shared library for SRTP; None looks for pylibsrtp's.
    Raises ValueError for an address or a range that is none, OSError without resources.
    """

    def __init__(
        self,
        *,
        address: str,
        ports: tuple[int, int],
        rest_s: float = 30.0,
        least_rest_s: float | None = None,
        media_timeout_s: float = 15.0,
        realtime: bool = True,
        max_legs: int | None = None,
        send_silence: bool = True,
        libsrtp: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self._family = ipaddress.ip_address(address).version
        self._ports = RtpPorts(*ports, rest_s=rest_s, least_rest_s=least_rest_s, clock=clock)
        self._clock = clock
        self._hurry_told = float("-inf")
        self._legs: dict[int, MediaLeg] = {}
        self._lock = threading.Lock()
        self._last_events: list[MediaEvent] = []
        self._last_statistics: EngineStatistics | None = None
        limit = len(self._ports) if max_legs is None else max_legs
        self._handle: int | None = _native.media_engine_new(
            address.encode("ascii"), limit, media_timeout_s, send_silence, realtime
        )
        if self._handle is None:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self.event_fd: int = _native.media_engine_event_fd(self._handle)
        """Readable whenever :meth:`events` has something; closed by :meth:`close`."""
        self.srtp_problem = self._load_srtp(libsrtp)
        """Why SRTP is impossible, None if it is not: the engine works without, but for :meth:`MediaLeg.secure`."""
        self._started = False
        self.codecs: tuple[CodecName, ...] = tuple(name for name in CODECS if name != "opus" or opus.load())
        """What legs may speak; without "opus" where libopus is not to be found."""

    def _load_srtp(self, libsrtp: Path | None) -> str | None:
        try:
            library = libsrtp or find_libsrtp()
        except SrtpUnavailable as unavailable:
            return str(unavailable)
        problem: bytes | None = _native.media_engine_use_srtp(self._handle, os.fsencode(library))
        if problem is None:
            return None
        remedy = "install another version of pylibsrtp"
        return f"no SRTP by {library}: {problem.decode(errors='replace')}: {remedy}"

    def start(self) -> None:
        """Start the media thread; legs may be opened before and after. Raises OSError."""
        if self._started or self._handle is None:
            return
        result: int = _native.media_engine_start(self._handle)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        self._started = True

    def close(self) -> None:
        """Close every leg, end the thread and wait for it (at most a slot). What events are left stay to be read."""
        if self._handle is None:
            return
        for leg in list(self._legs.values()):
            leg.close()
        _native.media_engine_stop(self._handle)
        self._last_events = self.events()
        self._last_statistics = self.statistics()
        handle, self._handle = self._handle, None
        _native.media_engine_free(handle)

    def open_leg(self, *, ice: bool = False) -> MediaLeg:
        """A new leg on a free port; raises NoPortsLeft, or OSError when file descriptors have run out.

        With ``ice`` one port is for everything: STUN and DTLS come as Datagram events, RTP and RTCP are SRTP, wait for
        :meth:`MediaLeg.set_path` and :meth:`MediaLeg.secure`, and follow no address but the path's.
        """
        if self._handle is None:
            raise RuntimeError("the media engine is closed")
        open_on = _native.media_leg_open_ice if ice else _native.media_leg_open
        with self._lock:
            for _ in range(len(self._ports) or 1):
                port = self._take_port()
                leg_id: int = open_on(self._handle, port)
                if leg_id >= 0:
                    leg = self._legs[leg_id] = MediaLeg(self, leg_id, self.address, port, ice=ice)
                    return leg
                self._ports.give_back(port)
                if leg_id == -errno.EUSERS:
                    raise NoPortsLeft("as many legs are open as the engine was made for")
                if leg_id != -errno.EADDRINUSE:
                    raise OSError(-leg_id, os.strerror(-leg_id))
        raise NoPortsLeft("every free RTP port is taken by another program")

    def _take_port(self) -> int:
        before = self._ports.hurried
        port = self._ports.take()
        if self._ports.hurried > before and self._clock() - self._hurry_told > _HURRY_TOLD_EVERY:
            self._hurry_told = self._clock()
            log.warning("calls come faster than the RTP ports can rest after use: widen the range of media ports")
        return port

    def open_mix(self) -> Mix:
        """A mix without legs; raises OSError without memory, or when there are as many as there may be legs."""
        if self._handle is None:
            raise RuntimeError("the media engine is closed")
        mix_id: int = _native.media_mix_open(self._handle)
        if mix_id < 0:
            raise OSError(-mix_id, os.strerror(-mix_id))
        return Mix(self, mix_id)

    def events(self) -> list[MediaEvent]:
        """What has happened since the last call, in order. One thread at a time."""
        if self._handle is None:
            events, self._last_events = self._last_events, []
            return events
        start = ctypes.c_void_p()
        size: int = _native.media_engine_events(self._handle, ctypes.byref(start))
        if not size or not start.value:
            return []
        return _events(ctypes.string_at(start.value, size))

    def statistics(self) -> EngineStatistics:
        """The counters now; for a closed engine those at its end."""
        if self._handle is None:
            assert self._last_statistics is not None
            return self._last_statistics
        native = binding.MediaEngineStatistics()
        _native.media_engine_statistics(self._handle, ctypes.byref(native))
        return EngineStatistics(
            legs=native.legs,
            wake_ups=native.wake_ups,
            late_slots=native.late_slots,
            missed_slots=native.missed_slots,
            events_dropped=native.events_dropped,
            realtime=bool(native.realtime),
            longest_hold_ms=native.longest_hold_ns / 1e6,
            longest_work_ms=native.longest_work_ns / 1e6,
            commands=native.commands,
            waited_ms=native.waited_ns / 1e6,
            longest_wait_ms=native.longest_wait_ns / 1e6,
            kept_out_ms=native.kept_out_ns / 1e6,
            longest_kept_out_ms=native.longest_kept_out_ns / 1e6,
        )

    def _check_address(self, address: str) -> None:
        if _version(address) != self._family:
            raise ValueError(f"{address} cannot be reached from {self.address}")

    def _check_srtp(self) -> None:
        if self.srtp_problem is not None:
            raise SrtpUnavailable(self.srtp_problem)

    def _leg_closed(self, leg: MediaLeg) -> None:
        with self._lock:
            if self._legs.pop(leg.id, None) is not None:
                self._ports.give_back(leg.port)


def _events(buffer: bytes) -> list[MediaEvent]:
    events: list[MediaEvent] = []
    at = 0
    while at < len(buffer):
        kind, size, leg, value, extra = _event.unpack_from(buffer, at)
        at += _event.size
        if kind == binding.EVENT_AUDIO:
            events.append(AudioChunk(leg, buffer[at : at + size]))
        elif kind == binding.EVENT_KEY:
            events.append(KeyReceived(leg, chr(value), bool(extra)))
        elif kind == binding.EVENT_PLAY_ENDED:
            events.append(PlayEnded(leg, value, extra >> 1, bool(extra & 1)))
        elif kind == binding.EVENT_MEDIA_STARTED:
            events.append(MediaStarted(leg))
        elif kind == binding.EVENT_MEDIA_LOST:
            events.append(MediaLost(leg))
        elif kind == binding.EVENT_MEDIA_BACK:
            events.append(MediaBack(leg))
        elif kind == binding.EVENT_DATAGRAM:
            events.append(_datagram(leg, buffer[at : at + size], value, extra))
        at += (size + 7) & ~7
    return events


def _datagram(leg: int, data: bytes, port: int, extra: int) -> Datagram:
    length, scope = extra & 255, extra >> 8
    address = socket.inet_ntop(socket.AF_INET6 if length == 16 else socket.AF_INET, data[:length])
    return Datagram(leg, data[length:], f"{address}%{scope}" if scope else address, port)
