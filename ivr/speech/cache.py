"""Spoken texts that are kept: on disk across restarts, and the latest in memory. Nothing here speaks.

A file of the disk cache is a Sun audio file (``.au``: mu-law, 8,000 Hz), so any player opens it; what follows its
header are the bytes that go on the wire. The header's comment holds a digest of them and the text.
"""

from __future__ import annotations

import hashlib
import json
import logging
import struct
from collections import OrderedDict
from dataclasses import astuple
from pathlib import Path

from gateway.call import Clip
from ivr.bounded_folder import BoundedFolder
from ivr.speech.voice import Voice

__all__ = ["RecentClips", "SpeechCache", "cache_key"]

log = logging.getLogger(__name__)

# Counts up when the same voice and engine would come out differently (level, filters, this file format).
_MAKING = 1

_HEADER = struct.Struct(">4s5I")
_MAGIC = b".snd"
_MULAW_8_BIT = 1
_DIGEST_SIZE = 16


def cache_key(text: str, voice: Voice, version: str, *, ssml: bool = False) -> str:
    """What the sound of a text depends on, as a name for a file. ``version``: of the voice, as its engine says."""
    made_of = json.dumps([_MAKING, version, astuple(voice), *(["ssml"] if ssml else []), text])
    return hashlib.blake2b(made_of.encode(), digest_size=20).hexdigest()


class SpeechCache:
    """A folder of spoken texts, bounded in size; what was not asked for longest goes first.

    Any thread may call any method, and any number of processes may share the folder. It is a cache: a full disk or
    a damaged file costs time, never a prompt, so nothing here raises for them.
    """

    def __init__(self, folder: Path, bound: int = 512 * 2**20) -> None:
        """``bound``: bytes the folder may take. The folder is made; raises OSError if that is not possible."""
        folder.mkdir(parents=True, exist_ok=True)
        self._files = BoundedFolder(folder, ".au", bound, "speech cache: texts")

    def get(self, key: str) -> Clip | None:
        """The clip of a :func:`cache_key`, None if there is none or its file is damaged (it is removed then)."""
        path = self._files.path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        clip = _parse(content)
        if clip is None:
            log.warning("speech cache: %s is damaged and will be made again", path)
            path.unlink(missing_ok=True)
            return None
        self._files.asked_for(key)
        return clip

    def put(self, key: str, clip: Clip) -> None:
        """Keep a clip; whoever reads meanwhile, here or in another process, sees all of it or nothing."""
        self._files.write(key, _format(clip))


class RecentClips:
    """Clips in memory by key, bounded in bytes; what was not asked for longest goes first."""

    def __init__(self, bound: int = 64 * 2**20) -> None:
        self._bound = bound
        self._size = 0
        self._clips: OrderedDict[str, Clip] = OrderedDict()

    def get(self, key: str) -> Clip | None:
        clip = self._clips.get(key)
        if clip is not None:
            self._clips.move_to_end(key)
        return clip

    def put(self, key: str, clip: Clip) -> None:
        """Keep a clip, unless it alone is larger than the bound."""
        replaced = self._clips.pop(key, None)
        if replaced is not None:
            self._size -= len(replaced.pcmu)
        if len(clip.pcmu) > self._bound:
            return
        self._clips[key] = clip
        self._size += len(clip.pcmu)
        while self._size > self._bound:
            _, oldest = self._clips.popitem(last=False)
            self._size -= len(oldest.pcmu)


def _digest(pcmu: bytes) -> bytes:
    return hashlib.blake2b(pcmu, digest_size=_DIGEST_SIZE).digest()


def _format(clip: Clip) -> bytes:
    comment = _digest(clip.pcmu).hex().encode() + b" " + clip.name.encode("utf-8", "replace") + b"\0"
    comment += bytes(-len(comment) % 8)
    header = _HEADER.pack(_MAGIC, _HEADER.size + len(comment), len(clip.pcmu), _MULAW_8_BIT, 8000, 1)
    return header + comment + clip.pcmu


def _parse(content: bytes) -> Clip | None:
    """The clip of a file's content, None if a byte of its sound is not as it was written."""
    try:
        magic, offset, size, encoding, rate, channels = _HEADER.unpack_from(content)
        comment = content[_HEADER.size : offset].rstrip(b"\0")
        digest, _, name = comment.partition(b" ")
        pcmu = content[offset:]
        whole = (magic, encoding, rate, channels, size) == (_MAGIC, _MULAW_8_BIT, 8000, 1, len(pcmu))
        return Clip(pcmu, name.decode()) if whole and digest.decode() == _digest(pcmu).hex() else None
    except (struct.error, UnicodeDecodeError):
        return None
