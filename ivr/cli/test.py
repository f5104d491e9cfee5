"""``ivr test``: acts the calls that operators wrote down beside their flows, and shows those that went another way."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ivr.cli.loading import count, show_problems, site_or_exit
from ivr.flow.loader import FlowSet, load_flows, shown
from ivr.flow.problem import Problem, has_errors, in_order
from ivr.run.testing.acting import Failure, Result, act
from ivr.run.testing.kinds import Surroundings
from ivr.run.testing.loader import ENDING, Suite, files_of_tests, load_suite
from ivr.site import Site

_SITE = Path("site.yaml")
_SHOWN = 12
"""Lines of a transcript shown on each side of the difference."""


def run_tests(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help=f"Files NAME{ENDING}, or folders with such files. Unless given: the site's flows."),
    ] = None,
    site: Annotated[
        Path | None,
        typer.Option(
            "--site", help="The site file with the seats and groups. Unless given: site.yaml above the tests."
        ),
    ] = None,
) -> None:
    """Act the tests of flows.

    They run in virtual time, without telephones: a minute of waiting takes no time. The exit code is 1 if a test
    fails or cannot be read.
    """
    console = Console(highlight=False, soft_wrap=True, markup=False)
    wanted = paths or _flows_of(site)
    files = files_of_tests(wanted)
    if not files:
        console.print(f"There are no tests (NAME{ENDING}) in {', '.join(shown(path) for path in wanted)}.")
        raise typer.Exit(1)
    loaded = load_tests(files, site)
    show_problems(loaded.problems, console)
    if has_errors(loaded.problems):
        console.print(f"{count(loaded.problems)}: no test was run.")
        raise typer.Exit(1)
    summaries, failed = [], False
    for suite, around in loaded.suites:
        began = time.perf_counter()
        results = [act(case, around) for case in suite.cases]
        took = time.perf_counter() - began
        failures = [result for result in results if not result.passed]
        for result in failures:
            console.print(*_failure_lines(result), sep="\n")
        failed = failed or bool(failures)
        summaries.append(f"{suite.flow}: {_counted(results, failures)} ({took:.1f} s)")
    for summary in summaries:
        console.print(summary)
    if failed:
        raise typer.Exit(1)


@dataclass(frozen=True)
class LoadedTests:
    """Tests, each file with what of its site it can name, and everything that is wrong with them and their flows."""

    suites: tuple[tuple[Suite, Surroundings], ...]
    problems: tuple[Problem, ...]


def load_tests(files: Sequence[Path], site: Path | None) -> LoadedTests:
    """Read the files of tests and the flows beside them. A site file with errors ends the program."""
    suites: list[tuple[Suite, Surroundings]] = []
    problems: list[Problem] = []
    known: dict[Path, tuple[FlowSet, Surroundings]] = {}
    for file in files:
        site_file = site or _site_above(file)
        belongs_to = site_file or file.parent
        if belongs_to not in known:
            loaded = None if site_file is None else site_or_exit(site_file)
            flows = load_flows([file.parent] if loaded is None else loaded.flows)
            known[belongs_to] = flows, surroundings_of(loaded)
        flows, around = known[belongs_to]
        suite = load_suite(file, flows, around)
        problems += suite.problems
        if suite.flow in flows.names - flows.flows.keys():
            problems += [problem for problem in flows.problems if problem.severity == "error"]
        suites.append((suite, around))
    return LoadedTests(tuple(suites), in_order(problems))


def surroundings_of(site: Site | None) -> Surroundings:
    """What a test can name of a site."""
    if site is None:
        return Surroundings()
    groups = {name: group.targets for name, group in site.groups.items()}
    return Surroundings(frozenset(site.seats), groups, numbers=bool(site.trunks), known=True)


def _flows_of(site: Path | None) -> list[Path]:
    file = site or (_SITE if _SITE.is_file() else None)
    return [Path()] if file is None else list(site_or_exit(file).flows)


def _site_above(file: Path) -> Path | None:
    """The site file in the folder of the tests or the one above it."""
    folder = file.resolve().parent
    found = next((place / _SITE for place in (folder, folder.parent) if (place / _SITE).is_file()), None)
    return None if found is None else Path(shown(found))


def _counted(results: Sequence[Result], failures: Sequence[Result]) -> str:
    passed = f"{len(results) - len(failures)} passed"
    return f"{passed}, {len(failures)} failed" if failures else passed


def _failure_lines(result: Result) -> Iterator[Text]:
    failure = result.failure
    assert failure is not None
    yield Text(f"{failure.place}: failed: {result.case.name}", style="bold red")
    yield Text(f"  {failure.message}")
    yield Text(f"  in the flow, the call was at {failure.flow_place}")
    yield from (Text(f"    {line}", style="dim") for line in _before(failure))
    if failure.instead:
        yield Text("  and then, instead:")
        yield from (Text(f"    {line}") for line in failure.instead[:_SHOWN])
        if len(failure.instead) > _SHOWN:
            yield Text(f"    … {len(failure.instead) - _SHOWN} more lines")
    yield Text("")


def _before(failure: Failure) -> Iterator[str]:
    if len(failure.before) > _SHOWN:
        yield f"… {len(failure.before) - _SHOWN} lines before"
    yield from failure.before[-_SHOWN:]
