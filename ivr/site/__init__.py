"""The site file: what belongs to one installation, apart from flows."""

from ivr.site.checks import check_site
from ivr.site.loader import SiteLoaded, load_site
from ivr.site.model import (
    Codec,
    Group,
    Limits,
    Listen,
    MediaSettings,
    PortRange,
    Seat,
    SipSettings,
    Site,
    Transport,
    Trunk,
    Voice,
)
from ivr.site.numbers import NumberRule

__all__ = [
    "Codec",
    "Group",
    "Limits",
    "Listen",
    "MediaSettings",
    "NumberRule",
    "PortRange",
    "Seat",
    "SipSettings",
    "Site",
    "SiteLoaded",
    "Transport",
    "Trunk",
    "Voice",
    "check_site",
    "load_site",
]
