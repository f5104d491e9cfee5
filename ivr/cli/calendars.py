"""``ivr when``, ``ivr calendars``, ``ivr close``, ``ivr open``: what is open when, and closing by hand."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from ivr.calendar import Calendar, Closing, decide, next_change
from ivr.calendar.closings import ClosingFile
from ivr.cli.loading import errors, site_or_exit
from ivr.flow.problem import did_you_mean
from ivr.site import Site

_SITE = Annotated[Path, typer.Option("--site", help="The site file.")]
_NAME = Annotated[str, typer.Argument(metavar="CALENDAR", help="A calendar of the site.")]
_console = Console(highlight=False, soft_wrap=True, markup=False)


def when(
    calendar: _NAME,
    at: Annotated[
        str | None,
        typer.Argument(metavar="[TIME]", help="2026-10-01T09:30, in the calendar's zone; unless given, now."),
    ] = None,
    site: _SITE = Path("site.yaml"),
) -> None:
    """Say whether a calendar is open at a time, by which rule, and when that changes."""
    loaded = site_or_exit(site)
    found = _calendar(loaded, calendar)
    moment = datetime.now(UTC) if at is None else _moment(at, found)
    _show(found, moment, ClosingFile(loaded.state).closing(calendar))


def calendars(site: _SITE = Path("site.yaml")) -> None:
    """Show every calendar of the site, as it is now."""
    loaded = site_or_exit(site)
    closings = ClosingFile(loaded.state)
    if not loaded.calendars:
        _console.print("The site has no calendars.")
    for name, calendar in loaded.calendars.items():
        _show(calendar, datetime.now(UTC), closings.closing(name))


def close(
    calendar: _NAME,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown by ivr calendars and in the records.")] = "",
    until: Annotated[
        str | None,
        typer.Option("--until", help="When it opens again by itself: 14:30, or 2026-10-01T09:30, in its zone."),
    ] = None,
    site: _SITE = Path("site.yaml"),
) -> None:
    """Close a calendar at once, for calls that come and calls that run, until it is opened again.

    A running server needs no word of it, and a restart does not open it.
    """
    loaded = site_or_exit(site)
    found = _calendar(loaded, calendar)
    now = datetime.now(found.zone).replace(microsecond=0)
    end = None if until is None else _moment(until, found)
    if end is not None and end <= now:
        _stop(f"{until} is over already")
    if len(reason) > 200 or not reason.isprintable():
        _stop("a reason is one line of at most 200 characters")
    try:
        ClosingFile(loaded.state).close(calendar, Closing(now, reason, end))
    except OSError as error:
        _stop(f"{loaded.state}: {error.strerror}")
    _console.print(f"{calendar} is closed{'' if end is None else f' until {end:%Y-%m-%d %H:%M}'}.")


def open_again(calendar: _NAME, site: _SITE = Path("site.yaml")) -> None:
    """Take back what ivr close did: the calendar decides again."""
    loaded = site_or_exit(site)
    _calendar(loaded, calendar)
    try:
        was_closed = ClosingFile(loaded.state).open(calendar)
    except OSError as error:
        _stop(f"{loaded.state}: {error.strerror}")
    _console.print(f"{calendar} is no longer closed by hand." if was_closed else f"{calendar} was not closed by hand.")


def _calendar(site: Site, name: str) -> Calendar:
    found = site.calendars.get(name)
    if found is None:
        help = did_you_mean(name, site.calendars, "calendars")
        _stop(f"{site.file} has no calendar '{name}'. {help}".rstrip())
    return found


def _moment(text: str, calendar: Calendar) -> datetime:
    try:
        if len(text) <= 5:
            now = datetime.now(calendar.zone)
            at = datetime.combine(now.date(), time.fromisoformat(text), calendar.zone)
            return at if at > now else at + timedelta(days=1)
        found = datetime.fromisoformat(text)
    except ValueError:
        _stop(f"'{text[:40]}' is not a time. Write 2026-10-01T09:30 or 14:30.")
    return found if found.tzinfo is not None else found.replace(tzinfo=calendar.zone)


def _show(calendar: Calendar, at: datetime, closing: Closing | None) -> None:
    decision = decide(calendar, at, closing)
    local = at.astimezone(calendar.zone)
    where = f"   {decision.place}" if decision.place is not None else ""
    _console.print(f"{calendar.name}  {local:%Y-%m-%d %H:%M %Z}  {decision.state}  ({decision.rule}){where}")
    change = next_change(calendar, at, closing)
    if change is None:
        _console.print("  it stays so" if closing is None else "  until ivr open")
    else:
        after = decide(calendar, change, closing)
        _console.print(f"  {after.state} from {change:%Y-%m-%d %H:%M %Z}  ({after.rule})")


def _stop(text: str) -> NoReturn:
    errors.print(text, style="bold red")
    raise typer.Exit(1)
