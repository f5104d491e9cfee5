"""The commands of the program, run as a person types them but within the test."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from ivr.cli import app


def ivr(*words: object) -> Result:
    """Run ``ivr WORDS``; what it printed is in ``stdout`` and ``stderr``."""
    return CliRunner().invoke(app, [str(word) for word in words])
