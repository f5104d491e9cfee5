"""Time spans as people type them behind an option: ``24h``, ``7d``."""

from __future__ import annotations

import typer

from ivr.cli.loading import errors
from ivr.flow.kinds import Duration
from ivr.flow.model import Place
from ivr.flow.settings import Reader
from ivr.flow.source import ScalarNode

_LONGEST_S = 10 * 366 * 86_400


def seconds_of(span: str) -> float:
    """The seconds; what is no time span ends the program with a word about it."""
    if span.endswith("d") and span[:-1].isascii() and span[:-1].isdigit() and len(span) < 6:
        return int(span[:-1]) * 86_400.0
    seconds = Duration(1, _LONGEST_S).read(ScalarNode(span, Place("", 1)), Reader())
    if seconds is None:
        errors.print(f"'{span}' is no time span: write 24h or 7d", style="bold red")
        raise typer.Exit(1)
    return seconds
