"""Verbs that treat callers differently: by shares, and by how often somebody has called."""

# ruff: noqa: RUF009  (settings are declared by calls, as dataclasses.field is)

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ivr.flow.kinds import NAME, Duration, OneOf, Whole, bad_name
from ivr.flow.nodes.kinds import TemplateText
from ivr.flow.nodes.verb import Exit, Verb
from ivr.flow.settings import Reader, Schema, setting
from ivr.flow.source import MappingNode, Node
from ivr.flow.template import Template


@dataclass(frozen=True, slots=True)
class Weight:
    """A variant and its share."""

    variant: str
    weight: int


@dataclass(frozen=True)
class Weights:
    """Variants and their shares. Each needs an exit of its name."""

    def read(self, node: Node, reader: Reader) -> tuple[Weight, ...] | None:
        if not isinstance(node, MappingNode) or not 2 <= len(node.entries) <= 20:
            reader.problem("E020", node, "2 to 20 variants are needed", "write weights: {a: 50, b: 50}")
            return None
        wires = dict(reader.wires)
        found = []
        for key, value in node.entries:
            weight = Whole(0, 1_000_000).read(value, reader)
            if not NAME.fullmatch(key.text):
                bad_name(key, reader)
            elif key.text not in wires:
                help = f"add {key.text}: block_name beside weights"
                reader.problem("E110", key, f"split does not say where variant '{key.text}' leads", help)
            elif weight is not None:
                found.append(Weight(key.text, weight))
        names = {key.text for key, _ in node.entries}
        for exit in wires.keys() - names:
            help = f"add {exit} to weights, or remove it"
            reader.problem("E011", wires[exit], f"split has no variant '{exit[:60]}'", help)
        if len(found) < len(node.entries) or wires.keys() - names:
            return None
        if not any(one.weight for one in found):
            reader.problem("E022", node, "no variant has a weight", "write a weight above 0")
            return None
        return tuple(found)

    def schema(self) -> Schema:
        return {"type": "object", "minProperties": 2, "additionalProperties": Whole(0, 1_000_000).schema()}

    def describe(self) -> str:
        return "variant: share, 2 to 20 of them"


@dataclass(frozen=True, slots=True)
class Split:
    """Send callers different ways by shares."""

    weights: tuple[Weight, ...] = setting(Weights(), "variants and their shares, of which only the proportions count")
    sticky: Literal["caller", "no"] = setting(
        OneOf(("caller", "no")),
        "caller: one number always gets the same variant, for as long as the weights stay; no: every call anew",
        default="no",
    )


@dataclass(frozen=True, slots=True)
class Limit:
    """Look how often something has happened lately."""

    key: Template = setting(TemplateText(), "what is counted: calls with the same text count together")
    count: int = setting(Whole(1, 1000), "how often is still within")
    per: float = setting(Duration(1, 86_400), "the time that is looked back over")


VERBS = (
    Verb(
        "split",
        Split,
        "Sends callers different ways by shares; the record of the call has the variant. A caller without a number is "
        "never sticky.",
        (),
        decides=True,
        further="one for each variant, which must be written",
        example="- split: {weights: {short: 70, long: 30}, sticky: caller, short: sales, long: support}",
    ),
    Verb(
        "limit",
        Limit,
        "Counts calls that come by here, of all callers, by a key. What is over does not count. Counted since the "
        "server was started; of very many keys those not seen for longest are forgotten.",
        (
            Exit("within", "it has happened no more often than that", "next"),
            Exit("over", "it has happened too often"),
        ),
        decides=True,
        example="- limit: {key: '{caller.number}', count: 3, per: 1h, over: bye}",
    ),
)
