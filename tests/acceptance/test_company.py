"""The sample company's line as it comes with the program, by telephone: from the greeting to the seat that answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.peers.company import Company
from tests.peers.phone import Phone, hear_each_other
from tests.peers.server import Server, Site
from tests.peers.speech import spoken

pytestmark = pytest.mark.peer

ROOT = Path(__file__).parents[2]
ALWAYS = ["Mon-Sun 00:00-24:00"]
CHIME = 700


class Shop:
    """The sample site, all of it, with other addresses, and open or closed whatever the hour is."""

    def __init__(self, company: Company, *, opens: list[str]) -> None:
        sample: dict[str, Any] = yaml.safe_load((ROOT / "site.yaml").read_text(encoding="utf-8"))
        self._passwords = {seat: one["password"] for seat, one in sample["seats"].items()}
        sample["calendars"]["shop"] = {"zone": "Europe/Berlin", "open": opens}
        files = [file for file in (ROOT / "flows").rglob("*") if file.is_file()]
        parts = ("numbers", "seats", "groups", "calendars", "tables", "webhooks")
        self.company = company
        self.server: Server = company.server(
            Site(
                flows={str(file.relative_to(ROOT / "flows")): file.read_text(encoding="utf-8") for file in files},
                prompts={"chime": CHIME},
                numbers={},
                seats={},
                more={part: sample[part] for part in parts},
            )
        )

    def seat(self, account: str) -> Phone:
        seat = self.company.phone(account, self.server.address, make="pjsua", password=self._passwords[account])
        seat.register()
        return seat

    def caller(self, number: str, name: str = "+4930123456") -> Phone:
        caller = self.company.phone(name, self.server.address)
        caller.dials(number)
        caller.is_connected()
        return caller


def hears(caller: Phone, text: str, language: str = "en") -> None:
    caller.hears_sound(spoken(text, language), text)


def test_a_repair_is_told_and_the_front_desk_answers(company: Company) -> None:
    shop = Shop(company, opens=ALWAYS)
    sales, workshop = shop.seat("2001"), shop.seat("2002")
    caller = shop.caller("1200")
    hears(caller, "Harbour Bicycles, good day.")
    hears(caller, "Für Deutsch drücken Sie die Neun.", "de")
    caller.presses("2")
    hears(caller, "Please say or enter the five digits on your repair ticket.")
    caller.presses("10001")
    hears(caller, "Your bicycle is ready. The repair costs forty-nine euros and fifty cents.")
    caller.presses("*")
    hears(
        caller,
        "For a new bicycle, press 1. For your repair, press 2. For the front desk, press 0. Or say what you want.",
    )
    caller.presses("0")
    hears(caller, "One moment please.")
    sales.rings()
    workshop.rings()
    workshop.answers()
    sales.is_hung_up()
    hear_each_other(caller, workshop)
    workshop.hangs_up()
    hears(caller, "Thank you for calling. Goodbye.")
    caller.is_hung_up()
    record = shop.server.record(caller.name)
    assert record.did == "1200"
    assert record.path == (
        "welcome", "choose_language", "main_menu", "repair", "repair_ready", "after_repair", "main_menu", "front_desk",
        "bye",
    )  # fmt: skip
    assert record.ended_by == "flow"
    assert record.agents() == {"2001": False, "2002": True}


def test_outside_the_opening_hours_a_call_back_is_noted(company: Company) -> None:
    shop = Shop(company, opens=[])
    desk = shop.seat("2001")
    caller = shop.caller("1200")
    hears(caller, "Harbour Bicycles, good day.")
    closed = "Our shop is closed. We are here from Monday to Friday until half past six, and on Saturday until four."
    hears(caller, closed)
    hears(caller, "Wir haben gerade geschlossen.", "de")
    caller.presses("2")
    hears(caller, "Please say the number at which we reach you. Or enter it, and then the hash key.")
    caller.presses("040123456#")
    hears(caller, "Thank you for calling. Goodbye.")
    caller.is_hung_up()
    record = shop.server.record(caller.name)
    assert record.path == ("welcome", "closed", "call_back", "ask_number", "call_back_noted", "bye")
    assert not desk.has_rung()


def test_closing_at_once_holds_for_the_next_call_and_opening_for_the_one_after(company: Company) -> None:
    shop = Shop(company, opens=ALWAYS)
    shop.server.does("close", "shop", "--reason", "water in the cellar")
    first = shop.caller("1200", "anna")
    hears(first, "We had to close today at short notice, and are sorry for it.")
    first.hangs_up()
    assert shop.server.record("anna").path[:2] == ("welcome", "emergency")
    shop.server.does("open", "shop")
    desk = shop.seat("2001")
    second = shop.caller("1201", "berta")  # the same line, written in YAML
    hears(second, "Für Deutsch drücken Sie die Neun.", "de")
    second.presses("9")
    hears(second, "Guten Tag. Einen Moment bitte, ich verbinde Sie.", "de")
    desk.rings()
    desk.answers()
    hear_each_other(second, desk)
    second.hangs_up()
    desk.is_hung_up()
    record = shop.server.record("berta")
    assert record.path == ("welcome", "choose_language", "main_menu", "german")
    assert record.agents() == {"2001": True}


def test_the_small_flows_are_for_seats_only(company: Company) -> None:
    shop = Shop(company, opens=ALWAYS)
    stranger = company.phone("carl", shop.server.address)
    stranger.dials("1304")
    stranger.is_refused(403)
    seat = shop.seat("2001")
    seat.dials("1304")
    seat.is_connected()
    seat.hears(CHIME, for_s=1.0)
    hears(seat, "You called 1 3 0 4.")
    seat.hangs_up()
    assert shop.server.record("2001").path == ("listen",)
