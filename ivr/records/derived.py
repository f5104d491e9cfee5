"""The tables whose rows belong to a call and derive from its events."""

from __future__ import annotations

from typing import Final

from ivr.records import model

TABLES_OF_A_CALL: Final = (model.Tag, model.FlowStep, model.Segment, model.Leg, model.Call)
"""In the order in which they can be emptied: rows refer to their call."""
