"""Reports that are made by themselves: what, when, for whom; and when the next one is due. No clock, no database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

Format = Literal["table", "csv", "json", "html", "png", "svg"]
ENDINGS: Final[Mapping[str, Format]] = {
    ".txt": "table",
    ".csv": "csv",
    ".json": "json",
    ".html": "html",
    ".htm": "html",
    ".png": "png",
    ".svg": "svg",
}
"""The ending of a file says how it is written."""
DAY_FORMATS: Final[tuple[Format, ...]] = ("html", "table", "json")
"""What the page of a day can be written as."""
SPANS: Final = ("yesterday", "last week", "last month", "today")
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class When:
    """A time of the clock on the wall, on certain days."""

    at: time
    weekdays: frozenset[int] = frozenset(range(7))
    """0 is Monday."""
    day: int | None = None
    """Of the month, in place of weekdays."""

    def on(self, day: date) -> bool:
        return day.day == self.day if self.day is not None else day.weekday() in self.weekdays

    def latest(self, now: datetime) -> datetime:
        """When it was due last; ``now`` is in the zone of the site."""
        return self._search(now, -1)

    def next(self, now: datetime) -> datetime:
        """When it is due next, after ``now``."""
        return self._search(now, 1)

    def _search(self, now: datetime, step: int) -> datetime:
        day = now.date()
        while True:
            due = datetime.combine(day, self.at, now.tzinfo)
            # Compared as moments: in two hours of the year the clock on the wall misleads.
            if self.on(day) and (due.timestamp() > now.timestamp() if step > 0 else due.timestamp() <= now.timestamp()):
                return due
            day += timedelta(step)


def parse_when(text: str) -> When:
    """``07:00``, ``Mon-Fri 07:00``, ``Mon 07:00``, or ``1 07:00`` for the first of each month.

    Raises ValueError.
    """
    found = re.fullmatch(r"(?:(\S+)\s+)?(\d{1,2}:\d\d)", text.strip())
    if found is None:
        raise ValueError(text)
    at = time.fromisoformat(found[2].zfill(5))
    days = found[1]
    if days is None:
        return When(at)
    if days.isdecimal():
        if not 1 <= int(days) <= 28:
            raise ValueError(text)
        return When(at, day=int(days))
    first, _, last = days.partition("-")
    begins, ends = DAYS.index(first.title()), DAYS.index((last or first).title())
    return When(at, frozenset((begins + step) % 7 for step in range((ends - begins) % 7 + 1)))


@dataclass(frozen=True, slots=True)
class ReportJob:
    """A report that is made on a schedule."""

    name: str
    report: str
    """``day``: the page with all of them."""
    when: When
    to: tuple[str, ...]
    """Mail addresses, and files, in whose names ``{date}`` is the first day of the span."""
    span: str = "yesterday"
    by: str | None = None
    format: Format | None = None
    """None: as the file's ending says; by mail, a page."""

    def days(self, due: datetime) -> tuple[date, date]:
        """The first and the last day that a report due then is about."""
        today = due.date()
        match self.span:
            case "today":
                return today, today
            case "last week":
                monday = today - timedelta(today.weekday() + 7)
                return monday, monday + timedelta(6)
            case "last month":
                last = today.replace(day=1) - timedelta(1)
                return last.replace(day=1), last
            case _:
                return today - timedelta(1), today - timedelta(1)

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(to for to in self.to if is_address(to))

    def files(self, first: date) -> tuple[str, ...]:
        return tuple(to.replace("{date}", str(first)) for to in self.to if not is_address(to))

    def format_of(self, file: str | None) -> Format:
        """How it is written into a file, or (None) into a mail."""
        ending = "" if file is None else f".{file.rpartition('.')[2].lower()}"
        return self.format or ENDINGS.get(ending, "html")


def is_address(to: str) -> bool:
    """Whether that is a mail address and no file."""
    return re.fullmatch(r"[^@\s/\\]+@[^@\s/\\]+", to) is not None


@dataclass(frozen=True, slots=True)
class MailSettings:
    """The server that mail goes through."""

    host: str
    port: int
    sender: str
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)


# What is due. ---------------------------------------------------------------------------------------------

CATCH_UP_S: Final = 20 * 3600.0
"""A report that was missed while the program was down is still made so much later."""
RETRY_S: Final = 300.0
TRIES: Final = 12
"""For an hour: a mail server may be away."""


@dataclass(slots=True)
class _State:
    done: float
    """The due time (epoch seconds) of the last report that was made or given up."""
    tries: int = 0
    not_before: float = 0.0


class Schedule:
    """Which reports are to be made now. Owns what was made; who asks tells it, and keeps :attr:`done` over restarts."""

    def __init__(self, done: Mapping[str, float]) -> None:
        """``done``: from a job's name to the due time, epoch seconds, of the last one that was made."""
        self._states = {name: _State(at) for name, at in done.items()}

    @property
    def done(self) -> dict[str, float]:
        return {name: state.done for name, state in self._states.items()}

    def due(self, jobs: Mapping[str, ReportJob], zone: ZoneInfo, now: float) -> list[tuple[ReportJob, datetime]]:
        """Those that should be made now, with when they were due. A job that is new begins with its next time."""
        local = datetime.fromtimestamp(now, zone)
        found = []
        for name, job in jobs.items():
            latest = job.when.latest(local)
            at = latest.timestamp()
            state = self._states.setdefault(name, _State(at))
            if at > state.done and now - at <= CATCH_UP_S and now >= state.not_before:
                found.append((job, latest))
        for gone in [name for name in self._states if name not in jobs]:
            del self._states[gone]
        return found

    def made(self, job: ReportJob, due: datetime) -> None:
        """It is done."""
        self._states[job.name] = _State(due.timestamp())

    def failed(self, job: ReportJob, due: datetime, now: float) -> bool:
        """It is tried again later; False if that was the last time."""
        state = self._states.setdefault(job.name, _State(0.0))
        state.tries += 1
        if state.tries >= TRIES:
            self.made(job, due)
            return False
        state.not_before = now + RETRY_S
        return True
