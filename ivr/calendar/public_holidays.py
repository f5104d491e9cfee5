"""Public holidays of countries and their regions, year by year, from the ``holidays`` package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Region:
    """Whose holidays: called with a year, it names them. The first call for a year takes some milliseconds."""

    country: str
    subdivision: str | None = None

    def __str__(self) -> str:
        return f"{self.country}-{self.subdivision}" if self.subdivision else self.country

    def __call__(self, year: int) -> Mapping[date, str]:
        return _of_year(self.country, self.subdivision, year)


@cache
def regions() -> Mapping[str, tuple[str, ...]]:
    """Countries by code, with the codes of their parts."""
    # Here and not above: a site without public holidays does not pay for them.
    import holidays

    found: Mapping[str, list[str]] = holidays.list_supported_countries(include_aliases=False)
    return MappingProxyType({country: tuple(parts) for country, parts in found.items()})


@cache
def _of_year(country: str, subdivision: str | None, year: int) -> Mapping[date, str]:
    import holidays

    # Named in English where the package can: left to itself it asks the environment which language to use.
    found = holidays.country_holidays(country, subdiv=subdivision, years=year, language="en_US")
    return MappingProxyType(dict(found))
