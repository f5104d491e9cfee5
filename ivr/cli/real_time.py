"""A call that is played as time goes by: moved on by the clock, and heard if there is something to hear it with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Protocol

from gateway.call import Clip
from ivr.cli.loudspeaker import RATE, Loudspeaker, NoLoudspeaker
from ivr.run.actions import Play, PlayItem
from ivr.run.simulation import Simulation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Sounds(Protocol):
    """What prompts sound like."""

    def clip(self, item: PlayItem) -> Clip | None: ...


class RealTime:
    """Owns the clock of a call that is played, and what the loudspeaker does; the call itself is its asker's."""

    def __init__(
        self,
        played: Simulation,
        sounds: Sounds,
        open_loudspeaker: Callable[[], Loudspeaker],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``open_loudspeaker`` may raise NoLoudspeaker: the call is silent then; :attr:`silent_because` says why."""
        self._played = played
        self._sounds = sounds
        self._open_loudspeaker = open_loudspeaker
        self._clock = clock
        self._loudspeaker: Loudspeaker | None = None
        self.silent_because: str | None = None
        self._at = 0.0
        self._running = False
        self._heard: tuple[object, int] | None = None
        self._endless = False

    def catch_up(self) -> None:
        """Let happen what should have by now; begins, or ends, with the call's own wish to be played so."""
        now = self._clock()
        if self._played.slow and not self._running:
            self._begin()
        elif self._running:
            self._played.passes(now - self._at)
        self._running = self._played.slow
        self._at = now
        self._sound()

    async def goes_on(self, happened: Callable[[], None]) -> None:
        """Catch up whenever something is due, and say so each time, until cancelled."""
        while True:
            due = self._played.next_in if self._running else None
            if due is None:
                await asyncio.Event().wait()
            else:
                await asyncio.sleep(due)
                self.catch_up()
                happened()

    def close(self) -> None:
        """Be silent."""
        if self._loudspeaker is not None:
            self._loudspeaker.stop()

    def _begin(self) -> None:
        if self._loudspeaker is None:
            try:
                self._loudspeaker, self.silent_because = self._open_loudspeaker(), None
            except NoLoudspeaker as error:
                self.silent_because = str(error)

    def _sound(self) -> None:
        """Let the loudspeaker do what the caller's telephone does now."""
        if self._loudspeaker is None:
            return
        script = self._played.script
        play = script.plays if self._running else None
        rings = self._running and play is None and script.ringback and not script.run.finished
        # Another script: something was taken back, and the same number means another play.
        heard = None if play is None and not rings else (script, play.play_id if play is not None else -1)
        if heard == self._heard:
            return
        try:
            if play is not None:
                self._play(self._loudspeaker, play)
            elif rings:
                self._loudspeaker.play(_ringback(), loop=True)
                self._endless = True
            elif self._endless or not self._running or script.run.finished or (script.heard and script.heard[-1].cut):
                self._loudspeaker.stop()
                self._endless = False
            # What came to its end is left to: a sound card is always a little late.
        except NoLoudspeaker as error:
            self._loudspeaker, self.silent_because = None, str(error)
        self._heard = heard

    def _play(self, loudspeaker: Loudspeaker, play: Play) -> None:
        import numpy as np

        parts = [np.zeros(0, np.int16)]
        for item in play.items:
            clip = self._sounds.clip(item)
            # What cannot be made is silence, for as long as the call takes it to last.
            silence = round(RATE * self._played.script.length(item))
            parts.append(np.zeros(silence, np.int16) if clip is None else clip.to_pcm())
        loudspeaker.play(np.concatenate(parts), loop=play.loop)
        self._endless = play.loop


@cache
def _ringback() -> NDArray[np.int16]:
    """A second of the tone, and four of silence."""
    import numpy as np

    tone = 6_000 * np.sin(2 * np.pi * 425 * np.arange(RATE) / RATE)
    return np.concatenate([tone, np.zeros(4 * RATE)]).astype(np.int16)
