"""``ivr test`` as an operator types it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ivr.resources import resource
from tests.cli.commands import ivr


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new site, and the working directory in it."""
    assert ivr("init", tmp_path / "site").exit_code == 0
    monkeypatch.chdir(tmp_path / "site")
    return tmp_path / "site"


MAIN = "flows/main.test.yaml"
"""The tests of the main line, alone: what one file of tests shows."""


def flows_in(stdout: str) -> list[str]:
    """The flows that there are summaries of."""
    return [line.partition(":")[0] for line in stdout.splitlines()]


def test_the_samples_pass(site: Path) -> None:
    result = ivr("test")
    assert result.exit_code == 0
    for line in result.stdout.splitlines():
        assert re.fullmatch(r"\w+: \d+ passed \(\d\.\d s\)  blocks (\d+)/\1  exits (\d+)/\2", line), line
    flows = flows_in(result.stdout)
    assert len(flows) == len(list(site.rglob("*.test.yaml"))) == len(set(flows))
    assert {"main", "extension", "company", "sample_menu"} <= set(flows)


@pytest.mark.parametrize("words", [["flows"], ["--site", "site.yaml"]])
def test_tests_are_found(words: list[str], site: Path) -> None:
    assert flows_in(ivr("test", *words).stdout) == flows_in(ivr("test").stdout)
    assert flows_in(ivr("test", MAIN).stdout) == ["main"]


def test_tests_are_found_from_elsewhere(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = flows_in(ivr("test").stdout)
    monkeypatch.chdir(tmp_path)
    assert flows_in(ivr("test", "site/flows").stdout) == everything
    assert flows_in(ivr("test", "--site", "site/site.yaml").stdout) == everything


def test_the_site_of_tests_is_the_nearest_above(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = site / "flows/features/ring.test.yaml"
    assert flows_in(ivr("test", tests).stdout) == ["sample_ring"]
    monkeypatch.chdir(tests.parent)
    assert flows_in(ivr("test", tests.name).stdout) == ["sample_ring"]
    # A site of its own among the flows is nearer than that of the folders above.
    (tests.parent / "site.yaml").write_text("numbers: {'1000': sample_ring}\nflows: ring.yaml\n")
    assert "E170 the site has no seat or group 'front_desk'" in ivr("test", tests.name).stdout


def test_a_failure_shows_both_files_and_what_happened(site: Path) -> None:
    flow = site / "flows/main.yaml"
    flow.write_text(flow.read_text().replace("say: sales, go: sales", "say: sales, go: support"))
    result = ivr("test", MAIN)
    assert result.exit_code == 1
    assert "flows/main.test.yaml:17:9: failed: sales answers\n  waited for: 2001 rings\n" in result.stdout
    assert re.search(r"in the flow, the call was at flows/main\.yaml:\d+:7\n", result.stdout)
    assert re.search(r"and then, instead:\n +\d\.\d  support +♪ One moment, I am calling support\.\n", result.stdout)
    assert re.search(r"main: 21 passed, 6 failed \(\d+\.\d s\)  blocks .*\n$", result.stdout)


def test_mistakes_in_tests_are_shown_like_mistakes_in_flows(site: Path) -> None:
    (site / "flows/main.test.yaml").write_text("flow: main\ntests:\n  - name: a\n    steps:\n      - pres: '1'\n")
    expected = (
        "flows/main.test.yaml:5:9: error E011 no step is called 'pres'\n"
        "    5 |       - pres: '1'\n"
        "      |         ^^^^ did you mean 'press'?\n"
    )
    tested = ivr("test")
    assert (tested.exit_code, tested.stdout) == (1, expected + "1 error: no test was run.\n")
    checked = ivr("check", "flows/main.test.yaml")
    assert (checked.exit_code, checked.stdout) == (1, expected + "1 error\n")


def test_mistakes_in_the_flow_are_shown_first(site: Path) -> None:
    flow = site / "flows/main.yaml"
    flow.write_text(flow.read_text().replace("goto: goodbye", "goto: godbye", 1))
    result = ivr("test")
    assert result.exit_code == 1
    assert "error E101 no block 'godbye'" in result.stdout


def test_no_tests_are_no_success(site: Path) -> None:
    for tests in site.rglob("*.test.yaml"):
        tests.unlink()
    result = ivr("test")
    assert (result.exit_code, result.stdout) == (1, "There are no tests (NAME.test.yaml) in flows.\n")


def test_without_a_site_flows_are_tested_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one.yaml").write_text(
        "flow: one\nstart: hello\nblocks:\n  hello:\n    - say: 'Hello.'\n    - hangup\n", encoding="utf-8"
    )
    Path("one.test.yaml").write_text(
        "flow: one\ntests:\n  - {name: says hello, steps: [{hears: {say: 'Hello.'}}], expect: {ended_by: flow}}\n"
    )
    assert ivr("test").stdout.startswith("one: 1 passed")


def test_a_site_with_mistakes_stops(site: Path) -> None:
    (site / "site.yaml").write_text("numbers: {'1000': main}\nseat: {}\n")
    result = ivr("test", "flows")
    assert result.exit_code == 1
    assert "did you mean 'seats'?" in result.stderr


def test_the_checkout_has_the_same_samples(site: Path) -> None:
    assert flows_in(ivr("test", resource("flows")).stdout) == flows_in(ivr("test").stdout)


def test_a_part_of_the_tests_says_nothing_of_coverage(site: Path) -> None:
    assert re.fullmatch(r"main: 10 passed \(\d+\.\d s\)\n", ivr("test", MAIN, "-k", "DOES NOT TAKE").stdout)
    none = ivr("test", "-k", "nothing like it")
    assert (none.exit_code, none.stderr) == (1, "No test has 'nothing like it' in its name.\n")


def test_names_are_listed(site: Path) -> None:
    listed = ivr("test", MAIN, "--list", "-k", "sales answers")
    assert listed.stdout == "flows/main.test.yaml:12:5: sales answers\n"


def test_the_first_failure_stops(site: Path) -> None:
    flow = site / "flows/main.yaml"
    flow.write_text(flow.read_text().replace("say: sales, go: sales", "say: sales, go: support"))
    stopped = ivr("test", MAIN, "-x")
    assert stopped.exit_code == 1
    assert stopped.stdout.splitlines()[-1].startswith("main: 0 passed, 1 failed")


def test_programs_get_json_and_junit(site: Path) -> None:
    flow = site / "flows/main.yaml"
    flow.write_text(flow.read_text().replace("say: sales, go: sales", "say: sales, go: support"))
    found = json.loads(ivr("test", MAIN, "--json", "--junit", "out.xml").stdout)[0]
    assert (found["flow"], found["passed"], len(found["tests"])) == ("main", False, 27)
    assert found["tests"][0]["failure"]["message"] == "waited for: 2001 rings"
    assert found["coverage"]["blocks"][1] == 11
    suite = ElementTree.parse(site / "out.xml").getroot()[0]
    # Six tests, and both kinds of coverage, which the tests that failed took with them.
    assert (suite.get("tests"), suite.get("failures")) == ("29", "8")


def test_broken_properties_and_thin_coverage_are_failures(site: Path) -> None:
    tests = site / "flows/main.test.yaml"
    text = tests.read_text().replace("silence_longer_than: 8s", "silence_longer_than: 5s")
    before, said_again, after = re.split(r"(  - name: the menu is said again\n(?:    .*\n)+)", text)
    assert "'*'" in said_again
    tests.write_text(before + after)
    result = ivr("test", MAIN, "--runs", "20", "--junit", "out.xml")
    assert result.exit_code == 1
    assert (
        "  the shortest call found that does it, as a test:\n    - name: never silence longer than 5s\n"
        in result.stdout
    )
    assert "failed: the tests go through 29 of 30 exits, 97%: 100% is asked for\n" in result.stdout
    assert "26 passed (0." in result.stdout
    assert "1 property broken" in result.stdout
    suite = ElementTree.parse(site / "out.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("28", "2")


def test_mocks_of_the_tests_answer_random_callers_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one.yaml").write_text(
        "flow: one\nstart: ask\non_error: end\nblocks:\n  ask:\n    - http: {get: 'https://a.example/', into: x}\n"
        "    - say: '{x.y}'\n    - hangup\n  end: [hangup]\n",
        encoding="utf-8",
    )
    Path("one.test.yaml").write_text(
        "flow: one\ndefaults:\n  http: [{match: '*', reply: {json: {y: 1}}}]\n"
        "tests:\n  - {name: a, expect: {ended_by: flow}}\n  - {name: b, expect: {ended_by: flow}}\n"
        "properties: [{always: {every_call_has: ended_by}}]\n"
    )
    assert ivr("test").stdout.startswith("one: 2 passed")
