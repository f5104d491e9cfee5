"""What a verb is: its settings, its exits, its manners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ivr.flow.model import VariableType

Unwired = Literal["next", "must", "on_error", "failed", "closed", "answered", "error"]

CONTINUE: Final = "continue"
"""Where the name of a block stands: the next step, whatever the exit. No block has this name."""


@dataclass(frozen=True, slots=True)
class Exit:
    """One way out of a step.

    ``unwired`` says what becomes of it where the flow names no block: ``next`` goes on with the next step; ``must``
    is an error at load; ``on_error`` is one unless the flow has ``on_error``; ``failed``, ``closed`` and ``answered``
    take the exit of that name; ``error`` goes to ``on_error`` if there is one, else ends the call.
    """

    name: str
    meaning: str
    unwired: Unwired = "must"
    needs_caller: bool = False
    """Taken only because the caller or the party called did something: a loop through it cannot run on its own."""
    never: tuple[str, tuple[str | None, ...]] = ("", ())
    """A setting, and the values with which this exit is never taken and need not be wired."""

    def possible(self, settings: object) -> bool:
        """Whether a step with these settings can leave by it."""
        name, values = self.never
        return not name or getattr(settings, name, None) not in values


@dataclass(frozen=True, slots=True)
class Fills:
    """What a verb does to the variable that its setting ``into`` names."""

    type: VariableType
    """Of the variable, where it is not declared."""
    accepts: tuple[VariableType, ...] = ()
    """Types it can be declared with; none given: all."""
    not_on: tuple[str, ...] = ("failed",)
    """Exits, or their first words, by which the variable may not be set."""

    def on(self, exit: str) -> bool:
        return exit.partition(" ")[0] not in self.not_on


@dataclass(frozen=True, slots=True)
class Verb:
    """One entry of the registry."""

    name: str
    settings: type[Any]
    summary: str
    exits: tuple[Exit, ...] = ()
    short: str | None = None
    """The setting or exit meant by ``- verb: value`` when the value is no mapping."""
    whole: bool = False
    """The value, even a mapping, belongs to ``short`` as a whole."""
    order: tuple[str, ...] = ()
    """The DSL: settings whose values stand after the verb without their names; unset, ``short`` or the first needed.

    ``by key`` is the setting ``key``, named ``by`` there.
    """
    wires_keys: bool = False
    """Has further exits, one per key, case or status."""
    further: str = ""
    """What other names are, if every name that is no setting is an exit; the site knows which there are."""
    waits: bool = False
    """Takes time although nothing is heard: refused in what ``on_hangup`` leads to, which takes none."""
    fills: Fills | None = None
    speaks: bool = False
    """Needs a caller who listens: refused in what ``on_hangup`` leads to."""
    ends: bool = False
    """Nothing comes after it."""
    at_once: bool = False
    """Takes no time and leads nowhere: can stand where a menu key says what is done before going."""
    early: bool = False
    """Can be heard before the call is taken."""
    decides: bool = False
    """Chooses by what is known: a loop through it is taken to be meant."""
    example: str = ""
    later: tuple[str, ...] = ()
    """Settings of the language that this version does not have yet."""
    by_name: Mapping[str, Exit] = field(init=False, repr=False, compare=False)
    """The exits."""
    wired: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Names of exits that stand beside the settings; the others stand within ``failed``."""
    within_failed: tuple[str, ...] = field(init=False, repr=False, compare=False)
    going_on: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Names of exits after which the next step comes, where they are not wired."""
    needed: tuple[Exit, ...] = field(init=False, repr=False, compare=False)
    """Exits that must be wired, some of them only if the flow has no ``on_error``."""

    def __post_init__(self) -> None:
        # Asked of every step of every flow.
        object.__setattr__(self, "by_name", {exit.name: exit for exit in self.exits})
        for name, within in (("wired", False), ("within_failed", True)):
            names = tuple(exit.name for exit in self.exits if (exit.unwired == "failed") is within)
            object.__setattr__(self, name, names)
        object.__setattr__(self, "going_on", tuple(exit.name for exit in self.exits if exit.unwired == "next"))
        needed = tuple(exit for exit in self.exits if exit.unwired in ("must", "on_error"))
        object.__setattr__(self, "needed", needed)

    def exit(self, name: str) -> Exit | None:
        return self.by_name.get(name)

    def parts(self, exit: str) -> tuple[str, ...]:
        """The exits that ``failed`` is divided into."""
        return self.within_failed if exit == "failed" else ()

    @property
    def continues(self) -> bool:
        """Whether the next step can follow."""
        return bool(self.going_on)


NEXT = Exit("next", "done", "next")
