"""The rows of a call's steps: numbered as they end, given out in order once it is known how much was heard.

A key can finish a step before the telephone side has told where the prompt was cut, so a row may have to wait for it,
and the rows behind it wait too.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from ivr.run.actions import StepDone, StepRecord


class Ledger:
    """Owns the rows until they are complete."""

    def __init__(self) -> None:
        self._seq = 0
        self._waiting: deque[tuple[StepRecord, int | None]] = deque()
        self._heard: dict[int, int] = {}
        self._last_over = 0

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def add(self, record: StepRecord, play_id: int | None) -> list[StepDone]:
        """Take a row; ``play_id`` is the play it has to wait for, None if there was none."""
        self._waiting.append((record, play_id))
        return self._complete()

    def heard(self, play_id: int, milliseconds: int) -> list[StepDone]:
        """A play is over. Plays end in order: an earlier one of which nothing was told is no longer waited for."""
        self._heard = {play_id: milliseconds}
        self._last_over = max(self._last_over, play_id)
        return self._complete()

    def close(self) -> list[StepDone]:
        """Give out the rest as it is: nothing more will be heard of their plays."""
        rest = [StepDone(self._filled(record, play_id)) for record, play_id in self._waiting]
        self._waiting.clear()
        return rest

    def _complete(self) -> list[StepDone]:
        done = []
        while self._waiting:
            record, play_id = self._waiting[0]
            if play_id is not None and play_id > self._last_over:
                break
            self._waiting.popleft()
            done.append(StepDone(self._filled(record, play_id)))
        return done

    def _filled(self, record: StepRecord, play_id: int | None) -> StepRecord:
        if play_id is None:
            return record
        return replace(record, heard_ms=self._heard.get(play_id, record.heard_ms))
