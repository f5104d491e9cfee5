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
    Transport,
    Trunk,
    Voice,
    Webhook,
)
from ivr.site.numbers import NumberRule

__all__ = [
    "Codec",
    "Group",
    "HttpSettings",
    "Limits",
    "Listen",
    "MediaSettings",
    "NumberRule",
    "PortRange",
    "Seat",
    "SipSettings",
    "Site",
    "SiteLoaded",
    "SqlTable",
    "Transport",
    "Trunk",
    "Voice",
    "Webhook",
    "check_site",
    "load_site",
]
