"""What a call holds from its beginning to its end, whatever is edited, added or removed meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.call import Target
from ivr.flow.model import Flow


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything a flow can refer to by name. Shared by calls, never changed: a reload makes another one."""

    flows: Mapping[str, Flow] = field(default_factory=dict)
    """By name, with the one the call begins in: where ``call`` can lead."""
    groups: Mapping[str, tuple[Target, ...]] = field(default_factory=dict)
    """Who rings together."""
