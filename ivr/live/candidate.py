"""From files to a set that may go live: reads, checks, converts and tests. Runs in a process of its own.

The process that carries calls gets back what it can take over piece by piece: nothing there parses or converts.
"""

from __future__ import annotations

import copyreg
import hashlib
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway.call import Clip
from ivr import hearing
from ivr.flow.kept import KeptFlows
from ivr.flow.loader import FlowSet, flow_files, load_sources, shown
from ivr.flow.model import Flow, Place
from ivr.flow.problem import Problem, has_errors, in_order
from ivr.flow.source import SIZE_LIMIT
from ivr.live.release import Needs, dependent_digests, needs_of
from ivr.run.testing.acting import act
from ivr.run.testing.loader import ENDING, files_of_tests, load_suite
from ivr.site import Site, SqlTable, check_site, load_site
from ivr.site.environment import surroundings_of
from ivr.speech.checking import VoiceCheck
from ivr.speech.prompts import PromptItem
from ivr.speech.recordings import RecordingError, RecordingLibrary, fault
from ivr.table import Table


def _read_only(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)


# Read-only mappings cross between processes as what they are made of.
copyreg.pickle(MappingProxyType, lambda mapping: (_read_only, (dict(mapping),)))

_NEEDS_RESTART = (
    "sip",
    "tls",
    "media",
    "records",
    "spool",
    "voices",
    "seats",
    "trunks",
    "rtc",
    "limits",
    "monitoring",
    "http",
    "webhooks",
    "secrets",
)


@dataclass(frozen=True, slots=True)
class Pin:
    """An old text that serves in place of a file, as long as the file is what it was when that was decided."""

    text: str
    over: str
    """SHA-256 of the file then; empty if there was none."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to make a candidate of."""

    site: Site
    """The one that is running: what needs a restart is taken from it."""
    pins: Mapping[str, Pin] = field(default_factory=dict)
    """By file."""
    texts: Mapping[str, str] | None = None
    """Flows to take instead of those in files, by file name."""
    known_flows: frozenset[str] = frozenset()
    """Digests of flows that need not be sent."""
    known_clips: frozenset[str] = frozenset()
    """Digests of sounds that need not be sent."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A set of flows as it stands on disk, and all that is wrong with it."""

    problems: tuple[Problem, ...]
    site: Site | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    """By flow, with all it depends on."""
    graphs: Mapping[str, str] = field(default_factory=dict)
    """By flow: its own digest."""
    flows: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Pickled one by one, so that taking them over can be shared out; unknown ones only."""
    files: Mapping[str, str] = field(default_factory=dict)
    """By flow: its file."""
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By file."""
    on_disk: Mapping[str, str] = field(default_factory=dict)
    """By file: SHA-256 of what is there, whether or not it is pinned."""
    spoken: tuple[PromptItem, ...] = ()
    heard: tuple[hearing.Wanted, ...] = ()
    """What its flows listen for."""
    recordings: Mapping[PromptItem, str] = field(default_factory=dict)
    """By prompt: digest of its sound."""
    clips: Mapping[str, Clip] = field(default_factory=dict, repr=False)
    """By digest; unknown ones only."""
    restart_for: tuple[str, ...] = ()
    """Parts of the site file that differ, and wait for a restart."""
    tests_passed: int = 0
    tests_failed: tuple[str, ...] = ()
    author: str = ""
    """Owner of the file that changed last."""

    @property
    def ok(self) -> bool:
        return not has_errors(self.problems) and not self.tests_failed

    @property
    def complaints(self) -> tuple[str, ...]:
        """Everything that keeps it from going live, for people."""
        errors = tuple(str(problem) for problem in self.problems if problem.severity == "error")
        return errors + self.tests_failed


class CandidateMaker:
    """Makes one candidate after the other: what has not changed since the one before is not worked out again."""

    def __init__(self) -> None:
        self._flow_set: FlowSet | None = None
        self._needs: dict[str, Needs] = {}
        """By digest of the flow."""
        self._clips: dict[str, tuple[str, Clip]] = {}
        """Recordings that were converted, by digest of their files."""
        self._voices = VoiceCheck()

    def make(self, wanted: Wanted) -> Candidate:
        """Read and check everything. Never raises for what is in the files."""
        running = wanted.site
        loaded = load_site(running.file)
        if loaded.site is None:
            return Candidate(loaded.problems)
        restart_for = tuple(part for part in _NEEDS_RESTART if getattr(loaded.site, part) != getattr(running, part))
        site = replace(loaded.site, **{part: getattr(running, part) for part in _NEEDS_RESTART})
        databases = {name: table for name, table in running.tables.items() if isinstance(table, SqlTable)}
        if databases != {name: table for name, table in loaded.site.tables.items() if isinstance(table, SqlTable)}:
            restart_for += ("tables in databases",)
        files = {name: table for name, table in loaded.site.tables.items() if isinstance(table, Table)}
        site = replace(site, tables={**databases, **files})
        texts, on_disk, author, problems = _read(site, wanted)
        flow_set = self._flow_set = load_sources(texts, problems, self._flow_set, KeptFlows.within(site.state))
        found = [*loaded.problems, *flow_set.problems, *check_site(site, flow_set, fault, voices=self._voices)]
        if has_errors(found):
            return Candidate(in_order(found), site, on_disk=on_disk, restart_for=restart_for, author=author)
        needs = {name: self._needs.get(flow.digest) or needs_of(flow) for name, flow in flow_set.flows.items()}
        self._needs = {one.digest: one for one in needs.values()}
        sounds = list(dict.fromkeys(item for one in needs.values() for item in one.sounds))
        recordings, clips, silent = self._recordings(site, sounds)
        passed, failed, slips = _tests(site, flow_set)
        found += [*silent, *slips]
        return Candidate(
            in_order(found),
            site,
            digests=dependent_digests(needs, recordings, site),
            graphs={name: flow.digest for name, flow in flow_set.flows.items()},
            flows={
                name: pickle.dumps(flow)
                for name, flow in flow_set.flows.items()
                if flow.digest not in wanted.known_flows
            },
            files={name: flow.place.file for name, flow in flow_set.flows.items()},
            texts={file: text.decode("utf-8", "replace") for file, text in texts.items()},
            on_disk=on_disk,
            spoken=tuple(item for item in sounds if item[0] in ("text", "ssml")),
            heard=tuple(dict.fromkeys(wanted for one in needs.values() for wanted in one.heard)),
            recordings=recordings,
            clips={digest: clip for digest, clip in clips.items() if digest not in wanted.known_clips},
            restart_for=restart_for,
            tests_passed=passed,
            tests_failed=failed,
            author=author,
        )

    def _recordings(
        self, site: Site, sounds: Iterable[PromptItem]
    ) -> tuple[dict[PromptItem, str], dict[str, Clip], list[Problem]]:
        library = RecordingLibrary(site.prompts)
        digests: dict[PromptItem, str] = {}
        clips: dict[str, Clip] = {}
        problems: list[Problem] = []
        used: set[str] = set()
        for item in sounds:
            kind, name, language = item
            if kind != "recording":
                continue
            try:
                file = library.find(language, name)
                key = "" if file is None else hashlib.sha256(file.read_bytes()).hexdigest() + name
                used.add(key)
                if key not in self._clips:
                    clip = library.load(language, name)
                    self._clips[key] = hashlib.sha256(clip.pcmu).hexdigest(), clip
                digests[item], clip = self._clips[key]
                clips[digests[item]] = clip
            except (RecordingError, OSError) as error:
                problems.append(Problem("E150", Place(shown(site.prompts), 1), str(error)))
        for key in self._clips.keys() - used:
            del self._clips[key]
        return digests, clips, problems


def unpacked(flow: bytes) -> Flow:
    """A flow out of :attr:`Candidate.flows`."""
    made = pickle.loads(flow)
    assert isinstance(made, Flow)
    return made


def _read(site: Site, wanted: Wanted) -> tuple[dict[str, bytes], dict[str, str], str, list[Problem]]:
    """Texts by file, digests of what is on disk, who changed it last, and what could not be read."""
    texts: dict[str, bytes] = {}
    on_disk: dict[str, str] = {}
    newest: tuple[int, str] = (0, "")
    files, problems = flow_files(site.flows)
    for file in files:
        try:
            with file.open("rb") as stream:
                texts[shown(file)] = stream.read(SIZE_LIMIT + 1)
            newest = max(newest, (file.stat().st_mtime_ns, _owner(file)))
        except OSError as error:
            problems.append(Problem("E010", Place(shown(file), 1), f"it cannot be read ({error.strerror or error})"))
    on_disk = {file: hashlib.sha256(text).hexdigest() for file, text in texts.items()}
    if wanted.texts is not None:
        return {file: text.encode() for file, text in wanted.texts.items()}, on_disk, newest[1], []
    for name, pin in wanted.pins.items():
        if on_disk.get(name, "") == pin.over:
            texts[name] = pin.text.encode()
    return texts, on_disk, newest[1], problems


def _owner(file: Path) -> str:
    try:
        return file.owner()
    except (OSError, KeyError):
        return ""


def _tests(site: Site, flow_set: FlowSet) -> tuple[int, tuple[str, ...], list[Problem]]:
    """How many gate tests passed, what those that failed say, and what is wrong with files of gate tests."""
    around = surroundings_of(site, flow_set.flows)
    passed, failed = 0, []
    problems: list[Problem] = []
    for file in _files_of_gate_tests(site.flows):
        suite = load_suite(file, flow_set, around)
        problems += suite.problems
        for case in suite.cases:
            if not case.gate:
                continue
            failure = act(case, around).failure
            if failure is None:
                passed += 1
            else:
                failed.append(f"{failure.place}: gate test failed: {case.name}: {failure.message}")
    return passed, tuple(failed), problems


def _files_of_gate_tests(flows: Iterable[Path]) -> list[Path]:
    """Files of tests that speak of a gate at all; others need not be right for flows to go live."""
    folders = [path if path.is_dir() else path.with_name(path.stem + ENDING) for path in flows]
    return [file for file in files_of_tests(folders) if file.is_file() and b"gate" in file.read_bytes()]
