"""The operator guide is true: its files load without problems, and its commands print what it shows."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ivr.flow.loader import load_text
from ivr.site import load_site
from tests.cli.commands import ivr

GUIDE = Path(__file__).parents[2] / "docs/operator-guide.md"
_BLOCK = re.compile(
    r"(?:^File `(?P<file>[^`]+)`:\n\n)?^```(?P<kind>\w+)(?P<note>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Example:
    line: int
    kind: str
    note: str
    text: str
    file: str | None


def examples() -> Iterator[Example]:
    guide = GUIDE.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(guide):
        line = guide[: found.start("text")].count("\n") + 1
        yield Example(line, found["kind"], found["note"].strip(), found["text"], found["file"])


EXAMPLES = list(examples())
YAML = [one for one in EXAMPLES if one.kind == "yaml" and one.note != "wrong"]


def problems_of_flow(text: str) -> list[str]:
    """What is wrong with a flow, or with some blocks of one: blocks that they lead to are made up."""
    if text.startswith("blocks:"):
        start = re.findall(r"^  (\w+):$", text, re.M)[0]
        text = f"flow: part\nstart: {start}\n{text}"
        missing = [re.findall(r"'(\w+)'", one.message)[0] for one in load_text(text).problems if one.code == "E101"]
        text += "".join(f"  {name}:\n    - hangup\n" for name in dict.fromkeys(missing))
    return [str(problem) for problem in load_text(text).problems]


@pytest.mark.parametrize("example", YAML, ids=lambda one: f"line {one.line}")
def test_every_example_loads(example: Example, tmp_path: Path) -> None:
    if example.file is not None and example.file.endswith(".test.yaml"):
        pytest.skip("run below, as a command")
    if example.text.startswith(("flow:", "blocks:")):
        assert problems_of_flow(example.text) == []
    else:
        site = tmp_path / "site.yaml"
        more = "" if "numbers:" in example.text else "numbers: {'1000': main}\n"
        site.write_text(example.text + more, encoding="utf-8")
        assert [str(problem) for problem in load_site(site).problems] == []


def test_every_flow_of_the_dsl_loads() -> None:
    written = [one.text for one in EXAMPLES if one.kind == "flow"]
    assert written
    for text in written:
        assert [str(problem) for problem in load_text(text, "x.flow").problems] == []


def test_every_command_prints_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide is followed from its beginning to its end, in a new site."""
    assert ivr("init", tmp_path / "office").exit_code == 0
    monkeypatch.chdir(tmp_path / "office")
    followed = 0
    for example in EXAMPLES:
        if example.kind == "yaml" and example.file is not None:
            Path(example.file).write_text(example.text, encoding="utf-8")
        if example.kind != "console":
            continue
        if example.note.startswith("after sed "):
            changed = "flows/shop.yaml"
            subprocess.run([*shlex.split(example.note.removeprefix("after ")), "-i", changed], check=True)
        command, _, shown = example.text.partition("\n")
        printed = ivr(*shlex.split(command.removeprefix("$ ivr "))).stdout
        assert re.sub(r"\(\d+\.\d s\)", "(0.0 s)", printed) == shown, f"line {example.line}"
        followed += 1
    assert followed >= 4
