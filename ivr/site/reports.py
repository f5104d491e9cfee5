"""What the site file says of reports that are made by themselves, and of the mail server they go through."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from ivr.flow.kinds import NAME, ListOf, OneOf, Text, Whole, bad_name
from ivr.flow.problem import did_you_mean
from ivr.flow.settings import Reader, Schema, read_record, scalar, setting, text_schema
from ivr.flow.source import MappingNode, Node, ScalarNode
from ivr.reports.schedule import (
    DAY_FORMATS,
    ENDINGS,
    SPANS,
    Format,
    MailSettings,
    ReportJob,
    When,
    is_address,
    parse_when,
)
from ivr.site.kinds import Host, Secret

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


@dataclass(frozen=True)
class ReportName:
    """One of the reports, or ``day``."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        # Here and not above: nothing else of the site needs the database's library, which takes its time to load.
        from ivr.reports.catalogue import REPORTS

        names = ["day", *REPORTS]
        if text.text not in names:
            help = did_you_mean(text.text, names, "reports")
            reader.problem("E230", text, f"there is no report '{text.text[:40]}'", help)
            return None
        return text.text

    def schema(self) -> Schema:
        return text_schema(r"[a-z-]+")

    def describe(self) -> str:
        return "the name of a report (ivr report lists them), or day"


@dataclass(frozen=True)
class Time:
    """When a report is made."""

    def read(self, node: Node, reader: Reader) -> When | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        try:
            return parse_when(text.text)
        except ValueError:
            reader.problem("E230", text, f"'{text.text[:40]}' is no time for a report", f"write {self.describe()}")
            return None

    def schema(self) -> Schema:
        return text_schema(r"\s*(?:\S+\s+)?[0-9]{1,2}:[0-9]{2}\s*")

    def describe(self) -> str:
        return "'07:00', 'Mon-Fri 07:00', 'Mon 07:00', or '1 07:00' for the first of each month"


@dataclass(frozen=True)
class Receiver:
    """A file or a mail address."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        if is_address(text.text):
            return text.text
        if f".{text.text.rpartition('.')[2].lower()}" not in ENDINGS or "@" in text.text:
            message = f"'{text.text[:60]}' is neither a mail address nor a file whose ending says how it is written"
            reader.problem("E230", text, message, f"write {self.describe()}; endings are {', '.join(ENDINGS)}")
            return None
        if unknown := re.search(r"\{(?!date\})[^}]*\}?", text.text):
            message = f"nothing is put in place of '{unknown[0][:40]}'"
            reader.problem("E230", text, message, "write {date}: the first day it is about")
            return None
        path = PurePosixPath(text.text)
        if path.is_absolute() or ".." in path.parts:
            message = f"'{text.text[:60]}' is not in the site's folder"
            reader.problem("E230", text, message, f"write a path below it: reports/{path.name}")
            return None
        return text.text

    def schema(self) -> Schema:
        return text_schema(r"[^@\s/\\]+@[^@\s/\\]+|.*\.[A-Za-z]+")

    def describe(self) -> str:
        return "'reports/{date}.html', a file of the site's folder, or chief@example.com"


@dataclass(frozen=True, slots=True)
class ReportPart:
    report: str = setting(ReportName(), "what is made")
    when: When = setting(Time(), "when, by the clock of `zone`")
    to: tuple[str, ...] = setting(ListOf(Receiver(), 1, 50), "where it goes; {date} is the first day it is about")
    span: str = setting(OneOf(SPANS), "which days it is about", default="yesterday")
    by: str | None = setting(
        OneOf(("hour", "day", "week", "queue", "flow", "number", "agent")), "what its rows are cut by", default=None
    )
    format: Format | None = setting(
        OneOf(("table", "csv", "json", "html", "png", "svg")),
        "how it is written; unset, as the file's ending says, and by mail as html",
        default=None,
    )


@dataclass(frozen=True, slots=True)
class MailPart:
    host: str = setting(Host(), "the mail server")
    sender: str = setting(Text("a mail address", 200), "whom mails are from", name="from")
    port: int | None = setting(Whole(1, 65535), "its port; unset, 587, with tls 465, with none 25", default=None)
    tls: Literal["starttls", "tls", "none"] = setting(
        OneOf(("starttls", "tls", "none")), "how the way there is encrypted", default="starttls"
    )
    user: str | None = setting(Text("a user name", 200), "our user name there", default=None)
    password: str | None = setting(Secret(), "our password there", default=None, repr=False)


def read_job(key: ScalarNode, node: Node, reader: Reader) -> ReportJob | None:
    """One entry of ``reports``."""
    if not NAME.fullmatch(key.text):
        bad_name(key, reader)
        return None
    read = read_record(ReportPart, node, reader, f"report '{key.text[:40]}'")
    if read is None:
        return None
    if not _can_be_made(read, node, reader):
        return None
    return ReportJob(key.text, read.report, read.when, read.to, read.span, read.by, read.format)


def _can_be_made(read: ReportPart, node: Node, reader: Reader) -> bool:
    """Whether what is asked of the report is something it can be: better said now than when it is due."""
    from ivr.reports.catalogue import REPORTS

    part = node.get if isinstance(node, MappingNode) else lambda name: None
    report = REPORTS.get(read.report)
    cuts = () if report is None else (*report.cuts, *report.keys)
    if read.by is not None and read.by not in cuts:
        help = f"write {' or '.join(report.cuts)}" if report is not None and report.cuts else "remove by:"
        reader.problem("E230", part("by") or node, f"'{read.report}' cannot be cut by {read.by}", help)
        return False
    formats = {read.format} if read.format is not None else {_ending_format(to) for to in read.to}
    if report is None and (wrong := formats - {None, *DAY_FORMATS}):
        where = part("format") if read.format is not None else part("to")
        message = f"the page of a day is not written as {min(map(str, wrong))}"
        reader.problem("E230", where or node, message, f"write {', '.join(DAY_FORMATS)}, or name one of its reports")
        return False
    return True


def _ending_format(to: str) -> Format | None:
    return None if is_address(to) else ENDINGS.get(f".{to.rpartition('.')[2].lower()}")


def read_mail(node: Node, reader: Reader) -> MailSettings | None:
    """The part ``smtp``."""
    read = read_record(MailPart, node, reader, "smtp")
    if read is None:
        return None
    if not is_address(read.sender):
        reader.problem("E230", node, f"'{read.sender[:60]}' is no mail address", "write from: ivr@example.com")
        return None
    if (read.user is None) != (read.password is None):
        missing = "user" if read.user is None else "password"
        reader.problem("E012", node, f"smtp: has no {missing}", "write user: and password:, or neither")
        return None
    if read.password is not None and read.tls == "none" and read.host not in ("localhost", "127.0.0.1", "::1"):
        message = "the password of the mail server would travel for everybody to read"
        reader.problem("E210", node, message, "write tls: starttls, or leave user: and password: out")
        return None
    return MailSettings(read.host, read.port or _PORTS[read.tls], read.sender, read.tls, read.user, read.password)
