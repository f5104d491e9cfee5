"""``ivr publish``, ``rollback``, ``status``, ``history``, ``diff``: which versions of flows callers hear."""

from __future__ import annotations

import getpass
import json
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from ivr.cli.loading import errors, load_or_exit, site_or_exit
from ivr.flow.loader import load_text
from ivr.flow.model import Flow
from ivr.live.control import NoServer, ask
from ivr.live.diff import changes
from ivr.live.publisher import Refused
from ivr.records import versions as store
from ivr.records.database import RecordsError, open_database

SiteFile = Annotated[Path, typer.Option("--site", help="The site file.")]
Author = Annotated[str, typer.Option("--author", help="Who does it. Unless given: the user of this terminal.")]
Comment = Annotated[str, typer.Option("--comment", help="Why, for the history.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
_SITE = Path("site.yaml")
_COLOURS = {"+": "green", "-": "red", "~": "yellow"}


def publish(
    site: SiteFile = _SITE,
    author: Author = "",
    comment: Comment = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go live.")] = False,
) -> None:
    """Have the server read its files again and bring them live.

    All of them or none: with one mistake nothing changes for callers, and the exit code is 1.
    """
    console = _console()
    found = _asked(site, "publish", author=author or getpass.getuser(), comment=comment, dry_run=dry_run)
    _show_outcome(found, console, "would go live" if dry_run else "live")


def rollback(
    version: Annotated[str, typer.Argument(help="The version to go back to, as main@41.")],
    site: SiteFile = _SITE,
    author: Author = "",
    comment: Comment = "",
) -> None:
    """Bring an old version live again, as a new one.

    The file stays as it is, and is not live until it changes again.
    """
    flow, number = _version(version)
    if number is None:
        errors.print("Say which version: main@41. ivr history lists them.")
        raise typer.Exit(1)
    user = author or getpass.getuser()
    found = _asked(site, "rollback", flow=flow, number=number, author=user, comment=comment)
    _show_outcome(found, _console(), "live")


def status(site: SiteFile = _SITE, as_json: AsJson = False) -> None:
    """Show which versions are live, which calls hold older ones, and whether the files differ.

    The exit code is 1 if what is on disk cannot go live.
    """
    found = _asked(site, "status")
    if as_json:
        typer.echo(json.dumps(found))
    else:
        _show_status(found, _console())
    if found["disk"]["complaints"]:
        raise typer.Exit(1)


def history(
    flow: Annotated[str, typer.Argument(help="Only this flow.")] = "",
    site: SiteFile = _SITE,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what went live: when, by whom, and why."""
    try:
        engine = open_database(site_or_exit(site).records, writing=False)
    except RecordsError as error:
        _fail(str(error))
    found = [one for one in store.releases(engine, limit) if not flow or flow in one.contents]
    engine.dispose()
    if as_json:
        keys = ("number", "at", "author", "origin", "comment", "tests", "contents")
        typer.echo(json.dumps([{key: getattr(one, key) for key in keys} for one in found]))
        return
    console = _console()
    for one in found:
        names = [f"{name}@{number}" for name, number in one.contents.items() if not flow or name == flow]
        tail = f"  {one.comment}" if one.comment else ""
        console.print(f"{_time(one.at)}  {one.author}  {one.origin}  {', '.join(names)}{tail}")


def diff(
    old: Annotated[str, typer.Argument(help="A version, as main@41; or a flow, for the live version.")],
    new: Annotated[str, typer.Argument(help="Another version. Unless given: the file on disk.")] = "",
    site: SiteFile = _SITE,
    as_json: AsJson = False,
) -> None:
    """Show what differs between two versions, as callers notice it: blocks, exits, prompts, settings."""
    lines = changes(_flow(site, old), _flow(site, new) if new else _on_disk(site, _version(old)[0]))
    if as_json:
        typer.echo(json.dumps(list(lines)))
        return
    _show_changes(lines, _console())


# ----------------------------------------------------------------------------------------------------------


def _asked(site: Path, command: str, **arguments: object) -> dict[str, Any]:
    try:
        return ask(site, command, **arguments)
    except NoServer as error:
        _fail(str(error))
    except Refused as refused:
        for complaint in refused.complaints:
            errors.print(complaint)
        _fail(str(refused))


def _fail(message: str) -> NoReturn:
    errors.print(message, style="bold red")
    raise typer.Exit(1)


def _version(text: str) -> tuple[str, int | None]:
    flow, _, number = text.partition("@")
    return flow, int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None


def _flow(site: Path, text: str) -> Flow:
    name, number = _version(text)
    try:
        engine = open_database(site_or_exit(site).records, writing=False)
    except RecordsError as error:
        _fail(str(error))
    last = store.releases(engine)
    if number is None:
        number = last[0].contents.get(name, 0) if last else 0
    found = store.version(engine, name, number)
    engine.dispose()
    flow = None if found is None else load_text(found.text, found.file).flows.get(name)
    if flow is None:
        _fail(f"there is no version {text}: ivr history lists them")
    return flow


def _on_disk(site: Path, name: str) -> Flow | None:
    return load_or_exit(site)[1].flows.get(name)


def _show_outcome(found: dict[str, Any], console: Console, word: str) -> None:
    if not found["live"] and not found["removed"]:
        console.print("Nothing changed that a caller could notice.")
    for version in found["live"]:
        console.print(f"{version} {word}", style="bold green")
        _show_changes(found["differences"].get(version.partition("@")[0], ()), console)
    for flow in found["removed"]:
        console.print(f"{flow} removed")
    if found["tests_passed"]:
        console.print(f"Gate tests: {found['tests_passed']} passed.")
    if found["restart_for"]:
        console.print(f"Waits for a restart: {', '.join(found['restart_for'])}", style="bold yellow")


def _show_changes(lines: Any, console: Console) -> None:
    for line in lines:
        console.print(f"  {line}", style=_COLOURS.get(line[:1], ""))


def _show_status(found: dict[str, Any], console: Console) -> None:
    for one in found["versions"]:
        parts = [] if one["live_since"] is None else [f"live since {_time(one['live_since'])}"]
        if one["calls"]:
            calls = f"{one['calls']} call{'' if one['calls'] == 1 else 's'}"
            parts.append(f"{calls}, oldest {_age(one['oldest_s'])}")
        console.print(f"{one['version']} {', '.join(parts)}")
        if one["old_calls"]:
            console.print(f"  for more than 4 h: {', '.join(one['old_calls'])}", style="bold yellow")
    disk = found["disk"]
    if disk["differs_since"] is not None:
        complaints = disk["complaints"]
        mistakes = f": {len(complaints)} error{'' if len(complaints) == 1 else 's'}" if complaints else ""
        console.print(f"Disk differs from live since {_time(disk['differs_since'])}{mistakes}", style="bold red")
        for complaint in complaints:
            console.print(complaint)
    if disk["rolled_back"]:
        console.print(f"Rolled back, the file waits for its next change: {', '.join(disk['rolled_back'])}")
    if disk["restart_for"]:
        console.print(f"Changed in the site file, waits for a restart: {', '.join(disk['restart_for'])}")
    if disk["waits_for"]:
        console.print(f"Still being written: {', '.join(disk['waits_for'])}")


def _age(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _time(ms: int) -> str:
    at = datetime.fromtimestamp(ms / 1000)
    return at.strftime("%H:%M:%S" if time.time() - ms / 1000 < 43_200 else "%Y-%m-%d %H:%M")


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True, markup=False)
