"""The registry of verbs: what can stand in a block. One entry in a family adds a verb; nothing else is edited.

Loader, checks and reference read :data:`VERBS`. How a verb behaves in a call is told elsewhere; what it is called,
what can be set and where it can lead is told here only.
"""

from __future__ import annotations

from typing import Final

from ivr.flow.nodes import (
    answering,
    calling,
    choosing,
    control,
    dialling,
    marking,
    opening,
    outside,
    questions,
    speaking,
)
from ivr.flow.nodes.verb import Exit, Verb

__all__ = ["PLANNED", "VERBS", "Exit", "Verb"]

FAMILIES: Final = (answering, speaking, questions, control, calling, choosing, opening, outside, dialling, marking)

VERBS: Final = {verb.name: verb for family in FAMILIES for verb in family.VERBS}

PLANNED: Final = frozenset(
    [
        "queue",
        "conference",
        "message",
        "record",
        "callback",
        "dial_out",
    ]
)
"""Verbs of the language that this version does not have yet: named as such, not as typing errors."""
