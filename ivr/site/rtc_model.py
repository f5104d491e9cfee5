"""RTC clients as the site has them: where browsers find us, who may log in, what they may call."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.call import AccountRule, Codec, IceServer, Rights, RtcListen
from ivr.flow.model import Place
from ivr.site.numbers import Direct, NumberRule


@dataclass(frozen=True, slots=True)
class Pstn:
    """How clients reach the public network: numbers that begin with the prefix go out through a trunk."""

    prefix: str
    trunk: str

    def with_prefix(self, number: str) -> str:
        """A number of the public network as the trunk gets it. One with a country code in front is whole."""
        return number if number.startswith(("+", self.prefix)) else self.prefix + number


@dataclass(frozen=True, slots=True)
class Client:
    """A person with a browser."""

    user: str
    name: str
    password: str | None = field(repr=False)
    """With it a token is to be had from us; None: tokens are made elsewhere."""
    number: str | None
    rights: Rights
    place: Place = field(compare=False)
    rule: NumberRule | None = field(default=None, repr=False, compare=False)
    """That leads to ``number``."""


@dataclass(frozen=True, slots=True)
class RtcSettings:
    """The side that browsers see."""

    listen: tuple[RtcListen, ...] = (RtcListen("http", "127.0.0.1", 8080),)
    origins: tuple[str, ...] = ()
    """Pages of these may log in, besides our own."""
    ice_servers: tuple[IceServer, ...] = ()
    stun: tuple[str, int] | None = None
    secret: str | None = field(default=None, repr=False)
    """Signs tokens; None: one is made at the first start."""
    codecs: tuple[Codec, ...] = ("PCMU", "PCMA", "opus", "G722")
    """Wanted first."""
    accounts: AccountRule | None = None
    """Seats that clients may call by their numbers."""
    pstn: Pstn | None = None
    guests: tuple[str, ...] = ()
    """Numbers that anybody may call from the call page."""
    place: Place = field(default=Place("", 1), compare=False)

    @property
    def account_rules(self) -> tuple[NumberRule, ...]:
        """A number for every account."""
        accounts = () if self.accounts is None else self.accounts.accounts
        return tuple(
            NumberRule(one, Direct(f"sip:{one}"), "signed_in", tuple(map(frozenset, one)), self.place)
            for one in accounts
        )
