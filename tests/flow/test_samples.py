"""The samples: both spellings of the company's line are one flow, and their tests see every block but the fault's."""

from __future__ import annotations

from pathlib import Path

from ivr.flow.loader import load_flows
from tests.cli.commands import ivr

SAMPLES = Path(__file__).parents[2] / "docs/samples"


def test_both_spellings_are_one_flow() -> None:
    dsl = load_flows([SAMPLES / "flows/company.flow"]).flows["company"]
    yaml = load_flows([SAMPLES / "company.yaml"]).flows["company"]
    assert dsl.digest == yaml.digest


def test_the_samples_are_right() -> None:
    checked = ivr("check", SAMPLES / "site.yaml")
    assert checked.exit_code == 0, checked.output
    assert "error" not in checked.stdout
    tested = ivr("test", SAMPLES / "flows", "--site", SAMPLES / "site.yaml")
    assert tested.exit_code == 0, tested.output
