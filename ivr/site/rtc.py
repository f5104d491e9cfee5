"""RTC clients as they are written in the site file: ``rtc`` and ``clients``."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gateway.call import (
    SHORTEST_TOKEN_SECRET,
    AccountRule,
    AccountRuleError,
    Codec,
    IceServer,
    OriginError,
    Origins,
    Rights,
    RightsError,
    RtcListen,
    check_pattern,
    parse_account_rule,
)
from ivr.flow.kinds import ListOf, OneOf, Text, YesNo
from ivr.flow.problem import Problem, did_you_mean
from ivr.flow.settings import Reader, Schema, read_record, record_schema, scalar, setting, text_schema
from ivr.flow.source import MappingNode, Node, ScalarNode
from ivr.site.kinds import USER, DialledNumber, HostAndPort, Secret, weak_password
from ivr.site.model import Trunk
from ivr.site.numbers import Direct, NumberRule, Places
from ivr.site.rtc_model import Client, Pstn, RtcSettings

_STUN_PORT: Final = 3478
_GUEST_NUMBER: Final = r"\+?[0-9]{1,32}"
_ICE: Final = (
    r"(?:stuns?|turns?):(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?(?:\?transport=(?:udp|tcp))?"
)


@dataclass(frozen=True)
class WebListenAddress:
    """``http:127.0.0.1:8080``."""

    def read(self, node: Node, reader: Reader) -> RtcListen | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        found = re.fullmatch(r"(https?):(\[[^\]]*\]|[^:\[\]/]*):(\d{1,5})", text.text)
        if found is None:
            help = f"write {self.describe()}: the address is one of this machine"
            reader.problem("E201", text, f"'{text.text[:40]}' is not a place to serve pages", help)
            return None
        scheme: Literal["http", "https"] = "https" if found[1] == "https" else "http"
        address = "127.0.0.1" if found[2] == "localhost" else found[2].strip("[]")
        try:
            ipaddress.ip_address(address)
        except ValueError:
            help = "write 0.0.0.0 for every address of this machine, 127.0.0.1 for itself alone"
            message = f"'{address[:40]}' is not an IP address"
            reader.problem_at("E201", text, found.start(2), message, help, max(len(found[2]), 1))
            return None
        if not 1 <= int(found[3]) <= 65535:
            message = f"there is no port {found[3]}"
            reader.problem_at("E201", text, found.start(3), message, "write 1 to 65535", len(found[3]))
            return None
        return RtcListen(scheme, address, int(found[3]))

    def schema(self) -> Schema:
        return text_schema(r"https?:(?:\[[^\]]*\]|[^:\[\]/]*):[0-9]{1,5}")

    def describe(self) -> str:
        return "'http:127.0.0.1:8080' or 'https:0.0.0.0:8443'"


@dataclass(frozen=True)
class Origin:
    """The scheme and host of web pages."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        try:
            Origins((text.text,))
        except OriginError:
            message = f"'{text.text[:60]}' is not the origin of pages"
            reader.problem("E201", text, message, "write scheme and host only: 'https://www.example.com'")
            return None
        return text.text

    def schema(self) -> Schema:
        return text_schema(r"https?://[^\s/?#@]+")

    def describe(self) -> str:
        return "'https://www.example.com'"


@dataclass(frozen=True)
class IceUrl:
    """The address of a STUN or TURN server (RFC 7064, RFC 7065)."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        if not re.fullmatch(_ICE, text.text):
            message = f"'{text.text[:60]}' is not the address of a STUN or TURN server"
            reader.problem("E201", text, message, f"write {self.describe()}")
            return None
        return text.text

    def schema(self) -> Schema:
        return text_schema(_ICE)

    def describe(self) -> str:
        return "'stun:stun.example.com', 'turn:turn.example.com:3478?transport=udp'"


@dataclass(frozen=True, slots=True)
class _IceServer:
    urls: tuple[str, ...] = setting(ListOf(IceUrl(), 1, 10), "where it is")
    username: str | None = setting(Text("a user name", 200), "our user name there", default=None)
    credential: str | None = setting(Secret(), "our password there", default=None, repr=False)


@dataclass(frozen=True)
class IceServerEntry:
    """An address alone, or settings."""

    def read(self, node: Node, reader: Reader) -> IceServer | None:
        if isinstance(node, ScalarNode):
            node = MappingNode(((ScalarNode("urls", node.place), node),), node.place)
        read = read_record(_IceServer, node, reader, "an ICE server")
        if read is None:
            return None
        if any(url.startswith("turn") for url in read.urls) and (read.username is None or read.credential is None):
            help = "add username: and credential: secret:turn"
            reader.problem("E012", node, "a TURN server relays for nobody without username and credential", help)
            return None
        return IceServer(read.urls, read.username, read.credential)

    def schema(self) -> Schema:
        return {"anyOf": [IceUrl().schema(), record_schema(_IceServer)]}

    def describe(self) -> str:
        return "'stun:stun.example.com', or {urls: 'turn:turn.example.com', username: ivr, credential: secret:turn}"


@dataclass(frozen=True)
class Accounts:
    """``1016;1017;20[01-05]``."""

    def read(self, node: Node, reader: Reader) -> AccountRule | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        try:
            return parse_account_rule(text.text)
        except AccountRuleError as error:
            reader.problem_at("E222", text, error.position - 1, error.text, "write accounts as in '1016;20[01-05]'")
            return None

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "integer"}, text_schema(r"[^\s,]+")]}

    def describe(self) -> str:
        return "'1016;1017;20[01-05]'"


@dataclass(frozen=True)
class CallOutPattern:
    """``20XX``, ``tel:0*``, ``rtc:bob``."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        try:
            check_pattern(text.text)
        except RightsError as error:
            reader.problem("E223", text, str(error), f"write {self.describe()}")
            return None
        return text.text

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "integer"}, text_schema(r".{1,64}")]}

    def describe(self) -> str:
        return "'20XX', 'tel:0*', 'rtc:bob' or '*'"


@dataclass(frozen=True)
class GuestNumber:
    """One number, and no pattern."""

    def read(self, node: Node, reader: Reader) -> str | None:
        text = scalar(node, reader, self.describe)
        if text is None:
            return None
        if not re.fullmatch(_GUEST_NUMBER, text.text):
            help = "write digits only, with + in front if need be"
            reader.problem("E203", text, f"'{text.text[:40]}' is not a number that guests can call", help)
            return None
        return text.text

    def schema(self) -> Schema:
        return {"anyOf": [{"type": "integer"}, text_schema(_GUEST_NUMBER)]}

    def describe(self) -> str:
        return "a number: '1000'"


@dataclass(frozen=True, slots=True)
class _Pstn:
    trunk: str = setting(Text("the name of a trunk", 64), "the trunk that they go out through")
    prefix: str = setting(DialledNumber(), "what the numbers begin with; a client's `Pstn` puts it in front")


@dataclass(frozen=True)
class PstnSettings:
    """``{prefix: '0', trunk: carrier}``."""

    def read(self, node: Node, reader: Reader) -> Pstn | None:
        read = read_record(_Pstn, node, reader, "pstn")
        return None if read is None else Pstn(read.prefix, read.trunk)

    def schema(self) -> Schema:
        return record_schema(_Pstn)

    def describe(self) -> str:
        return "{prefix: '0', trunk: carrier}"


_DEFAULT: Final = RtcSettings()


@dataclass(frozen=True, slots=True)
class RtcPart:
    """The settings of ``rtc``, as written."""

    listen: tuple[RtcListen, ...] = setting(
        ListOf(WebListenAddress(), 1, 20),
        "where browsers find pages and signalling; they give the microphone only to pages from https, or from their "
        "own machine",
        default=_DEFAULT.listen,
    )
    origins: tuple[str, ...] = setting(
        ListOf(Origin(), 0, 100), "other web sites whose pages may log clients in", default=()
    )
    ice_servers: tuple[IceServer, ...] = setting(
        ListOf(IceServerEntry(), 0, 20), "STUN and TURN servers that browsers are told of", default=()
    )
    stun: tuple[str, int | None] | None = setting(
        HostAndPort(), "a STUN server that tells us our public address, where media.advertise does not", default=None
    )
    secret: str | None = setting(
        Secret(),
        "the key of the tokens that clients log in with (HS256), for a web site that makes its own; unset, one is made "
        "in var/",
        default=None,
        repr=False,
    )
    codecs: tuple[Codec, ...] = setting(
        ListOf(OneOf(("PCMU", "PCMA", "opus", "G722")), 1, 4),
        "audio codecs, the preferred one first",
        default=_DEFAULT.codecs,
    )
    accounts: AccountRule | None = setting(
        Accounts(), "seats that clients, and telephones signed in here, may call by their names", default=None
    )
    pstn: Pstn | None = setting(PstnSettings(), "how clients call numbers of the public network", default=None)
    guests: tuple[str, ...] = setting(
        ListOf(GuestNumber(), 0, 100),
        "numbers that anybody may call from the call page, without an account",
        default=(),
    )


@dataclass(frozen=True, slots=True)
class ClientPart:
    """The settings of one of ``clients``, as written."""

    password: str | None = setting(
        Secret(),
        "the password on our pages; unset, only tokens made elsewhere let the client in",
        default=None,
        repr=False,
    )
    name: str = setting(Text("a name", 100), "who that is: shown to those who are called", default="")
    number: str | None = setting(DialledNumber(), "the number that calls the client", default=None)
    call_in: bool = setting(YesNo(), "whether it may call numbers that flows answer", default=True)
    be_called: bool = setting(YesNo(), "whether it can be called", default=True)
    call_out: tuple[str, ...] = setting(
        ListOf(CallOutPattern(), 0, 64),
        "which seats, users and numbers it may call: X is one digit, * all that follows; sip:, rtc: or tel: in front "
        "narrow it down",
        default=(),
    )
    peers: bool | None = setting(
        YesNo(), "whether it may see who is there, and send messages; unset, as be_called", default=None
    )


class RtcReading:
    """Reads ``rtc`` and ``clients`` of one site file."""

    def __init__(self, root: MappingNode, reader: Reader) -> None:
        self._root = root
        self._reader = reader

    def settings(self) -> RtcSettings | None:
        node = self._root.get("rtc")
        read = None if node is None else read_record(RtcPart, node, self._reader, "rtc")
        if node is None or read is None:
            return None
        self._listeners(node, read)
        self._secret(node, read)
        accounts = _entry(node, "accounts")
        return RtcSettings(
            listen=read.listen,
            origins=read.origins,
            ice_servers=read.ice_servers,
            stun=None if read.stun is None else (read.stun[0], read.stun[1] or _STUN_PORT),
            secret=read.secret,
            codecs=read.codecs,
            accounts=read.accounts,
            pstn=read.pstn,
            guests=read.guests,
            place=node.place if accounts is None else accounts.place,
        )

    def client(self, key: ScalarNode, node: Node) -> Client | None:
        if isinstance(node, ScalarNode):
            node = MappingNode(((ScalarNode("password", key.place), node),), key.place)
        read = read_record(ClientPart, node, self._reader, f"client '{key.text[:40]}'")
        if not USER.fullmatch(key.text):
            help = "write letters and digits, and . _ @ + - between them, at most 64"
            self._reader.problem("E016", key, f"'{key.text[:40]}' cannot be the name of a client", help)
            return None
        if read is None:
            return None
        if read.password is not None:
            weak_password(key, read.password, "client", self._reader)
        rights = Rights(
            call_in=read.call_in,
            be_called=read.be_called,
            call_out=read.call_out,
            peers=read.be_called if read.peers is None else read.peers,
        )
        rule = None
        if read.number is not None:
            number = _entry(node, "number") or key
            places = tuple(map(frozenset, read.number))
            rule = NumberRule(read.number, Direct(f"rtc:{key.text}"), "anyone", places, number.place)
        return Client(key.text, read.name, read.password, read.number, rights, key.place, rule)

    def together(
        self,
        rtc: RtcSettings | None,
        clients: Mapping[str, Client],
        numbers: Iterable[NumberRule],
        seats: Iterable[str],
        trunks: Mapping[str, Trunk],
    ) -> None:
        """What does not fit together."""
        node = self._root.get("clients")
        if rtc is None:
            if node is not None and self._root.get("rtc") is None:
                help = "add rtc: {listen: 'http:127.0.0.1:8080'}"
                self._reader.problem("E012", node, "the site has clients, but browsers find nobody there", help)
            return
        taken = {rule.places: rule for rule in numbers}
        for client in clients.values():
            if client.rule is None:
                continue
            other = taken.setdefault(client.rule.places, client.rule)
            if other is not client.rule:
                whose = f"number {client.number} of client '{client.user}'"
                message = f"{whose} is also {_whose(other)} (line {other.place.line})"
                help = "remove it from one of the two"
                self._reader.problems.append(
                    Problem("E202", client.rule.place, message, help, len(client.number or ""))
                )
        self._accounts(rtc, taken, seats)
        if rtc.pstn is not None and rtc.pstn.trunk not in trunks:
            place = _entry(self._root.get("rtc"), "pstn") or self._root
            help = did_you_mean(rtc.pstn.trunk, trunks, "trunks") or "add it under trunks:"
            message = (
                f"numbers with prefix {rtc.pstn.prefix} go out through trunk '{rtc.pstn.trunk}', which is not there"
            )
            self._reader.problem("E205", place, message, help)

    def _accounts(self, rtc: RtcSettings, taken: Mapping[Places, NumberRule], seats: Iterable[str]) -> None:
        text = _entry(self._root.get("rtc"), "accounts")
        if rtc.accounts is None or not isinstance(text, ScalarNode):
            return
        known = frozenset(seats)
        strange = [one for one in rtc.accounts.accounts if one not in known]
        if strange:
            help = did_you_mean(strange[0], known, "seats") or "add them under seats:"
            message = f"the accounts name seats that are not there: {_first_of(strange)}"
            self._reader.problem("E205", text, message, help)
        named: dict[NumberRule, list[str]] = {}
        patterns = [rule for rule in taken.values() if rule.width > 1]
        for one in rtc.accounts.accounts:
            exact = taken.get(tuple(map(frozenset, one)))
            for rule in [*([] if exact is None else [exact]), *(rule for rule in patterns if rule.fits(one))]:
                named.setdefault(rule, []).append(one)
        for rule, both in named.items():
            message = f"of the accounts, {_first_of(both)} fit {_whose(rule)} (line {rule.place.line})"
            help = "take it out of accounts: clients reach what has a number by that"
            self._reader.problem("E202", text, message, help)

    def _listeners(self, node: Node, read: RtcPart) -> None:
        at = _entry(node, "listen") or node
        for one in dict.fromkeys(one for one in read.listen if read.listen.count(one) > 1):
            self._reader.problem("E202", at, f"'{one}' is listened to twice", "remove one of the two")
        plain = [one for one in read.listen if one.scheme == "http"]
        local = all(ipaddress.ip_address(one.host).is_loopback for one in plain)
        if plain and not local and len(plain) == len(read.listen) and not read.origins:
            help = "add 'https:0.0.0.0:8443', or name the origins of the proxy that ends TLS"
            self._reader.problem("W224", at, "browsers on other machines give these pages no microphone", help)

    def _secret(self, node: Node, read: RtcPart) -> None:
        size = 0 if read.secret is None else len(read.secret.encode())
        if read.secret is not None and size < SHORTEST_TOKEN_SECRET:
            help = f"at least {SHORTEST_TOKEN_SECRET}: openssl rand -base64 48; or leave it out, and one is made"
            at = _entry(node, "secret") or node
            self._reader.problem("E221", at, f"the key of the tokens has {size} bytes", help)


def _whose(rule: NumberRule) -> str:
    if rule.direct is not None and rule.direct.scheme == "rtc":
        return f"number {rule.number} of client '{rule.direct.name}'"
    return f"number '{rule.number}'"


def _first_of(accounts: list[str]) -> str:
    shown = ", ".join(accounts[:3])
    return shown if len(accounts) <= 3 else f"{shown} and {len(accounts) - 3} more"


def _entry(node: Node | None, name: str) -> Node | None:
    return node.get(name) if isinstance(node, MappingNode) else None
