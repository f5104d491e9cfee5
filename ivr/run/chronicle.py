"""What a call writes down while it lasts: the events of its records, with the times that they know.

Knows what goes into which event and nothing of what a call does. What may be secret is not written here: keys and words
stand in the rows of steps, which say whether they may be told.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from gateway.call import (
    Answered,
    CallerHeld,
    CallerLeft,
    CallerRetrieved,
    CallEvent,
    EarlyMedia,
    KeyPressed,
    LegAnswered,
    LegFailed,
    LegHeld,
    LegOutcome,
    LegReport,
    LegRetrieved,
    LegRinging,
    PlayEnded,
    Target,
)
from ivr.hearing import NotHeard, Recognition
from ivr.records.events import EventType, RecordEvent
from ivr.run.actions import StepRecord
from ivr.run.quality import mean_opinion_score

__all__ = ["Chronicle", "Journal"]

log = logging.getLogger("ivr.call")

_KEYS_RECORDED: Final = 500
"""Of one call: a telephone that sends keys without end must not fill the records."""


class Journal(Protocol):
    """Where events are written down; never waits and never fails."""

    def append(self, event: RecordEvent) -> None: ...


class Chronicle:
    """Owns what is known of a call for its records only. ``clock``: seconds, as steps carry them."""

    def __init__(self, journal: Journal, call_id: str, flow_version: str, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._call_id = call_id
        self._flow_version = flow_version
        self._clock = clock
        # Records want the time of day.
        self._epoch_ms = time.time() * 1000 - clock() * 1000
        self._legs: set[str] = set()
        """Those that were dialled and are not over."""
        self._keys = 0

    def epoch_ms(self, seconds: float) -> int:
        """The time of day of a time of the clock, UTC epoch milliseconds."""
        return round(self._epoch_ms + seconds * 1000)

    def write(self, kind: EventType, leg_id: str | None = None, data: dict[str, object] | None = None) -> None:
        """An event, now; ``leg_id``: ``caller``, or what the leg was dialled as."""
        at = self.epoch_ms(self._clock())
        leg = None if leg_id is None else f"{self._call_id}-{leg_id}"
        self._journal.append(RecordEvent(at, kind, self._call_id, leg, data or {}))

    def happened(self, event: CallEvent) -> None:
        """What the telephone side told of the call, if it is of interest; of the end of a leg see :meth:`leg_over`."""
        match event:
            case Answered():
                self.write("call.answered")
                self.write("leg.answered", "caller")
            case KeyPressed(_, source, leg_id):
                # Which key it was may be secret; the step's row says it where it may be said.
                self._keys += 1
                if self._keys <= _KEYS_RECORDED:
                    self.write("key", leg_id or "caller", {"source": source})
            case EarlyMedia(leg_id):
                self.write("leg.early_media", leg_id or "caller")
            case LegRinging(leg_id):
                self.write("leg.ringing", leg_id)
            case LegAnswered(leg_id):
                self.write("leg.answered", leg_id)
            case LegFailed(leg_id, outcome, status, text):
                self._leg_failed(leg_id, outcome, status, text)
            case PlayEnded(_, heard_ms, completed, str() as leg_id):
                self.write("prompt.end", leg_id, {"heard_ms": heard_ms, "completed": completed})
            case CallerLeft(by):
                self.write("leg.ended", "caller", {"hangup_by": "remote" if by == "caller" else "network"})
            case LegHeld(leg_id):
                self.write("leg.held", leg_id)
            case LegRetrieved(leg_id):
                self.write("leg.retrieved", leg_id)
            case CallerHeld():
                self.write("leg.held", "caller")
            case CallerRetrieved():
                self.write("leg.retrieved", "caller")
            case _:
                pass

    def spoke(self, event: Recognition | NotHeard, *, since: float, barged_in: bool) -> None:
        """What came of listening to the caller ``since`` then; ``barged_in``: what he said has cut a prompt."""
        if isinstance(event, NotHeard):
            self.write("speech", "caller", {"error": event.reason})
            return
        # What was said may be secret, as keys may be; the step's row says it where it may be said.
        best = event.hypotheses[0].confidence if event.hypotheses else None
        began = self._epoch_ms + since * 1000
        data: dict[str, object] = {
            "from_at": round(began + event.began_ms),
            "until_at": round(began + event.ended_ms),
            "took_ms": event.took_ms,
            "hypotheses": len(event.hypotheses),
            "confidence": None if best is None else round(best, 3),
            "barged_in": barged_in,
        }
        self.write("speech", "caller", data)

    def leg_begins(self, leg_id: str, target: Target, **more: object) -> None:
        """Somebody is being rung."""
        self._legs.add(leg_id)
        data: dict[str, object] = {
            "role": "agent",
            "kind": "pstn" if target.scheme == "tel" else target.scheme,
            "account": target.name,
            "remote": str(target),
        }
        self.write("leg.created", leg_id, {**data, **more})

    def _leg_failed(self, leg_id: str, outcome: LegOutcome, status: int | None, text: str) -> None:
        log.info("call %s: leg %s %s (%s %s)", self._call_id, leg_id, outcome, status or "-", text)
        self._legs.discard(leg_id)
        self.write(
            "leg.ended",
            leg_id,
            {"hangup_by": "remote", "sip_status": status, "outcome": outcome, "text": text},
        )

    def leg_over(self, leg_id: str, by: str, **more: object) -> None:
        """Its end now, not when the call ends and everything else of it is reported."""
        if leg_id in self._legs:
            self._legs.remove(leg_id)
            self.write("leg.ended", leg_id, {"hangup_by": by, **more})

    def step(self, step: StepRecord) -> None:
        """A row of the flow's steps is complete."""
        self.write(
            "flow.step",
            data={
                "seq": step.seq,
                "flow": step.flow,
                "flow_version": self._flow_version,
                "block": step.block,
                "step": step.step,
                "verb": step.verb,
                "line": step.line,
                "from_at": self.epoch_ms(step.began),
                "until_at": self.epoch_ms(step.ended),
                "try_no": step.try_no,
                "input_mode": step.input_mode,
                "input": step.input,
                "confidence": step.confidence,
                "barged_in": step.barged_in,
                "heard_ms": step.heard_ms,
                "exit": step.exit,
                "next_block": step.next_block,
                "error": step.error,
                **({} if step.detail is None else {"detail": dict(step.detail)}),
            },
        )

    def leg_measured(self, report: LegReport) -> None:
        """All that is known of a leg that is over."""
        invitation = report.invitation
        more: dict[str, object] = {}
        if report.kind == "rtc":
            # What names an RTC leg in signalling is its invitation; a SIP Call-ID it has not.
            more = {"invitation": report.signalling_id or None}
        if invitation is not None:
            more |= {
                "rtc_channel": invitation.channel,
                "invitation_state": invitation.state,
                "invitation_error": invitation.error,
            }
        self.write(
            "leg.ended",
            report.leg_id,
            {
                "kind": report.kind,
                "role": report.role,
                "account": report.account,
                "remote": report.remote,
                "sip_call_id": None if report.kind == "rtc" else report.signalling_id,
                "sip_status": report.status,
                "hangup_by": report.hangup_by,
                "codec": report.codec,
                "rx_pkts": report.packets_received,
                "tx_pkts": report.packets_sent,
                "lost_pkts": report.packets_lost,
                "jitter_ms": round(report.jitter_ms, 2),
                "rtt_ms": report.round_trip_ms,
                "mos": mean_opinion_score(report),
                "audio_rx_ms": report.audio_received_ms,
                "audio_tx_ms": report.audio_sent_ms,
                **more,
            },
        )
