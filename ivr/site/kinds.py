"""Kinds of settings that only the site file has: addresses, ports, secrets, numbers, targets."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from ivr.flow.keys import KeyPatternError
from ivr.flow.kinds import Duration, ListOf
from ivr.flow.problem import closest
from ivr.flow.settings import Reader, Schema, scalar, text_schema
from ivr.flow.source import MappingNode, Node, ScalarNode
from ivr.flow.types import country_remedy
from ivr.site.model import GroupStep, Listen, PortRange, Transport
from ivr.site.numbers import Places, parse_number

_HOST: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*\.?")
SEAT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
USER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
"""RTC users that flows and numbers can name."""
_WEAK_PASSWORD: Final = 8
"""Characters; scanners try shorter ones within hours."""


class SiteReader(Reader):
    """A reader that knows the secrets, and remembers where passwords stand so that nobody prints them."""

    def __init__(self, secrets: Mapping[str, str], remedy: str) -> None:
        super().__init__()
        self.hidden: list[ScalarNode] = []
        self._secrets = secrets
        self._remedy = remedy

    def secret(self, name: str, node: ScalarNode) -> str | None:
        """The secret's value, or None after reporting that there is none."""
        value = self._secrets.get(name)
        if value is None:
            close = closest(name, self._secrets)
            help = (
                f"did you mean 'secret:{close}'?" if close else self._remedy.format(name=name, variable=variable(name))
            )
            self.problem("E204", node, f"secret '{name}' is not there", help)
        return value


def variable(secret: str) -> str:
    """The environment variable that holds a secret."""
    return f"IVR_SECRET_{secret.upper()}"


@dataclass(frozen=True)
class Secret:
    """A password, or ``secret:NAME``."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, "a password, or secret:NAME")
        if text is None or not isinstance(reader, SiteReader):
            return None
        if text.text.startswith("secret:"):
            name = text.text.removeprefix("secret:")
            if re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
                return reader.secret(name, text)
            reader.problem(
                "E204", text, "this is not the name of a secret", "write secret:name with small letters, digits and _"
            )
            return None
        reader.hidden.append(text)
        if not text.text or not text.text.isprintable() or len(text.text) > 200:
            reader.problem(
                "E025", text, "this password is empty or has characters that cannot be typed", "write another"
            )
            return None
        return text.text

    def schema(self) -> Schema:
        return text_schema()

    def describe(self) -> str:
        return "a password, or secret:NAME"


@dataclass(frozen=True)
class Country:
    """A country as ISO 3166 has it."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe())
        if text is None:
            return None
        remedy = country_remedy(text.text)
        if remedy is not None:
            reader.problem("E138", text, f"there is no country '{text.text[:40]}'", remedy.replace("'", ""))
            return None
        return text.text

    def schema(self) -> Schema:
        return text_schema("[A-Z]{2}")

    def describe(self) -> str:
        return "a country: DE, CN, US"


# The one name that means the same address everywhere.
_LOCALHOST = {"localhost": "127.0.0.1"}


@dataclass(frozen=True)
class Address:
    """An IP address of this machine or network."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        address = _LOCALHOST.get(text.text, text.text)
        if not _is_address(address):
            reader.problem("E201", text, f"'{text.text[:40]}' is not an IP address", f"write {self.describe()}")
            return None
        return address

    def schema(self) -> Schema:
        return text_schema(r"localhost|[0-9A-Fa-f:.]+(?:%.+)?")

    def describe(self) -> str:
        return "an IP address: 192.0.2.1"


@dataclass(frozen=True)
class Host:
    """A host name or an IP address."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        if _is_address(text.text) or _HOST.fullmatch(text.text):
            return text.text
        help = "the port has its own setting: port" if ":" in text.text else f"write {self.describe()}"
        reader.problem("E201", text, f"'{text.text[:40]}' is not the name of a host", help)
        return None

    def schema(self) -> Schema:
        return _typed(r"[^\s/@]+")

    def describe(self) -> str:
        return "a host: sip.example.net"


@dataclass(frozen=True)
class HostAndPort:
    """A host with or without a port: ``sip.example.net``, ``192.0.2.7:5070``, ``[2001:db8::7]:5070``."""

    def read(self, node: Node, reader: Reader) -> tuple[str, int | None] | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        found = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*):(\d{1,5})", text.text)
        host, port = (found[1].strip("[]"), int(found[2])) if found else (text.text.strip("[]"), None)
        if not (_is_address(host) or _HOST.fullmatch(host)):
            reader.problem("E201", text, f"'{text.text[:40]}' is not the name of a host", f"write {self.describe()}")
        elif port is not None and not 0 < port < 65536:
            reader.problem("E201", text, f"there is no port {port}", "ports are 1 to 65535")
        else:
            return host, port
        return None

    def schema(self) -> Schema:
        return _typed(r"[^\s/@]+")

    def describe(self) -> str:
        return "a host: sip.example.net, or with its port: sip.example.net:5070"


@dataclass(frozen=True)
class ListenAddress:
    """``udp:0.0.0.0:5060``."""

    def read(self, node: Node, reader: Reader) -> Listen | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        found = re.fullmatch(r"(\w+):(\[[^\]]*\]|[^:\[\]]*)(?::(\d{1,5}))?", text.text)
        if found is None:
            reader.problem("E201", text, f"'{text.text[:40]}' is not a place to listen", f"write {self.describe()}")
            return None
        usual = 5061 if found[1] == "tls" else 5060
        address, port = _LOCALHOST.get(found[2], found[2].strip("[]")), int(found[3] or usual)
        transport: Transport
        match found[1]:
            case "udp":
                transport = "udp"
            case "tcp":
                transport = "tcp"
            case "tls":
                transport = "tls"
            case "ws" | "wss" as other:
                message = f"SIP by '{other}' is not listened for here"
                reader.problem("E201", text, message, "browsers find it at the addresses of rtc.listen, under /sip")
                return None
            case other:
                reader.problem("E201", text, f"'{other}' is not a transport", "write udp, tcp or tls")
                return None
        if not _is_address(address):
            help = "write 0.0.0.0 for every address of this machine"
            reader.problem_at(
                "E201", text, found.start(2), f"'{address}' is not an IP address", help, max(len(found[2]), 1)
            )
            return None
        if not 1 <= port <= 65535:
            reader.problem_at(
                "E201", text, found.start(3), f"there is no port {port}", "write 1 to 65535", len(found[3])
            )
            return None
        return Listen(transport, address, port)

    def schema(self) -> Schema:
        return text_schema(r"(?:udp|tcp|tls):(?:\[[^\]]*\]|[^:\[\]]*)(?::[0-9]{1,5})?")

    def describe(self) -> str:
        return "'udp:0.0.0.0:5060'"


@dataclass(frozen=True)
class Ports:
    """``20000-29999``."""

    def read(self, node: Node, reader: Reader) -> PortRange | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        found = re.fullmatch(r"(\d{1,5})\s*-\s*(\d{1,5})", text.text)
        if found is None:
            reader.problem("E201", text, f"'{text.text[:40]}' is not a range of ports", "write 20000-29999")
            return None
        first, last = int(found[1]), int(found[2])
        if not 1024 <= first < last <= 65535:
            help = "the smaller number first, from 1024 to 65535"
            reader.problem("E201", text, f"'{text.text}' is not a range of ports", help)
            return None
        return PortRange(first, last)

    def schema(self) -> Schema:
        return text_schema(r"[0-9]{1,5}\s*-\s*[0-9]{1,5}")

    def describe(self) -> str:
        return "20000-29999"


@dataclass(frozen=True)
class DatabaseUrl:
    """Where records are kept."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        if text.text.startswith("secret:"):
            return Secret().read(text, reader)
        if "@" in text.text and isinstance(reader, SiteReader):
            reader.hidden.append(text)
        if not re.fullmatch(r"(sqlite:///|postgresql(\+psycopg)?://)\S+", text.text):
            reader.problem("E201", text, "this is not the address of a database", f"write {self.describe()}")
            return None
        return text.text

    def schema(self) -> Schema:
        return text_schema(r"secret:.*|(?:sqlite:///|postgresql(?:\+psycopg)?://)\S+")

    def describe(self) -> str:
        return "sqlite:///var/records.db, or postgresql://user@host/name"


@dataclass(frozen=True)
class RtcUser:
    """The name of an RTC user."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        if not USER.fullmatch(text.text):
            help = "write letters and digits, and . _ @ + - between them, at most 64"
            reader.problem("E016", text, f"'{text.text[:40]}' cannot be the name of a client", help)
            return None
        return text.text

    def schema(self) -> Schema:
        return _typed(USER.pattern)

    def describe(self) -> str:
        return "the name of a client"


@dataclass(frozen=True)
class SeatTarget:
    """``sip:SEAT``, ``rtc:USER`` or ``tel:NUMBER``, without holes."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        scheme, _, name = text.text.partition(":")
        allowed = USER if scheme == "rtc" else SEAT
        if scheme not in ("sip", "rtc", "tel") or not allowed.fullmatch(name.removeprefix("+")):
            help = f"write sip:{text.text}" if SEAT.fullmatch(text.text) else f"write {self.describe()}"
            reader.problem("E112", text, f"'{text.text[:40]}' does not say what to ring", help)
        else:
            return text.text
        return None

    def schema(self) -> Schema:
        return text_schema(r"(?:sip|rtc|tel):.+")

    def describe(self) -> str:
        return "sip:SEAT, rtc:USER or tel:NUMBER"


@dataclass(frozen=True)
class GroupMember:
    """One who rings, several who ring together, or ``{ring: those, after: 10s}``."""

    together: ClassVar[ListOf] = ListOf(SeatTarget(), 1, 200)
    pause: ClassVar[Duration] = Duration(1, 600)

    def read(self, node: Node, reader: Reader) -> GroupStep | None:
        if not isinstance(node, MappingNode):
            targets = self.together.read(node, reader)
            return None if targets is None else GroupStep(targets)
        ring, after = node.get("ring"), node.get("after")
        for key, _ in node.entries:
            if key.text not in ("ring", "after"):
                reader.problem("E011", key, f"a step of a group has no setting '{key.text[:60]}'", self._help)
                return None
        if ring is None or after is None:
            missing = "ring" if ring is None else "after"
            reader.problem("E012", node, f"this step of a group needs '{missing}'", self._help)
            return None
        targets, seconds = self.together.read(ring, reader), self.pause.read(after, reader)
        return None if targets is None or seconds is None else GroupStep(targets, seconds)

    @property
    def _help(self) -> str:
        return "write {ring: [sip:SEAT, …], after: 10s}"

    def schema(self) -> Schema:
        step = {
            "type": "object",
            "properties": {"ring": self.together.schema(), "after": self.pause.schema()},
            "required": ["ring", "after"],
            "additionalProperties": False,
        }
        return {"anyOf": [*self.together.schema()["anyOf"], step]}

    def describe(self) -> str:
        return f"{SeatTarget().describe()}, several in brackets, or {{ring: those, after: 10s}}"


@dataclass(frozen=True)
class GroupMembers(ListOf):
    """All of a group; what stands in brackets within rings together."""

    item: GroupMember = field(default_factory=GroupMember)
    least: int = 1
    most: int = 200

    def read(self, node: Node, reader: Reader) -> tuple[GroupStep, ...] | None:
        steps: tuple[GroupStep, ...] | None = super().read(node, reader)
        if steps and steps[0].after is not None:
            reader.problem(
                "E115", node, "the first step of a group has an 'after'", "it rings at once: leave 'after' out"
            )
            return None
        return steps


@dataclass(frozen=True)
class DialledNumber:
    """A number as carriers signal it."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        if not re.fullmatch(r"\+?[0-9*#]{1,32}", text.text):
            help = "write digits, * and # only, with + in front if need be"
            reader.problem("E203", text, f"'{text.text[:40]}' is not a number", help)
            return None
        return text.text

    def schema(self) -> Schema:
        return _typed(r"\+?[0-9*#]{1,32}")

    def describe(self) -> str:
        return "a number: '4008200000'"


def _typed(pattern: str) -> Schema:
    """A text that can be made of digits alone: a number to an editor."""
    return {"anyOf": [{"type": ["number", "boolean"]}, text_schema(pattern)]}


def number_places(key: ScalarNode, reader: Reader) -> Places | None:
    """What fits a number rule, or None after reporting that it is none."""
    try:
        return parse_number(key.text)
    except KeyPatternError as error:
        help = (
            "write a number ('1000', '+4940123') or a pattern ('20XX'); X is 0-9, Z is 1-9, N is 2-9, [1-5] is 1 to 5"
        )
        reader.problem_at("E203", key, error.offset, str(error), help)
        return None


def seat_name(key: ScalarNode, reader: Reader) -> bool:
    """Whether it can be the name of a seat; reported if not."""
    if SEAT.fullmatch(key.text):
        return True
    help = "write digits and letters, and . _ + - between them"
    reader.problem("E016", key, f"'{key.text[:40]}' cannot be the name of a seat", help)
    return False


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def weak_password(key: ScalarNode, password: str, whose: str, reader: Reader) -> None:
    """Report one that is easy to guess."""
    if len(password) < _WEAK_PASSWORD or password == key.text:
        help = f"at least {_WEAK_PASSWORD} characters: scanners find shorter ones and call at your expense"
        reader.problem("W211", key, f"the password of {whose} '{key.text}' is easy to guess", help)
