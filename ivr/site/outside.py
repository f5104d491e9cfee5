"""What of the world outside the site file says: reachable hosts, tables, webhooks."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ivr.flow.kinds import NAME, ListOf, Text, Whole, bad_name
from ivr.flow.nodes.addresses import WebAddress, WebAddressText
from ivr.flow.settings import Reader, Schema, read_record, scalar, setting, text_schema
from ivr.flow.source import MappingNode, Node, ScalarNode
from ivr.site.csv_tables import read_csv_table
from ivr.site.kinds import DatabaseUrl, Secret
from ivr.site.model import HttpSettings, SqlTable, Webhook
from ivr.site.reach import Reach, parse_reach
from ivr.table import Table


@dataclass(frozen=True)
class AllowedHost:
    """A host, network or origin."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        try:
            parse_reach((text.text,))
        except ValueError as error:
            reader.problem("E201", text, str(error), f"write {self.describe()}")
            return None
        return text.text

    def schema(self) -> Schema:
        return text_schema()

    def describe(self) -> str:
        return "crm.internal, 10.1.0.0/16 or 'http://127.0.0.1:8080'"


@dataclass(frozen=True, slots=True)
class WebSettings:
    allow: tuple[str, ...] = setting(
        ListOf(AllowedHost(), 0, 200),
        "hosts, networks and services of our own that flows may ask; public ones they may ask anyway",
        default=(),
    )
    ca: str | None = setting(
        Text("a path", 1000), "a file with certificates trusted beside the usual ones (PEM)", default=None
    )
    answer: int = setting(Whole(1_000, 20_000_000), "the largest answer, bytes", default=HttpSettings().answer)


@dataclass(frozen=True, slots=True)
class TableSettings:
    csv: str | None = setting(Text("a path", 1000), "a file with a first line of column names", default=None)
    key: str | None = setting(Text("a column", 200), "the column looked in; needed with csv", default=None)
    sql: str | None = setting(
        Text("a question to a database", 4000), "SELECT … WHERE … = :key, in place of csv", default=None
    )
    url: str | None = setting(DatabaseUrl(), "the database that sql is asked of; better secret:NAME", default=None)
    value: str | None = setting(Text("a column", 200), "the column a look-up gives; unset, the whole row", default=None)


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    url: WebAddress = setting(WebAddressText(), "where it is told, by POST")
    secret: str | None = setting(Secret(), "what the messages are signed with", default=None, repr=False)


class OutsideReading:
    """Reads these parts of one site file."""

    def __init__(self, root: MappingNode, folder: Path, reader: Reader) -> None:
        self._root = root
        self._folder = folder
        self._reader = reader

    def http(self) -> HttpSettings:
        node = self._root.get("http")
        read = None if node is None else read_record(WebSettings, node, self._reader, "http")
        if node is None or read is None:
            return HttpSettings()
        ca = None if read.ca is None else self._folder / read.ca
        if ca is not None and not ca.is_file():
            self._reader.problem("E010", node, f"there is no file {read.ca}", "correct ca:, or leave it out")
        return HttpSettings(parse_reach(read.allow), ca, read.answer)

    def table(self, key: ScalarNode, node: Node) -> Table | SqlTable | None:
        if not NAME.fullmatch(key.text):
            bad_name(key, self._reader)
            return None
        what = f"table '{key.text[:40]}'"
        read = read_record(TableSettings, node, self._reader, what)
        if read is None:
            return None
        if (read.csv is None) == (read.sql is None):
            help = "write csv: and key:, or sql: and url:"
            self._reader.problem("E012", key, f"{what} is read from a file or asked of a database", help)
        elif read.csv is not None and read.key is None:
            self._reader.problem("E012", key, f"{what} does not say in which column to look", "add key: column")
        elif read.csv is not None and read.key is not None:
            return read_csv_table(key, self._folder / read.csv, read.key, read.value, self._reader)
        elif read.url is None:
            self._reader.problem("E012", key, f"{what} does not say which database to ask", "add url: secret:name")
        elif read.sql is not None:
            return self._sql(key, read.sql, self._in_folder(read.url), read.value)
        return None

    def _sql(self, key: ScalarNode, sql: str, url: str, value: str | None) -> SqlTable | None:
        if not re.match(r"\s*(select|with)\b", sql, re.IGNORECASE) or ";" in sql.strip().rstrip(";"):
            help = "write one SELECT: a look-up changes nothing"
            self._reader.problem("E207", key, f"table '{key.text}' does not ask a question", help)
        elif not re.search(r"(?<![:\w]):key\b", sql):
            help = "write WHERE column = :key; the key is put in there, safely"
            self._reader.problem("E207", key, f"table '{key.text}' does not say where the key goes", help)
        else:
            return SqlTable(key.text, sql.strip().rstrip(";"), url, value, key.place)
        return None

    def _in_folder(self, url: str) -> str:
        prefix = "sqlite:///"
        return f"{prefix}{self._folder / url.removeprefix(prefix)}" if url.startswith(prefix) else url

    def webhook(self, key: ScalarNode, node: Node, reach: Reach) -> Webhook | None:
        if not NAME.fullmatch(key.text):
            bad_name(key, self._reader)
            return None
        if isinstance(node, ScalarNode):
            node = MappingNode(((ScalarNode("url", key.place), node),), key.place)
        read = read_record(WebhookSettings, node, self._reader, f"webhook '{key.text[:40]}'")
        if read is None:
            return None
        url, address = read.url.template.fixed, read.url
        if url is None:
            self._reader.problem("E113", key, "the address of a webhook has no holes", "what it is told is its data")
            return None
        named = reach.names(address.scheme, address.host, address.port)
        if reach.local(address.host) and not named and not reach.admits(address.host):
            origin = f"{address.scheme}://{address.host}:{address.port}"
            help = f"add it: http: {{allow: ['{origin}']}}"
            self._reader.problem("E201", key, f"webhook '{key.text}' is at an address that is not public", help)
        if address.scheme == "http" and not named and not reach.local(address.host):
            help = "write https://, or allow the host under http: allow: if it is your own"
            self._reader.problem("W305", key, f"webhook '{key.text}' is told without encryption", help)
        return Webhook(key.text, url, read.secret, key.place)
