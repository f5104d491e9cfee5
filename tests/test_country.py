"""Whose number it is."""

from __future__ import annotations

import pytest

from ivr.country import countries, country_of, get_ready


@pytest.mark.parametrize(
    ("number", "home", "country"),
    [
        ("+4930123456", "", "DE"),
        ("+8613800138000", "", "CN"),
        ("+12125550123", "", "US"),
        ("+14165550123", "", "CA"),
        ("+442079460000", "", "GB"),
        ("+4930123456", "US", "DE"),
        # As some carriers write it.
        ("030123456", "DE", "DE"),
        ("004930123456", "DE", "DE"),
        ("0033140205050", "DE", "FR"),
        ("01133140205050", "US", "FR"),
        ("4930123456", "DE", "DE"),
        ("13800138000", "CN", "CN"),
        ("2125550123", "US", "US"),
        # Not to be told.
        ("030123456", "", ""),
        ("4930123456", "", ""),
        ("", "", ""),
        ("", "DE", ""),
        ("2001", "DE", ""),
        ("110", "DE", ""),
        ("anna", "DE", ""),
        ("anonymous", "", ""),
        ("+", "DE", ""),
        ("+99912345", "", ""),
        ("+80012345678", "", ""),
        ("+1" + "2" * 200, "", ""),
        ("0" * 500, "DE", ""),
        ("\x00+49\u0660", "DE", ""),
    ],
)
def test_the_country_of_a_number(number: str, home: str, country: str) -> None:
    assert country_of(number, home) == country


def test_countries_are_two_letters() -> None:
    get_ready()
    assert {"DE", "CN", "US", "GB"} <= countries()
    assert "UK" not in countries()
    assert all(len(country) == 2 and country.isupper() for country in countries())
