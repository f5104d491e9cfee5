"""The table of the site file's settings, made from the loader; ``python -m ivr.site.reference`` puts it in its place.

It stands in docs/admin-guide.md between two marks; the rest of that page is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ivr.flow.kinds import seconds_as_text
from ivr.flow.settings import settings_of
from ivr.site.loader import PARTS
from ivr.site.model import PortRange

TARGET: Final = Path("docs/admin-guide.md")
_MARKS: Final = ("<!-- site keys: made by python -m ivr.site.reference -->\n", "<!-- end of site keys -->\n")


def site_table() -> str:
    """All settings in one table, in the order of the file."""
    return "\n".join(["| setting | written as | default | meaning |", "|---|---|---|---|", *_rows()]) + "\n"


def with_table(page: str) -> str:
    """The page with what stands between its marks made anew."""
    first, last = _MARKS
    pattern = re.compile(f"({re.escape(first)}).*?({re.escape(last)})", re.DOTALL)
    made, count = pattern.subn(lambda found: f"{found[1]}\n{site_table()}\n{found[2]}", page)
    if count != 1:
        raise ValueError("the page has no place for the table, or several")
    return made


def _rows() -> Iterator[str]:
    for name, part in PARTS.items():
        if isinstance(part, tuple):
            yield _row(name, *part)
            continue
        for field, one in settings_of(part):
            default = "needed" if one.required else _shown(field.default)
            yield _row(f"{name}.{one.name}", one.kind.describe(), default, one.doc)


def _row(name: str, written: str, default: str, doc: str) -> str:
    return f"| `{name}` | {written} | {default} | {doc} |"


def _shown(value: Any) -> str:
    match value:
        case None | "" | ():
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return seconds_as_text(value)
        case PortRange(first=first, last=last):
            return f"{first}-{last}"
        case tuple():
            return ", ".join(str(one) for one in value)
        case _:
            return str(value)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.write_text(with_table(target.read_text(encoding="utf-8")), encoding="utf-8")
