"""What a plug-in is written with: a Python function that flows can call by name.

A package declares it as an entry point of the group ``ivr.plugins``; the name of the entry point is what flows write.
Arguments are those of the function, with their types::

    @plugin(exits=("high", "low"), timeout=2.0)
    def score(number: str, limit: Decimal = Decimal(10)) -> Leave:
        return Leave("high", 12)

The function gives back a value, and the flow goes on by ``next``, or a :class:`Leave`. It runs in a thread of its own;
an ``async`` function runs in the event loop and must never block it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from importlib.metadata import entry_points
from typing import Any, Final, get_type_hints

from ivr.flow.model import VariableType

GROUP: Final = "ivr.plugins"

TYPES: Final[Mapping[object, tuple[VariableType, ...]]] = {
    str: ("text", "digits"),
    Decimal: ("number", "money"),
    int: ("number",),
    float: ("number", "money"),
    bool: ("yes_no",),
    date: ("date",),
    time: ("time",),
    list: ("list",),
    tuple: ("list",),
    dict: ("json",),
}
"""Types of arguments, and what of a flow they take; ``object`` takes everything, and a record can be anything."""


@dataclass(frozen=True, slots=True)
class Leave:
    """By which exit the flow goes on, and what it is given."""

    exit: str = "next"
    value: object = None


@dataclass(frozen=True, slots=True)
class Argument:
    name: str
    type: object
    required: bool

    @property
    def accepts(self) -> tuple[VariableType, ...] | None:
        """None: everything."""
        return TYPES.get(self.type)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A function with what flows must know of it."""

    call: Callable[..., Any]
    arguments: tuple[Argument, ...]
    exits: tuple[str, ...] = ()
    """Beside ``next`` and ``failed``."""
    timeout: float = 5.0
    """Seconds."""
    doc: str = field(default="", compare=False)


def plugin(*, exits: tuple[str, ...] = (), timeout: float = 5.0) -> Callable[[Callable[..., Any]], Plugin]:
    """Make a plug-in of a function. Raises TypeError for one whose arguments cannot be given by name."""

    def made(function: Callable[..., Any]) -> Plugin:
        return of_function(function, exits, timeout)

    return made


def of_function(function: Callable[..., Any], exits: tuple[str, ...] = (), timeout: float = 5.0) -> Plugin:
    """Raises TypeError."""
    hints = get_type_hints(function)
    arguments = []
    for name, one in inspect.signature(function).parameters.items():
        if one.kind not in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
            raise TypeError(f"argument '{name}' cannot be given by name")
        type_ = hints.get(name, object)
        if type_ is not object and type_ not in TYPES:
            raise TypeError(f"argument '{name}' has a type that flows do not have")
        arguments.append(Argument(name, type_, one.default is one.empty))
    lines = (inspect.getdoc(function) or "").splitlines()
    return Plugin(function, tuple(arguments), tuple(exits), timeout, lines[0] if lines else "")


@dataclass(frozen=True, slots=True)
class Found:
    """An entry point: the plug-in, or why it cannot be used."""

    name: str
    package: str
    plugin: Plugin | None
    fault: str = ""


def installed() -> Mapping[str, Found]:
    """Every plug-in there is, by name, whether it can be used or not. Runs code of the packages."""
    found = {}
    for entry in entry_points(group=GROUP):
        package = entry.dist.name if entry.dist is not None else entry.module
        plugin, fault = None, ""
        try:
            loaded = entry.load()
            plugin = loaded if isinstance(loaded, Plugin) else of_function(loaded)
        except Exception as error:
            # Whatever a package does when it is loaded: it is named, and the others go on.
            fault = f"{type(error).__name__}: {error}"
        found[entry.name] = Found(entry.name, package, plugin, fault)
    return found
