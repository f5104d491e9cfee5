"""Engines that misbehave, to be named in a voice as ``tests.speech.engines:Hanging``."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.call import Clip
from ivr.hearing import Hypothesis, Wanted
from ivr.speech.synthesis import Fault
from ivr.speech.voice import Voice


class Patient:
    """Says the text's bytes. ``sleep S`` takes S seconds first."""

    def prepare(self, voice: Voice) -> str:
        return "1"

    def unread(self, element: str, attributes: Mapping[str, str]) -> Fault | None:
        return None

    def voices(self) -> Sequence[str]:
        return []

    def render(self, text: str, voice: Voice, *, ssml: bool = False) -> Clip:
        if text.startswith("sleep "):
            time.sleep(float(text.split()[1]))
        return Clip(text.encode(), text)


class Deadly:
    """Kills its process: at every text, or at the first one if the text is the path of a file to remember it in."""

    def prepare(self, voice: Voice) -> str:
        return "1"

    def unread(self, element: str, attributes: Mapping[str, str]) -> Fault | None:
        return None

    def voices(self) -> Sequence[str]:
        return []

    def render(self, text: str, voice: Voice, *, ssml: bool = False) -> Clip:
        before = Path(text)
        if before.is_absolute():
            if before.exists():
                return Clip(b"alive", text)
            before.touch()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("killed")


class Chatty:
    """Prints where replies go."""

    def prepare(self, voice: Voice) -> str:
        return "1"

    def unread(self, element: str, attributes: Mapping[str, str]) -> Fault | None:
        return None

    def voices(self) -> Sequence[str]:
        print("voices? what voices?")
        return ["anna", "bruno"]

    def render(self, text: str, voice: Voice, *, ssml: bool = False) -> Clip:
        print("Audio saved")
        os.write(1, b"native chatter\n")
        sys.stdout.flush()
        return Clip(text.encode(), text)


class Broken:
    def __init__(self) -> None:
        raise OSError("libvoice.so.3: cannot open shared object file")


class EchoRecogniser:
    """Hears the first phrase, whatever is said."""

    version = "1"
    streams = False

    def __init__(self, language: str, model: Path | None) -> None: ...

    def complaints(self, wanted: Wanted) -> Sequence[str]:
        return ()

    def utterance(self, wanted: Wanted) -> EchoUtterance:
        return EchoUtterance(wanted)


class EchoUtterance:
    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted

    def feed(self, pcm: bytes) -> str | None:
        return None

    def finish(self) -> Sequence[Hypothesis]:
        first = self._wanted.phrases[0]
        return (Hypothesis(first.forms[0], 1.0, first.name),)
