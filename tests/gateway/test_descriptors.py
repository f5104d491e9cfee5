"""The number of files a process may open."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from gateway.descriptors import make_room


@pytest.fixture(autouse=True)
def limits() -> Iterator[tuple[int, int]]:
    soft, hard = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1000), hard))
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_more_than_the_shell_allows() -> None:
    assert make_room(1500) == 1500
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 1500


def test_never_less_than_before() -> None:
    assert make_room(10) == 1000


def test_no_more_than_the_system_allows(limits: tuple[int, int]) -> None:
    hard = limits[1]
    assert hard != resource.RLIM_INFINITY
    assert make_room(hard + 1) == hard
