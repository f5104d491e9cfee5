"""The number at which prompts are recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.call import Arrival
from ivr.site import Site, load_site, refusal, way_to
from ivr.site.studio import STUDIO

SITE = "numbers: {'1000': main, '90X': main}\nseats: {'2001': a-long-password}\n"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(studio: str) -> tuple[Site | None, list[str]]:
    Path("site.yaml").write_text(f"{SITE}studio: {studio}\n")
    found = load_site(Path("site.yaml"), {"IVR_SECRET_STUDIO": "4711"})
    return found.site, [f"{one.code} {one.message} ({one.help})" for one in found.problems if one.severity == "error"]


def test_seats_reach_it_with_their_password_and_nobody_else() -> None:
    site, problems = loaded("{number: '900', pin: secret:studio}")
    assert problems == []
    assert site is not None
    assert site.studio is not None
    assert site.studio.pin == "4711"
    assert "4711" not in repr(site)
    way = way_to(site, "900")
    assert way is not None
    assert way.leads_to == STUDIO
    assert refusal(way, Arrival("900", "anna", None, trunk=False)) == "authenticate"
    other = way_to(site, "901")
    assert other is not None
    assert other.leads_to == "main"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{number: '900', pin: abcd}", "E025 this PIN cannot be entered, or is easy to guess"),
        ("{number: '900', pin: '123'}", "E025 this PIN cannot be entered, or is easy to guess"),
        ("{number: '1000', pin: '1234'}", "E202 number 1000 of the studio is in numbers too"),
        ("{number: '900'}", "E012 studio needs 'pin'"),
        ("yes", "E013 studio needs settings"),
        ("{number: '9', pin: secret:nobody}", "E204 secret 'nobody' is not there"),
    ],
)
def test_what_is_wrong_is_told(written: str, told: str) -> None:
    _, problems = loaded(written)
    assert problems[0].startswith(f"{told} (")
