"""The sample flows: right, tested in full, the same in both spellings, and one for everything that flows can do."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from ivr.flow.loader import load_flows, load_text
from ivr.flow.model import Flow
from ivr.flow.nodes import VERBS
from ivr.flow.nodes.steps import nested
from ivr.outside.plugins import Plugins
from ivr.plugin import installed
from ivr.run.requests import PluginCall, PluginResult
from ivr.site import load_site
from tests.cli.commands import ivr

ROOT = Path(__file__).parents[2]
FLOWS = ROOT / "flows"
FEATURES = sorted(path for path in FLOWS.glob("features/*.yaml") if not path.name.endswith(".test.yaml"))
PLUGIN = ROOT / "docs/samples/plugin"


@pytest.fixture
def plugin_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The sample's package as pip installs it: its entry points are those of its pyproject.toml."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = tmp_path / "shop_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0\n")
    points = [f"{name} = {value}\n" for name, value in project["entry-points"]["ivr.plugins"].items()]
    (info / "entry_points.txt").write_text("[ivr.plugins]\n" + "".join(points))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(PLUGIN))
    yield
    sys.modules.pop("shop_plugins", None)


def verbs_of(flow: Flow) -> set[str]:
    steps = [step for block in flow.blocks.values() for step in block.steps]
    return {step.verb for step in steps} | {one.verb for step in steps for one in nested(step.settings)}


def test_they_have_no_mistakes_and_are_formatted() -> None:
    checked = ivr("check", ROOT / "site.yaml")
    assert (checked.exit_code, checked.stdout) == (0, "no mistakes\n")
    assert ivr("check", FLOWS).stdout == "no mistakes\n"
    formatted = ivr("format", "--check", FLOWS)
    assert (formatted.exit_code, formatted.stdout) == (0, "")


def test_their_tests_pass_and_go_through_every_block_and_exit() -> None:
    found = json.loads(ivr("test", FLOWS, "--json").stdout)
    assert [one["flow"] for one in found if not one["passed"]] == []
    for one in found:
        for seen, of in (one["coverage"]["blocks"], one["coverage"]["exits"]):
            assert seen == of, f"{one['flow']}: {one['coverage']}"
    # The company's line in YAML has the tests of the one in the DSL: see below.
    assert {one["flow"] for one in found} == load_flows([FLOWS]).names - {"company_yaml"}


# The company's line in both spellings. ---------------------------------------------------------------------


def test_both_spellings_of_the_company_are_one_graph(tmp_path: Path) -> None:
    written = tmp_path / "company.flow"
    assert ivr("convert", FLOWS / "company.yaml", written).exit_code == 0
    text = written.read_text(encoding="utf-8")
    named = text.replace("\nflow company_yaml ", "\nflow company ")
    assert named != text
    twin = load_text(named, "company.flow").flows["company"]
    assert twin.digest == load_flows([FLOWS / "company.flow"]).flows["company"].digest
    assert ivr("convert", FLOWS / "company.flow", tmp_path / "company.yaml").exit_code == 0
    back = load_flows([tmp_path / "company.yaml"]).flows["company"]
    assert back.digest == twin.digest


def test_the_company_in_yaml_passes_the_tests_of_the_company(tmp_path: Path) -> None:
    text = (FLOWS / "company.test.yaml").read_text(encoding="utf-8")
    tests = tmp_path / "twin.test.yaml"
    tests.write_text(text.replace("\nflow: company\n", "\nflow: company_yaml\n"), encoding="utf-8")
    tested = ivr("test", tests, "--site", ROOT / "site.yaml")
    assert tested.exit_code == 0, tested.output
    assert tested.stdout.startswith("company_yaml: ")


# One file a feature. ------------------------------------------------------------------------------------------


def test_there_is_a_sample_of_every_verb(plugin_package: None) -> None:
    flows = {**load_flows(FEATURES).flows, **load_flows([PLUGIN / "flows"]).flows}
    assert set(VERBS) - {verb for flow in flows.values() for verb in verbs_of(flow)} == set()


@pytest.mark.parametrize("file", FEATURES, ids=lambda file: file.stem)
def test_the_number_in_a_sample_is_that_of_the_site_and_for_seats_only(file: Path) -> None:
    site = load_site(ROOT / "site.yaml").site
    assert site is not None
    name = re.findall(r"^flow: (\w+)$", file.read_text(encoding="utf-8"), re.M)[0]
    assert name == f"sample_{file.stem}"
    dialled = re.findall(r"Dial (13\d\d)\b", file.read_text(encoding="utf-8"))
    if not dialled:
        assert name == "sample_find_repair", "only what another flow calls has no number"
        return
    rule = site.route(dialled[0])
    assert rule is not None
    assert (rule.flow, rule.callers) == (name, "seats")


@pytest.mark.parametrize("file", FEATURES, ids=lambda file: file.stem)
def test_a_sample_can_be_had_in_the_dsl(file: Path, tmp_path: Path) -> None:
    converted = ivr("convert", file, tmp_path / "in_dsl.flow")
    assert converted.exit_code == 0, converted.output
    comments = re.findall(r"(?:^|\s)# ?(.*)$", file.read_text(encoding="utf-8"), re.M)
    text = (tmp_path / "in_dsl.flow").read_text(encoding="utf-8")
    assert [one for one in comments if one.strip() not in text] == []


def test_the_guide_names_every_sample() -> None:
    guide = (ROOT / "docs/operator-guide.md").read_text(encoding="utf-8")
    assert [file.name for file in FEATURES if f"../flows/features/{file.name})" not in guide] == []


# The plug-in. ---------------------------------------------------------------------------------------------------


def test_the_plugin_sample_is_right(plugin_package: None) -> None:
    checked = ivr("check", PLUGIN / "site.yaml")
    assert (checked.exit_code, checked.stdout) == (0, "no mistakes\n")
    tested = ivr("test", PLUGIN / "flows")
    assert tested.exit_code == 0, tested.output
    assert "delivery_day  (shop-plugins)  The day a parcel is there" in ivr("plugins").stdout


@pytest.mark.parametrize(
    ("postcode", "result"),
    [
        ("20457", PluginResult("next", date(2026, 3, 9))),  # from Friday to Monday
        ("30159", PluginResult("next", date(2026, 3, 10))),
        ("80331", PluginResult("too_far", None)),
    ],
)
def test_the_plugin_does_what_its_flow_says(postcode: str, result: PluginResult, plugin_package: None) -> None:
    plugin = installed()["delivery_day"].plugin
    assert plugin is not None
    asked = PluginCall("delivery_day", {"postcode": postcode, "ordered": date(2026, 3, 6)}, 2.0)
    assert asyncio.run(Plugins({"delivery_day": plugin}).call(asked)) == result
