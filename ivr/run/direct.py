"""The flow of a call that leads to somebody and to no menu: rings him, and says in SIP's words what came of it.

The caller is answered when the called party is, and hears until then what he would hear of it: ring-back, or what the
far end plays. A direct call is a call as any other: it has a path, limits and records.

===========  ========================================
it ends as   and the caller is refused with
===========  ========================================
busy         486 Busy Here
refused      603 Decline
no_answer    408 Request Timeout
offline      480 Temporarily Unavailable
failed       503 Service Unavailable
===========  ========================================

An RTC caller is told ``busy``, ``refused``, ``no_answer``, ``offline`` or ``failed``: the gateway translates. A
telephone is told what the called party said, where that is one of the statuses that say who did not take it and why: an
invitation that expires is 480, one that nobody confirms 408, and a seat's own 404 or 600 is passed on.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.call import LegKind, LegOutcome, Target
from ivr.flow.model import Block, Flow, InputSettings, Place, Step
from ivr.flow.nodes.answering import Reject
from ivr.flow.nodes.control import Hangup
from ivr.flow.nodes.dialling import Transfer
from ivr.flow.template import Template
from ivr.records.words import CallMode

NAME: Final = "direct-call"
"""As records have it. No flow in a file can be called so."""
VERSION: Final = "1"

RING: Final = 62.0
"""Seconds. Longer than an invitation lasts, so that it is the one to say that it has expired."""

STATUSES: Final[MappingProxyType[LegOutcome, tuple[int, str]]] = MappingProxyType(
    {
        "busy": (486, "busy"),
        "refused": (603, "refused"),
        "no_answer": (408, "no answer"),
        "offline": (480, "not there"),
        "failed": (503, "failed"),
    }
)

_PASSED_ON: Final = frozenset({404, 408, 410, 480, 484, 486, 600, 603, 604})

_HERE: Final = Place("(direct call)", 1)


@dataclass(frozen=True, slots=True)
class _PassOn(Reject):
    """Refuse the call as the called party did."""

    def status(self, met: int | None) -> int:
        return met if met in _PASSED_ON else self.code


def direct_flow(target: Target, caller: LegKind) -> Flow:
    """The flow of one call to ``target``, by a caller of that kind."""
    reject = Reject if caller == "rtc" else _PassOn
    ring = Step(
        "transfer",
        Transfer(Template(str(target), (str(target),)), ring=RING, trunk=target.trunk),
        MappingProxyType({"answered": "talked", **{outcome: outcome for outcome in STATUSES}}),
        _HERE,
    )
    blocks = [
        Block("ring", "", (ring,), _HERE),
        Block("talked", "", (Step("hangup", Hangup(), MappingProxyType({}), _HERE),), _HERE),
        *(
            Block(outcome, "", (Step("reject", reject(*refused), MappingProxyType({}), _HERE),), _HERE)
            for outcome, refused in STATUSES.items()
        ),
    ]
    return Flow(
        NAME,
        f"Calls {target}",
        (),
        "ring",
        None,
        None,
        MappingProxyType({}),
        InputSettings(),
        MappingProxyType({block.name: block for block in blocks}),
        _HERE,
    )


def mode_of(caller: LegKind, target: Target) -> CallMode:
    """What kind of call it is, for the records: those from one side to the other have names of their own."""
    if (caller == "rtc") == (target.scheme == "rtc"):
        return "ivr"
    return "rtc_to_sip" if caller == "rtc" else "sip_to_rtc"
