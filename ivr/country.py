"""Which country a telephone number belongs to, by the numbering plans in the ``phonenumbers`` package."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final

_LENGTH: Final = 64
"""Characters of a number that are looked at; no plan has as many."""


def get_ready() -> None:
    """Read every plan, which takes a tenth of a second: else each would be read when the first call needs it."""
    import phonenumbers

    phonenumbers.PhoneMetadata.load_all()


@cache
def countries() -> frozenset[str]:
    """Every country whose numbers are known, as in ISO 3166: two capital letters."""
    # Here and below, not above: who asks for no country does not pay for the package.
    import phonenumbers

    return frozenset(phonenumbers.SUPPORTED_REGIONS)


@lru_cache(maxsize=4096)
def country_of(number: str, home: str = "") -> str:
    """The country, as two capital letters; empty if that cannot be told.

    A number with its country code stands behind ``+``. Any other is taken as it would be dialled in ``home``, if that
    is given and has such a number: what is no number there, a seat's for instance, belongs nowhere.
    """
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number[:_LENGTH], home or None)
    except phonenumbers.NumberParseException:
        return ""
    if not number.startswith("+") and not phonenumbers.is_valid_number(parsed):
        return ""
    found = phonenumbers.region_code_for_number(parsed) or ""
    return found if found in countries() else ""
