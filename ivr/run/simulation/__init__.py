"""A call that somebody at a terminal plays: lines of input in, lines of what happens out.

Nothing here knows a terminal, a clock or a sound card.
"""

from ivr.run.simulation.commands import DEEDS, HELP, Deed, NotUnderstood
from ivr.run.simulation.playing import Simulation

__all__ = ["DEEDS", "HELP", "Deed", "NotUnderstood", "Simulation"]
