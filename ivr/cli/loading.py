"""A site with its flows, loaded and checked, and its problems shown: what several commands begin with."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from ivr.flow.kept import KeptFlows
from ivr.flow.loader import FlowSet, load_flows
from ivr.flow.problem import Problem, has_errors
from ivr.site import Site, check_site, load_site
from ivr.speech.checking import VoiceCheck
from ivr.speech.recordings import doubt, fault, length

program = "ivr" if shutil.which("ivr") else sys.argv[0]
"""How the person at the terminal calls this program: in a checkout it is not on the path."""

errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def show_problems(problems: Iterable[Problem], console: Console = errors) -> None:
    """Print each as it is written for operators: place, line, caret, remedy."""
    for problem in problems:
        text = Text(str(problem))
        first = text.plain.partition("\n")[0]
        text.stylize("bold red" if problem.severity == "error" else "bold yellow", 0, len(first))
        console.print(text)


def count(problems: Iterable[Problem]) -> str:
    """``2 errors, 1 warning``"""
    severities = [problem.severity for problem in problems]
    parts = [
        f"{number} {word}{'' if number == 1 else 's'}"
        for word in ("error", "warning")
        if (number := severities.count(word))
    ]
    return ", ".join(parts) or "no mistakes"


def flows_of(site: Site, before: FlowSet | None = None) -> FlowSet:
    """The flows of a site, those that are kept in its folder as they are."""
    return load_flows(site.flows, before, KeptFlows.within(site.state))


def load_checked(path: Path, before: FlowSet | None = None) -> tuple[Site | None, FlowSet | None, tuple[Problem, ...]]:
    """The site, its flows, and everything that is wrong with them and between them. No site if it has errors.

    ``before``: flows loaded earlier; files that have not changed are taken from there.
    """
    loaded = load_site(path)
    if loaded.site is None:
        return None, None, loaded.problems
    flows = flows_of(loaded.site, before)
    return (
        loaded.site,
        flows,
        (*loaded.problems, *flows.problems, *check_site(loaded.site, flows, fault, length, doubt, voices=VoiceCheck())),
    )


def load_or_exit(path: Path) -> tuple[Site, FlowSet]:
    """The site and its flows without errors, or the errors shown and exit code 1."""
    site, flows, problems = load_checked(path)
    show_problems(problems)
    if site is None or flows is None or has_errors(problems):
        errors.print(f"{count(problems)}: nothing was started. Correct them, and try {program} check {path}")
        raise typer.Exit(1)
    return site, flows


def site_or_exit(path: Path) -> Site:
    """The site alone, for commands that need no flows."""
    loaded = load_site(path)
    if loaded.site is None or has_errors(loaded.problems):
        show_problems(loaded.problems)
        raise typer.Exit(1)
    return loaded.site
