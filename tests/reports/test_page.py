"""The page of a day, as text and in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import Engine

from ivr.records.database import open_database
from ivr.reports.cells import Records
from ivr.reports.day import day_answers
from ivr.reports.definition import Settings
from ivr.reports.page import page
from tests.peers.chromium import launch
from tests.records.test_recovery import write
from tests.reports.asking import span
from tests.reports.busy_day import ZONE, busy_day

NOON = round(datetime(2026, 11, 26, 12, tzinfo=ZONE).timestamp() * 1000)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('records')}/records.db")
    write(engine, *busy_day(date(2026, 11, 26)))
    return engine


@pytest.fixture(scope="module")
def html(engine: Engine) -> str:
    answers = day_answers(Records(engine, NOON, keep=False), span("2026-11-26", zone="Europe/Berlin"), Settings())
    return page(answers, "Calls, 2026-11-26", NOON)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


def test_nothing_comes_from_elsewhere_and_every_id_is_there_once(html: str) -> None:
    assert not re.search(r'(?:src|href)="(?!#)|@import|url\((?!#)|<script|<link', html)
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]*)', html)) <= set(ids)


def test_a_day_that_runs_says_so(html: str) -> None:
    assert "The time is not over: numbers until 12:00." in html


def test_behind_every_picture_is_its_table(html: str) -> None:
    for section in html.split("<section")[1:]:
        assert section.count("<figure") == section.count('<svg viewBox="') <= 1
        assert "Nothing to count" in section or section.count("<table>") == 1
        assert "What is counted" in section
        if "<figure" in section:
            assert re.search(r'<figure role="img" aria-label="[^"]{20,}"', section)


def test_numbers_of_callers_are_not_on_it(html: str) -> None:
    assert "+4930" not in html


def listening(into: list[str], what: str) -> Callable[[Any], None]:
    """Notes that of everything that is told."""
    return lambda told: into.append(getattr(told, what))


@pytest.mark.peer
def test_in_a_browser(html: str, browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "day.html"
    file.write_text(html, encoding="utf-8")
    for width, scheme in ((1100, "light"), (390, "dark")):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
        tab = context.new_page()
        asked: list[str] = []
        wrong: list[str] = []
        tab.on("request", listening(asked, "url"))
        tab.on("console", listening(wrong, "text"))
        tab.goto(file.as_uri())
        assert asked == [file.as_uri()]
        assert wrong == []
        tiles = tab.locator(".headlines li")
        assert tiles.count() == 8
        assert "412" not in tiles.first.inner_text()  # at noon the day is not over
        # Nothing sticks out to the right, and every picture has a size.
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        sizes = tab.evaluate(
            "[...document.querySelectorAll('figure svg')].map(one => one.getBoundingClientRect().height)"
        )
        assert len(sizes) > 10
        assert min(sizes) > 20
        paper, ink = tab.evaluate("(style => [style.backgroundColor, style.color])(getComputedStyle(document.body))")
        assert (paper, ink) == (
            ("rgb(255, 255, 255)", "rgb(26, 26, 26)")
            if scheme == "light"
            else ("rgb(21, 24, 28)", "rgb(233, 235, 238)")
        )
        fill = tab.evaluate("getComputedStyle(document.querySelector('#outcomes figure svg text')).fill")
        assert fill == ink
        tab.locator("#funnel summary").first.click()
        assert tab.locator("#funnel table").is_visible()
        context.close()
