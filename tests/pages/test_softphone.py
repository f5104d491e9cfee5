"""The softphone, as an agent uses it: in Chromium, with the gateway's own signalling and sound."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from gateway.call import CallEnded, CallerHeld, CallerLeft, CallerRetrieved, LegAnswered
from tests.pages.stand import Stand, Telephone
from tests.peers.patience import until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(180)]

Make = Callable[..., Telephone]

# How good it is, is the machine's own affair.
_MEASURED = re.compile("(Good|Fair|Poor|Bad) sound")


def test_a_wrong_password_is_told_and_the_right_one_logs_in(telephone: Make) -> None:
    alice = telephone().logs_in("alice", "wrong")
    expect(alice.page.get_by_role("alert").filter(has_text="User or password is wrong.")).to_be_visible()
    alice.logs_in("alice").is_online()
    expect(alice.page.locator("#me")).to_have_text("Alice")
    alice.presses("Log out")
    expect(alice.page.get_by_label("Password")).to_be_visible()
    assert alice.page.get_by_label("Password").input_value() == ""


def test_a_call_out_with_keys_and_the_quality_of_its_sound(stand: Stand, telephone: Make) -> None:
    alice = telephone().logs_in("alice").is_online()
    alice.dials("1000")
    alice.sees("Connected")
    expect(alice.page.locator("#presence")).to_have_text("In a call")
    expect(alice.page.locator(".quality")).to_contain_text(_MEASURED)
    expect(alice.page.locator(".quality-details")).to_contain_text("delay")
    alice.presses("Keypad")
    keys = alice.page.get_by_role("group", name="Keys for the other side")
    keys.get_by_role("button", name="4", exact=True).click()
    keys.get_by_role("button", name="hash").click()
    alice.page.keyboard.press("2")
    until(lambda: stand.keys == ["4", "#", "2"], lambda: f"keys came: {stand.keys}")
    expect(alice.page.get_by_role("timer")).to_have_text(re.compile(r"^0:[0-9][1-9]$"))
    alice.presses("Hang up")
    stand.takes().hears(CallEnded)
    alice.remembers("1000", "Call ended")
    expect(alice.page.get_by_label("Number or user to call")).to_be_visible()


def test_a_call_that_nobody_takes_is_given_up(stand: Stand, telephone: Make) -> None:
    alice = telephone().logs_in("alice").is_online()
    alice.dials("1001")
    alice.sees("Ringing…")
    alice.presses("Give up")
    assert stand.takes().hears(CallerLeft).cause == "cancel"
    alice.remembers("1001", "Call given up")


@pytest.mark.parametrize(
    ("number", "words"), [("1002", "Busy"), ("1003", "Call refused"), ("nobody", "Not reachable now")]
)
def test_how_a_call_failed_is_said_in_words(telephone: Make, number: str, words: str) -> None:
    alice = telephone().logs_in("alice").is_online()
    alice.dials(number)
    alice.sees(words)
    alice.remembers(number, words)


def test_one_softphone_calls_another_and_holds(stand: Stand, telephone: Make) -> None:
    alice, bob = telephone().logs_in("alice").is_online(), telephone().logs_in("bob").is_online()
    bob.dials("alice")
    alice.rings("Incoming call from Bob")
    expect(alice.page).to_have_title("Bob calls")
    bob.sees("Ringing…")
    alice.presses("Accept")
    for each in (alice, bob):
        each.sees("Connected")
        expect(each.page.locator(".quality")).to_contain_text(_MEASURED)
    bob.presses("Hold")
    bob.sees("On hold")
    stand.takes().hears(CallerHeld)
    bob.presses("Resume")
    bob.sees("Connected")
    stand.takes().hears(CallerRetrieved)
    bob.presses("Mute")
    bob.sees("you are muted")
    alice.presses("Hang up")
    bob.remembers("alice", "The other side hung up")
    alice.remembers("Bob", "Call ended")
    alice.page.get_by_role("button", name="Call Bob").click()
    bob.rings("Incoming call from Alice")


def test_refusing_and_missing(telephone: Make) -> None:
    alice, bob = telephone().logs_in("alice").is_online(), telephone().logs_in("bob").is_online()
    bob.dials("alice")
    alice.rings("Incoming call from Bob")
    alice.presses("Refuse")
    bob.sees("Call refused")
    alice.remembers("Bob", "Refused")
    expect(bob.page.locator(".call")).to_have_count(0)
    bob.dials("alice")
    alice.rings("Incoming call from Bob")
    bob.presses("Give up")
    alice.remembers("Bob", "Missed")
    expect(alice.page.locator(".call")).to_have_count(0)
    expect(alice.page.get_by_role("alert").filter(has_text="Incoming call")).to_have_count(0)


def test_two_devices_ring_and_one_has_the_call(telephone: Make) -> None:
    desk, couch = telephone().logs_in("alice").is_online(), telephone().logs_in("alice").is_online()
    bob = telephone().logs_in("bob").is_online()
    bob.dials("alice")
    desk.rings("Incoming call from Bob")
    couch.rings("Incoming call from Bob")
    couch.presses("Accept")
    couch.sees("Connected")
    bob.sees("Connected")
    desk.remembers("Bob", "Answered on another device")
    expect(desk.page.get_by_role("button", name="Accept")).to_have_count(0)


def test_a_second_call_puts_the_first_on_hold(stand: Stand, telephone: Make) -> None:
    alice, bob = telephone().logs_in("alice").is_online(), telephone().logs_in("bob").is_online()
    alice.dials("1000")
    alice.sees("Connected")
    bob.dials("alice")
    alice.rings("Incoming call from Bob")
    alice.presses("Accept")
    stand.takes(1).hears(CallerHeld)
    stand.takes(2).hears(LegAnswered)
    expect(alice.page.locator(".call").filter(has_text="Bob").locator(".call-state")).to_contain_text("Connected")
    held = alice.page.locator(".call").filter(has_text="1000")
    expect(held.locator(".call-state")).to_contain_text("On hold")
    held.get_by_role("button", name="Resume").click()
    expect(alice.page.locator(".call").filter(has_text="Bob").locator(".call-state")).to_contain_text("On hold")
    stand.takes(1).hears(CallerRetrieved)


def test_without_microphone_it_says_what_to_do(telephone: Make) -> None:
    alice = telephone(microphone=False).logs_in("alice").is_online()
    alice.is_told("The microphone is not allowed.")
    alice.dials("1000")
    alice.remembers("1000", "No microphone")
    bob = telephone().logs_in("bob").is_online()
    bob.dials("alice")
    alice.rings("Incoming call from Bob")
    alice.presses("Accept")
    expect(alice.page.locator(".call .notice")).to_contain_text("The microphone is not allowed.")
    # Nothing is lost: once it is allowed, the same call is taken.
    alice.page.context.grant_permissions(["microphone"])
    alice.presses("Accept")
    alice.sees("Connected")
    bob.sees("Connected")


def test_a_lost_connection_keeps_the_call(stand: Stand, telephone: Make) -> None:
    alice = telephone().logs_in("alice").is_online()
    alice.dials("1000")
    alice.sees("Connected")
    stand.relay.cut()
    alice.is_told("The call goes on, and the softphone is reconnecting.")
    expect(alice.page.locator("#presence")).to_have_text("Reconnecting…")
    alice.sees("Connected")
    alice.presses("Keypad")
    alice.page.keyboard.press("7")
    until(lambda: stand.keys == ["7"], "the sound, and keys in it, need no signalling")
    # What needs the connection is made good later.
    alice.presses("Hold")
    stand.relay.mend()
    stand.takes().hears(CallerHeld)
    alice.sees("On hold")
    expect(alice.page.locator(".notice")).to_have_count(0)
    alice.presses("Hang up")
    assert stand.takes().hears(CallerLeft).by == "caller"


def test_a_call_goes_on_after_a_dip(stand: Stand, telephone: Make) -> None:
    alice, bob = telephone().logs_in("alice").is_online(), telephone().logs_in("bob").is_online()
    stand.relay.cut()
    for each in (alice, bob):
        each.is_told("was lost")
    stand.relay.mend()
    for each in (alice, bob):
        each.is_online()
    bob.dials("alice")
    alice.rings("Incoming call from Bob")
    stand.relay.cut()
    alice.is_told("was lost")
    alice.presses("Accept")
    stand.relay.mend()
    alice.sees("Connected")
    bob.sees("Connected")


def test_a_closed_page_ends_its_call_at_once(stand: Stand, telephone: Make) -> None:
    alice = telephone().logs_in("alice").is_online()
    alice.dials("1000")
    alice.sees("Connected")
    alice.page.goto("about:blank")
    # A lost connection would be waited for, for 30 s.
    stand.takes().hears(CallerLeft, within=15)


def test_the_same_tab_opened_twice_is_one_device(stand: Stand, telephone: Make) -> None:
    alice = telephone().logs_in("alice").is_online()
    device = alice.page.evaluate("sessionStorage.getItem('rtc-device')")
    other = telephone()
    other.page.evaluate("device => sessionStorage.setItem('rtc-device', device)", device)
    other.logs_in("alice").is_online()
    expect(alice.page.get_by_role("alert").filter(has_text="another window")).to_be_visible()


def test_devices_are_chosen_and_remembered(telephone: Make) -> None:
    alice = telephone().logs_in("alice").is_online()
    alice.dials("1000")
    alice.sees("Connected")
    alice.presses("Sound settings")
    microphones = alice.page.get_by_label("Microphone", exact=True)
    expect(microphones.locator("option").nth(1)).to_be_attached()
    chosen = microphones.locator("option").last.get_attribute("value")
    assert chosen
    microphones.select_option(chosen)
    expect(alice.page.get_by_text("Say something: the bar moves.")).to_be_visible()
    alice.presses("Done")
    expect(alice.page.get_by_role("button", name="Sound settings")).to_be_focused()
    assert alice.page.evaluate("localStorage.getItem('sound-microphone')") == chosen
    alice.sees("Connected")


def test_the_keyboard_is_enough(stand: Stand, telephone: Make) -> None:
    alice = telephone()
    keyboard = alice.page.keyboard
    expect(alice.page.get_by_label("User", exact=True)).to_be_focused()
    keyboard.type("alice")
    keyboard.press("Tab")
    keyboard.type("open sesame")
    keyboard.press("Enter")
    alice.is_online()
    expect(alice.page.get_by_label("Number or user to call")).to_be_focused()
    keyboard.type("1000")
    keyboard.press("Enter")
    alice.sees("Connected")
    keyboard.press("Tab")
    expect(alice.page.get_by_role("button", name="Mute")).to_be_focused()
    keyboard.press("Space")
    alice.sees("you are muted")
    expect(alice.page.get_by_role("button", name="Mute")).to_have_attribute("aria-pressed", "true")
    for _ in range(3):
        keyboard.press("Tab")
    expect(alice.page.get_by_role("button", name="Hang up")).to_be_focused()
    keyboard.press("Enter")
    stand.takes().hears(CallEnded)
    expect(alice.page.get_by_label("Number or user to call")).to_be_focused()


@pytest.mark.parametrize("width", [320, 360, 700, 1280])
def test_nothing_is_cut_off_at_any_width(telephone: Make, width: int) -> None:
    alice = telephone(viewport={"width": width, "height": 640})
    fits = "document.documentElement.scrollWidth <= window.innerWidth"
    assert alice.page.evaluate(fits)
    alice.logs_in("alice").is_online()
    assert alice.page.evaluate(fits)
    alice.dials("1000")
    alice.sees("Connected")
    alice.presses("Keypad")
    alice.presses("Another call")
    assert alice.page.evaluate(fits)
    alice.presses("Sound settings")
    assert alice.page.evaluate(fits)
