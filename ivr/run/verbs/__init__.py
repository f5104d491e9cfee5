"""How verbs behave in a call. One entry adds a verb; its settings and exits are declared in ``ivr.flow.nodes``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ivr.run.verbs import answering, asking, calling, choosing, deciding, dialling, marking, opening, outside, speaking
from ivr.run.verbs.behaviour import Behaviour

__all__ = ["BEHAVIOURS", "Behaviour"]

BEHAVIOURS: Final[Mapping[str, Behaviour]] = {
    **answering.BEHAVIOURS,
    **speaking.BEHAVIOURS,
    **asking.BEHAVIOURS,
    **deciding.BEHAVIOURS,
    **calling.BEHAVIOURS,
    **choosing.BEHAVIOURS,
    **opening.BEHAVIOURS,
    **outside.BEHAVIOURS,
    **dialling.BEHAVIOURS,
    **marking.BEHAVIOURS,
}
