"""``ivr schema``: what editors need to complete files and underline mistakes while they are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from ivr.flow.schema import flow_schema
from ivr.run.testing.schema import suite_schema
from ivr.site.schema import site_schema

_SCHEMAS = {"flow": flow_schema, "site": site_schema, "test": suite_schema}


def schema(
    of: Annotated[
        Literal["flow", "site", "test"], typer.Argument(help="Flows, the site file, or files of tests.")
    ] = "flow",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write. Unless given: the terminal.")
    ] = None,
) -> None:
    """Print the JSON Schema of flows, of the site file or of tests, for editors."""
    text = json.dumps(_SCHEMAS[of](), ensure_ascii=False, indent=2) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
