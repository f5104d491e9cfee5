"""What the world was in a recorded call: what it answered, what was closed by hand, what was left to chance."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Any, Final

from ivr.calendar.model import Closing
from ivr.flow.model import Step
from ivr.flow.nodes import VERBS
from ivr.flow.nodes.questions import InputGroup
from ivr.flow.settings import groups_of
from ivr.records.recorded import RecordedCall, RecordedStep
from ivr.run.requests import Delivered, HttpResponse, NoReply, PluginResult, Reply, TableRow

ASKS: Final = frozenset(
    verb.name for verb in VERBS.values() if any(isinstance(group, InputGroup) for _, group in groups_of(verb.settings))
)
"""Verbs that ask the caller."""
RINGS: Final = frozenset(["transfer", "ring"])
"""Verbs that ring somebody."""


class AsItWas:
    """What was closed by hand while the call lasted."""

    def __init__(self, call: RecordedCall) -> None:
        self._since = datetime.fromtimestamp(call.arrived_ms / 1000, UTC)
        self.closed = {
            str(step.detail.get("calendar")) for step in call.steps if step.detail.get("state") == "emergency"
        }

    def closing(self, calendar: str) -> Closing | None:
        return Closing(self._since, "as recorded") if calendar in self.closed else None


class Chances:
    """What was left to chance, and to what other callers did: limits decide as they did, the rest is not known."""

    def __init__(self, call: RecordedCall) -> None:
        self._limits = deque(step.exit for step in call.steps if step.verb == "limit")
        self.unknown = False
        """Something was asked for that the recording does not have."""

    def take(self, key: str, count: int, per: float, now: float) -> bool:
        if not self._limits:
            self.unknown = True
            return True
        return self._limits.popleft() != "over"

    def random(self) -> float:
        self.unknown = True
        return 0.0


def same_question(step: Step, recorded: RecordedStep) -> bool:
    """Whether the step asks outside what was asked then."""
    settings, detail = step.settings, recorded.detail
    match step.verb:
        case "http":
            asking = settings.asking
            return (asking.method, asking.address.template.text) == (detail.get("method"), detail.get("url"))
        case "lookup":
            return bool(settings.table == detail.get("table"))
        case "plugin":
            return bool(settings.name == detail.get("plugin"))
        case _:
            return True


def is_complete(recorded: RecordedStep) -> bool:
    """Whether all of the answer was written down. What is secret, or too long, is not."""
    return "result" in recorded.detail or isinstance(reply_of(recorded), NoReply) or not _succeeded(recorded)


def _succeeded(recorded: RecordedStep) -> bool:
    status = recorded.detail.get("status")
    return recorded.exit != "miss" and (status is None or 200 <= int(status) < 300)


def reply_of(recorded: RecordedStep) -> Reply:
    """What a step got to hear that asked the world outside."""
    detail: dict[str, Any] = dict(recorded.detail)
    result = detail.get("result")
    match recorded.verb:
        case "http" if "status" in detail:
            return HttpResponse(int(detail["status"]), result)
        case "lookup" if recorded.exit == "miss":
            return TableRow(None)
        case "lookup" if recorded.exit in ("hit", "next") and recorded.error is None:
            return TableRow(result if isinstance(result, dict) else {"value": result})
        case "plugin" if "exit" in detail:
            return PluginResult(str(detail["exit"]), result)
        case "notify" if recorded.error is None:
            return Delivered()
    return NoReply(recorded.error or "as recorded")


def was_handed_over(recorded: RecordedStep) -> bool:
    """Whether the caller's own telephone made the call, and reached somebody."""
    return "mode" in recorded.detail and recorded.detail.get("outcome") == "answered"
