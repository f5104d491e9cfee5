"""What a recognition engine is to the rest: loaded once for a language in a process of its own, used by some threads.

Sound is signed 16-bit samples at 8,000 Hz, native byte order, one utterance at a time: where speech begins and ends is
decided before (:mod:`ivr.speech.recognition.endpointer`), key tones are already muted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ivr.hearing import Hypothesis, Wanted

__all__ = ["Recogniser", "RecognitionError", "Utterance"]


class RecognitionError(Exception):
    """An engine cannot be had or cannot do what is asked. The text is for the operator: what, where, and the remedy."""


class Utterance(Protocol):
    """One utterance on its way. Used by one thread at a time; several utterances of an engine run side by side."""

    def feed(self, pcm: bytes) -> str | None:
        """Some more sound. Returns what has been understood so far if that has changed and the engine knows."""

    def finish(self) -> Sequence[Hypothesis]:
        """The utterance is over: what was said, best first, word times from its start; none if it is not known."""


class Recogniser(Protocol):
    """An engine with its model of one language, loaded."""

    @property
    def version(self) -> str: ...

    def complaints(self, wanted: Wanted) -> Sequence[str]:
        """What the engine cannot hear of this, each as a sentence for the operator (words that the model lacks, a type
        that it does not know). Empty if all is well."""

    def utterance(self, wanted: Wanted) -> Utterance:
        """Raises RecognitionError if nothing of it can be heard."""
