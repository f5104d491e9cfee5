"""Ringing one or several parties until one answers: who is dialled when, who wins, and what it comes to if nobody does.

A hunt owns its legs from :class:`~ivr.run.actions.Dial` until one is connected or all are over. The first answer
wins; the others ring on until the winner is connected, so that one who answers and vanishes costs the caller nothing.
No clock, no sockets, no flow: queues can ring their agents with the same object.

What nobody answering comes to, from the outcomes of the single legs:

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
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from gateway.call import DropReason, LegAnswered, LegEnded, LegFailed, LegOutcome, Target
from ivr.run.actions import Action, Dial, Drop, OfferEnded, OfferStarted
from ivr.run.events import Event

Strategy = Literal["all", "order"]
HuntOutcome = LegOutcome | Literal["answered"]


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
    """Rings ``targets`` all at once or one after the other, ``ring`` seconds each, until one answers."""

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        ring: float,
        new_leg: Callable[[], str],
        strategy: Strategy = "all",
        caller_id: Callable[[Target], str | None] = lambda _: None,
    ) -> None:
        self._waiting = list(targets)
        self._ring = ring
        self._new_leg = new_leg
        self._strategy: Strategy = strategy
        self._caller_id = caller_id
        self._ringing: dict[str, float] = {}
        self._outcomes: list[LegOutcome] = []
        self.winner: str | None = None
        """The leg that answered first."""
        self.outcome: HuntOutcome | None = None
        """None while it rings."""

    def start(self, now: float) -> list[Action]:
        """Begin to ring. Nobody to ring is ``failed`` at once."""
        return self._dial_next(now)

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take an event of one of the legs; others are passed over."""
        match event:
            case LegAnswered(leg_id=leg) if leg in self._ringing:
                return self._answered(leg)
            case LegFailed(leg_id=leg, outcome=outcome) if leg in self._ringing:
                return self._lost(leg, outcome, now)
            case LegEnded(leg_id=leg) if leg in self._ringing:
                # Answered and gone before the answer was told to us: as good as an unreachable party.
                return self._lost(leg, "failed", now)
            case LegEnded(leg_id=leg) | LegFailed(leg_id=leg) if leg == self.winner:
                self.winner = self.outcome = None
                self._outcomes.append("failed")
                return self._go_on(now)
        return []

    def next_timer(self) -> float | None:
        return min(self._ringing.values(), default=None)

    def handle_timer(self, now: float) -> list[Action]:
        """Give up the legs whose ring time is over."""
        actions: list[Action] = []
        for leg in [leg for leg, until in self._ringing.items() if until <= now]:
            actions.append(Drop(leg, "no_answer"))
            actions += self._lost(leg, "no_answer", now)
        return actions

    def connected(self) -> list[Action]:
        """The winner hears the caller: take the call from those who still ring. The winner is the asker's now."""
        self._waiting.clear()
        return self._stop_ringing("answered_elsewhere")

    def cancel(self) -> list[Action]:
        """Give up before anybody is connected, whoever rings or has answered."""
        actions: list[Action] = [] if self.winner is None else [Drop(self.winner, "ended")]
        self._waiting.clear()
        return actions + self._stop_ringing("cancelled")

    def _stop_ringing(self, reason: DropReason) -> list[Action]:
        actions: list[Action] = []
        for leg in self._ringing:
            actions += [Drop(leg, reason), OfferEnded(leg, "cancelled")]
        self._ringing.clear()
        return actions

    def _dial_next(self, now: float) -> list[Action]:
        count = len(self._waiting) if self._strategy == "all" else 1
        due, self._waiting = self._waiting[:count], self._waiting[count:]
        actions: list[Action] = []
        for target in due:
            leg = self._new_leg()
            self._ringing[leg] = now + self._ring
            actions += [OfferStarted(leg, target), Dial(leg, target, self._caller_id(target))]
        if not self._ringing:
            self.outcome = outcome_of(self._outcomes)
        return actions

    def _answered(self, leg: str) -> list[Action]:
        del self._ringing[leg]
        if self.winner is not None:
            return [Drop(leg, "answered_elsewhere"), OfferEnded(leg, "cancelled")]
        self.winner, self.outcome = leg, "answered"
        return [OfferEnded(leg, "answered")]

    def _lost(self, leg: str, outcome: LegOutcome, now: float) -> list[Action]:
        del self._ringing[leg]
        self._outcomes.append(outcome)
        return [OfferEnded(leg, outcome), *self._go_on(now)]

    def _go_on(self, now: float) -> list[Action]:
        return [] if self._ringing or self.winner else self._dial_next(now)
