"""One browser for the tests of a module; a gateway and fresh pages for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.pages.stand import Stand, Telephone
from tests.peers.chromium import launch


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright, asks=True)
        yield browser
        browser.close()


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(tmp_path, guests=("1000", "1001", "1002", "1005"))
    yield stand
    stand.close()


Open = Callable[..., BrowserContext]


@pytest.fixture
def open_context(browser: Browser) -> Iterator[Open]:
    """Makes browser profiles, each like somebody else's computer."""
    made: list[BrowserContext] = []

    def make(*, microphone: bool = True, **settings: Any) -> BrowserContext:
        context = browser.new_context(permissions=["microphone"] if microphone else [], **settings)
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()


@pytest.fixture
def telephone(open_context: Open, stand: Stand) -> Iterator[Callable[..., Telephone]]:
    """Makes softphones, not logged in yet; none of them may have thrown an error in the end."""
    made: list[Telephone] = []

    def make(**settings: Any) -> Telephone:
        made.append(Telephone(open_context(**settings), stand.url))
        return made[-1]

    yield make
    troubles = [trouble for each in made for trouble in each.troubles]
    assert not troubles, troubles
