"""Problems as SARIF 2.1.0, which code hosts and editors show beside the lines they are about."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from urllib.parse import quote

from ivr.flow.codes import CODES
from ivr.flow.problem import Problem

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def to_sarif(problems: Iterable[Problem]) -> str:
    """All problems as one run of one tool; the rules are the codes that were found."""
    found = list(problems)
    codes = sorted({problem.code for problem in found})
    driver = {"name": "ivr check", "version": _version(), "rules": [_rule(code) for code in codes]}
    results = [_result(problem, codes.index(problem.code)) for problem in found]
    # Columns count characters, as Python does, not the UTF-16 units SARIF takes for granted.
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=2)


def _version() -> str:
    try:
        return version("ivr-gateway")
    except PackageNotFoundError:
        return "0"


def _rule(code: str) -> dict[str, object]:
    return {
        "id": code,
        "shortDescription": {"text": CODES[code]},
        "defaultConfiguration": {"level": "warning" if code.startswith("W") else "error"},
    }


def _result(problem: Problem, rule: int) -> dict[str, object]:
    place = problem.place
    message = f"{problem.message}. {problem.help}" if problem.help else problem.message
    region = {
        "startLine": place.line,
        "startColumn": place.column,
        "endColumn": place.column + max(problem.length, 1),
    }
    return {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": problem.severity,
        "message": {"text": message},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(place.file)}, "region": region}}],
    }


def _uri(file: str) -> str:
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
