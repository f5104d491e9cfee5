"""The site file: what belongs to one installation, apart from flows."""

from ivr.site.checks import check_site
from ivr.site.loader import SiteLoaded, load_site
from ivr.site.model import (
    Codec,
    Group,
    HttpSettings,
    Limits,
    Listen,
    MediaSettings,
    PortRange,
    Seat,
    SipSettings,
    Site,
    SqlTable,
    Studio,
    Transport,
    Trunk,
    Webhook,
)
from ivr.site.numbers import Direct, NumberRule
from ivr.site.plan import Way, refusal, way_to
from ivr.site.rtc_model import Client, Pstn, RtcSettings

__all__ = [
    "Client",
    "Codec",
    "Direct",
    "Group",
    "HttpSettings",
    "Limits",
    "Listen",
    "MediaSettings",
    "NumberRule",
    "PortRange",
    "Pstn",
    "RtcSettings",
    "Seat",
    "SipSettings",
    "Site",
    "SiteLoaded",
    "SqlTable",
    "Studio",
    "Transport",
    "Trunk",
    "Way",
    "Webhook",
    "check_site",
    "load_site",
    "refusal",
    "way_to",
]
