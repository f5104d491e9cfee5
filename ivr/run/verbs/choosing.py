"""Treating callers differently: by shares, and by how often somebody has called."""

from __future__ import annotations

from hashlib import sha256

from ivr.flow.model import Step
from ivr.flow.nodes import choosing
from ivr.run.actions import Mark
from ivr.run.activity import Exit, Outcome
from ivr.run.conversation import Conversation
from ivr.run.verbs.behaviour import Behaviour


def split(talk: Conversation, step: Step) -> Outcome:
    settings: choosing.Split = step.settings
    share = _share_of(talk) if settings.sticky == "caller" and talk.facts.caller else talk.environment.random()
    at = share * sum(one.weight for one in settings.weights)
    variant = ""
    for one in settings.weights:
        # A weight of 0 is nobody's, even where rounding puts the share at the very end.
        if one.weight:
            variant = one.variant
            at -= one.weight
            if at < 0:
                break
    talk.do(Mark("variant", variant))
    return Exit(variant)


def _share_of(talk: Conversation) -> float:
    """From 0 to below 1, the same for every call of a number at this place, and evenly spread over numbers."""
    text = "\0".join((talk.facts.caller, *talk.where()))
    return int.from_bytes(sha256(text.encode("utf-8", "surrogatepass")).digest()[:6], "big") / (1 << 48)


def limit(talk: Conversation, step: Step) -> Outcome:
    settings: choosing.Limit = step.settings
    key = "\0".join((*talk.where(), settings.key.fill(talk.scope())))
    within = talk.environment.counts.take(key, settings.count, settings.per, talk.now)
    return Exit("within" if within else "over")


BEHAVIOURS = {"split": Behaviour(split), "limit": Behaviour(limit)}
