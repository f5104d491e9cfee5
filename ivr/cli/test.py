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

from ivr.cli.loading import count, errors, flows_of, load_or_exit, program, show_problems, site_or_exit
from ivr.flow.loader import FlowSet, load_flows, shown
from ivr.flow.problem import Problem, has_errors, in_order
from ivr.records.database import RecordsError, open_database
from ivr.records.recorded import recorded_call
from ivr.replay.as_test import as_test
from ivr.run.testing.acting import Failure, Result, act, environment_of
from ivr.run.testing.coverage import Coverage, coverage
from ivr.run.testing.kinds import Surroundings
from ivr.run.testing.loader import ENDING, Suite, files_of_tests, load_suite
from ivr.run.testing.mocks import distinct
from ivr.run.testing.model import Case
from ivr.run.testing.reports import Outcome, as_json, as_junit
from ivr.run.testing.wandering import CALLS, Broken, wander
from ivr.site import Site
from ivr.site.environment import surroundings_of

_SITE = Path("site.yaml")
_UNSEEN = 8
"""Blocks and exits that no test reached, named in the summary."""
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
    only: Annotated[
        str | None, typer.Option("-k", metavar="NAME", help="Only tests with these letters in their names.")
    ] = None,
    stop: Annotated[bool, typer.Option("-x", help="Stop at the first test that fails.")] = False,
    names: Annotated[bool, typer.Option("--list", help="Show the names of the tests; none is run.")] = False,
    runs: Annotated[
        int, typer.Option("--runs", min=1, max=100_000, help="How many random calls the properties are tried on.")
    ] = CALLS,
    record: Annotated[
        str | None,
        typer.Option("--record", metavar="CALL", help="Print this recorded call of the site as a test; none is run."),
    ] = None,
    as_json_: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the outcome for a build server into FILE.")
    ] = None,
) -> None:
    """Act the tests of flows.

    They run in virtual time, without telephones: a minute of waiting takes no time. The exit code is 1 if a test
    fails or cannot be read, if a property does not hold, or if less of a flow is covered than its file asks for.
    """
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if record is not None:
        typer.echo(_recorded(record, site or _SITE), nl=False)
        return
    wanted = paths or _flows_of(site)
    files = files_of_tests(wanted)
    if not files:
        console.print(f"There are no tests (NAME{ENDING}) in {', '.join(shown(path) for path in wanted)}.")
        raise typer.Exit(1)
    loaded = load_tests(files, site)
    show_problems(loaded.problems, errors if as_json_ else console)
    if has_errors(loaded.problems):
        (errors if as_json_ else console).print(f"{count(loaded.problems)}: no test was run.")
        raise typer.Exit(1)
    if names:
        for suite, _ in loaded.suites:
            for case in _chosen(suite, only):
                console.print(f"{case.place}: {case.name}{'  (gate)' if case.gate else ''}")
        return
    outcomes = []
    for suite, around in loaded.suites:
        outcome = _run(suite, around, only, stop, runs)
        outcomes.append(outcome)
        if not as_json_:
            for result in outcome.failures:
                console.print(*_failure_lines(result), sep="\n")
            for broken in outcome.broken:
                console.print(*_broken_lines(broken, runs), sep="\n")
            for text in outcome.below:
                console.print(Text(f"{outcome.file}: failed: {text}", style="bold red"))
        if stop and not outcome.passed:
            break
    if as_json_:
        typer.echo(as_json(outcomes))
    else:
        for outcome in outcomes:
            console.print(_summary(outcome))
    if junit is not None:
        _write(junit, as_junit(outcomes))
    if only is not None and not any(outcome.results for outcome in outcomes):
        errors.print(f"No test has '{only}' in its name.")
        raise typer.Exit(1)
    if not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(1)


def _recorded(call_id: str, file: Path) -> str:
    site, flows = load_or_exit(file)
    try:
        call = recorded_call(open_database(site.records, writing=False), call_id)
    except RecordsError as error:
        errors.print(str(error), style="bold red")
        raise typer.Exit(1) from None
    flow = None if call is None else flows.flows.get(call.flow)
    if call is None or flow is None:
        what = f"no finished call '{call_id[:80]}' with a flow" if call is None else f"no flow '{call.flow}' any more"
        errors.print(f"There is {what}. {program} calls --json shows the calls with their call_id.", style="bold red")
        raise typer.Exit(1)
    around = surroundings_of(site, flows.flows)
    environment = environment_of(flow, around, ())
    return as_test(call, flow, environment, signed_in=tuple(around.seats))


def _chosen(suite: Suite, only: str | None) -> list[Case]:
    return [case for case in suite.cases if only is None or only.casefold() in case.name.casefold()]


def _run(suite: Suite, around: Surroundings, only: str | None, stop: bool, runs: int) -> Outcome:
    began = time.perf_counter()
    results: list[Result] = []
    for case in _chosen(suite, only):
        results.append(act(case, around))
        if stop and not results[-1].passed:
            break
    whole = only is None and len(results) == len(suite.cases) and suite.tested is not None
    broken: list[Broken] = []
    covered: Coverage | None = None
    below: tuple[str, ...] = ()
    if whole and suite.tested is not None:
        mocks = distinct(mock for case in suite.cases for mock in case.mocks)
        if not (stop and any(not result.passed for result in results)):
            broken = wander(
                suite.tested,
                around,
                suite.properties,
                caller=suite.caller,
                lengths=suite.lengths,
                mocks=mocks,
                calls=runs,
            )
        covered = coverage(
            suite.tested, (record for one in results for record in one.records), (one.path for one in results)
        )
        below = covered.below(suite.floor) if suite.floor is not None else ()
    took = time.perf_counter() - began
    return Outcome(suite.file, suite.flow, tuple(results), tuple(broken), covered, below, took)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        errors.print(f"{file} cannot be written: {error.strerror}", style="bold red")
        raise typer.Exit(1) from None


def _summary(outcome: Outcome) -> str:
    text = f"{outcome.flow}: {_counted(outcome.results, outcome.failures)} ({outcome.seconds:.1f} s)"
    if outcome.broken:
        text += f"  {len(outcome.broken)} properties broken" if len(outcome.broken) > 1 else "  1 property broken"
    if outcome.coverage is None:
        return text
    text += f"  {outcome.coverage}"
    missing = outcome.coverage.not_seen
    if missing:
        more = f", and {len(missing) - _UNSEEN} more" if len(missing) > _UNSEEN else ""
        text += f"  not seen: {', '.join(missing[:_UNSEEN])}{more}"
    return text


def _broken_lines(broken: Broken, runs: int) -> Iterator[Text]:
    yield Text(f"{broken.property.place}: failed: {broken.title}", style="bold red")
    yield Text(f"  {broken.message} (call {broken.call} of {runs})")
    yield Text("  the shortest call found that does it, as a test:")
    yield from (Text(f"  {line}") for line in broken.test.splitlines())
    yield Text("")


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
            flows = load_flows([file.parent]) if loaded is None else flows_of(loaded)
            known[belongs_to] = flows, _surroundings(loaded, flows)
        flows, around = known[belongs_to]
        suite = load_suite(file, flows, around)
        problems += suite.problems
        if suite.flow in flows.names - flows.flows.keys():
            problems += [problem for problem in flows.problems if problem.severity == "error"]
        suites.append((suite, around))
    return LoadedTests(tuple(suites), in_order(problems))


def _surroundings(site: Site | None, flows: FlowSet) -> Surroundings:
    return Surroundings(flows=flows.flows) if site is None else surroundings_of(site, flows.flows)


def _flows_of(site: Path | None) -> list[Path]:
    file = site or (_SITE if _SITE.is_file() else None)
    return [Path()] if file is None else list(site_or_exit(file).flows)


def _site_above(file: Path) -> Path | None:
    """The nearest site file in the folder of the tests or above it: flows may lie in folders of folders."""
    found = next((place / _SITE for place in file.resolve().parents if (place / _SITE).is_file()), None)
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
