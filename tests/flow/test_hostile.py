"""Files that nobody wrote in good faith: refused or read, in bounded time and memory, and never with a traceback."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ivr.flow.checks import _circles, _way_around
from ivr.flow.loader import FlowSet, load_flows, load_text
from ivr.flow.reading import MISTAKES_LIMIT
from ivr.flow.source import LINE_LIMIT, NODES_LIMIT, SIZE_LIMIT

GOOD = "flow: main\nstart: a\nblocks:\n  a:\n    - hangup\n"


def codes(found: FlowSet) -> list[str]:
    return sorted({problem.code for problem in found.problems})


BOMB = "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*{'a' if n == 0 else f'b{n - 1}'}, *a]\n" for n in range(50))

KEYS = ",\n      ".join(f"'{n}': a" for n in range(30_000))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (BOMB, "E009"),
        ("a: !!python/object/apply:os.system ['true']\n", "E009"),
        ("x" * (SIZE_LIMIT + 1), "E010"),
        (b"flow: \xff\xfe\n", "E010"),
        (GOOD + "title: 'a\0b'\n", "E001"),
        (GOOD + "title: \ud800\n", "E010"),
        (GOOD + 'title: "\\ud800"\n', "E001"),
        (GOOD + 'title: "a\\0b"\n', "E025"),
        ("[" * 100_000, "E010"),
        ("- " * 100_000, "E010"),
        ("{a: " * 2_000, "E010"),
        (GOOD + f"title: {'x' * 900_000}\n", "E010"),
        (GOOD + "x: {" + "*: 1, " * 100_000 + "}\n", "E010"),
        ("x: [" + "a, " * 3_000 + "]\n" + "y:\n" + "- a\n" * NODES_LIMIT, "E010"),
        ("\n".join(f"k{n}: v" for n in range(60_000)), "E010"),
        ("flow: a\nstart: b\nblocks:\n" + "".join(f"  b{n}: [end]\n" for n in range(30_000)), "E025"),
        (GOOD + "vars: {" + ",\n  ".join(f"v{n}: text" for n in range(30_000)) + "}\n", "E025"),
        (GOOD.replace("hangup", "menu: {prompt: x, keys: {" + KEYS + "}}"), "E025"),
        (GOOD + "input: {timeout: " + "9" * 5_000 + "s}\n", "E021"),
        (GOOD + "input: {tries: " + "9" * 5_000 + "}\n", "E022"),
    ],
    ids=[str(number) for number in range(20)],
)
def test_it_is_refused_with_a_reason(content: str | bytes, code: str) -> None:
    found = load_text(content)
    assert not found.ok
    assert code in codes(found)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "main.yaml").write_text(GOOD, encoding="utf-8")
    assert load_flows([tmp_path]).flows.keys() == {"main"}
    assert codes(load_flows([tmp_path / "pipe.yaml"])) == ["E010"]


def test_a_line_just_short_enough_is_read() -> None:
    assert load_text(GOOD + f"title: x{' ' * (LINE_LIMIT - 8)}\n").ok


def test_after_many_mistakes_nobody_looks_for_more() -> None:
    blocks = "".join(f"  b{n}:\n    - anwser\n" for n in range(2_000))
    found = load_text(f"flow: main\nstart: b1999\nblocks:\n{blocks}")
    assert len(found.problems) == MISTAKES_LIMIT + 1
    assert "the rest of the blocks is not looked at" in str(found.problems[-1])
    targets = "".join(f"  b{n}:\n    - goto: x{n}\n" for n in range(2_000))
    found = load_text(f"flow: main\nstart: b1\nblocks:\n{targets}")
    assert len([problem for problem in found.problems if problem.code == "E101"]) == MISTAKES_LIMIT


class Counted(Mapping[str, frozenset[str]]):
    """A graph that counts how often somebody looks at a block."""

    def __init__(self, ways: dict[str, frozenset[str]]) -> None:
        self.looks = 0
        self._ways = ways

    def __getitem__(self, name: str) -> frozenset[str]:
        self.looks += 1
        return self._ways[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ways)

    def __len__(self) -> int:
        return len(self._ways)


def chain(length: int, *, closed: bool) -> Counted:
    ways = {f"b{n}": frozenset({f"b{n + 1}"}) for n in range(length - 1)}
    return Counted({**ways, f"b{length - 1}": frozenset({"b0"}) if closed else frozenset()})


@pytest.mark.parametrize("closed", [True, False])
def test_circles_are_found_looking_at_every_block_a_few_times(closed: bool) -> None:
    for length in (100, 10_000):
        graph = chain(length, closed=closed)
        circles = _circles(graph)
        assert [len(circle) for circle in circles] == ([length] if closed else [])
        assert graph.looks <= 4 * length
        if closed:
            assert _way_around(graph, circles[0]) == [f"b{n}" for n in range(length)]
            assert graph.looks <= 8 * length


def test_circles_apart_and_circles_of_one() -> None:
    ways = {"a": {"b", "c"}, "b": {"a"}, "c": {"c", "d"}, "d": {"e"}, "e": set[str]()}
    circles = _circles({name: frozenset(targets) for name, targets in ways.items()})
    assert set(circles) == {frozenset("ab"), frozenset("c")}
