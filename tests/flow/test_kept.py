"""Checked files that are kept on disk: the same flows come back, and nothing but flows."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import ivr
from ivr.flow import kept as module
from ivr.flow import loader
from ivr.flow.draft import make_flow
from ivr.flow.expression import Expression
from ivr.flow.flow_file import FlowFile, WrittenStep, check_file, written_in
from ivr.flow.kept import KeptFlows
from ivr.flow.loader import FlowSet, load_flows
from ivr.flow.nodes import VERBS, Verb
from ivr.flow.reading import read_flow
from ivr.flow.source import Source, parse_source
from tests.garbage import left_by

FLOW = "flow: main\nstart: a\nblocks:\n  a:\n    - say: 'You called {call.did:digits}.'\n    - hangup\n"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "var"
    folder.mkdir()
    return folder


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that were checked, by name: those that are kept are not."""
    done: list[str] = []

    def counted(source: Source, mark: bytes = b"") -> FlowFile:
        done.append(Path(source.file).name)
        return check_file(source, mark)

    monkeypatch.setattr(loader, "check_file", counted)
    return done


def load(folder: Path, state: Path) -> FlowSet:
    kept = KeptFlows.within(state)
    assert kept is not None
    return load_flows([folder], kept=kept)


def saved(folder: Path, text: str = FLOW, name: str = "main.yaml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def only_file(state: Path) -> Path:
    (found,) = (state / "flows").iterdir()
    return found


def places(steps: Sequence[WrittenStep]) -> list[object]:
    """Where every expression stands: comparing flows does not look at that."""
    contents = (one for step in steps for one in step.contents)
    return [(one.text, one.locate(0), one.locate(3)) for one in contents if isinstance(one, Expression)]


def same(one: FlowSet, other: FlowSet) -> None:
    for part in ("flows", "problems", "names", "written", "drafts", "sources"):
        assert getattr(one, part) == getattr(other, part), part
    assert places(one.written) == places(other.written)
    assert {name: flow.digest for name, flow in one.flows.items()} == {
        name: flow.digest for name, flow in other.flows.items()
    }


def test_what_was_checked_comes_back_as_it_was(state: Path, checks: list[str]) -> None:
    before = load(Path("flows"), state)
    assert before.ok
    count = len(checks)
    assert count >= 2
    same(load(Path("flows"), state), before)
    assert len(checks) == count


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_the_example_of_every_verb_is_kept(verb: Verb) -> None:
    steps = "".join(f"    {line}\n" for line in verb.example.splitlines())
    draft = read_flow(parse_source(f"flow: main\nstart: first\nblocks:\n  first:\n{steps}", "main.yaml"))
    # Where it leads to is not there: only what the step itself says is of interest.
    assert draft is not None
    written = written_in(draft)
    made = FlowFile("main.yaml", (steps,), tuple(draft.problems), draft, make_flow(draft), written, b"mark")
    content = module._packed(made)
    assert content is not None
    there = module._unpacked(content)
    assert there == made
    assert there.draft is not None
    assert there.draft.blocks["first"].steps[0].verb is verb
    assert places(there.written) == places(written)


def test_what_comes_back_leaves_nothing_to_the_collector(state: Path) -> None:
    load(Path("flows"), state)
    assert left_by(lambda: load(Path("flows"), state)) == []


def test_an_edited_file_alone_is_checked_again(tmp_path: Path, state: Path, checks: list[str]) -> None:
    folder = saved(tmp_path / "flows")
    saved(folder, FLOW.replace("main", "other"), "other.yaml")
    load(folder, state)
    saved(folder, FLOW.replace("called", "dialled"))
    del checks[:]
    found = load(folder, state)
    assert checks == ["main.yaml"]
    assert "dialled" in str(found.flows["main"].blocks["a"].steps[0].settings)


def test_what_holds_between_files_is_told_all_the_same(tmp_path: Path, state: Path, checks: list[str]) -> None:
    call = "call: {flow: main, failed: b}\n    - hangup\n  b: [hangup]"
    folder = saved(tmp_path / "flows", FLOW.replace("hangup", "return"))
    saved(folder, FLOW.replace("main", "caller").replace("hangup", call), "caller.yaml")
    assert load(folder, state).ok
    (folder / "main.yaml").unlink()
    del checks[:]
    found = load(folder, state)
    assert checks == []
    same(found, load_flows([folder]))
    assert [problem.code for problem in found.problems if problem.severity == "error"] != []


def test_files_with_errors_are_not_kept(tmp_path: Path, state: Path) -> None:
    load(saved(tmp_path / "flows", FLOW.replace("hangup", "hangpu")), state)
    assert list((state / "flows").iterdir()) == []


def test_another_program_finds_nothing(
    tmp_path: Path, state: Path, checks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "flows")
    load(folder, state)
    monkeypatch.setattr(module, "_program", lambda: b"edited")
    load(folder, state)
    assert checks == ["main.yaml"] * 2


def test_an_edited_module_makes_another_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("1")
    monkeypatch.setattr(ivr, "__path__", [str(tmp_path)])
    before = module._program.__wrapped__()
    assert module._program.__wrapped__() == before
    (tmp_path / "code.py").write_text("1 + 1")
    assert module._program.__wrapped__() != before


def test_a_damaged_file_is_made_again(tmp_path: Path, state: Path, checks: list[str]) -> None:
    folder = saved(tmp_path / "flows")
    whole = load(folder, state)
    content = only_file(state).read_bytes()
    damaged = [content[:size] for size in (0, 10, 32, 33, len(content) - 1)]
    damaged += [content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :] for at in range(0, len(content), 97)]
    for one in damaged:
        only_file(state).write_bytes(one)
        del checks[:]
        same(load(folder, state), whole)
        assert checks == ["main.yaml"]
        assert only_file(state).read_bytes() == content


class _Runs:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize("made", [_Runs(), [_Runs()], 1, None, Path("x"), b"x" * 1000], ids=range(6))
def test_what_somebody_else_made_runs_nothing(
    made: object, tmp_path: Path, state: Path, checks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = saved(tmp_path / "flows")
    load(folder, state)
    foreign = pickle.dumps(made)
    only_file(state).write_bytes(hashlib.sha256(foreign).digest() + foreign)
    assert load(folder, state).ok
    assert checks == ["main.yaml"] * 2
    assert not (tmp_path / "ran").exists()


def test_a_file_kept_of_another_is_not_taken_for_it(tmp_path: Path, state: Path, checks: list[str]) -> None:
    folder = saved(tmp_path / "flows")
    load(folder, state)
    path = only_file(state)
    first = path.read_bytes()
    saved(folder, FLOW.replace("called", "dialled"))
    path.unlink()
    load(folder, state)
    only_file(state).write_bytes(first)
    assert "dialled" in str(load(folder, state).flows["main"].blocks["a"].steps[0].settings)


def test_a_file_that_others_may_write_is_not_read(tmp_path: Path, state: Path, checks: list[str]) -> None:
    folder = saved(tmp_path / "flows")
    load(folder, state)
    only_file(state).chmod(0o620)
    load(folder, state)
    assert checks == ["main.yaml"] * 2
    assert only_file(state).stat().st_mode & 0o777 == 0o600


def test_a_pipe_a_link_or_a_folder_in_its_place_is_as_good_as_none(
    tmp_path: Path, state: Path, checks: list[str]
) -> None:
    folder = saved(tmp_path / "flows")
    load(folder, state)
    path = only_file(state)
    path.rename(tmp_path / "elsewhere")
    os.mkfifo(path)
    assert load(folder, state).ok
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    assert load(folder, state).ok
    assert checks == ["main.yaml"] * 3
    assert path.is_file()
    path.unlink()
    path.mkdir()
    assert load(folder, state).ok
    assert checks == ["main.yaml"] * 4


def test_a_full_disk_costs_nothing_but_time(tmp_path: Path, state: Path, checks: list[str]) -> None:
    folder = saved(tmp_path / "flows")
    kept = KeptFlows.within(state)
    assert kept is not None
    (state / "flows").rmdir()
    assert load_flows([folder], kept=kept).ok
    assert load_flows([folder], kept=kept).ok
    assert checks == ["main.yaml"] * 2


def test_only_a_folder_of_ones_own_is_used(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KeptFlows.within(tmp_path / "not there") is None
    assert not (tmp_path / "not there").exists()
    (state / "flows").write_text("a file")
    assert KeptFlows.within(state) is None
    (state / "flows").unlink()
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    assert KeptFlows.within(state) is None
    assert not (state / "flows").exists()


def test_the_folder_is_bounded(tmp_path: Path, state: Path) -> None:
    folder = tmp_path / "flows"
    for number in range(40):
        kept = KeptFlows.within(state, bound=20_000)
        assert kept is not None
        load_flows([saved(folder, FLOW.replace("called", f"called {number}"))], kept=kept)
    assert sum(one.stat().st_size for one in (state / "flows").iterdir()) <= 20_000
