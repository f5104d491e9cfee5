"""``ivr schema``: what editors need to complete flows and underline mistakes while they are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ivr.flow.schema import flow_schema


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write. Unless given: the terminal.")
    ] = None,
) -> None:
    """Print the JSON Schema of flow files, for editors."""
    text = json.dumps(flow_schema(), ensure_ascii=False, indent=2) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
