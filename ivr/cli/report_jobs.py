"""Reports of the site file's ``reports``, made now: written to their files and sent to their addresses."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import datetime
from typing import cast

from ivr.records.database import open_database
from ivr.reports import occupancy
from ivr.reports.answer import ReportError
from ivr.reports.cells import Records
from ivr.reports.definition import By
from ivr.reports.mail import message, send
from ivr.reports.making import in_words, make
from ivr.reports.schedule import Format
from ivr.reports.span import DAY_MS, Span, machine_zone, span_of
from ivr.site import Site

_BACK_MS = 400 * DAY_MS
"""Days further ago are summed up when somebody asks for them."""


def do_job(site: Site, name: str, due: str | None) -> list[str]:
    """Make the report that was ``due`` then (ISO 8601; None: the last time it was). Returns where it went.

    Raises ReportError, RecordsError or MailError.
    """
    job = site.reports.get(name)
    if job is None:
        known = ", ".join(site.reports) or "there are none"
        raise ReportError(f"the site file has no report '{name}' under reports: ({known})")
    zone = site.zone or machine_zone()
    now = round(time.time() * 1000)
    at = job.when.latest(datetime.now(zone)) if due is None else datetime.fromisoformat(due).astimezone(zone)
    first, last = job.days(at)
    span = span_of(str(first), str(last), zone, now)
    records = Records(open_database(site.records, writing=False), now)
    by = cast(By | None, job.by)
    made: dict[Format, bytes] = {}

    def content(file: str | None) -> tuple[Format, bytes]:
        format = job.format_of(file)
        if format not in made:
            made[format] = make(job.report, records, span, format, by=by)
        return format, made[format]

    went = []
    for file in job.files(first):
        path = site.file.resolve().parent / file
        _, written = content(file)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f".{path.name}.new")
            fresh.write_bytes(written)
            fresh.replace(path)
        except OSError as error:
            raise ReportError(f"{path} cannot be written: {error.strerror or error}") from error
        went.append(str(path))
    if job.addresses:
        mail(site, job.report, records, span, job.addresses, *content(None), by=by)
        went += job.addresses
    return went


def mail(
    site: Site,
    report: str,
    records: Records,
    span: Span,
    to: Sequence[str],
    format: Format,
    content: bytes,
    *,
    by: By | None = None,
) -> None:
    """Send what was made of a report; its numbers stand in the text too.

    Raises ReportError or MailError.
    """
    if site.smtp is None:
        raise ReportError("there is no mail server in the site file: add smtp: {host: …, from: …}")
    day = f"{span.local(span.begins):%Y-%m-%d}"
    file = f"{report}-{day}.{'txt' if format == 'table' else format}"
    words = in_words(report, records, span, by=by)
    send(message(site.smtp.sender, to, f"{report}, {span}", words, file, content), site.smtp)


def sum_up(site: Site) -> int:
    """Keep the sums of days that have settled. Returns how many were made."""
    os.nice(10)
    now = round(time.time() * 1000)
    records = Records(open_database(site.records, writing=False), now)
    begins = records.first_arrival(now - _BACK_MS)
    return 0 if begins is None else records.summarise(begins) + occupancy.summarise(records, begins)
