"""The alert rules and the dashboard ask for metrics that there are, with labels that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from ivr.observe.metrics import page
from tests.observe.looks import CALL, look
from tests.observe.test_counting import Counted

DEPLOY = Path(__file__).parents[2] / "deploy"
OF_THE_SCRAPE = {"instance", "job", "le"}


def metrics() -> Mapping[str, set[str]]:
    """Every metric there can be, with its labels."""
    counted = Counted()
    counted.happens(1, "call.arrived", mode="ivr", flow="main")
    counted.happens(2, "call.answered")
    counted.happens(2, "leg.answered", leg="c1-caller")
    counted.happens(3, "flow.step", flow="main", try_no=1, exit="1", error="wrong")
    counted.happens(4, "leg.ended", leg="c1-caller", kind="sip", role="caller", rx_pkts=1, lost_pkts=1)
    counted.happens(5, "call.ended", ended_by="caller")
    texts = page(counted.registry, look(calls=(CALL,), failing=True, last_error="")), page(CollectorRegistry(), look())
    found: dict[str, set[str]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text.decode()):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def expressions() -> Iterator[str]:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "ivr.rules.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("critical", "warning")
            assert rule["annotations"]["summary"]
            assert rule["annotations"]["description"]
            yield rule["expr"]
    for panel in json.loads((DEPLOY / "grafana" / "ivr.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def test_what_is_asked_for_is_there() -> None:
    there = metrics()
    asked = list(expressions())
    assert len(asked) > 20
    for expression in asked:
        names = re.findall(r"\bivr_\w+", expression)
        assert names or "up{" in expression, expression
        for name in names:
            assert name in there, f"{name} in {expression}"
        for labels in re.findall(r"(ivr_\w+)\{([^}]*)\}", expression):
            used = set(re.findall(r"(\w+)\s*[=!]", labels[1])) - OF_THE_SCRAPE
            assert used <= there[labels[0]], expression
        for by in re.findall(r"by \(([^)]*)\)", expression):
            used = set(re.split(r",\s*", by)) - OF_THE_SCRAPE
            assert all(used <= there[name] for name in names), expression
