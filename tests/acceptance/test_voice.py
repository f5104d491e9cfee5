"""Callers who speak, in voices that are not the program's own, and what they reach by it."""

from __future__ import annotations

import pytest

from tests.acceptance.test_company import ALWAYS, Shop, hears
from tests.peers.company import Company, Make
from tests.peers.phone import Phone
from tests.peers.speakers import Voice, noisy, says

pytestmark = pytest.mark.peer


def caller(shop: Shop, number: str, *, make: Make = "pjsua") -> Phone:
    """A telephone that says nothing but what it is told to."""
    phone = shop.company.phone("+4930123456", shop.server.address, make=make, silent=True)
    phone.dials(number)
    phone.is_connected()
    return phone


@pytest.mark.parametrize(
    ("make", "voice", "noise_db"), [("pjsua", "slt", None), ("baresip", "rms", 30.0), ("pjsua", "awb", 20.0)]
)
def test_the_main_line_is_walked_by_voice(company: Company, make: Make, voice: Voice, noise_db: float | None) -> None:
    shop = Shop(company, opens=ALWAYS)
    support = shop.seat("2002")
    anna = caller(shop, "1000", make=make)
    hears(anna, "Welcome to the demonstration line.")
    # Nobody answers a question in its first moment, and none is listened to then.
    anna.hears_something()
    words = says("technical support", voice)
    anna.says(words if noise_db is None else noisy(words, noise_db))
    hears(anna, "One moment, I am calling support.")
    support.rings()
    support.answers()
    anna.hangs_up()
    support.is_hung_up()
    record = shop.server.record("+4930123456")
    assert record.path == ("welcome", "main_menu", "support")
