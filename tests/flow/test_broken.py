"""Every code has a broken file in ``broken/`` and, beside it, exactly what the operator reads about it."""

import json
import re
from pathlib import Path

import pytest

from ivr.flow.codes import CODES
from ivr.flow.loader import FlowSet, load_flows
from ivr.flow.problem import to_json

BROKEN = Path(__file__).parent / "broken"
TEXTS = sorted(BROKEN.glob("*.txt"))


def check(name: str, monkeypatch: pytest.MonkeyPatch) -> FlowSet:
    monkeypatch.chdir(BROKEN)
    found = [*Path().glob(f"{name}*.yaml"), *Path().glob(f"{name}*.flow")]
    return load_flows(sorted(path for path in found if path.stem in (name, f"{name}_again")))


@pytest.mark.parametrize("expected", TEXTS, ids=lambda path: path.stem)
def test_the_operator_reads(expected: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = check(expected.stem, monkeypatch)
    assert "\n".join(str(problem) for problem in found.problems) + "\n" == expected.read_text(encoding="utf-8")
    assert expected.stem[:4] in {problem.code for problem in found.problems}
    assert found.ok == expected.stem.startswith("W")


def test_every_code_of_flows_has_a_broken_file() -> None:
    elsewhere = {code for code in CODES if code[1] == "2"}
    elsewhere |= {
        "E140",
        "E141",
        "E150",
        "E151",
        "E152",
        "E170",
        "E171",
        "E172",
        "W305",
        "W351",
        "W352",
        "W353",
        "W354",
        "W355",
    }
    assert {path.stem[:4] for path in TEXTS} == set(CODES) - elsewhere


def test_every_code_that_is_used_is_explained() -> None:
    root = Path(__file__).parents[2] / "ivr"
    folders = [*root.glob("flow/**/*.py"), *root.glob("site/*.py"), *root.glob("run/testing/*.py")]
    used = {code for path in folders for code in re.findall(r'"([EW]\d{3})"', path.read_text(encoding="utf-8"))}
    assert used == set(CODES)


def test_problems_for_editors_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    first = json.loads(to_json(check("E021_unit", monkeypatch).problems))[0]
    assert first == {
        "file": "E021_unit.yaml",
        "line": 6,
        "column": 14,
        "length": 1,
        "severity": "error",
        "code": "E021",
        "message": "'3' has no unit",
        "help": "write 3s or 3m",
    }
