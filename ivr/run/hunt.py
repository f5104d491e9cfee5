"""Ringing one or several parties until one takes the call: who is dialled when, who wins, what it comes to otherwise.

A hunt owns its legs from :class:`~ivr.run.actions.Dial` until one is connected or all are over. It goes in steps: those
of one step ring together, and the next step begins when nobody of the steps before is left, or some seconds after the
one before began, which then rings on. The first that takes the call wins: by answering, or, where terms are set, by
hearing them and pressing the key. The others ring on until the winner is connected, so that one who answers and
vanishes costs the caller nothing. No clock, no sockets, no flow: queues can ring their agents with the same object.

What nobody taking it comes to, from the outcomes of the single legs:

==================================================  =============
all legs                                            the hunt
==================================================  =============
nobody to ring                                      ``failed``
all ``offline``                                     ``offline``
all ``failed``, or ``failed`` and ``offline``       ``failed``
the others (not offline, not failed) all ``busy``   ``busy``
the others all ``refused``                          ``refused``
the others ``busy`` or ``refused``                  ``busy``
anything else                                       ``no_answer``
==================================================  =============

A seat that is not signed in or cannot be reached says nothing about the ones that can: one busy, one offline is busy.
One that answers and does not press the key has ``refused``; one that hangs up while it is asked is as good as one that
never answered: ``no_answer``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.call import DropReason, LegAnswered, LegEnded, LegFailed, LegOutcome, Target
from ivr.flow.nodes.dialling import Strategy
from ivr.run.acceptance import Asking, Terms
from ivr.run.actions import Action, Dial, Drop, OfferEnded, OfferStarted
from ivr.run.events import Event

HuntOutcome = LegOutcome | Literal["answered"]


@dataclass(frozen=True, slots=True)
class RingStep:
    """Those who ring together."""

    targets: tuple[Target, ...]
    after: float | None = None
    """Seconds after the step before began, which rings on; None: when nobody of the steps before is left."""


Member = Target | RingStep


def members_of(members: Iterable[Member]) -> list[Target]:
    """All of a group, in its order."""
    return [one for member in members for one in (member.targets if isinstance(member, RingStep) else (member,))]


def steps_of(
    members: Iterable[Member],
    strategy: Strategy,
    shuffled: Callable[[Sequence[Target]], Sequence[Target]] = lambda targets: targets,
) -> list[RingStep]:
    """In which steps a group is rung."""
    members = list(members)
    match strategy:
        case "all":
            return [RingStep(tuple(members_of(members)))]
        case "order":
            return [RingStep((target,)) for target in members_of(members)]
        case "random":
            return [RingStep((target,)) for target in shuffled(members_of(members))]
        case "steps":
            return [one if isinstance(one, RingStep) else RingStep((one,)) for one in members]


def outcome_of(outcomes: Iterable[LegOutcome]) -> LegOutcome:
    """What the outcomes of single legs come to; the table at the head of this module."""
    kinds = set(outcomes)
    reached = kinds - {"offline", "failed"}
    if not reached:
        return "offline" if kinds == {"offline"} else "failed"
    if len(reached) == 1:
        return reached.pop()
    return "busy" if reached == {"busy", "refused"} else "no_answer"


class Hunt:
    """Rings step after step, every leg for ``ring`` seconds, until one takes the call."""

    def __init__(
        self,
        steps: Iterable[RingStep],
        *,
        ring: float,
        new_leg: Callable[[], str],
        dial: Callable[[str, Target], Action] = Dial,
        terms: Terms | None = None,
        new_play: Callable[[], int] = lambda: 0,
    ) -> None:
        """``dial`` makes what begins a leg; ``terms`` are asked of whoever answers; ``new_play`` names plays."""
        self._waiting = [step for step in steps if step.targets]
        self._ring = ring
        self._new_leg = new_leg
        self._dial = dial
        self._terms = terms or Terms()
        self._new_play = new_play
        self._ringing: dict[str, float] = {}
        self._asked: dict[str, Asking] = {}
        self._next_step: float | None = None
        """When the next step begins, whoever rings."""
        self._outcomes: list[LegOutcome] = []
        self.asked = 0
        """How many have answered and were asked."""
        self.winner: str | None = None
        """The leg that took the call first."""
        self.outcome: HuntOutcome | None = None
        """None while it rings."""

    def start(self, now: float) -> list[Action]:
        """Begin to ring. Nobody to ring is ``failed`` at once."""
        return self._dial_next(now)

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take an event of one of the legs; others are passed over."""
        match event:
            case LegAnswered(leg_id=leg) if leg in self._ringing:
                return self._answered(leg, now)
            case LegFailed(leg_id=leg, outcome=outcome) if leg in self._ringing:
                return self._lost(leg, outcome, now)
            case LegEnded(leg_id=leg) if leg in self._ringing:
                # Answered and gone before the answer was told to us: as good as an unreachable party.
                return self._lost(leg, "failed", now)
            case LegEnded(leg_id=leg, by=by) if leg in self._asked:
                return self._lost(leg, "no_answer" if by == "agent" else "failed", now)
            case LegEnded(leg_id=leg) | LegFailed(leg_id=leg) if leg == self.winner:
                self.winner = self.outcome = None
                self._outcomes.append("failed")
                return self._go_on(now)
        return [
            action
            for leg, asking in list(self._asked.items())
            for action in [*asking.handle(event, now), *self._judged(leg, asking, now)]
        ]

    def next_timer(self) -> float | None:
        asked = [due for asking in self._asked.values() if (due := asking.next_timer()) is not None]
        return min(
            [*self._ringing.values(), *asked, *([] if self._next_step is None else [self._next_step])], default=None
        )

    def handle_timer(self, now: float) -> list[Action]:
        """Give up the legs whose time is over, ask again, begin the next step."""
        actions: list[Action] = []
        for leg in [leg for leg, until in self._ringing.items() if until <= now]:
            actions.append(Drop(leg, "no_answer"))
            actions += self._lost(leg, "no_answer", now)
        for leg, asking in list(self._asked.items()):
            if (due := asking.next_timer()) is not None and due <= now:
                actions += [*asking.handle_timer(now), *self._judged(leg, asking, now)]
        if self._next_step is not None and self._next_step <= now:
            actions += self._dial_next(now)
        return actions

    def connected(self) -> list[Action]:
        """The winner hears the caller: take the call from those who still ring. The winner is the asker's now."""
        return self._stop_ringing("answered_elsewhere")

    def cancel(self) -> list[Action]:
        """Give up before anybody is connected, whoever rings or has answered."""
        actions: list[Action] = [] if self.winner is None else [Drop(self.winner, "ended")]
        return actions + self._stop_ringing("cancelled")

    def _stop_ringing(self, reason: DropReason) -> list[Action]:
        actions: list[Action] = []
        for leg in (*self._ringing, *self._asked):
            actions += [Drop(leg, reason), OfferEnded(leg, "cancelled")]
        self._ringing.clear()
        self._asked.clear()
        self._waiting.clear()
        self._next_step = None
        return actions

    def _dial_next(self, now: float) -> list[Action]:
        actions: list[Action] = []
        self._next_step = None
        if self._waiting:
            for target in self._waiting.pop(0).targets:
                leg = self._new_leg()
                self._ringing[leg] = now + self._ring
                actions += [OfferStarted(leg, target), self._dial(leg, target)]
            after = self._waiting[0].after if self._waiting else None
            self._next_step = None if after is None else now + after
        elif not self._ringing and not self._asked:
            self.outcome = outcome_of(self._outcomes)
        return actions

    def _answered(self, leg: str, now: float) -> list[Action]:
        del self._ringing[leg]
        if self.winner is not None or self._terms.none:
            return self._taken(leg)
        self.asked += 1
        asking = self._asked[leg] = Asking(leg, self._terms, self._new_play)
        return asking.start(now)

    def _judged(self, leg: str, asking: Asking, now: float) -> list[Action]:
        if leg not in self._asked:
            return []
        match asking.verdict:
            case "accepted":
                del self._asked[leg]
                return self._taken(leg)
            case "refused":
                return [Drop(leg, "refused"), *self._lost(leg, "refused", now)]
        return []

    def _taken(self, leg: str) -> list[Action]:
        if self.winner is not None:
            return [Drop(leg, "answered_elsewhere"), OfferEnded(leg, "cancelled")]
        self.winner, self.outcome = leg, "answered"
        self._next_step = None
        return [OfferEnded(leg, "answered")]

    def _lost(self, leg: str, outcome: LegOutcome, now: float) -> list[Action]:
        self._ringing.pop(leg, None)
        self._asked.pop(leg, None)
        self._outcomes.append(outcome)
        return [OfferEnded(leg, outcome), *self._go_on(now)]

    def _go_on(self, now: float) -> list[Action]:
        return [] if self._ringing or self._asked or self.winner else self._dial_next(now)
