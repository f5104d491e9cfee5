"""Where a call goes: the plan of numbers as telephones and RTC clients see it, and who may call what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from gateway.call import Arrival, Refusal
from ivr.site.kinds import USER
from ivr.site.model import Site
from ivr.site.numbers import Direct, NumberRule

_NUMBER: Final = re.compile(r"\+?[0-9*#]{1,32}")


@dataclass(frozen=True, slots=True)
class Way:
    """Where a number leads."""

    leads_to: str | Direct
    """The name of a flow, or who is called."""
    rule: NumberRule | None = None
    """None: a user, or a number of the public network, that only clients can call."""


def way_to(site: Site, did: str, *, client: bool = False, pstn: bool = False) -> Way | None:
    """Where a number leads, None if nowhere.

    ``client``: an RTC client calls; it can call users by name, and the public network by its prefix. ``pstn``: it says
    that the number is one of the public network, whatever the plan makes of it.
    """
    if not (client and pstn):
        rule = site.route(did)
        if rule is not None:
            return Way(rule.leads_to, rule)
    if not client or site.rtc is None:
        return None
    out = site.rtc.pstn
    if out is not None and _NUMBER.fullmatch(did) and (pstn or did.startswith(out.prefix)):
        return Way(Direct(f"tel:{out.with_prefix(did)}", out.trunk))
    if pstn or not USER.fullmatch(did) or (_NUMBER.fullmatch(did) and did not in site.clients):
        return None
    return Way(Direct(f"rtc:{did}"))


def refusal(way: Way, arrival: Arrival) -> Refusal | Literal["authenticate"] | None:
    """Why somebody may not call that, ``authenticate`` if a seat's password would let him; None if he may."""
    if arrival.rights is None:
        return _for_telephone(way)
    target = way.leads_to
    callers = way.rule.callers if way.rule is not None else "clients"
    if callers == "seats":
        return Refusal(403, f"client {arrival.account} may not call {arrival.did}: callers: seats")
    if not isinstance(target, Direct):
        # Guests may call one number, and have no right to call in.
        if arrival.rights.call_in or arrival.rights.may_call_out(arrival.did):
            return None
        return Refusal(403, f"client {arrival.account} may not call {arrival.did}: it has no right call_in")
    # What has a number in the plan may be allowed by that, or by the name of who is behind it.
    names = [target.name] if way.rule is None else [arrival.did, target.name]
    if not any(arrival.rights.may_call_out(name, target.scheme) for name in names):
        return Refusal(403, f"client {arrival.account} may not call {arrival.did}: no call_out allows {target}")
    return None


def _for_telephone(way: Way) -> Refusal | Literal["authenticate"] | None:
    callers = way.rule.callers if way.rule is not None else "clients"
    match callers:
        case "clients":
            return Refusal(403, "only RTC clients may call that number")
        case "seats" | "signed_in":
            return "authenticate"
        case _:
            return None
