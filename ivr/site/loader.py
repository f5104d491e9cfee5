"""From the site file to the site, as strictly as flows are read: every slip in one run, with place and remedy."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo

from ivr.flow.kinds import NAME, Duration, ListOf, Name, OneOf, Text, Whole, YesNo, bad_name
from ivr.flow.loader import shown
from ivr.flow.model import Place
from ivr.flow.problem import Problem, did_you_mean, has_errors, in_order, with_lines
from ivr.flow.settings import read_record, setting
from ivr.flow.source import MappingNode, Node, ScalarNode, Source, read_source
from ivr.records.keeping import SPOOL_BOUND, Retention
from ivr.reports.schedule import ReportJob
from ivr.site.calendars import CalendarSettings, Zone, read_calendar
from ivr.site.kinds import (
    Address,
    Country,
    DatabaseUrl,
    DialledNumber,
    GroupMembers,
    Host,
    HostAndPort,
    ListenAddress,
    Ports,
    RtcUser,
    SeatTarget,
    Secret,
    SiteReader,
    number_places,
    seat_name,
    weak_password,
)
from ivr.site.model import (
    Codec,
    Group,
    Limits,
    Listen,
    MediaSettings,
    MonitoringSettings,
    PortRange,
    Seat,
    SipSettings,
    Site,
    SrtpPolicy,
    TlsSettings,
    Transport,
    Trunk,
)
from ivr.site.monitoring import MonitoringPart
from ivr.site.numbers import Callers, Direct, NumberRule, ambiguous
from ivr.site.outside import OutsideReading, TableSettings, WebhookSettings, WebSettings
from ivr.site.recognition import RecognitionPart, read_recognition
from ivr.site.reports import MailPart, ReportPart, read_job, read_mail
from ivr.site.rtc import ClientPart, RtcPart, RtcReading
from ivr.site.rtc_model import RtcSettings
from ivr.site.secrets import read_secrets
from ivr.site.storage import SPOOL_DEFAULT, RetentionPart, Size, read_retention
from ivr.site.studio import StudioPart, read_studio
from ivr.site.tls import TlsPart, read_tls
from ivr.speech.voice import Voice

PORTS_PER_PARTY: Final = 2
"""One for audio and one for its reports."""
PORTS_PER_CALL: Final = 2 * PORTS_PER_PARTY
"""Caller and seat."""

_LATER: Final = ("queues", "mailboxes", "console")

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")

_PASSWORD: Final = re.compile(r"(pass?w\w*:\s*)('[^']*'|\"[^\"]*\"|[^\s,}]+)")
"""A password even where the file is too broken to tell."""

T = TypeVar("T")


@dataclass(frozen=True)
class SiteLoaded:
    """The site, None if there are errors, and everything that was found."""

    site: Site | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Sip:
    listen: tuple[Listen, ...] = setting(
        ListOf(ListenAddress(), 1, 20),
        "addresses at which SIP is received; 0.0.0.0 is every address of the machine",
        default=SipSettings().listen,
    )
    domain: str | None = setting(
        Host(),
        "the host in the addresses that telephones see, and the realm of their passwords; unset, ours and 'ivr'",
        default=None,
    )
    srtp_without_tls: bool = setting(
        YesNo(),
        "whether keys of encryption may be told by udp and tcp, where everybody on the way can read them",
        default=False,
    )


_SRTP: Final = OneOf(("require", "prefer", "off"))


@dataclass(frozen=True, slots=True)
class _Media:
    address: str = setting(Address(), "the address of this machine at which audio is received", default="0.0.0.0")
    advertise: str | None = setting(
        Address(),
        "the address told to the far end, in SIP and for audio, if it differs: the public one behind NAT",
        default=None,
    )
    ports: PortRange = setting(
        Ports(), "UDP ports for audio: four for each call that is put through", default=MediaSettings().ports
    )
    port_rest: float = setting(
        Duration(0, 600),
        "how long a port is left alone after a call, so that no late packet is heard in the next",
        default=MediaSettings().port_rest,
    )
    port_rest_least: float | None = setting(
        Duration(0, 600),
        "how long at least, when calls come faster than the ports can rest; unset, port_rest: calls are refused",
        default=None,
    )
    timeout: float = setting(
        Duration(1, 3600), "silence on the network after which a party is lost", default=MediaSettings().timeout
    )
    greeting_wait: float = setting(
        Duration(0, 5),
        "how long what is played first after the answer waits for the caller's first packet, so that its first word is "
        "not cut; 0s: not at all",
        default=MediaSettings().greeting_wait,
    )


@dataclass(frozen=True, slots=True)
class _Voice:
    engine: str = setting(
        Text("the name of a speech engine", 200),
        "who speaks: espeak, piper, or one that was added",
        default=Voice().engine,
    )
    voice: str | None = setting(
        Text("the name of a voice", 1000),
        "espeak: en-us, or with a variant en-us+f3; piper: the path of a voice's .onnx file or of its folder; unset, "
        "the usual one of espeak for the language",
        default=None,
    )
    rate: int = setting(Whole(80, 450), "words a minute; 150 is as a voice of piper was made", default=Voice().rate)
    pitch: int = setting(Whole(0, 99), "how high it speaks; not for piper", default=Voice().pitch)
    volume: int = setting(Whole(1, 100), "percent of the usual level", default=100)


@dataclass(frozen=True, slots=True)
class _Number:
    flow: str | None = setting(Name("the name of a flow"), "the flow that answers", default=None)
    client: str | None = setting(RtcUser(), "the client that is called, in place of a flow", default=None)
    dial: str | None = setting(SeatTarget(), "who is called, in place of a flow", default=None)
    callers: Callers | None = setting(
        OneOf(get_args(Callers)),
        "who may dial it: anyone, or only seats, only clients, or both (signed_in) that are signed in here; unset, "
        "anyone, and signed_in where it leads to tel:",
        default=None,
    )


@dataclass(frozen=True, slots=True)
class _Seat:
    password: str = setting(Secret(), "the password of the telephone", repr=False)
    name: str = setting(Text("a name", 100), "who sits there", default="")
    codecs: tuple[Codec, ...] = setting(
        ListOf(OneOf(("PCMU", "PCMA"), later=("G722", "opus")), 1, 2),
        "audio codecs, the preferred one first",
        default=("PCMU", "PCMA"),
    )
    srtp: SrtpPolicy = setting(
        _SRTP, "whether audio is encrypted: or there is no call, where the telephone can, or never", default="prefer"
    )


@dataclass(frozen=True, slots=True)
class _Trunk:
    host: tuple[str, int | None] = setting(HostAndPort(), "the carrier's host")
    port: int | None = setting(
        Whole(1, 65535), "its port, if not written behind the host; 5060, with tls 5061", default=None
    )
    transport: Transport = setting(OneOf(("udp", "tcp", "tls")), "how it is reached", default="udp")
    user: str | None = setting(Text("a user name", 100), "our user name there", default=None)
    password: str | None = setting(Secret(), "our password there", default=None, repr=False)
    register: bool = setting(YesNo(), "whether we register there", default=False)
    numbers: tuple[str, ...] = setting(ListOf(DialledNumber()), "numbers it brings calls to", default=())
    caller_id: str | None = setting(
        DialledNumber(), "the number shown to those we call; unset, the caller's own", default=None
    )
    srtp: SrtpPolicy = setting(
        _SRTP, "whether audio is encrypted: or there is no call, where the carrier can, or never", default="prefer"
    )
    verify: bool = setting(
        YesNo(), "with tls: whether it must prove to be its host by a certificate that is trusted", default=True
    )


@dataclass(frozen=True, slots=True)
class _Limits:
    calls: int = setting(
        Whole(1, 100_000), "calls at the same time; further ones are told that we are busy", default=Limits().calls
    )
    calls_per_second: int = setting(Whole(1, 10_000), "new calls a second", default=Limits().calls_per_second)
    drain: float = setting(Duration(0, 86_400), "time for running calls to end at a stop", default=Limits().drain)
    call: float = setting(Duration(1, 604_800), "the longest a call lasts", default=Limits().call)


PARTS: Final[Mapping[str, type[Any] | tuple[str, str, str]]] = MappingProxyType(
    {
        "sip": _Sip,
        "tls": TlsPart,
        "media": _Media,
        "flows": ("a path, or a list of them", "flows", "folders and files with flows"),
        "prompts": ("a path", "prompts", "the folder with recordings"),
        "records": (DatabaseUrl().describe(), "sqlite:///var/records.db", "the database of the records"),
        "spool": (Size().describe(), SPOOL_DEFAULT, "how much of the records may wait in var/spool for the database"),
        "retention": RetentionPart,
        "numbers.'NUMBER'": _Number,
        "seats.'SEAT'": _Seat,
        "groups.NAME": (
            GroupMembers().describe(),
            "",
            "who rings: together, in this order, by chance, or in steps, of which those in brackets are one each; one "
            "with `after` begins that long after the one before, which rings on",
        ),
        "trunks.NAME": _Trunk,
        "rtc": RtcPart,
        "clients.'USER'": ClientPart,
        "speech.voices.LANGUAGE": _Voice,
        "recognition.LANGUAGE": RecognitionPart,
        "monitoring": MonitoringPart,
        "studio": StudioPart,
        "secrets": ("a path", "", "the file with the passwords that secret:NAME stands for; mode 0600"),
        "limits": _Limits,
        "calendars.NAME": CalendarSettings,
        "tables.NAME": TableSettings,
        "webhooks.NAME": WebhookSettings,
        "http": WebSettings,
        "country": (Country().describe(), "", "where callers' numbers without a country code belong: caller.country"),
        "zone": (Zone().describe(), "", "the time zone of reports; unset, that of the machine"),
        "reports.NAME": ReportPart,
        "smtp": MailPart,
        "reload": ("auto or manual", "auto", "whether saved flows go live by themselves, or by ivr publish only"),
    }
)
"""What the site file can have: several settings and their record, or one value, how it is written, what it is if it
is not, and what it means."""

_NAMES: Final = tuple(dict.fromkeys(name.partition(".")[0] for name in PARTS))


def load_site(path: Path, environment: Mapping[str, str] | None = None) -> SiteLoaded:
    """Read the site file. ``environment`` is where secrets are looked up first: the process's, unless given.

    Never raises for what is in the files.
    """
    source = read_source(path, shown(path))
    if source.root is None and has_errors(source.problems):
        return SiteLoaded(None, source.problems)
    loading = _Loading(path, source, os.environ if environment is None else environment)
    site = loading.site()
    problems = in_order(loading.all_problems())
    return SiteLoaded(None if has_errors(problems) else site, problems)


class _Loading:
    """One reading of one site file."""

    def __init__(self, path: Path, source: Source, environment: Mapping[str, str]) -> None:
        self._path = path
        self._folder = path.resolve().parent
        self._source = source
        self._root = source.root if isinstance(source.root, MappingNode) else MappingNode((), Place(source.file, 1))
        secrets_node = self._root.get("secrets")
        self._reader = SiteReader({}, "")
        secrets_path = self._file(secrets_node) if secrets_node is not None else None
        where = f"add {{name}}: … to {shown(secrets_path)}, or set {{variable}}" if secrets_path else "set {variable}"
        secrets, self._secret_problems = read_secrets(secrets_path, environment)
        self._secrets = secrets
        early = self._reader.problems
        self._reader = SiteReader(secrets, where)
        self._reader.problems.extend(early)

    def all_problems(self) -> Iterator[Problem]:
        own = self._source.trusted(self._reader.problems)
        yield from with_lines([*self._source.problems, *own], {self._source.file: self._lines()})
        yield from self._secret_problems

    def _lines(self) -> tuple[str, ...]:
        """The file's lines, passwords blotted out."""
        lines = [_PASSWORD.sub(lambda found: found[1] + "•" * len(found[2]), line) for line in self._source.lines]
        for node in self._reader.hidden:
            line, start = node.place.line - 1, node.place.column - 1
            if line < len(lines):
                lines[line] = lines[line][:start] + "•" * node.length + lines[line][start + node.length :]
        return tuple(lines)

    def site(self) -> Site | None:
        if not isinstance(self._source.root, MappingNode):
            help = "begin with numbers: and seats:"
            self._reader.problem("E013", self._source.root or self._root, "there is no site in this file", help)
            return None
        self._unknown_names()
        sip = self._part("sip", _Sip, _Sip())
        tls = self._tls()
        media = self._part("media", _Media, _Media())
        limits = self._part("limits", _Limits, _Limits())
        self._listeners(sip)
        numbers = tuple(self._each("numbers", self._number, needed="numbers: {'1000': main}").values())
        seats = self._each("seats", self._seat)
        groups = self._each("groups", self._group)
        trunks = self._each("trunks", lambda key, node: self._trunk(key, node, sip))
        self._number_clashes(numbers)
        self._trunk_numbers(trunks)
        self._ports(media, limits)
        clients_reading = RtcReading(self._root, self._reader)
        rtc, clients = clients_reading.settings(), self._each("clients", clients_reading.client)
        clients_reading.together(rtc, clients, numbers, seats, trunks)
        outside = OutsideReading(self._root, self._folder, self._reader)
        voices, voice_places = self._voices()
        reports = self._each("reports", lambda key, node: read_job(key, node, self._reader))
        smtp_node = self._root.get("smtp")
        smtp = None if smtp_node is None else read_mail(smtp_node, self._reader)
        self._mails(reports, smtp_node)
        return Site(
            file=self._path,
            sip=SipSettings(sip.listen, sip.domain, sip.srtp_without_tls),
            tls=tls,
            media=MediaSettings(
                media.address,
                media.advertise,
                media.ports,
                media.port_rest,
                media.port_rest_least,
                media.timeout,
                media.greeting_wait,
            ),
            flows=self._flows(),
            prompts=self._path_of("prompts", "prompts"),
            records=self._records(),
            spool=self._spool(),
            retention=self._retention(),
            voices=voices,
            recognition=MappingProxyType(
                self._each("recognition", lambda key, node: read_recognition(key, node, self._folder, self._reader))
            ),
            numbers=numbers,
            seats=MappingProxyType(seats),
            groups=MappingProxyType(groups),
            trunks=MappingProxyType(trunks),
            limits=Limits(limits.calls, limits.calls_per_second, limits.drain, limits.call),
            rtc=rtc,
            clients=MappingProxyType(clients),
            http=(http := outside.http()),
            tables=self._each("tables", outside.table),
            webhooks=self._each("webhooks", lambda key, node: outside.webhook(key, node, http.reach)),
            calendars=self._each("calendars", lambda key, node: read_calendar(key, node, self._reader)),
            monitoring=self._monitoring(rtc),
            secrets=self._secrets,
            country=self._country(),
            zone=self._zone(),
            reports=MappingProxyType(reports),
            smtp=smtp,
            reload=self._reload(),
            lines=self._lines(),
            voice_places=voice_places,
            studio=read_studio(self._root, numbers, self._reader),
        )

    def _unknown_names(self) -> None:
        for key, _ in self._root.entries:
            if key.text in _LATER:
                self._reader.problem("E014", key, f"'{key.text}' is not in this version yet", "leave it out for now")
            elif key.text not in _NAMES:
                help = did_you_mean(key.text, _NAMES, "names")
                self._reader.problem("E011", key, f"the site has no setting '{key.text[:60]}'", help)

    def _monitoring(self, rtc: RtcSettings | None) -> MonitoringSettings | None:
        node = self._root.get("monitoring")
        part = None if node is None else read_record(MonitoringPart, node, self._reader, "monitoring")
        if node is None or part is None:
            return None
        own = part.listen
        for other in () if rtc is None else rtc.listen:
            if own is None or own.port != other.port or other.port == 0:
                continue
            if own.host == other.host or any(ip_address(host).is_unspecified for host in (own.host, other.host)):
                message = f"port {other.port} is that of '{other}' under rtc: already"
                self._reader.problem("E202", node, message, "take another: monitoring: {listen: 'http:127.0.0.1:9464'}")
        return MonitoringSettings(part.listen, part.traces)

    def _part(self, name: str, record: type[T], default: T) -> T:
        node = self._root.get(name)
        if node is None:
            return default
        return read_record(record, node, self._reader, name) or default

    def _each(self, name: str, read: Callable[[ScalarNode, Node], T | None], needed: str | None = None) -> dict[str, T]:
        """The entries of a mapping, read one by one."""
        node = self._root.get(name)
        if node is None:
            if needed is not None:
                self._reader.problem("E012", self._root, f"the site needs '{name}'", f"add {needed}")
            return {}
        if not isinstance(node, MappingNode):
            if not (isinstance(node, ScalarNode) and not node.text and needed is None):
                self._reader.problem(
                    "E013", node, f"{name} has names and values", f"write {needed or f'{name}: {{name: value}}'}"
                )
            return {}
        values = {key.text: read(key, value) for key, value in node.entries}
        return {key: value for key, value in values.items() if value is not None}

    def _number(self, key: ScalarNode, node: Node) -> NumberRule | None:
        places = number_places(key, self._reader)
        if isinstance(node, ScalarNode):
            node = MappingNode(((ScalarNode("flow", key.place), node),), key.place)
        rule = read_record(_Number, node, self._reader, f"number '{key.text[:40]}'")
        if places is None or rule is None:
            return None
        leads_to: list[str | Direct] = [] if rule.flow is None else [rule.flow]
        if rule.client is not None:
            leads_to.append(Direct(f"rtc:{rule.client}"))
        if rule.dial is not None:
            leads_to.append(Direct(rule.dial))
        if len(leads_to) != 1:
            what = "leads nowhere" if not leads_to else "leads to several things"
            help = "write one of flow: NAME, client: USER and dial: 'sip:SEAT'"
            self._reader.problem("E012", key, f"number '{key.text[:40]}' {what}", help)
            return None
        # A call that costs is not for strangers, unless the site says so.
        costs = isinstance(leads_to[0], Direct) and leads_to[0].scheme == "tel"
        callers: Callers = rule.callers or ("signed_in" if costs else "anyone")
        return NumberRule(key.text, leads_to[0], callers, places, key.place)

    def _seat(self, key: ScalarNode, node: Node) -> Seat | None:
        if isinstance(node, ScalarNode):
            node = MappingNode(((ScalarNode("password", key.place), node),), key.place)
        seat = read_record(_Seat, node, self._reader, f"seat '{key.text[:40]}'")
        if not seat_name(key, self._reader) or seat is None:
            return None
        weak_password(key, seat.password, "seat", self._reader)
        return Seat(key.text, seat.password, seat.name, seat.codecs, seat.srtp, key.place)

    def _group(self, key: ScalarNode, node: Node) -> Group | None:
        steps = GroupMembers().read(node, self._reader)
        if not NAME.fullmatch(key.text):
            bad_name(key, self._reader)
            return None
        return None if steps is None else Group(key.text, steps, key.place)

    def _trunk(self, key: ScalarNode, node: Node, sip: _Sip) -> Trunk | None:
        trunk = read_record(_Trunk, node, self._reader, f"trunk '{key.text[:40]}'")
        if not NAME.fullmatch(key.text):
            bad_name(key, self._reader)
            return None
        if trunk is None:
            return None
        if trunk.register and (trunk.user is None or trunk.password is None):
            help = "add user: and password:, or leave register out"
            self._reader.problem("E012", key, f"trunk '{key.text}' cannot register without user and password", help)
        host, port = trunk.host
        if port is not None and trunk.port is not None and port != trunk.port:
            message = f"trunk '{key.text}' has two ports, {port} and {trunk.port}"
            self._reader.problem("E201", key, message, "write it once: behind the host, or as port:")
        if trunk.srtp == "require" and trunk.transport != "tls" and not sip.srtp_without_tls:
            message = f"trunk '{key.text}' requires encryption, whose keys anybody can read on {trunk.transport}"
            self._reader.problem("E210", key, message, "write transport: tls, or srtp: prefer")
        return Trunk(
            key.text,
            host,
            port or trunk.port or (5061 if trunk.transport == "tls" else 5060),
            trunk.transport,
            trunk.user,
            trunk.password,
            trunk.register,
            trunk.numbers,
            trunk.caller_id,
            trunk.srtp,
            trunk.verify,
            key.place,
        )

    def _tls(self) -> TlsSettings:
        node = self._root.get("tls")
        part = None if node is None else read_record(TlsPart, node, self._reader, "tls")
        return TlsSettings() if node is None or part is None else read_tls(part, node, self._folder, self._reader)

    def _voices(self) -> tuple[Mapping[str, Voice], Mapping[str, Place]]:
        """By language, and where each stands."""
        node = self._root.get("speech")
        if node is None:
            return MappingProxyType({}), MappingProxyType({})
        voices = node.get("voices") if isinstance(node, MappingNode) else None
        if not isinstance(node, MappingNode) or not isinstance(voices, MappingNode) or len(node.entries) != 1:
            self._reader.problem(
                "E013", node, "speech has voices, one per language", "write speech: {voices: {en: {rate: 150}}}"
            )
            return MappingProxyType({}), MappingProxyType({})
        found = {}
        for key, value in voices.entries:
            if not _LANGUAGE.fullmatch(key.text):
                message = f"'{key.text[:40]}' is not a language"
                self._reader.problem("E024", key, message, "write en, zh, pt-br, …: as in languages: of the flows")
            if isinstance(value, ScalarNode):
                value = MappingNode(((ScalarNode("voice", key.place), value),), key.place)
            voice = read_record(_Voice, value, self._reader, f"voice '{key.text[:40]}'")
            if voice is not None:
                name = voice.voice or ""
                if name and voice.engine == "piper":
                    name = str(self._folder / name)
                found[key.text] = Voice(voice.engine, name, voice.rate, voice.volume / 100, voice.pitch)
        return MappingProxyType(found), MappingProxyType({key.text: key.place for key, _ in voices.entries})

    def _file(self, node: Node) -> Path | None:
        text = Text("a path", 1000).read(node, self._reader)
        return None if text is None else self._folder / text

    def _path_of(self, name: str, default: str) -> Path:
        node = self._root.get(name)
        return (None if node is None else self._file(node)) or self._folder / default

    def _flows(self) -> tuple[Path, ...]:
        node = self._root.get("flows")
        paths = None if node is None else ListOf(Text("a path", 1000), 1).read(node, self._reader)
        return tuple(self._folder / path for path in paths or ("flows",))

    def _reload(self) -> Literal["auto", "manual"]:
        node = self._root.get("reload")
        written = None if node is None else OneOf(("auto", "manual")).read(node, self._reader)
        return "manual" if written == "manual" else "auto"

    def _country(self) -> str:
        node = self._root.get("country")
        return (None if node is None else Country().read(node, self._reader)) or ""

    def _mails(self, reports: Mapping[str, ReportJob], smtp: Node | None) -> None:
        for name, job in reports.items():
            if job.addresses and smtp is None:
                message = f"report '{name}' goes by mail, but the site has no mail server"
                node = self._root.get("reports") or self._root
                self._reader.problem("E230", node, message, "add smtp: {host: mail.example.com, from: ivr@example.com}")

    def _spool(self) -> int:
        node = self._root.get("spool")
        return (None if node is None else Size().read(node, self._reader)) or SPOOL_BOUND

    def _retention(self) -> Retention:
        node = self._root.get("retention")
        return (None if node is None else read_retention(node, self._reader)) or Retention()

    def _zone(self) -> ZoneInfo | None:
        node = self._root.get("zone")
        return None if node is None else Zone().read(node, self._reader)

    def _records(self) -> str:
        node = self._root.get("records")
        url = (None if node is None else DatabaseUrl().read(node, self._reader)) or "sqlite:///var/records.db"
        prefix = "sqlite:///"
        if url.startswith(prefix) and url != f"{prefix}:memory:":
            return f"{prefix}{self._folder / url.removeprefix(prefix)}"
        return url

    def _listeners(self, sip: _Sip) -> None:
        node = self._root.get("sip")
        twice = {listen for listen in sip.listen if sip.listen.count(listen) > 1}
        for listen in sorted(str(one) for one in twice):
            self._reader.problem(
                "E202", node or self._root, f"'{listen}' is listened to twice", "remove one of the two"
            )

    def _number_clashes(self, numbers: tuple[NumberRule, ...]) -> None:
        for first, second, example in ambiguous(numbers):
            rivals = f"'{second.number}' and '{first.number}' (line {first.place.line})"
            message = f"{rivals} both fit {example}, and neither is more exact"
            help = f"add a rule '{example}', or make one of them narrower"
            self._reader.problems.append(Problem("E203", second.place, message, help, len(second.number)))

    def _trunk_numbers(self, trunks: Mapping[str, Trunk]) -> None:
        owner: dict[str, Trunk] = {}
        for trunk in trunks.values():
            for number in trunk.numbers:
                first = owner.setdefault(number, trunk)
                if first is not trunk:
                    message = f"number {number} is in both trunk '{first.name}' and '{trunk.name}'"
                    help = "a number comes in through one trunk: remove it from the other"
                    self._reader.problems.append(Problem("E202", trunk.place, message, help, len(trunk.name)))

    def _ports(self, media: _Media, limits: _Limits) -> None:
        calls = len(media.ports) // PORTS_PER_CALL
        node = self._root.get("media") or self._root.get("limits")
        if calls < limits.calls and node is not None:
            message = f"{len(media.ports)} ports are enough for {calls} calls, but limits.calls is {limits.calls}"
            last = media.ports.first + limits.calls * PORTS_PER_CALL - 1
            wider = f"write ports: {media.ports.first}-{last}" if last <= 65535 else "widen media.ports"
            help = f"{wider}, or limits: {{calls: {calls}}}"
            self._reader.problem("W210", node, message, help)
        self._resting_ports(media, limits)

    def _resting_ports(self, media: _Media, limits: _Limits) -> None:
        """Whether the ports that rest leave enough for the calls, when these come as fast as the site allows.

        Only where the site says how fast: what it is otherwise is a bound against floods that nobody has thought of.
        """
        node = self._root.get("limits")
        rate_node = node.get("calls_per_second") if isinstance(node, MappingNode) else None
        if rate_node is None:
            return
        rest = media.port_rest if media.port_rest_least is None else min(media.port_rest, media.port_rest_least)
        rate = limits.calls_per_second
        resting, used = math.ceil(rate * rest) * PORTS_PER_PARTY, limits.calls * PORTS_PER_CALL
        spare = len(media.ports) - used
        if spare < 0 or resting <= spare:
            return
        message = f"at {rate} calls a second {resting} ports rest, but {limits.calls} calls leave only {spare}"
        last = media.ports.first + used + resting - 1
        ways = [f"write ports: {media.ports.first}-{last}"] if last <= 65535 else []
        if shorter := spare // PORTS_PER_PARTY // rate:
            ways.append(f"port_rest: {shorter}s")
        if slower := int(spare / PORTS_PER_PARTY / rest):
            ways.append(f"limits: {{calls_per_second: {slower}}}")
        self._reader.problem("W210", rate_node, message, ", or ".join(ways) or "widen media.ports")
