"""What every report counts, as the guide has it; ``python -m ivr.reports.reference`` puts it in its place.

It stands in docs/reports.md between two marks; the rest of that page is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ivr.reports.catalogue import REPORTS
from ivr.reports.definition import Report, Settings

TARGET: Final = Path("docs/reports.md")
_MARKS: Final = ("<!-- reports: made by python -m ivr.reports.reference -->\n", "<!-- end of reports -->\n")


def with_reports(page: str) -> str:
    """The page with what stands between its marks made anew."""
    first, last = _MARKS
    pattern = re.compile(f"({re.escape(first)}).*?({re.escape(last)})", re.DOTALL)
    text = "\n".join(line for report in REPORTS.values() for line in _described(report))
    made, count = pattern.subn(lambda found: f"{found[1]}\n{text}\n{found[2]}", page)
    if count != 1:
        raise ValueError("the page has no place for the reports, or several")
    return made


def _described(report: Report) -> Iterator[str]:
    yield f"### {report.title}: `{report.name}`\n"
    brief = report.said(Settings())
    yield f"{brief[:1].upper()}{brief[1:]}.\n"
    for sentence in report.told(Settings()):
        yield f"- {sentence}"
    rows = f"A row for each {', '.join(report.keys)}. " if report.keys else ""
    cuts = f"`--by` {' '.join(report.cuts)}. " if report.cuts else ""
    columns = ", ".join(f"`{column.name}`" for column in report.columns)
    yield f"\n{rows}{cuts}Columns: {columns}.\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.write_text(with_reports(target.read_text(encoding="utf-8")), encoding="utf-8")
