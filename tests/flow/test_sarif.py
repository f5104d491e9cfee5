"""Problems as SARIF: what its schema requires, and that the places are those the operator reads."""

import json

from ivr.flow.codes import CODES
from ivr.flow.loader import load_text
from ivr.flow.sarif import to_sarif

BROKEN = """\
flow: main
start: welcom
blocks:
  welcome:
    - answer
    - hangup
  old:
    - hangup
"""


def test_what_code_hosts_require_is_there() -> None:
    log = json.loads(to_sarif(load_text(BROKEN, "flows/a b.yaml").problems))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "ivr check"
    assert [rule["shortDescription"]["text"] for rule in rules] == [CODES[rule["id"]] for rule in rules]
    (result,) = run["results"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "E101"
    assert result["level"] == "error"
    assert "no block 'welcom'. did you mean 'welcome'" in result["message"]["text"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "flows/a%20b.yaml"
    assert place["region"] == {"startLine": 2, "startColumn": 8, "endColumn": 14}


def test_no_problems_are_a_run_without_results() -> None:
    (run,) = json.loads(to_sarif([]))["runs"]
    assert run["results"] == []


def test_a_file_elsewhere_has_an_address() -> None:
    (run,) = json.loads(to_sarif(load_text(BROKEN, "/srv/flows/main.yaml").problems))["runs"]
    address = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert address == "file:///srv/flows/main.yaml"
