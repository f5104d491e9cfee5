"""The outcome of files of tests, for programs: JSON, and the XML that build servers read (JUnit's)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from ivr.run.testing.acting import Result
from ivr.run.testing.coverage import Coverage
from ivr.run.testing.wandering import Broken


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one file."""

    file: str
    flow: str
    results: tuple[Result, ...]
    broken: tuple[Broken, ...]
    coverage: Coverage | None
    """None if not all tests of the file were run."""
    below: tuple[str, ...]
    """What is not covered as it should be, in words."""
    seconds: float

    @property
    def failures(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if not result.passed)

    @property
    def passed(self) -> bool:
        return not (self.failures or self.broken or self.below)


def as_json(outcomes: Sequence[Outcome]) -> str:
    """One object a file of tests."""
    return json.dumps([_file(outcome) for outcome in outcomes], ensure_ascii=False, indent=2)


def _file(outcome: Outcome) -> dict[str, object]:
    found: dict[str, object] = {
        "file": outcome.file,
        "flow": outcome.flow,
        "passed": outcome.passed,
        "seconds": round(outcome.seconds, 3),
        "tests": [_test(result) for result in outcome.results],
        "properties_broken": [
            {"title": one.title, "message": one.message, "place": str(one.property.place), "test": one.test}
            for one in outcome.broken
        ],
        "below": list(outcome.below),
    }
    if outcome.coverage is not None:
        one = outcome.coverage
        found["coverage"] = {
            "blocks": [one.blocks_seen, one.blocks],
            "exits": [one.exits_seen, one.exits],
            "not_seen": list(one.not_seen),
        }
    return found


def _test(result: Result) -> dict[str, object]:
    found: dict[str, object] = {
        "name": result.case.name,
        "place": str(result.case.place),
        "gate": result.case.gate,
        "passed": result.passed,
        "path": list(result.path),
    }
    if result.failure is not None:
        found["failure"] = {
            "message": result.failure.message,
            "place": str(result.failure.place),
            "flow_place": str(result.failure.flow_place),
            "before": list(result.failure.before),
            "instead": list(result.failure.instead),
        }
    return found


def as_junit(outcomes: Sequence[Outcome]) -> str:
    """The XML that build servers read. A broken property and missing coverage are failed cases of their own."""
    root = ElementTree.Element("testsuites")
    for outcome in outcomes:
        cases = [(result.case.name, _failure(result)) for result in outcome.results]
        cases += [(one.title, (one.message, one.test)) for one in outcome.broken]
        cases += [("coverage", (text, "")) for text in outcome.below]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=outcome.flow,
            file=outcome.file,
            tests=str(len(cases)),
            failures=str(sum(failure is not None for _, failure in cases)),
            time=f"{outcome.seconds:.3f}",
        )
        for name, failure in cases:
            case = ElementTree.SubElement(suite, "testcase", classname=outcome.flow, name=_printable(name))
            if failure is not None:
                message, text = failure
                ElementTree.SubElement(case, "failure", message=_printable(message)).text = _printable(text)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _failure(result: Result) -> tuple[str, str] | None:
    failure = result.failure
    if failure is None:
        return None
    lines = [f"{failure.place}", f"in the flow: {failure.flow_place}", *failure.before, "instead:", *failure.instead]
    return failure.message, "\n".join(lines)


def _printable(text: str) -> str:
    """XML has no place for control characters."""
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
