"""The voice of an acted caller, and whoever listens to it: what a recogniser would tell of it, and when. Seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ivr.hearing import Hypothesis, Recognition, Wanted
from ivr.run.actions import Listen
from ivr.run.events import HearingFailed, SpeechHeard, SpeechStarted

BEGINS: Final = 0.25
"""Speech that long is no noise."""
TOOK: Final = 0.2
"""From the moment at which the caller counts as having finished until it is known what he said."""
A_WORD: Final = 0.4
NOBODY_LISTENS: Final = "the test says so"

SpeechEvent = SpeechStarted | SpeechHeard | HearingFailed


def seconds_of(hypotheses: Sequence[Hypothesis]) -> float:
    """How long it takes to say that; what nobody understands takes a second."""
    return max(0.5, A_WORD * len(hypotheses[0].text.split())) if hypotheses else 1.0


class Voice:
    """Owns what is listened for, and for how long nobody can listen."""

    def __init__(self) -> None:
        self._listen: Listen | None = None
        self._since = 0.0
        self.fails = False
        """Nobody can listen, whoever wants to."""

    @property
    def listened_to(self) -> bool:
        return self._listen is not None

    @property
    def wanted(self) -> Wanted | None:
        """What is listened for."""
        return None if self._listen is None else self._listen.wanted

    def listen(self, listen: Listen, now: float) -> None:
        self._listen, self._since = listen, now

    def stop(self, listen_id: int) -> None:
        if self._listen is not None and self._listen.listen_id == listen_id:
            self._listen = None

    def lost(self) -> HearingFailed | None:
        """What has become of the listening if nobody can listen."""
        if self._listen is None or not self.fails:
            return None
        return HearingFailed(self._listen.listen_id, NOBODY_LISTENS)

    def told(self, event: SpeechEvent) -> bool:
        """Whether the event is still to be told: nothing is owed once listening was stopped."""
        current = self._listen is not None and self._listen.listen_id == event.listen_id
        if current and not isinstance(event, SpeechStarted):
            self._listen = None
        return current

    def speaks(
        self, hypotheses: Sequence[Hypothesis], seconds: float, now: float
    ) -> Iterator[tuple[float, SpeechStarted | SpeechHeard]]:
        """What comes of so many seconds of speech from now on, and when; nothing if nobody hears it.

        Speech cuts what plays only if it can still be heard for long enough once the beginning of a prompt is over.
        """
        listen = self._listen
        if listen is None:
            return
        wanted = listen.wanted
        begins, ends = max(now, self._since + wanted.deaf_for), now + min(seconds, wanted.longest)
        if ends - begins < BEGINS:
            return
        yield begins + BEGINS, SpeechStarted(listen.listen_id)
        recognition = Recognition(
            tuple(hypotheses),
            round((begins - self._since) * 1000),
            round((ends - self._since) * 1000),
            round(TOOK * 1000),
        )
        yield ends + wanted.speech_timeout + TOOK, SpeechHeard(listen.listen_id, recognition)
