"""Where recorded calls would go another way, gathered: what changes for how many callers, and what cannot be told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ivr.records.recorded import RecordedCall, RecordedStep
from ivr.replay.driver import Replayed
from ivr.run.actions import StepRecord

END = "the call ends"
AGAIN = "asked again"


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One way that becomes another."""

    flow: str
    block: str
    """The last block in common."""
    by: str
    """What led on from there in the recording: ``menu, key 2``."""
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one call."""

    call_id: str
    outcome: Literal["same", "changed", "unknown"]
    change: Change | None = None
    reason: str = ""
    """Why it cannot be told."""


@dataclass(slots=True)
class Findings:
    """What became of all of them. Each list holds the ids of calls, oldest first."""

    calls: int = 0
    same: list[str] = field(default_factory=list)
    changed: dict[Change, list[str]] = field(default_factory=dict)
    unknown: dict[str, list[str]] = field(default_factory=dict)
    """By reason."""

    @property
    def changed_calls(self) -> int:
        return sum(map(len, self.changed.values()))

    @property
    def unknown_calls(self) -> int:
        return sum(map(len, self.unknown.values()))


def compare(call: RecordedCall, replayed: Replayed, renamed: Mapping[str, str] | None = None) -> Verdict:
    """The recorded way against the replayed one. ``renamed``: former names of blocks, and those they have now."""
    names = renamed or {}
    before = [(names.get(visit.block, visit.block), visit.led) for visit in call.way]
    after = list(replayed.way)
    common = 0
    while common < min(len(before), len(after)) and before[common][0] == after[common][0]:
        common += 1
    if common == len(after) and replayed.stop is not None:
        if replayed.stop == "asked_again" and common < len(before):
            return _changed(call, before[common - 1][0], _by(before[common][1]), before[common][0], AGAIN)
        return Verdict(call.call_id, "unknown", reason=replayed.reason)
    if common == len(before) == len(after):
        return Verdict(call.call_id, "same")
    block = before[common - 1][0] if common else "the beginning"
    return _changed(
        call,
        block,
        _by(before[common][1] if common < len(before) else after[common][1]),
        before[common][0] if common < len(before) else END,
        after[common][0] if common < len(after) else END,
    )


def gather(verdicts: Iterable[Verdict]) -> Findings:
    """All verdicts, the most frequent first."""
    findings = Findings()
    changed: defaultdict[Change, list[str]] = defaultdict(list)
    unknown: defaultdict[str, list[str]] = defaultdict(list)
    for verdict in verdicts:
        findings.calls += 1
        if verdict.change is not None:
            changed[verdict.change].append(verdict.call_id)
        elif verdict.outcome == "unknown":
            unknown[verdict.reason].append(verdict.call_id)
        else:
            findings.same.append(verdict.call_id)
    findings.changed = dict(sorted(changed.items(), key=lambda item: (-len(item[1]), item[0])))
    findings.unknown = dict(sorted(unknown.items(), key=lambda item: (-len(item[1]), item[0])))
    return findings


def _changed(call: RecordedCall, block: str, by: str, before: str, after: str) -> Verdict:
    return Verdict(call.call_id, "changed", Change(call.flow, block, by, before, after))


def _by(led: RecordedStep | StepRecord | None) -> str:
    if led is None:
        return "the beginning"
    spoken = led.said is not None if isinstance(led, RecordedStep) else led.input_mode == "speech"
    if spoken:
        # Not the words: everybody has others.
        return f"{led.verb}, said" if led.exit in (None, "next") else f"{led.verb}, said {led.exit}"
    keys = led.keys if isinstance(led, RecordedStep) else led.input
    if keys and led.exit not in ("failed", "no_input", "no_match"):
        return f"{led.verb}, key{'' if len(keys) == 1 else 's'} {keys if len(keys) <= 2 else len(keys)}"
    return led.verb if led.exit in (None, "next") else f"{led.verb}, {led.exit}"
