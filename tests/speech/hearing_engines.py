"""Engines of the tests that hear by how long somebody speaks, or misbehave, to be named as
``tests.speech.hearing_engines:Lengths``. Models that understand words have tests of their own."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from ivr.hearing import Hypothesis, Wanted, Word
from ivr.speech.recognition.port import RecognitionError


class Lengths:
    """Understands how long the utterance is: short ones (up to 1.2 s of sound) are the first phrase, others the second.

    What a phrase's form says is done first: ``sleep S``, ``die``, ``hang``, ``raise``; ``nothing`` understands nothing.
    """

    version = "lengths 1"
    streams = True

    def __init__(self, language: str, model: Path | None) -> None:
        if language == "xx":
            raise RecognitionError("there is no model for xx: write one down under recognition")
        if language == "zz":
            os.kill(os.getpid(), signal.SIGKILL)
        self._once = model

    def complaints(self, wanted: Wanted) -> Sequence[str]:
        return [f"'{form}' is not a word" for phrase in wanted.phrases for form in phrase.forms if "?" in form]

    def utterance(self, wanted: Wanted) -> _Length:
        if any("refuse" in phrase.forms for phrase in wanted.phrases):
            raise RecognitionError("nothing of this can be heard")
        print("chatter where frames go")
        return _Length(wanted)


class _Length:
    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._bytes = 0

    def feed(self, pcm: bytes) -> None:
        self._bytes += len(pcm)

    def finish(self) -> Sequence[Hypothesis]:
        if not self._wanted.phrases:
            return [Hypothesis(f"{self._bytes // 16} ms", 0.9)]
        for phrase in self._wanted.phrases:
            for form in phrase.forms:
                _do(form)
        phrase = self._wanted.phrases[0 if self._bytes <= 19_200 else 1]
        if "nothing" in phrase.forms:
            return []
        return [Hypothesis(phrase.forms[0], 0.8, phrase.name, (Word(phrase.forms[0], 0.8, 100, 200),))] * 7


def _do(form: str) -> None:
    match form.split():
        case ["sleep", seconds]:
            time.sleep(float(seconds))
        case ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["hang"]:
            threading.Event().wait()
        case ["raise"]:
            raise ValueError("an engine's mistake")
        case ["leave"]:
            sys.exit(3)
