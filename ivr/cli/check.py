"""``ivr check``: what is wrong with flows and site files, before a caller hears it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from ivr.cli.loading import count, load_checked, show_problems
from ivr.cli.test import load_tests
from ivr.flow.loader import load_flows
from ivr.flow.problem import Problem, has_errors, in_order, to_json
from ivr.flow.sarif import to_sarif
from ivr.flow.source import SIZE_LIMIT
from ivr.run.testing.loader import ENDING

_FLOW = re.compile(rb"^\s*flow\s*:", re.MULTILINE)


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Flow files, folders of flows, files of tests, or site files and their folders (checked with their "
            "flows)."
        ),
    ] = None,
    output: Annotated[
        Literal["text", "json", "sarif"],
        typer.Option("--format", help="text for people, json for editors, sarif for code hosts."),
    ] = "text",
) -> None:
    """Find mistakes in flows and site files.

    Every mistake of every file is shown at once, with its line, the place in it and what to do. The exit code is 1
    if there is an error; warnings alone leave it 0.

    Without PATHS the site file site.yaml of this folder is checked.
    """
    problems = in_order(_problems([_site_of(path) for path in paths or [Path("site.yaml")]]))
    if output == "json":
        typer.echo(to_json(problems))
    elif output == "sarif":
        typer.echo(to_sarif(problems))
    else:
        console = Console(highlight=False, soft_wrap=True, markup=False)
        show_problems(problems, console)
        console.print(count(problems))
    if has_errors(problems):
        raise typer.Exit(1)


def _problems(paths: list[Path]) -> list[Problem]:
    tests = [path for path in paths if path.name.endswith(ENDING)]
    sites = [path for path in paths if path not in tests and _is_site(path)]
    flows = [path for path in paths if path not in tests and path not in sites]
    problems = list(load_flows(flows).problems) if flows else []
    for path in sites:
        problems += load_checked(path)[2]
    problems += load_tests(tests, None).problems
    return list(dict.fromkeys(problems))


def _site_of(path: Path) -> Path:
    """The site file of a site's folder; any other path as it is."""
    return path / "site.yaml" if (path / "site.yaml").is_file() else path


def _is_site(path: Path) -> bool:
    """A YAML file is a flow if it says so at the beginning of a line; everything else that is a file is a site."""
    if (path.exists() and not path.is_file()) or path.suffix == ".flow":
        return False
    try:
        with path.open("rb") as stream:
            return _FLOW.search(stream.read(SIZE_LIMIT)) is None
    except OSError:
        return path.name.startswith("site")
