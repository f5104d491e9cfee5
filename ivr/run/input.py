"""Asking for keys: one algorithm for every step that asks (menu, collect, confirm), without a clock or a telephone.

How one try goes:

1. Keys typed ahead are taken, or thrown away (``type_ahead: clear``). If keys were taken and the prompt may be cut,
   it is not played at all.
2. The prompt plays. A key cuts it (``barge_in``); if it must not, the key joins the keys typed ahead, which are taken
   or thrown away when the prompt is over.
3. ``timeout`` runs from the end of the prompt until the first key.
4. After a key, ``gap`` runs. The keys are judged at once when no longer input could be right, when the finish key is
   pressed, and when the gap is over. The finish key is an ordinary key where a pattern goes on with it; pressed alone
   it means nothing was entered.
5. Nothing entered is ``no_input``, something that is not asked for is ``no_match``. Either costs a try, and with a
   try left the caller hears item *n* of that kind's list at its *n*-th time (the last item repeats), then the main
   prompt. Keys typed ahead behind unusable ones are thrown away, so that the caller hears what was wrong.
6. After ``tries`` the input has failed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from ivr.flow.model import InputSettings

Failure = Literal["no_input", "no_match"]

TYPED_AHEAD_LIMIT = 64
"""More keys than any caller types ahead on purpose; a stuck key must not fill the memory."""


class TypedAhead:
    """The keys a caller pressed when nobody was listening; one for a call."""

    def __init__(self) -> None:
        self._keys = ""
        self._forgiven = ""
        self._forgiven_until = 0.0

    def __bool__(self) -> bool:
        return bool(self._keys)

    def push(self, key: str) -> None:
        """Keep a key; one too many is lost."""
        if len(self._keys) < TYPED_AHEAD_LIMIT:
            self._keys += key

    def pop(self) -> str:
        """The oldest key. Raises IndexError if there is none."""
        key, self._keys = self._keys[0], self._keys[1:]
        return key

    def clear(self) -> None:
        self._keys = ""

    def forgive(self, key: str, until: float) -> None:
        """Let ``key`` count for nothing if it is what comes next, and comes until then.

        Callers who were told to end with a hash key press it also when the last digit has been enough.
        """
        if self._keys:
            self._keys = self._keys.removeprefix(key)
        else:
            self._forgiven, self._forgiven_until = key, until

    def forgives(self, key: str, now: float) -> bool:
        """Whether this key, which was just pressed, counts for nothing. To be asked of every key, before it is used."""
        forgiven, self._forgiven = self._forgiven, ""
        return bool(forgiven) and key == forgiven and now <= self._forgiven_until


class Matcher(Protocol):
    """What a step waits for."""

    def match(self, keys: str) -> str | None:
        """The name of what ``keys`` stand for, None if they are not (yet) right. May raise what the step raises."""

    def goes_on(self, keys: str) -> bool:
        """Whether something longer that begins with ``keys`` could be right."""


@dataclass(frozen=True, slots=True)
class Digits:
    """Waits for between ``fewest`` and ``most`` digits that pass a further check."""

    fewest: int
    most: int
    check: Callable[[str], bool] = lambda _: True

    def match(self, keys: str) -> str | None:
        if not self.fewest <= len(keys) <= self.most or not all(key in "0123456789" for key in keys):
            return None
        return "digits" if self.check(keys) else None

    def goes_on(self, keys: str) -> bool:
        return len(keys) < self.most and all(key in "0123456789" for key in keys)


# What an input asks for and tells. ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlayPrompt:
    """Play item ``item`` (from 0) of the list for ``after``, unless this is the first try, then the main prompt."""

    try_no: int
    after: Failure | None = None
    item: int = 0


@dataclass(frozen=True, slots=True)
class CutPrompt:
    """Stop the prompt."""


@dataclass(frozen=True, slots=True)
class TryOver:
    """A try is over. ``keys`` without the finish key."""

    try_no: int
    outcome: Literal["matched"] | Failure
    keys: str
    match: str | None
    began: float
    barged_in: bool
    prompt_played: bool
    last: bool
    """No further try follows."""


Ask = PlayPrompt | CutPrompt | TryOver


class KeyInput:
    """Asks until something right is entered or the tries are used up.

    The asker plays what :class:`PlayPrompt` says and tells :meth:`prompt_ended` when it is over; a prompt that
    was cut needs no telling. ``timeout`` and ``gap`` are seconds.
    """

    def __init__(
        self,
        matcher: Matcher,
        settings: InputSettings,
        typed_ahead: TypedAhead,
        *,
        prompts_after: Callable[[Failure], int] = lambda _: 0,
        finish_empty: bool = False,
    ) -> None:
        """``prompts_after`` is how many items the list of that kind has; ``finish_empty`` lets the finish key alone
        be judged as an (empty) input instead of as nothing entered."""
        self._matcher = matcher
        self._settings = settings
        self._typed_ahead = typed_ahead
        self._prompts_after = prompts_after
        self._finish_empty = finish_empty
        self._failures: dict[Failure, int] = {"no_input": 0, "no_match": 0}
        self._try_no = 0
        self._keys = ""
        self._began = 0.0
        self._prompting = False
        self._prompt_played = False
        self._barged_in = False
        self._deadline: float | None = None
        self.result: TryOver | None = None
        """The last try, once there is no other."""

    def start(self, now: float) -> list[Ask]:
        return self._begin_try(None, now)

    def key(self, key: str, now: float) -> list[Ask]:
        """The caller pressed a key."""
        if self.result is not None:
            self._typed_ahead.push(key)
            return []
        if not self._prompting:
            return self._take(key, now)
        if not self._settings.barge_in:
            self._typed_ahead.push(key)
            return []
        self._prompting, self._barged_in = False, True
        return [CutPrompt(), *self._take(key, now)]

    def prompt_ended(self, now: float) -> list[Ask]:
        """The prompt was played to its end, or there is nothing to play."""
        if not self._prompting:
            return []
        self._prompting = False
        return self._listen(now)

    def next_timer(self) -> float | None:
        return self._deadline

    def handle_timer(self, now: float) -> list[Ask]:
        if self._deadline is None or now < self._deadline:
            return []
        return self._judge(now)

    def _begin_try(self, after: Failure | None, now: float) -> list[Ask]:
        self._try_no += 1
        self._keys, self._began, self._deadline = "", now, None
        self._barged_in = self._prompt_played = False
        self._prompting = True
        if self._settings.type_ahead == "clear":
            self._typed_ahead.clear()
        if self._typed_ahead and self._settings.barge_in:
            self._prompting, self._barged_in = False, True
            return self._listen(now)
        self._prompt_played = True
        item = 0
        if after is not None:
            item = max(0, min(self._failures[after], self._prompts_after(after)) - 1)
        return [PlayPrompt(self._try_no, after, item)]

    def _listen(self, now: float) -> list[Ask]:
        if self._settings.type_ahead == "clear":
            self._typed_ahead.clear()
        this_try = self._try_no
        self._deadline = now + self._settings.timeout
        asks: list[Ask] = []
        while self._typed_ahead and self._try_no == this_try and self.result is None:
            asks += self._take(self._typed_ahead.pop(), now)
        return asks

    def _take(self, key: str, now: float) -> list[Ask]:
        keys = self._keys + key
        if key == self._settings.finish_key and not self._named(keys):
            return self._judge(now, finished=True)
        self._keys = keys
        if not self._matcher.goes_on(keys):
            asks = self._judge(now)
            finish = self._settings.finish_key
            if finish and len(keys) > 1 and self.result is not None and self.result.match is not None:
                self._typed_ahead.forgive(finish, now + self._settings.gap)
            return asks
        self._deadline = now + self._settings.gap
        return []

    def _named(self, keys: str) -> bool:
        return self._matcher.goes_on(keys) or self._matcher.match(keys) is not None

    def _judge(self, now: float, *, finished: bool = False) -> list[Ask]:
        self._deadline = None
        match = None
        if self._keys or (finished and self._finish_empty):
            match = self._matcher.match(self._keys)
        if match is not None:
            return self._over("matched", match)
        failure: Failure = "no_match" if self._keys else "no_input"
        self._failures[failure] += 1
        self._typed_ahead.clear()
        over = self._over(failure, None)
        return over if self.result is not None else [*over, *self._begin_try(failure, now)]

    def _over(self, outcome: Literal["matched"] | Failure, match: str | None) -> list[Ask]:
        last = outcome == "matched" or self._try_no >= self._settings.tries
        over = TryOver(
            self._try_no, outcome, self._keys, match, self._began, self._barged_in, self._prompt_played, last
        )
        if last:
            self.result = over
        return [over]
