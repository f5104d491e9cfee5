"""Asking for keys and speech: one algorithm for every step that asks, without a clock, a telephone or a recogniser.

How one try goes:

1. Keys typed ahead are taken, or thrown away (``type_ahead: clear``). If keys were taken and the prompt may be cut,
   it is not played at all.
2. The prompt plays. A key cuts it (``barge_in``); if it must not, the key joins the keys typed ahead, which are taken
   or thrown away when the prompt is over. Speech cuts it too (``barge_in_speech``); if it must not, nobody listens
   before the prompt is over.
3. ``timeout`` runs from the end of the prompt until the first key, or until the caller speaks.
4. After a key, ``gap`` runs. The keys are judged at once when no longer input could be right, when the finish key is
   pressed, and when the gap is over. The finish key is an ordinary key where a pattern goes on with it; pressed alone
   it means nothing was entered.
5. The first key ends listening: from then on the try is about keys, even if the caller was speaking.
6. What was said is judged once it is known: of what it may have been, the first that is sure enough
   (``min_confidence``) and is asked for. A recogniser that never says what it heard has failed.
7. Nothing entered or said is ``no_input``, something that is not asked for or not understood is ``no_match``. Either
   costs a try, and with a try left the caller hears item *n* of that kind's list at its *n*-th time (the last item
   repeats), then the main prompt. Keys typed ahead behind unusable ones are thrown away, so that the caller hears what
   was wrong.
8. After ``tries`` the input has failed. If nobody can listen, keys go on being possible; where there are none to be
   pressed the input is given up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from ivr.flow.model import InputSettings
from ivr.hearing import Hypothesis, Recognition
from ivr.run.typed_ahead import TypedAhead

Failure = Literal["no_input", "no_match"]

LATE: Final = 5.0
"""Seconds after the longest utterance and its silence, in which a recogniser must have said what it heard."""
NOTHING_CAME: Final = "the recogniser did not say what it heard"

_LISTENINGS: Final = 20
"""In the prompt of one try. More noises than that are no caller: the rest of the prompt is not listened to."""


class Matcher(Protocol):
    """What keys a step waits for."""

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


@dataclass(frozen=True, slots=True)
class Understood:
    """What the caller meant."""

    name: str
    """Of the choice, or what the step calls an answer that is none."""
    hypothesis: Hypothesis
    value: object = None
    """What was said, as a value of the type asked for; None for a choice."""


class Understanding(Protocol):
    """What speech a step waits for."""

    def understand(self, hypothesis: Hypothesis) -> Understood | None:
        """What is meant if that was said, None if it is not asked for. May raise what the step raises."""


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
class BeginListening:
    """Listen for one utterance."""

    with_prompt: bool = False
    """The prompt begins at the same time, and must not be taken for the caller."""


@dataclass(frozen=True, slots=True)
class EndListening:
    """What the caller says is no longer wanted."""


@dataclass(frozen=True, slots=True)
class HearingLost:
    """Nobody listens any more in this try."""

    reason: str
    given_up: bool
    """There are no keys to be pressed either: nothing further is asked, and no result comes."""


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
    recognition: Recognition | None = None
    """What was heard; None unless the try was decided by speech."""
    understood: Understood | None = None
    """What was meant by it; None for keys, and for what is no match."""


Demand = PlayPrompt | CutPrompt | BeginListening | EndListening | HearingLost | TryOver


class Input:
    """Asks until something right is entered or said, or the tries are used up.

    The asker plays what :class:`PlayPrompt` says and tells :meth:`prompt_ended` when it is over; a prompt that was cut
    needs no telling. For every :class:`BeginListening` it tells :meth:`speech_heard` or :meth:`hearing_failed`, unless
    :class:`EndListening` came before. ``timeout`` and ``gap`` are seconds.
    """

    def __init__(
        self,
        keys: Matcher | None,
        settings: InputSettings,
        typed_ahead: TypedAhead,
        *,
        speech: Understanding | None = None,
        prompts_after: Callable[[Failure], int] = lambda _: 0,
        finish_empty: bool = False,
    ) -> None:
        """``keys`` or ``speech`` may be None: then the answer cannot be that. ``prompts_after`` is how many items the
        list of that kind has; ``finish_empty`` lets the finish key alone be judged as an (empty) input instead of as
        nothing entered."""
        self._matcher = keys
        self._settings = settings
        self._typed_ahead = typed_ahead
        self._speech = speech
        self._prompts_after = prompts_after
        self._finish_empty = finish_empty
        self._failures: dict[Failure, int] = {"no_input": 0, "no_match": 0}
        self._try_no = 0
        self._keys = ""
        self._began = 0.0
        self._prompting = False
        self._prompt_played = False
        self._barged_in = False
        self._listening = False
        self._speaking = False
        self._listenings = 0
        self._deaf = False
        """Nobody listens, or need listen, for the rest of the try."""
        self._given_up = False
        self._deadline: float | None = None
        self.result: TryOver | None = None
        """The last try, once there is no other."""

    @property
    def over(self) -> bool:
        """Nothing further is asked."""
        return self._given_up or self.result is not None

    def start(self, now: float) -> list[Demand]:
        return self._begin_try(None, now)

    def key(self, key: str, now: float) -> list[Demand]:
        """The caller pressed a key."""
        if self.over or self._matcher is None or (self._prompting and not self._settings.barge_in):
            self._typed_ahead.push(key)
            return []
        if not self._prompting:
            return self._take(self._matcher, key, now)
        self._prompting, self._barged_in = False, True
        return [CutPrompt(), *self._take(self._matcher, key, now)]

    def prompt_ended(self, now: float) -> list[Demand]:
        """The prompt was played to its end, or there is nothing to play."""
        return self._prompt_over(now) if self._prompting else []

    def speech_started(self, now: float) -> list[Demand]:
        """The caller speaks."""
        if not self._listening or self._speaking:
            return []
        self._speaking = True
        demands: list[Demand] = []
        if self._prompting:
            self._barged_in = True
            demands = [CutPrompt(), *self._prompt_over(now)]
        if self._speaking:
            self._deadline = now + self._settings.longest_speech + self._settings.speech_timeout + LATE
        return demands

    def speech_heard(self, recognition: Recognition, now: float) -> list[Demand]:
        """The caller has spoken, and nobody listens any more."""
        if not self._listening:
            return []
        self._listening = self._speaking = False
        if self._prompting:
            # Too little to cut the prompt: a noise, and not the answer.
            return self._begin_listening() if self._listenings < _LISTENINGS else []
        return self._judge_speech(recognition, now)

    def hearing_failed(self, reason: str, now: float) -> list[Demand]:
        """Nobody listens any more, and what was said is not known."""
        if not self._listening:
            return []
        spoke, self._listening, self._speaking, self._deaf = self._speaking, False, False, True
        if self._matcher is None:
            self._given_up, self._prompting, self._deadline = True, False, None
        elif spoke:
            self._deadline = now + self._settings.timeout
        return [HearingLost(reason, self._given_up)]

    def next_timer(self) -> float | None:
        return self._deadline

    def handle_timer(self, now: float) -> list[Demand]:
        if self._deadline is None or now < self._deadline:
            return []
        if self._speaking:
            lost = self.hearing_failed(NOTHING_CAME, now)
            return [EndListening(), *lost]
        return self._judge(now)

    def _begin_try(self, after: Failure | None, now: float) -> list[Demand]:
        self._try_no += 1
        self._keys, self._began, self._deadline = "", now, None
        self._barged_in = self._prompt_played = self._deaf = False
        self._prompting, self._listenings = True, 0
        if self._settings.type_ahead == "clear":
            self._typed_ahead.clear()
        if self._typed_ahead and self._matcher is not None and self._settings.barge_in:
            self._barged_in = True
            return self._prompt_over(now)
        self._prompt_played = True
        item = 0
        if after is not None:
            item = max(0, min(self._failures[after], self._prompts_after(after)) - 1)
        prompt = PlayPrompt(self._try_no, after, item)
        return [prompt, *self._begin_listening(with_prompt=True)] if self._settings.barge_in_speech else [prompt]

    def _prompt_over(self, now: float) -> list[Demand]:
        self._prompting = False
        if self._settings.type_ahead == "clear":
            self._typed_ahead.clear()
        this_try = self._try_no
        self._deadline = now + self._settings.timeout
        demands: list[Demand] = []
        while self._typed_ahead and self._matcher is not None and self._try_no == this_try and not self.over:
            demands += self._take(self._matcher, self._typed_ahead.pop(), now)
        if self._try_no != this_try or self._listening or self.over:
            return demands
        return [*demands, *self._begin_listening()]

    def _begin_listening(self, *, with_prompt: bool = False) -> list[Demand]:
        if self._speech is None or self._deaf:
            return []
        self._listening = True
        self._listenings += 1
        return [BeginListening(with_prompt)]

    def _end_listening(self) -> list[Demand]:
        """For the rest of the try."""
        listened, self._listening, self._speaking, self._deaf = self._listening, False, False, True
        return [EndListening()] if listened else []

    def _take(self, matcher: Matcher, key: str, now: float) -> list[Demand]:
        demands = self._end_listening()
        keys = self._keys + key
        if key == self._settings.finish_key and not (matcher.goes_on(keys) or matcher.match(keys) is not None):
            return [*demands, *self._judge(now, finished=True)]
        self._keys = keys
        if matcher.goes_on(keys):
            self._deadline = now + self._settings.gap
            return demands
        demands += self._judge(now)
        finish = self._settings.finish_key
        if finish and len(keys) > 1 and self.result is not None and self.result.match is not None:
            self._typed_ahead.forgive(finish, now + self._settings.gap)
        return demands

    def _judge(self, now: float, *, finished: bool = False) -> list[Demand]:
        """The keys, or their absence."""
        demands = self._end_listening()
        match = None
        if self._matcher is not None and (self._keys or (finished and self._finish_empty)):
            match = self._matcher.match(self._keys)
        if match is not None:
            return [*demands, self._over("matched", match)]
        return [*demands, *self._failed("no_match" if self._keys else "no_input", now)]

    def _judge_speech(self, recognition: Recognition, now: float) -> list[Demand]:
        for hypothesis in recognition.hypotheses:
            if self._speech is None or hypothesis.confidence < self._settings.min_confidence:
                continue
            understood = self._speech.understand(hypothesis)
            if understood is not None:
                return [self._over("matched", understood.name, recognition, understood)]
        return self._failed("no_match", now, recognition)

    def _failed(self, failure: Failure, now: float, recognition: Recognition | None = None) -> list[Demand]:
        self._failures[failure] += 1
        self._typed_ahead.clear()
        over = self._over(failure, None, recognition)
        return [over] if over.last else [over, *self._begin_try(failure, now)]

    def _over(
        self,
        outcome: Literal["matched"] | Failure,
        match: str | None,
        recognition: Recognition | None = None,
        understood: Understood | None = None,
    ) -> TryOver:
        last = outcome == "matched" or self._try_no >= self._settings.tries
        over = TryOver(
            self._try_no,
            outcome,
            self._keys,
            match,
            self._began,
            self._barged_in,
            self._prompt_played,
            last,
            recognition,
            understood,
        )
        self._deadline = None
        if last:
            self.result = over
        return over
