"""The guide says what the reports say."""

from pathlib import Path

import pytest

from ivr.reports.reference import TARGET, with_reports
from ivr.site import load_site

GUIDE = (Path(__file__).parents[2] / TARGET).read_text(encoding="utf-8")


def test_the_guide_is_up_to_date() -> None:
    assert with_reports(GUIDE) == GUIDE, "run: python -m ivr.reports.reference"


def test_a_page_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        with_reports("# Reports\n")


def test_its_example_loads(tmp_path: Path) -> None:
    (example,) = GUIDE.split("```yaml\n")[1:]
    site = tmp_path / "site.yaml"
    site.write_text(f"{example.partition('```')[0]}numbers: {{'1000': main}}\n", encoding="utf-8")
    loaded = load_site(site, {"IVR_SECRET_MAIL": "long-enough"})
    assert loaded.problems == ()
    assert loaded.site is not None
    assert list(loaded.site.reports) == ["daily", "weekly"]


def test_its_pictures_are_there() -> None:
    for part in GUIDE.split("](")[1:]:
        target = part.partition(")")[0].partition("#")[0]
        assert (Path(__file__).parents[2] / "docs" / target).exists(), target
