"""``ivr replay``: what recorded callers did, done again with the flows on disk."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ivr.cli.loading import errors, load_or_exit
from ivr.cli.spans import seconds_of
from ivr.records.database import RecordsError, open_database
from ivr.records.recorded import RecordedCall, recorded_calls
from ivr.replay.comparison import Findings, Verdict, compare, gather
from ivr.replay.driver import former_names
from ivr.replay.driver import replay as do_again
from ivr.run.environment import Environment
from ivr.site import Site
from ivr.site.environment import environment_of

_EXAMPLES = 3


def replay(
    flow: Annotated[str | None, typer.Argument(help="Only calls that began in this flow. Unless given: all.")] = None,
    since: Annotated[str, typer.Option("--since", metavar="PERIOD", help="Calls of so long: 24h, 7d.")] = "7d",
    site: Annotated[Path, typer.Option("--site", help="The site file.")] = Path("site.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, with the ids of all calls.")] = False,
    fail_over: Annotated[
        float | None,
        typer.Option("--fail-over", metavar="PERCENT", help="Exit with 1 if the way of more calls than that changes."),
    ] = None,
) -> None:
    """Tell whose way an edit changes, before it goes live.

    Recorded calls are done again with the flows as they are on disk: the same keys at the same questions, the same
    outcomes of ringing and asking, the same time of day. For every place where callers would now get elsewhere it is
    shown how many they are. Where the recording does not suffice (a new question, keys that are secret) nothing is
    guessed: such calls are counted by the reason.
    """
    loaded, flows = load_or_exit(site)
    environment = environment_of(loaded, flows.flows)
    since_ms = round((time.time() - seconds_of(since)) * 1000)
    try:
        calls = list(recorded_calls(open_database(loaded.records, writing=False), since_ms, flow))
    except RecordsError as error:
        errors.print(str(error), style="bold red")
        raise typer.Exit(1) from None
    verdicts = _verdicts(loaded, calls, environment, quiet=as_json)
    findings = gather(verdicts)
    if as_json:
        typer.echo(json.dumps(_as_json(findings), ensure_ascii=False, indent=2))
    else:
        _show(findings, since)
    if fail_over is not None and findings.calls and 100 * findings.changed_calls / findings.calls > fail_over:
        raise typer.Exit(1)


def _verdicts(site: Site, calls: Sequence[RecordedCall], environment: Environment, *, quiet: bool) -> list[Verdict]:
    verdicts = []
    for call in track(calls, "Doing calls again", console=errors, transient=True, disable=quiet or len(calls) < 200):
        rule = site.route(call.did)
        name = call.flow if call.flow in environment.flows or rule is None else rule.flow or call.flow
        flow = environment.flows.get(name)
        if flow is None:
            reason = f"flow {call.flow} is not there any more"
            verdicts.append(Verdict(call.call_id, "unknown", reason=reason))
        else:
            verdicts.append(compare(call, do_again(call, flow, environment), former_names(flow)))
    return verdicts


def _show(findings: Findings, since: str) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if not findings.calls:
        console.print(f"No call was recorded in the last {since}.")
        return
    calls = f"{findings.calls} call{'' if findings.calls == 1 else 's'} of the last {since}"
    same, changed, unknown = len(findings.same), findings.changed_calls, findings.unknown_calls
    console.print(f"{calls}: {same} go the same way, {changed} another, of {unknown} it cannot be told.")
    if findings.changed:
        table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
        for column in ("calls", "", "in block", "by", "then", "now", "for example"):
            table.add_column(column, justify="right" if column in ("calls", "") else "left")
        for change, ids in findings.changed.items():
            share = f"{100 * len(ids) / findings.calls:.1f} %"
            where = f"{change.flow}: {change.block}"
            table.add_row(str(len(ids)), share, where, change.by, change.before, change.after, ids[-1])
        console.print(table)
    if findings.unknown:
        console.print("Not to be told from the recording:")
        for reason, ids in findings.unknown.items():
            console.print(f"  {len(ids):>5}  {reason}   ({', '.join(ids[-_EXAMPLES:])})")


def _as_json(findings: Findings) -> dict[str, object]:
    return {
        "calls": findings.calls,
        "same": findings.same,
        "changed": [
            {
                "flow": change.flow,
                "block": change.block,
                "by": change.by,
                "before": change.before,
                "after": change.after,
                "calls": ids,
            }
            for change, ids in findings.changed.items()
        ],
        "unknown": [{"reason": reason, "calls": ids} for reason, ids in findings.unknown.items()],
    }
