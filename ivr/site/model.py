"""The site as the program sees it: addresses, numbers, seats, groups, trunks, limits. Seconds, resolved paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from gateway.call import RtcListen
from ivr.calendar import Calendar
from ivr.flow.model import Place
from ivr.records.keeping import SPOOL_BOUND, Retention
from ivr.reports.schedule import MailSettings, ReportJob
from ivr.site.numbers import NumberRule, most_exact
from ivr.site.reach import Reach
from ivr.site.rtc_model import Client, RtcSettings
from ivr.speech.recognition.choice import EngineChoice
from ivr.speech.voice import Voice, wanted_voice
from ivr.table import Table

Transport = Literal["udp", "tcp", "tls"]
SrtpPolicy = Literal["require", "prefer", "off"]
Codec = Literal["PCMU", "PCMA"]


@dataclass(frozen=True, slots=True)
class Listen:
    """Where SIP is received."""

    transport: Transport
    address: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.transport}:{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SipSettings:
    listen: tuple[Listen, ...] = (Listen("udp", "0.0.0.0", 5060), Listen("tcp", "0.0.0.0", 5060))
    domain: str | None = None
    """The realm of telephones' passwords and the host of callers' addresses; None: ``ivr``, and our address."""
    srtp_without_tls: bool = False
    """Whether keys of SRTP may travel where everybody can read them."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    certificate: Path | None = None
    """None: one for local use is made in ``var``."""
    key: Path | None = None
    """None: in the same file."""
    ca: Path | None = None
    """Authorities that we believe beside those of the system."""


@dataclass(frozen=True, slots=True)
class PortRange:
    """Both ends included."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class MediaSettings:
    address: str = "0.0.0.0"
    advertise: str | None = None
    """The address told to the far end, if it differs."""
    ports: PortRange = PortRange(20000, 29999)
    port_rest: float = 30.0
    """How long a port is out of use before another call gets it."""
    port_rest_least: float | None = None
    """How long when calls come faster than the ports can rest; None: as long as ever."""
    timeout: float = 60.0
    """A party that was heard and then is not for so long is taken for lost."""
    greeting_wait: float = 0.5
    """What is played first after an answer waits so long for the party to be heard."""


@dataclass(frozen=True, slots=True)
class Studio:
    """Where seats record prompts by telephone."""

    rule: NumberRule
    pin: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Seat:
    """A telephone that registers here."""

    name: str
    """What it dials in as, and what is dialled to reach it."""
    password: str = field(repr=False)
    title: str
    """Who sits there."""
    codecs: tuple[Codec, ...]
    """In order of preference."""
    srtp: SrtpPolicy
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class GroupStep:
    """Those of a group who ring together where it is rung in steps."""

    targets: tuple[str, ...]
    """``sip:SEAT``, ``rtc:USER`` or ``tel:NUMBER``."""
    after: float | None = None
    """Seconds after the step before began, which rings on; None: when nobody of those before is left."""


@dataclass(frozen=True, slots=True)
class Group:
    """Seats that ring together, in this order, or step by step."""

    name: str
    steps: tuple[GroupStep, ...]
    place: Place = field(compare=False)

    @property
    def targets(self) -> tuple[str, ...]:
        """Everybody, in order: ``sip:SEAT``, ``rtc:USER`` or ``tel:NUMBER``."""
        return tuple(target for step in self.steps for target in step.targets)


@dataclass(frozen=True, slots=True)
class Trunk:
    """A carrier, or another exchange."""

    name: str
    host: str
    port: int
    transport: Transport
    user: str | None
    password: str | None = field(repr=False)
    register: bool
    """Whether we register there to be reached."""
    numbers: tuple[str, ...]
    """Numbers it brings calls to."""
    caller_id: str | None
    srtp: SrtpPolicy
    verify: bool
    """Over TLS: whether it must prove who it is."""
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Limits:
    calls: int = 400
    """At the same time; further ones are told that we are busy."""
    calls_per_second: int = 200
    drain: float = 60.0
    """How long running calls may take to end when the program is stopped."""
    call: float = 14_400.0
    """The longest a call lasts."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How flows reach web services."""

    reach: Reach = field(default_factory=Reach)
    ca: Path | None = None
    """Certificates trusted beside the usual ones."""
    answer: int = 1_000_000
    """The largest answer, bytes."""


@dataclass(frozen=True, slots=True)
class SqlTable:
    """A table asked for by a question to a database."""

    name: str
    sql: str
    url: str = field(repr=False)
    value: str | None
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Another program that is told things."""

    name: str
    url: str
    secret: str | None = field(repr=False)
    """What the messages are signed with."""
    place: Place = field(compare=False)


@dataclass(frozen=True, slots=True)
class MonitoringSettings:
    """Where other programs watch the server."""

    listen: RtcListen | None
    traces: str | None
    """``http://127.0.0.1:4318``: who takes traces of calls."""


@dataclass(frozen=True)
class Site:
    """Everything in the site file."""

    file: Path
    sip: SipSettings
    tls: TlsSettings
    media: MediaSettings
    flows: tuple[Path, ...]
    prompts: Path
    records: str = field(repr=False)
    """Database URL."""
    voices: Mapping[str, Voice]
    """By language code; each may leave its name open."""
    numbers: tuple[NumberRule, ...]
    seats: Mapping[str, Seat]
    groups: Mapping[str, Group]
    trunks: Mapping[str, Trunk]
    limits: Limits
    rtc: RtcSettings | None = None
    """None: no RTC clients."""
    clients: Mapping[str, Client] = field(default_factory=dict)
    """By user."""
    http: HttpSettings = field(default_factory=HttpSettings)
    tables: Mapping[str, Table | SqlTable] = field(default_factory=dict)
    webhooks: Mapping[str, Webhook] = field(default_factory=dict)
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    recognition: Mapping[str, EngineChoice] = field(default_factory=dict)
    """What hears a language, by its code; see :func:`~ivr.speech.recognition.choice.choice_for` for the others."""
    monitoring: MonitoringSettings | None = None
    """None: nobody watches."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """All of them by name: flows use some in headers."""
    country: str = ""
    """Where numbers without a country code belong, as two capital letters; empty: nowhere that is known."""
    zone: ZoneInfo | None = None
    """Of the clock on the wall, for reports; None: that of the machine."""
    reports: Mapping[str, ReportJob] = field(default_factory=dict)
    """Those that are made by themselves."""
    smtp: MailSettings | None = None
    spool: int = SPOOL_BOUND
    """Bytes of events that may wait for the database on the disk."""
    retention: Retention = field(default_factory=Retention)
    """How long records are kept."""
    reload: Literal["auto", "manual"] = "auto"
    """Whether saved files go live by themselves."""
    studio: Studio | None = None
    """Where recordings are made by telephone; None: nowhere."""
    voice_places: Mapping[str, Place] = field(default_factory=dict, compare=False)
    """Where each of ``voices`` stands."""
    lines: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """The file's lines with passwords blotted out, for printing problems."""

    @cached_property
    def plan(self) -> tuple[NumberRule, ...]:
        """Every number there is: those of ``numbers``, of clients, and of the accounts that clients may call."""
        own = (client.rule for client in self.clients.values() if client.number is not None)
        accounts = () if self.rtc is None else self.rtc.account_rules
        studio = () if self.studio is None else (self.studio.rule,)
        return (*self.numbers, *studio, *(rule for rule in own if rule is not None), *accounts)

    def route(self, did: str) -> NumberRule | None:
        """The rule for a dialled number: the most exact one that fits it, None if none does."""
        exact, patterns = self._by_exactness
        return exact.get(did) or most_exact(patterns, did)

    @cached_property
    def _by_exactness(self) -> tuple[Mapping[str, NumberRule], tuple[NumberRule, ...]]:
        """Numbers, which may be thousands, and patterns: a flood of calls is not to be looked up in all of them."""
        exact = {"".join(map("".join, rule.places)): rule for rule in self.plan if rule.width == 1}
        return exact, tuple(rule for rule in self.plan if rule.width > 1)

    @property
    def tokens_from_elsewhere(self) -> bool:
        """Whether clients may log in that the site file does not name: somebody else has the key of the tokens."""
        return self.rtc is not None and self.rtc.secret is not None

    @property
    def state(self) -> Path:
        """The folder of what the program itself keeps."""
        return self.file.resolve().parent / "var"

    def voice(self, language: str) -> Voice:
        return wanted_voice(language, self.voices)

    def recording(self, language: str, name: str) -> Path | None:
        """The sound file of a prompt: the language's own, else the one for all languages, else None."""
        for path in (self.prompts / language / f"{name}.wav", self.prompts / f"{name}.wav"):
            if path.is_file():
                return path
        return None
