"""The C functions of the media engine as ctypes sees them; mirrors native/media.h and holds no logic."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_uint8, c_void_p
from functools import lru_cache
from pathlib import Path
from typing import Any

ABI = 7
"""MEDIA_ABI of the header that this file mirrors."""

THEN_END, THEN_AGAIN, THEN_WAIT = range(3)
EVENT_KEY, EVENT_PLAY_ENDED, EVENT_MEDIA_STARTED, EVENT_MEDIA_LOST, EVENT_MEDIA_BACK, EVENT_AUDIO = range(1, 7)
EVENT_DATAGRAM = 7
EVENT_FORMAT = "=IIqqq"
"""kind, size of what follows in bytes, leg, value, extra"""

LIBRARY = Path(__file__).with_name("_engine.so")


class EngineNotBuilt(ImportError):
    """The engine's shared library is missing, or was built from other sources than these."""


class MediaRemote(ctypes.Structure):
    _fields_ = [
        ("address", c_char * 64),
        ("port", c_int32),
        ("rtcp_port", c_int32),
        ("codec", c_int32),
        ("payload_type", c_int32),
        ("payload_type_in", c_int32),
        ("telephone_event", c_int32),
        ("telephone_event_in", c_int32),
        ("ptime_ms", c_int32),
        ("send", c_int32),
        ("receive", c_int32),
        ("rtcp_mux", c_int32),
    ]


class MediaSrtp(ctypes.Structure):
    _fields_ = [
        ("profile", c_int32),
        ("send", c_uint8 * 44),
        ("receive", c_uint8 * 44),
    ]


class MediaLegStatistics(ctypes.Structure):
    _fields_ = [
        ("packets_sent", c_int64),
        ("bytes_sent", c_int64),
        ("packets_received", c_int64),
        ("bytes_received", c_int64),
        ("lost", c_int64),
        ("duplicates", c_int64),
        ("reordered", c_int64),
        ("ignored", c_int64),
        ("malformed", c_int64),
        ("send_errors", c_int64),
        ("remote_lost", c_int64),
        ("audio_sent_ms", c_int64),
        ("audio_received_ms", c_int64),
        ("unauthentic", c_int64),
        ("replayed", c_int64),
        ("datagrams_dropped", c_int64),
        ("jitter_ms", c_double),
        ("remote_jitter_ms", c_double),
        ("round_trip_ms", c_double),
    ]


class MediaEngineStatistics(ctypes.Structure):
    _fields_ = [
        ("legs", c_int64),
        ("wake_ups", c_int64),
        ("late_slots", c_int64),
        ("missed_slots", c_int64),
        ("events_dropped", c_int64),
        ("realtime", c_int64),
        ("longest_hold_ns", c_int64),
        ("longest_work_ns", c_int64),
        ("commands", c_int64),
        ("waited_ns", c_int64),
        ("longest_wait_ns", c_int64),
        ("kept_out_ns", c_int64),
        ("longest_kept_out_ns", c_int64),
    ]


_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "media_load_opus": (c_int, (c_char_p,)),
    "media_engine_new": (c_void_p, (c_char_p, c_int, c_double, c_int, c_int)),
    "media_engine_start": (c_int, (c_void_p,)),
    "media_engine_stop": (None, (c_void_p,)),
    "media_engine_free": (None, (c_void_p,)),
    "media_engine_event_fd": (c_int, (c_void_p,)),
    "media_engine_statistics": (None, (c_void_p, POINTER(MediaEngineStatistics))),
    "media_engine_events": (c_size_t, (c_void_p, POINTER(c_void_p))),
    "media_engine_use_srtp": (c_char_p, (c_void_p, c_char_p)),
    "media_leg_open": (c_int64, (c_void_p, c_int)),
    "media_leg_open_ice": (c_int64, (c_void_p, c_int)),
    "media_leg_close": (c_int, (c_void_p, c_int64, POINTER(MediaLegStatistics))),
    "media_leg_statistics": (c_int, (c_void_p, c_int64, POINTER(MediaLegStatistics))),
    "media_leg_set_remote": (c_int, (c_void_p, c_int64, POINTER(MediaRemote))),
    "media_leg_expect": (c_int, (c_void_p, c_int64)),
    "media_leg_play": (
        c_int,
        (c_void_p, c_int64, c_int64, POINTER(c_char_p), POINTER(c_size_t), c_int, c_int),
    ),
    "media_leg_extend_play": (
        c_int,
        (c_void_p, c_int64, c_int64, POINTER(c_char_p), POINTER(c_size_t), c_int, c_int),
    ),
    "media_leg_await": (c_int, (c_void_p, c_int64, c_int)),
    "media_leg_stop_playing": (c_int, (c_void_p, c_int64)),
    "media_leg_send_keys": (c_int, (c_void_p, c_int64, c_char_p, c_int, c_int)),
    "media_leg_bridge": (c_int, (c_void_p, c_int64, c_int64)),
    "media_leg_unbridge": (c_int, (c_void_p, c_int64)),
    "media_mix_open": (c_int64, (c_void_p,)),
    "media_mix_close": (c_int, (c_void_p, c_int64)),
    "media_mix_add": (c_int, (c_void_p, c_int64, c_int64)),
    "media_mix_remove": (c_int, (c_void_p, c_int64, c_int64)),
    "media_leg_listen": (c_int, (c_void_p, c_int64, c_int)),
    "media_leg_detect_inband_keys": (c_int, (c_void_p, c_int64, c_int)),
    "media_leg_secure": (c_int, (c_void_p, c_int64, POINTER(MediaSrtp))),
    "media_leg_set_path": (c_int, (c_void_p, c_int64, c_char_p, c_int)),
    "media_leg_send_datagram": (c_int, (c_void_p, c_int64, c_char_p, c_size_t, c_char_p, c_int)),
}


@lru_cache
def load(library: Path = LIBRARY) -> ctypes.CDLL:
    """The engine's library with every function typed; raises EngineNotBuilt.

    Calls keep the GIL: a command takes microseconds, and to get the GIL back can take 5 ms beside a busy thread.
    """
    remedy = "build it with `make`, `pip install -e .` or `python hatch_build.py`"
    if not library.exists():
        raise EngineNotBuilt(f"the media engine has not been built ({library} is missing): {remedy}")
    try:
        native = ctypes.PyDLL(str(library), use_errno=True)
        current = native.media_abi() == ABI
    except (OSError, AttributeError) as error:
        raise EngineNotBuilt(f"the media engine cannot be loaded ({error}): {remedy}") from error
    if not current:
        raise EngineNotBuilt(f"{library} was built from other sources: {remedy}")
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(native, name)
        function.restype, function.argtypes = result, arguments
    return native
