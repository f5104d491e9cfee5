"""A candidate made after others is the one that a fresh process would make: whatever changed on the way."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ivr.flow import loader
from ivr.flow.loader import shown
from ivr.flow.source import Source, parse_source
from ivr.live.candidate import Candidate, CandidateMaker, Pin, Wanted, unpacked
from ivr.site import Site, load_site
from tests.garbage import left_by
from tests.peers.sound import write_tone

HEAD = "sip: {listen: ['udp:127.0.0.1:5060']}\nnumbers: {'1000': main}\n"
SITES = (
    "seats: {'2001': {name: Sales, password: long-enough-1}}\ngroups: {desk: ['sip:2001']}\n"
    "calendars: {office: {zone: Europe/Berlin, open: 'Mon-Fri 09:00-18:00'}}\n",
    "seats: {'2001': {name: Sales, password: long-enough-1}}\ngroups: {desk: ['sip:2001', 'sip:2001']}\n"
    "calendars: {office: {zone: Europe/Berlin, open: 'Mon-Fri 10:00-18:00'}}\n",
    "calendars: {office: {zone: Europe/Berlin, open: 'Sun 09:00-18:00', periods: {lunch: 'Sun 12:00-13:00'}}}\n",
    "groups: {\n",
)
FLOWS = (
    "flow: main\nstart: a\nblocks:\n  a:\n    - play: hello\n    - hangup\n",
    "# A line more.\nflow: main\nstart: a\nblocks:\n  a:\n    - play: hello\n    - hangup\n",
    "flow: main\nstart: a\non_error: b\nblocks:\n  a:\n    - call: {flow: pay, args: {sum: 3}, into: done}\n    "
    "    - goto: b\n  b:\n    - hangup\n",
    "flow: main\nstart: a\non_error: b\nvars: {x: number}\nblocks:\n  a:\n    - call: {flow: pay, into: x}\n"
    "    - hours: {calendar: office, open: b, closed: b, lunch: b}\n  b:\n    - hangup\n",
    "flow: pay\nstart: a\nvars: {sum: {type: number, param: yes}}\nblocks:\n  a:\n    - say: '{sum:number}'\n"
    "    - return: sum + 1\n",
    "flow: pay\nstart: a\nlanguages: [en, zh]\nblocks:\n  a:\n    - play: [hello, bye]\n    - return: \"'text'\"\n",
    "flow: pay\nstart: a\nblocks:\n  a:\n    - call: {flow: main}\n    - return\n",
    "flow: desk\nstart: a\nblocks:\n  a:\n    - ring: {group: desk, failed: b, answered: b, busy: b, no_answer: b}\n"
    "  b:\n    - hours: {calendar: office, open: c, closed: c, holiday: c}\n  c:\n    - hangup\n",
    "flow: desk\nstart: nowhere\nblocks:\n  a:\n    - menu: {prompt: hello, keys: {'1': a, '1': b}}\n",
    "flow: [\n",
)
DSL = "flow main\nstart a\nblock a\n  play hello\n  hangup\n"
NAMES = ("one.yaml", "two.yaml", "three.yaml", "more/four.yaml")
SOUNDS = ("hello", "bye")

EDITS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES), st.sampled_from(FLOWS)),
    st.tuples(st.just("write"), st.just("five.flow"), st.just(DSL)),
    st.tuples(st.just("delete"), st.sampled_from((*NAMES, "five.flow")), st.none()),
    st.tuples(st.just("rename"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("site"), st.sampled_from(SITES), st.none()),
    st.tuples(st.just("record"), st.sampled_from(SOUNDS), st.sampled_from((300, 500))),
    st.tuples(st.just("unrecord"), st.sampled_from(SOUNDS), st.none()),
    st.tuples(st.just("pin"), st.sampled_from(NAMES), st.sampled_from(FLOWS)),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site that runs; the files are changed under it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "flows").mkdir()
    (folder / "site.yaml").write_text(HEAD + SITES[0])
    for pitch in (300, 500):
        write_tone(folder / f"{pitch}.wav", pitch, 0.1)
    site = load_site(folder / "site.yaml").site
    assert site is not None
    return site


def begin_anew(folder: Path) -> None:
    for name in ("flows", "prompts", "var"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "flows" / "more").mkdir(parents=True)
    (folder / "prompts").mkdir()
    (folder / "site.yaml").write_text(HEAD + SITES[0])
    for name, text in zip(NAMES, (FLOWS[0], FLOWS[4], FLOWS[7]), strict=False):
        (folder / "flows" / name).write_text(text)
    for name in SOUNDS:
        shutil.copy(folder / "300.wav", folder / "prompts" / f"{name}.wav")


def do(folder: Path, pins: dict[str, Pin], kind: str, first: str, second: Any) -> None:
    file, sound = folder / "flows" / first, folder / "prompts" / f"{first}.wav"
    match kind:
        case "write":
            file.write_text(second)
        case "delete":
            file.unlink(missing_ok=True)
        case "rename" if file.exists():
            file.rename(folder / "flows" / second)
        case "site":
            (folder / "site.yaml").write_text(HEAD + first)
        case "record":
            shutil.copy(folder / f"{second}.wav", sound)
        case "unrecord":
            sound.unlink(missing_ok=True)
        case "pin":
            over = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""
            pins[shown(file)] = Pin(second, over)


def same(one: Candidate, other: Candidate) -> Iterator[str]:
    """Names of the parts in which they differ."""
    for field in fields(Candidate):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if field.name == "flows":
            left, right = ({name: unpacked(flow) for name, flow in side.items()} for side in (left, right))
        if field.name == "clips":
            left, right = ({digest: clip.pcmu for digest, clip in side.items()} for side in (left, right))
        if left != right:
            yield field.name


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EDITS, min_size=1, max_size=8))
def test_what_was_made_before_changes_nothing(running: Site, edits: list[tuple[str, str, Any]]) -> None:
    folder = running.file.parent
    begin_anew(folder)
    pins: dict[str, Pin] = {}
    maker = CandidateMaker()
    assert maker.make(Wanted(running)).complaints == ()
    for edit in edits:
        do(folder, pins, *edit)
        wanted = Wanted(running, dict(pins))
        warm, cold = maker.make(wanted), CandidateMaker().make(wanted)
        assert list(same(warm, cold)) == []
        assert [str(one) for one in warm.problems] == [str(one) for one in cold.problems]


def test_only_what_changed_is_read_again(running: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = running.file.parent
    begin_anew(folder)
    read: list[str] = []

    def parse(content: bytes | str, file: str) -> Source:
        read.append(Path(file).name)
        return parse_source(content, file)

    monkeypatch.setattr(loader, "_parse", parse)
    maker = CandidateMaker()
    maker.make(Wanted(running))
    assert sorted(read) == ["one.yaml", "three.yaml", "two.yaml"]
    read.clear()
    (folder / "flows" / "two.yaml").write_text(FLOWS[4] + "# more\n")
    assert maker.make(Wanted(running)).complaints == ()
    assert read == ["two.yaml"]


def test_what_was_kept_at_an_earlier_start_is_not_read_again(running: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = running.file.parent
    begin_anew(folder)
    first = CandidateMaker().make(Wanted(running))
    (folder / "var").mkdir()
    CandidateMaker().make(Wanted(running))
    monkeypatch.setattr(loader, "_parse", None)
    found = CandidateMaker().make(Wanted(running))
    assert list(same(found, first)) == []
    # Whoever comes next keeps nothing.
    shutil.rmtree(folder / "var")


def test_a_sound_within_early_counts(running: Site) -> None:
    folder = running.file.parent
    begin_anew(folder)
    (folder / "flows" / "one.yaml").write_text(
        "flow: main\nstart: a\nblocks:\n  a:\n    - early: [{play: hello}]\n    - answer\n    - hangup\n"
    )
    maker = CandidateMaker()
    first = maker.make(Wanted(running))
    assert first.ok, first.complaints
    shutil.copy(folder / "500.wav", folder / "prompts" / "hello.wav")
    second = maker.make(Wanted(running))
    assert second.graphs["main"] == first.graphs["main"]
    assert second.digests["main"] != first.digests["main"], "another take makes another version"


def test_a_candidate_leaves_nothing_to_the_collector(running: Site) -> None:
    begin_anew(running.file.parent)
    maker = CandidateMaker()
    maker.make(Wanted(running))

    def change() -> None:
        nonlocal maker
        # What goes in the place of what was read before goes too.
        (running.file.parent / "flows" / "two.yaml").write_text(FLOWS[4] + "# more\n")
        maker.make(Wanted(running))
        maker = CandidateMaker()

    assert left_by(change) == []
